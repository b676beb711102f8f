"""Reading events fast: one pass over plain JSON, for ten thousand of them come in one request.

Here is judged only whether a value is of its kind; what the programme makes of it (unknown types and members, the
future, lengths) the action judges, for every door alike.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from members.api.base import printable
from members.api.fields import Unreadable, read_attributes, read_moment, read_money
from members.contacts import without_gaps
from points.actions.awarding import ITEMS_LIMIT, IncomingEvent
from points.models import COUPON_USES

_FIELDS = frozenset(
    [
        "reference", "member", "type", "occurred_at", "money", "gross", "channel", "store", "attributes", "items",
        "coupons",
    ]
)  # fmt: skip
_ITEM_FIELDS = frozenset(["sku", "category", "quantity", "money"])
COUPONS_LIMIT = 20
_NEEDED = ("reference", "member", "type", "occurred_at")


class MalformedEvent(Exception):
    """A field that cannot be read: its name, a stable code and the reason."""

    def __init__(self, field: str, code: str, reason: Any) -> None:
        super().__init__(field, code)
        self.field, self.code, self.reason = field, code, reason


def read_event(body: Any) -> IncomingEvent:
    """Read one event, or raise `MalformedEvent` with the first field that is wrong."""
    if type(body) is not dict:
        raise MalformedEvent("event", "invalid_event", _("Expected a JSON object."))
    if not body.keys() <= _FIELDS:
        unknown = printable(min(body.keys() - _FIELDS))
        raise MalformedEvent(unknown, "unknown_field", _("This field is not known."))
    for name in _NEEDED:
        if type(body.get(name)) is not str or not body[name]:
            raise MalformedEvent(name, "required", _("This is needed, as a text."))
    amount, currency = _money(body, "money")
    gross, gross_currency = _money(body, "gross")
    if gross is not None and amount is None:
        raise MalformedEvent("money", "amount_missing", _("The net amount is needed beside the gross one."))
    if gross is not None and gross_currency != currency:
        raise MalformedEvent("gross", "currency_mismatch", _("The currency differs from that of “money”."))
    return IncomingEvent(
        reference=body["reference"],
        member=body["member"] if body["member"].isdigit() else without_gaps(body["member"]),
        type=body["type"],
        occurred_at=_read("occurred_at", read_moment, body["occurred_at"]),
        amount_minor=amount,
        gross_minor=gross,
        currency=currency,
        channel=_text(body, "channel"),
        store=_text(body, "store"),
        attributes=_attributes(body),
        items=read_items(body["items"], currency) if body.get("items") else None,
    )


def _attributes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read the attributes, among which the uses of coupons are kept: the journal has no other place for them."""
    attributes = _read("attributes", read_attributes, body["attributes"]) if body.get("attributes") else {}
    if COUPON_USES in attributes:
        raise MalformedEvent("attributes", "reserved_attribute", _("The uses of coupons are named in “coupons”."))
    if not body.get("coupons"):
        return attributes
    uses = body["coupons"]
    if type(uses) is not list or not all(type(use) is str and 1 <= len(use) <= 100 for use in uses):
        raise MalformedEvent("coupons", "invalid_coupons", _("Expected a list of references."))
    if len(uses) > COUPONS_LIMIT:
        raise MalformedEvent("coupons", "invalid_coupons", _("There are too many coupons."))
    return {**attributes, COUPON_USES: sorted(set(uses))}


def read_items(items: Any, currency: str) -> list[dict[str, Any]]:
    """Read line items; their money is in the currency of the event."""
    if type(items) is not list:
        raise MalformedEvent("items", "invalid_items", _("Expected a list."))
    if len(items) > ITEMS_LIMIT:
        raise MalformedEvent("items", "invalid_items", _("There are too many lines."))
    return [_read_item(item, f"items.{index}", currency) for index, item in enumerate(items)]


def _read_item(item: Any, path: str, currency: str) -> dict[str, Any]:
    if type(item) is not dict:
        raise MalformedEvent(path, "invalid_items", _("Expected a JSON object."))
    if not item.keys() <= _ITEM_FIELDS:
        unknown = printable(min(item.keys() - _ITEM_FIELDS))
        raise MalformedEvent(f"{path}.{unknown}", "unknown_field", _("This field is not known."))
    line: dict[str, Any] = {"sku": _text(item, "sku", path), "category": _text(item, "category", path)}
    quantity = item.get("quantity", 1)
    if type(quantity) not in (int, float) or not 0 <= quantity <= 1_000_000:
        raise MalformedEvent(f"{path}.quantity", "invalid_quantity", _("Expected a number from 0 to 1,000,000."))
    line["quantity"] = quantity
    amount, item_currency = _money(item, "money", path)
    if amount is not None:
        if item_currency != currency:
            raise MalformedEvent(f"{path}.money", "currency_mismatch", _("The currency differs from that of “money”."))
        line["amount_minor"] = amount
    return line


def _money(body: Mapping[str, Any], name: str, path: str = "") -> tuple[int, str] | tuple[None, str]:
    value = body.get(name)
    if value is None:
        return None, ""
    return _read(f"{path}.{name}" if path else name, read_money, value)


def _text(body: Mapping[str, Any], name: str, path: str = "") -> str:
    value = body.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        raise MalformedEvent(f"{path}.{name}" if path else name, "invalid_text", _("Expected a text."))
    return value


def _read[T](field: str, read: Callable[[Any], T], value: Any) -> T:
    try:
        return read(value)
    except Unreadable as problem:
        raise MalformedEvent(field, problem.code, problem.reason) from problem
