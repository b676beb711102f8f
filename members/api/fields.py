"""Fields as the contract words them: strict about types, because a number that arrived as text was meant as text."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from config.lib import money
from config.lib.errors import DomainError

POINTS_LIMIT = 10**12
DEPTH_LIMIT = 8
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_NAIVE = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?)?")
_AMOUNT = re.compile(r"(\d{1,15})(?:\.(\d{1,6}))?", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Unreadable(Exception):
    """A value that cannot be what the field says: a stable code and the reason."""

    def __init__(self, code: str, reason: Any) -> None:
        super().__init__(code)
        self.code, self.reason = code, reason


def read_moment(value: Any) -> datetime:
    """Read an RFC 3339 time; one without an offset is refused, for nobody knows when it was.

    It is given in UTC: PostgreSQL knows no offset of 16 hours or more, and one moment is one value however it came.
    """
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            read = datetime.fromisoformat(value.upper())
            if _EARLIEST <= read < _LATEST:
                return read.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    elif isinstance(value, str) and _NAIVE.fullmatch(value):
        raise Unreadable("naive_time", _("The time needs an offset, such as +08:00 or Z."))
    raise Unreadable("invalid_time", _("Expected a time like 2026-03-01T12:00:00+08:00."))


def read_money(value: Any) -> tuple[int, str]:
    """Read {"amount": "196.00", "currency": "CNY"} as minor units and currency."""
    if not isinstance(value, dict) or not {"amount", "currency"} == value.keys():
        raise Unreadable("invalid_money", _('Expected {"amount": "196.00", "currency": "CNY"}.'))
    amount, currency = value["amount"], value["currency"]
    if not isinstance(currency, str) or len(currency) != 3:
        raise Unreadable("unknown_currency", _("The currency is a code of three capital letters, such as CNY."))
    if isinstance(amount, str) and amount.startswith("-"):
        raise Unreadable("negative_amount", _("The amount must not be negative."))
    match = _AMOUNT.fullmatch(amount) if isinstance(amount, str) else None
    if match is None:
        raise Unreadable("invalid_money", _("The amount is a decimal number in quotation marks, such as “196.00”."))
    try:
        exponent = money.exponent_of(currency)
    except DomainError as error:
        raise Unreadable(error.code, str(error)) from error
    whole, fraction = match.group(1), match.group(2) or ""
    if len(fraction) > exponent:
        raise Unreadable("too_many_decimals", _("The amount has more decimals than the currency."))
    minor = int(whole + fraction.ljust(exponent, "0"))
    if minor > POINTS_LIMIT:
        raise Unreadable("absurd_amount", _("The amount is larger than any this programme takes."))
    return minor, currency


def read_attributes(value: Any) -> dict[str, Any]:
    """Read a JSON object that is not nested without end; its size is the action's business."""
    if not isinstance(value, dict):
        raise Unreadable("invalid_attributes", _("Expected a JSON object."))
    for inner in value.values():
        if isinstance(inner, (dict, list, float)):
            _refuse_unstorable(inner, 2)
    return value


def _refuse_unstorable(value: Any, depth: int) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise Unreadable("invalid_attributes", _("A number is too large."))
    if isinstance(value, (dict, list)):
        if depth > DEPTH_LIMIT:
            raise Unreadable("invalid_attributes", _("It is nested too deeply."))
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_unstorable(inner, depth + 1)


def write_money(minor: int, currency: str) -> dict[str, str]:
    """Write minor units as the contract's money."""
    return {"amount": money.to_decimal_string(minor, currency), "currency": currency}


class TextField(serializers.CharField):
    """A text, kept as it came; control characters are refused, but for ends of lines where there may be several.

    One of spaces alone says nothing, and is refused where something must be said.
    """

    def __init__(self, *, lines: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False} | kwargs)
        self.lines = lines

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if CONTROL.search(data.replace("\r", "").replace("\n", "") if self.lines else data):
            raise ValidationError(_("Control characters are not allowed."), code="invalid")
        if not self.allow_blank and not data.strip():
            self.fail("blank")
        return super().to_internal_value(data)


class ReferenceField(TextField):
    """The caller's own name for a write: 1 to 100 characters, one for each client and kind of write, for ever."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_length": 1, "max_length": 100} | kwargs)


class WholeField(serializers.IntegerField):
    """A whole number; neither text nor a fraction nor true and false."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class PointsField(WholeField):
    """A positive number of points."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 1, "max_value": POINTS_LIMIT} | kwargs)


class DayField(serializers.DateField):
    """A local date of the programme, written 2026-03-01."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


@extend_schema_field({"type": "string", "format": "date-time", "examples": ["2026-03-01T12:00:00+08:00"]})
class MomentField(serializers.Field[datetime, Any, str, Any]):
    """A moment in RFC 3339 with an offset."""

    def to_internal_value(self, data: Any) -> datetime:
        return _or_refuse(read_moment, data)

    def to_representation(self, value: datetime) -> str:
        return timezone.localtime(value).isoformat()


@extend_schema_field(
    {
        "type": "object",
        "properties": {
            "amount": {"type": "string", "pattern": r"^[0-9]{1,15}(\.[0-9]{1,4})?$", "examples": ["196.00"]},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["CNY"]},
        },
        "required": ["amount", "currency"],
        "additionalProperties": False,
    }
)
class MoneyField(serializers.Field[tuple[int, str], Any, dict[str, str], Any]):
    """An amount of money: a decimal string and an ISO 4217 code outside, minor units inside."""

    def to_internal_value(self, data: Any) -> tuple[int, str]:
        return _or_refuse(read_money, data)

    def to_representation(self, value: tuple[int, str]) -> dict[str, str]:
        return write_money(*value)


@extend_schema_field({"type": "object", "additionalProperties": True, "examples": [{"colour": "green"}]})
class AttributesField(serializers.Field[dict[str, Any], Any, Any, Any]):
    """A JSON object of the caller's own making."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return _or_refuse(read_attributes, data)

    def to_representation(self, value: Any) -> Any:
        return value


def _or_refuse[T](read: Callable[[Any], T], data: Any) -> T:
    try:
        return read(data)
    except Unreadable as problem:
        raise ValidationError(problem.reason, code=problem.code) from problem
