"""From a raw row to an event: every field is checked, and everything that is wrong with the row is said at once."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from config.lib import money
from config.lib.errors import DomainError
from points.actions.awarding import AMOUNT_LIMIT_MINOR, FUTURE_TOLERANCE, OLDEST, IncomingEvent
from points.imports.refusals import (
    AmountAbsurd,
    AmountMissing,
    AmountNegative,
    CharactersForbidden,
    CharactersUnreadable,
    CurrencyMissing,
    ItemsNotAList,
    ItemsTooMany,
    ItemsUnreadable,
    QuantityInvalid,
    TextTooLong,
    TimeAbsurd,
    TimeInFuture,
    TimeNaive,
    TimeUnreadable,
    TypeNotImported,
    TypeUnknown,
    ValueMissing,
    ValueNotSimple,
)
from points.imports.rows import RawRow, RowProblem
from points.models import EventType

MOST_ITEMS = 1_000
MOST_PIECES = 10**9
_TYPES = [kind.value for kind in EventType if kind is not EventType.REFUND]
_WITH_MONEY = (EventType.PURCHASE, EventType.TOP_UP, EventType.TRANSFER, EventType.INVESTMENT)
_LIMITS = {"reference": 100, "member": 100, "channel": 64, "store": 64}
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Reader:
    """How this file is to be read: its encoding (to name it), the zone of times without one, and what now is."""

    encoding: str
    zone: ZoneInfo | None
    at: datetime

    def read(self, row: RawRow) -> IncomingEvent | list[RowProblem]:
        """Return the event of a row, or everything that is wrong with it."""
        if row.refusal is not None:
            return [RowProblem(row.number, row.reference, "", row.refusal)]
        return _Reading(self, row.values).finish(row)


@dataclass(slots=True)
class _Reading:
    """The reading of one row: fields one by one, refusals gathered by field."""

    reader: Reader
    values: Mapping[str, Any]
    refusals: list[tuple[str, DomainError]] = field(default_factory=list)

    def finish(self, row: RawRow) -> IncomingEvent | list[RowProblem]:
        """Read all fields and return the event, or the problems."""
        kind = self._try("type", self._type)
        currency = self._try("currency", self._currency) or ""
        known_currency = "currency" not in [name for name, _refusal in self.refusals]
        event = IncomingEvent(
            reference=self._try("reference", lambda: self._text("reference", needed=True)) or "",
            member=self._try("member", lambda: self._text("member", needed=True)) or "",
            type=kind or "",
            occurred_at=self._try("occurred_at", self._time) or self.reader.at,
            channel=self._try("channel", lambda: self._text("channel")) or "",
            store=self._try("store", lambda: self._text("store")) or "",
            amount_minor=self._try("amount", lambda: self._amount(kind, currency)) if known_currency else None,
            currency=currency if self._has_amount() else "",
            items=self._try("items", lambda: self._items(currency)) if known_currency else None,
        )
        if self.refusals:
            return [RowProblem(row.number, row.reference, name, refusal) for name, refusal in self.refusals]
        return event

    def _try[Value](self, name: str, read: Callable[[], Value]) -> Value | None:
        """Read one field; remember why it cannot be."""
        try:
            return read()
        except _InItem as inside:
            self.refusals.append((inside.path, inside.refusal))
        except DomainError as refusal:
            self.refusals.append((name, refusal))
        return None

    def _text_of(self, name: str) -> str:
        return as_text(self.values.get(name))

    def _text(self, name: str, *, needed: bool = False) -> str:
        """Return a text field without outer blanks."""
        text = clean_text(self._text_of(name), limit=_LIMITS[name], encoding=self.reader.encoding)
        if needed and not text:
            raise ValueMissing
        return text

    def _type(self) -> str:
        kind = self._text_of("type").lower()
        if not kind:
            raise ValueMissing
        if kind == EventType.REFUND:
            raise TypeNotImported
        if kind not in _TYPES:
            raise TypeUnknown(value=kind[:_SHOWN], known=", ".join(_TYPES))
        return kind

    def _time(self) -> datetime:
        value = self.values.get("occurred_at")
        text = self._text_of("occurred_at")
        if not text:
            raise ValueMissing
        moment = value if isinstance(value, datetime) else _parse_time(text)
        if moment.tzinfo is None:
            if self.reader.zone is None:
                raise TimeNaive(value=text)
            moment = moment.replace(tzinfo=self.reader.zone)
        if moment > self.reader.at + FUTURE_TOLERANCE:
            raise TimeInFuture(value=text)
        if moment < OLDEST:
            raise TimeAbsurd(value=text)
        return moment

    def _currency(self) -> str:
        currency = self._text_of("currency").upper()
        if currency:
            money.exponent_of(currency)
        return currency

    def _has_amount(self) -> bool:
        try:
            return bool(self._text_of("amount"))
        except DomainError:
            return True  # and its own reading says what is wrong with it

    def _amount(self, kind: str | None, currency: str) -> int | None:
        if not self._text_of("amount"):
            if kind in _WITH_MONEY:
                raise AmountMissing
            return None
        return _minor(self.values["amount"], currency)

    def _items(self, currency: str) -> list[dict[str, Any]] | None:
        value = self.values.get("items")
        if isinstance(value, str | bytes | DomainError | None):
            text = self._text_of("items")
            value = _parse_json(text) if text else None
        if value is None:
            return None
        if not isinstance(value, list):
            raise ItemsNotAList
        if len(value) > MOST_ITEMS:
            raise ItemsTooMany(limit=MOST_ITEMS)
        return [
            _read_item(item, f"items[{place}]", currency, self.reader.encoding) for place, item in enumerate(value)
        ]


class _InItem(Exception):
    """A refusal of one field of one line item, with the path to it."""

    def __init__(self, path: str, refusal: DomainError) -> None:
        self.path, self.refusal = path, refusal
        super().__init__(path)


def as_text(value: Any) -> str:
    """Return a value of whatever type a file holds as the text a person would have written, or refuse it."""
    if isinstance(value, DomainError):
        raise value
    if isinstance(value, list | dict):
        raise ValueNotSimple
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def clean_text(text: str, *, limit: int, encoding: str) -> str:
    """Return a text that can be stored and shown, or refuse it."""
    if "\ufffd" in text:
        raise CharactersUnreadable(encoding=encoding)
    if any(letter < " " or "\x7f" <= letter < "\xa0" or "\ud800" <= letter < "\ue000" for letter in text):
        raise CharactersForbidden
    if len(text) > limit:
        raise TextTooLong(limit=limit)
    return text


def _parse_time(text: str) -> datetime:
    try:
        if len(text) < len("2026-11-23T18"):
            raise ValueError  # a date alone says no time
        return datetime.fromisoformat(text)
    except ValueError:
        raise TimeUnreadable(value=text[:_SHOWN]) from None


def _minor(value: Any, currency: str) -> int:
    """Return an amount in minor units. A float of Parquet counts as the shortest decimal that means it."""
    text = as_text(value)
    if not currency:
        raise CurrencyMissing
    try:
        minor = money.to_minor(Decimal(repr(value)) if isinstance(value, float) else text, currency)
    except money.AmountTooLarge:
        minor = AMOUNT_LIMIT_MINOR + 1
    if minor > AMOUNT_LIMIT_MINOR:
        raise AmountAbsurd(value=text[:_SHOWN])
    if minor < 0:
        raise AmountNegative(value=text[:_SHOWN])
    return minor


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=Decimal)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or type(error).__name__
        raise ItemsUnreadable(reason=reason) from None


def _read_item(item: Any, path: str, currency: str, encoding: str) -> dict[str, Any]:
    """Return one line item in the shape the programme keeps."""
    if not isinstance(item, dict):
        raise _InItem(path, ItemsNotAList())
    part = ""
    try:
        read: dict[str, Any] = {}
        for part in ("sku", "category"):
            text = item.get(part)
            if isinstance(text, dict | list | bool):
                raise ItemsNotAList
            read[part] = clean_text(as_text(text), limit=64, encoding=encoding)
        part = "quantity"
        read[part] = _quantity(item.get(part, 1))
        part = "amount"
        read["amount_minor"] = _item_amount(item.get(part), currency)
    except DomainError as refusal:
        raise _InItem(f"{path}.{part}", refusal) from None
    return read


def _item_amount(value: Any, currency: str) -> int:
    if isinstance(value, dict | list | bool):
        raise ItemsNotAList
    if value is None:
        raise ValueMissing
    return _minor(value, currency)


def _quantity(value: Any) -> int:
    """Return whole pieces; “2” and 2.0 are, 2.5 and “many” are not."""
    text = as_text(value)
    if isinstance(value, bool) or not (text.isascii() and text.removesuffix(".0").isdigit()):
        raise QuantityInvalid(value=text[:_SHOWN], limit=MOST_PIECES)
    pieces = int(text.removesuffix(".0")[:20])
    if pieces > MOST_PIECES:
        raise QuantityInvalid(value=text[:_SHOWN], limit=MOST_PIECES)
    return pieces
