"""Lines of a refund, held to the bill: what was sold, as what, for how much, and what of it went back before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from django.utils.translation import gettext_lazy as _

from config.lib import money
from config.lib.errors import DomainError
from points.models import Balance, Event


class UnknownItem(DomainError):
    """A line item that the purchase does not have."""

    code = "unknown_item"
    message = _("items: the event has no line %(sku)s.")


class CategoryMismatch(DomainError):
    """A refund of something in another category than it was sold in."""

    code = "category_mismatch"
    message = _("items: %(sku)s was sold in the category “%(sold)s”, not “%(category)s”.")


class RefundExceedsLine(DomainError):
    """More is to be refunded of a line than was sold, less what was refunded before."""

    code = "refund_exceeds_line"
    message = _("items: of %(sku)s %(left)s is left to refund, and %(wanted)s was to be.")


@dataclass(slots=True)
class _Sold:
    """All lines of a bill with the same thing in the same category; the amount is None where none was told."""

    category: str
    pieces: Fraction = Fraction(0)
    amount: int | None = None
    refunded: int = 0

    def add(self, line: Mapping[str, Any]) -> None:
        self.pieces += Fraction(line.get("quantity") or 0)
        if line.get("amount_minor") is not None:
            self.amount = (self.amount or 0) + int(line["amount_minor"])

    def share(self, pieces: Fraction | None) -> int:
        """What some pieces cost: all of them, or in proportion, rounded down."""
        amount = self.amount or 0
        return amount if pieces is None or not self.pieces else int(amount * pieces / self.pieces)


@dataclass(slots=True)
class _Bill:
    """What was sold, by what it is called."""

    currency: str
    sold: dict[str, list[_Sold]] = field(default_factory=dict)

    def add(self, line: Mapping[str, Any]) -> None:
        sku, category = _text(line, "sku"), _text(line, "category")
        same = self.sold.setdefault(sku, [])
        entry = next((one for one in same if one.category == category), None)
        if entry is None:
            same.append(entry := _Sold(category))
        entry.add(line)

    def find(self, sku: str, category: str) -> _Sold:
        """Return what was sold; without a category the first one."""
        same = self.sold.get(sku)
        if not same:
            raise UnknownItem(sku=sku)
        for one in same:
            if category in ("", one.category):
                return one
        raise CategoryMismatch(sku=sku, category=category, sold=same[0].category)

    def take(self, line: Mapping[str, Any], quantity: float | None) -> dict[str, Any]:
        """Return a refunded line with category and amount, and remember what it takes."""
        sku = line["sku"]
        sold = self.find(sku, line["category"])
        pieces = None if quantity is None else Fraction(quantity)
        if pieces is not None and sold.pieces and pieces > sold.pieces:
            raise RefundExceedsLine(sku=sku, left=f"{float(sold.pieces):g} ×", wanted=f"{quantity:g} ×")
        amount = line.get("amount_minor")
        amount = sold.share(pieces) if amount is None else int(amount)
        left = None if sold.amount is None else max(0, sold.amount - sold.refunded)
        if left is not None and amount > left:
            raise RefundExceedsLine(sku=sku, left=self._shown(left), wanted=self._shown(amount))
        sold.refunded += amount
        return {**line, "category": sold.category, "amount_minor": amount}

    def _shown(self, minor: int) -> str:
        return f"{money.to_decimal_string(minor, self.currency)} {self.currency}"


def lock(event: Event) -> None:
    """Let one refund at a time look at what is left of a member's bills; what the books lock first anyway."""
    list(Balance.objects.select_for_update().filter(member=event.member_id).order_by("point_type_id").values("pk"))


def hold_to_bill(
    event: Event,
    lines: Sequence[Mapping[str, Any]],
    quantities: Iterable[float | None],
    *,
    source: str,
    reference: str,
) -> list[dict[str, Any]]:
    """Return refunded lines as the bill knows them. The refund of this reference itself does not count as earlier.

    Raises UnknownItem, CategoryMismatch, RefundExceedsLine.
    """
    bill = _Bill(event.currency)
    for sold in event.items or ():
        bill.add(sold)
    refunds = Event.objects.filter(member_id=event.member_id, refund_of=event.pk)
    for items in refunds.exclude(source=source, reference=reference).values_list("items", flat=True):
        for gone in items or ():
            _count_earlier(bill, gone)
    return [bill.take(line, quantity) for line, quantity in zip(lines, quantities, strict=True)]


def _count_earlier(bill: _Bill, gone: Mapping[str, Any]) -> None:
    same = bill.sold.get(_text(gone, "sku"))
    if same:
        category = _text(gone, "category")
        entry = next((one for one in same if one.category == category), same[0])
        entry.refunded += int(gone.get("amount_minor") or 0)


def _text(line: Mapping[str, Any], name: str) -> str:
    return str(line.get(name) or "")
