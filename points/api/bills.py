"""Lines of a refund, held to the bill: what was sold, as what, for how much, and what of it went back before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from django.utils.translation import gettext_lazy as _

from config.lib import money
from config.lib.errors import DomainError
from points.actions import claiming
from points.actions.posting import ReferenceConflict
from points.models import Event, Operation


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


class LineWithoutAmount(DomainError):
    """A line that was sold without a price of its own is refunded by what it says, not by its pieces."""

    code = "line_without_amount"
    message = _("items: the bill gives no amount for %(sku)s; say with money how much of it is refunded.")


@dataclass(slots=True)
class _Sold:
    """All lines of a bill with the same thing in the same category; the amount is None where none was told.

    The amount is what the lines say; less was paid for them where a discount was given on the whole bill.
    """

    category: str
    pieces: Fraction = Fraction(0)
    amount: int | None = None
    paid: int = 0
    refunded: int = 0
    returned: Fraction = Fraction(0)
    repaid: int = 0  # of what was refunded, the money that went back without pieces
    gone: int = 0  # of the amount, what refunded lines told where less was paid

    def add(self, line: Mapping[str, Any]) -> None:
        self.pieces += _pieces(line)
        if line.get("amount_minor") is not None:
            self.amount = (self.amount or 0) + int(line["amount_minor"])

    def left(self) -> int | None:
        """How much can still be refunded, where the bill gives an amount."""
        return None if self.amount is None else max(0, self.paid - self.refunded)

    def unreturned(self) -> Fraction:
        """How many pieces can still go back."""
        return max(Fraction(0), self.pieces - self.returned)

    def has_left(self) -> bool:
        """Whether something of it can still go back: of the goods, and of the pieces where they were counted."""
        if self.pieces and not self.unreturned():
            return False
        return not self.amount or self.gross() < self.amount

    def price(self, pieces: Fraction | None) -> int:
        """What some pieces cost beside those that went back: so counted that all of them cost the whole.

        Of three pieces for 10.00 the first two cost 3.33 each and the last one 3.34. Without pieces: what is left, and
        never more than that.
        """
        left = self.left() or 0
        if pieces is None or not self.pieces:
            return left
        return min(left, self._cost(self.returned + pieces) - self._cost(self.returned))

    def gross(self) -> int:
        """What the lines say of all that went back: rules on line items count that, and what was spent on it.

        Where less was paid, pieces count as goods and not by their money, of which there may be none; money that went
        back without pieces counts as its share of what was paid.
        """
        amount = self.amount or 0
        if self.paid == amount:
            return self.refunded
        if (self.repaid and self.refunded == self.paid) or self.returned >= (self.pieces or 1):
            return amount
        goods = amount * self.returned // self.pieces if self.pieces else 0
        return min(amount, goods + (amount * self.repaid // self.paid if self.paid else 0))

    def count(self, amount: int, pieces: Fraction | None) -> None:
        """Count what goes back; what was sold without counting, and for no money, goes back at once."""
        self.refunded += amount
        if self.pieces and pieces:
            self.returned += pieces
        elif self.pieces or self.paid:
            self.repaid += amount
        else:
            self.returned += 1

    def _cost(self, pieces: Fraction) -> int:
        return int(self.paid * pieces / self.pieces)


@dataclass(slots=True)
class _Bill:
    """What was sold, by what it is called."""

    currency: str
    sold: dict[str, list[_Sold]] = field(default_factory=dict)
    discounted: bool = False

    def add(self, line: Mapping[str, Any]) -> None:
        sku, category = _text(line, "sku"), _text(line, "category")
        same = self.sold.setdefault(sku, [])
        entry = next((one for one in same if one.category == category), None)
        if entry is None:
            same.append(entry := _Sold(category))
        entry.add(line)

    def share(self, paid: int | None) -> None:
        """Share out what was paid, where that is less than the lines add up to: so that the shares make the whole."""
        priced = [one for same in self.sold.values() for one in same]
        total = sum(one.amount or 0 for one in priced)
        self.discounted = paid is not None and paid < total
        rate = Fraction(paid or 0, total) if self.discounted else Fraction(1)
        before = 0
        for one in priced:
            after = before + (one.amount or 0)
            one.paid = int(after * rate) - int(before * rate)
            before = after

    def find(self, sku: str, category: str) -> _Sold:
        """Return what was sold; without a category the first of which something is left."""
        same = self.sold.get(sku)
        if not same:
            raise UnknownItem(sku=sku)
        fitting = [one for one in same if category in ("", one.category)]
        if not fitting:
            raise CategoryMismatch(sku=sku, category=category, sold=same[0].category)
        return next((one for one in fitting if one.has_left()), fitting[0])

    def take(self, line: Mapping[str, Any], quantity: float | None) -> dict[str, Any]:
        """Return a refunded line with category, amount and, where they are known, pieces; remember what it takes."""
        sku, amount = line["sku"], line.get("amount_minor")
        sold = self.find(sku, line["category"])
        pieces = None if quantity is None else Fraction(str(quantity))
        unreturned = sold.unreturned()
        if pieces is not None and sold.pieces and pieces > unreturned:
            raise RefundExceedsLine(sku=sku, left=_times(unreturned), wanted=_times(pieces))
        if amount is None and sold.amount is None:
            raise LineWithoutAmount(sku=sku)
        # A line that costs nothing goes back as one of which no money is told: with all that is left of it.
        rest = pieces is None and (amount is None or (amount == 0 and not sold.paid))
        amount = sold.price(pieces) if amount is None else amount
        if rest:
            pieces, quantity = unreturned, _number(unreturned)
        left = sold.left()
        if left is not None and amount > left:
            raise RefundExceedsLine(sku=sku, left=self._shown(left), wanted=self._shown(amount))
        if amount == 0 and not left and not sold.has_left():
            if sold.pieces and not sold.paid:
                raise RefundExceedsLine(sku=sku, left=_times(unreturned), wanted=_times(sold.pieces))
            raise RefundExceedsLine(sku=sku, left=self._shown(0), wanted=self._shown(sold.paid))
        sold.count(amount, pieces)
        taken = {name: value for name, value in line.items() if name != "quantity"}
        known: dict[str, float] = {} if quantity is None else {"quantity": quantity}
        if self.discounted and sold.amount:
            known["gross_minor"] = goods = max(0, sold.gross() - sold.gone)
            sold.gone += goods
        return {**taken, "category": sold.category, **known, "amount_minor": amount}

    def give_back(self, line: Mapping[str, Any]) -> None:
        """Count a line that was refunded earlier."""
        if same := self.sold.get(_text(line, "sku")):
            category = _text(line, "category")
            sold = next((one for one in same if one.category == category), same[0])
            sold.count(int(line.get("amount_minor") or 0), _pieces(line))
            sold.gone += int(line.get("gross_minor") or 0)

    def _shown(self, minor: int) -> str:
        return f"{money.to_decimal_string(minor, self.currency)} {self.currency}"


def hold_to_bill(
    event: Event,
    lines: Sequence[Mapping[str, Any]],
    quantities: Iterable[float | None],
    *,
    source: str,
    reference: str,
) -> list[dict[str, Any]]:
    """Return refunded lines as the bill knows them. A refund that is sent again sees what it saw the first time.

    Raises UnknownItem, CategoryMismatch, RefundExceedsLine, LineWithoutAmount; of these none, but ReferenceConflict,
    where the reference was used before.
    """
    bill = _Bill(event.currency)
    for sold in event.items or ():
        bill.add(sold)
    bill.share(event.amount_minor)
    known = claiming.find(source=source, operation=Operation.REFUND, reference=reference)
    earlier = Event.objects.filter(member_id=event.member_id, refund_of=event.pk)
    if known:
        earlier = earlier.filter(pk__lt=known[0])
    for items in earlier.order_by("pk").values_list("items", flat=True):
        for gone in items or ():
            bill.give_back(gone)
    try:
        return [bill.take(line, quantity) for line, quantity in zip(lines, quantities, strict=True)]
    except DomainError as refusal:
        if known:
            raise ReferenceConflict(reference=reference) from refusal
        raise


def _pieces(line: Mapping[str, Any]) -> Fraction:
    return Fraction(str(line.get("quantity") or 0))


def _times(pieces: Fraction) -> str:
    return f"{float(pieces):g} ×"


def _number(pieces: Fraction) -> float | int:
    return int(pieces) if pieces.denominator == 1 else float(pieces)


def _text(line: Mapping[str, Any], name: str) -> str:
    return str(line.get(name) or "")
