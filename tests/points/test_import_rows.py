"""What is wrong with the fields of a row, said by field and reason."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from points.actions.awarding import IncomingEvent
from points.imports.reading import Reader
from points.imports.refusals import ValueUnreadable
from points.imports.rows import RawRow

AT = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
GOOD = {
    "reference": "r-1",
    "member": "100000017",
    "type": "purchase",
    "occurred_at": "2026-03-10T11:00:00+08:00",
    "amount": "10.50",
    "currency": "CNY",
    "channel": "app",
    "store": "17",
    "items": '[{"sku": "x", "category": "FRESH", "quantity": 2, "amount": "10.50"}]',
}


def read(*, zone: str = "", **values: Any) -> IncomingEvent | list[tuple[str, str]]:
    """Read a good row with these values in it: the event, or (field, code) of each problem."""
    reader = Reader(encoding="utf-8", zone=ZoneInfo(zone) if zone else None, at=AT)
    result = reader.read(RawRow(2, {**GOOD, **values}))
    return result if isinstance(result, IncomingEvent) else [(one.field, one.refusal.code) for one in result]


def test_a_good_row_is_an_event() -> None:
    event = read()

    assert isinstance(event, IncomingEvent)
    assert (event.reference, event.member, event.type, event.channel, event.store) == (
        "r-1",
        "100000017",
        "purchase",
        "app",
        "17",
    )
    assert event.occurred_at == datetime(2026, 3, 10, 3, 0, tzinfo=UTC)
    assert (event.amount_minor, event.currency) == (1050, "CNY")
    assert event.items == [{"sku": "x", "category": "FRESH", "quantity": 2, "amount_minor": 1050}]


def test_an_event_without_money_needs_none() -> None:
    event = read(type="referral", amount="", items="")

    assert isinstance(event, IncomingEvent)
    assert (event.amount_minor, event.currency, event.items) == (None, "", None)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"reference": ""}, ("reference", "missing")),
        ({"reference": "r" * 101}, ("reference", "too_long")),
        ({"reference": "r\x00"}, ("reference", "control_characters")),
        ({"reference": "订\ufffd"}, ("reference", "wrong_encoding")),
        ({"member": " "}, ("member", "missing")),
        ({"member": "\x00"}, ("member", "control_characters")),
        ({"type": ""}, ("type", "missing")),
        ({"type": "theft"}, ("type", "unknown_type")),
        ({"type": "refund"}, ("type", "type_not_imported")),
        ({"occurred_at": ""}, ("occurred_at", "missing")),
        ({"occurred_at": "yesterday"}, ("occurred_at", "invalid_time")),
        ({"occurred_at": "2026-03-10"}, ("occurred_at", "invalid_time")),
        ({"occurred_at": "10.03.2026 11:00"}, ("occurred_at", "invalid_time")),
        ({"occurred_at": "2026-02-30T11:00:00Z"}, ("occurred_at", "invalid_time")),
        ({"occurred_at": "2026-03-10T11:00:00"}, ("occurred_at", "naive_time")),
        ({"occurred_at": datetime(2026, 3, 10, 11)}, ("occurred_at", "naive_time")),  # noqa: DTZ001
        ({"occurred_at": "2026-03-10T13:00:00+08:00"}, ("occurred_at", "future_time")),
        ({"occurred_at": "1889-03-10T13:00:00+08:00"}, ("occurred_at", "absurd_time")),
        ({"amount": ""}, ("amount", "amount_missing")),
        ({"amount": "-10.00"}, ("amount", "negative_amount")),
        ({"amount": "10.005"}, ("amount", "too_many_decimals")),
        ({"amount": "ten"}, ("amount", "invalid_money")),
        ({"amount": "1,234.00"}, ("amount", "invalid_money")),
        ({"amount": "NaN"}, ("amount", "invalid_money")),
        ({"amount": "1e400"}, ("amount", "absurd_amount")),
        ({"amount": "99999999999999"}, ("amount", "absurd_amount")),
        ({"currency": "¥"}, ("currency", "unknown_currency")),
        ({"currency": "", "items": ""}, ("amount", "currency_missing")),
        ({"amount": "10.5", "currency": "JPY", "items": ""}, ("amount", "too_many_decimals")),
        ({"channel": "c" * 65}, ("channel", "too_long")),
        ({"store": "a\x07"}, ("store", "control_characters")),
        ({"channel": ["app"]}, ("channel", "wrong_type")),
        ({"store": {"a": 1}}, ("store", "wrong_type")),
        ({"amount": [1], "items": ""}, ("amount", "wrong_type")),
        ({"amount": ValueUnreadable(), "items": ""}, ("amount", "unreadable")),
        ({"items": ValueUnreadable()}, ("items", "unreadable")),
        ({"occurred_at": ValueUnreadable()}, ("occurred_at", "unreadable")),
        ({"items": "[{"}, ("items", "invalid_json")),
        ({"items": "[" * 100_000}, ("items", "invalid_json")),
        ({"items": '{"sku": "x"}'}, ("items", "invalid_items")),
        ({"items": "[1]"}, ("items[0]", "invalid_items")),
        ({"items": '[{"amount": "1"}, {"sku": "x"}]'}, ("items[1].amount", "missing")),
        ({"items": '[{"sku": "x", "amount": "-1"}]'}, ("items[0].amount", "negative_amount")),
        ({"items": '[{"sku": "x", "amount": 1.001}]'}, ("items[0].amount", "too_many_decimals")),
        ({"items": '[{"sku": "x", "amount": NaN}]'}, ("items[0].amount", "invalid_money")),
        ({"items": '[{"sku": {"a": 1}, "amount": 1}]'}, ("items[0].sku", "invalid_items")),
        ({"items": '[{"category": "\\u0000", "amount": 1}]'}, ("items[0].category", "control_characters")),
        ({"items": '[{"amount": 1, "quantity": 1.5}]'}, ("items[0].quantity", "invalid_quantity")),
        ({"items": '[{"amount": 1, "quantity": -1}]'}, ("items[0].quantity", "invalid_quantity")),
        ({"items": '[{"amount": 1, "quantity": "many"}]'}, ("items[0].quantity", "invalid_quantity")),
        ({"items": json.dumps([{"amount": 1}] * 1001)}, ("items", "too_many_items")),
    ],
)
def test_what_is_wrong_with_a_field_is_said(values: dict[str, Any], problem: tuple[str, str]) -> None:
    assert read(**values) == [problem]


def test_everything_that_is_wrong_with_a_row_is_said_at_once() -> None:
    assert read(reference="", type="theft", occurred_at="2026", amount="-1", items="[") == [
        ("type", "unknown_type"),
        ("reference", "missing"),
        ("occurred_at", "invalid_time"),
        ("amount", "negative_amount"),
        ("items", "invalid_json"),
    ]


def test_an_unknown_currency_is_not_also_a_wrong_amount() -> None:
    assert read(currency="RMB元") == [("currency", "unknown_currency")]


def test_times_without_an_offset_are_read_in_the_zone_that_was_named() -> None:
    event = read(occurred_at="2026-03-10 11:00:00", zone="Asia/Shanghai")

    assert isinstance(event, IncomingEvent)
    assert event.occurred_at == datetime(2026, 3, 10, 3, 0, tzinfo=UTC)


def test_values_of_parquet_are_taken_for_what_they_mean() -> None:
    event = read(
        reference=17.0,
        member=100000017,
        amount=10.1,
        store=float("nan"),
        items=[{"sku": 5, "category": None, "quantity": 2.0, "amount": Decimal("10.10")}],
        occurred_at=datetime(2026, 3, 10, 3, 0, tzinfo=UTC),
    )

    assert isinstance(event, IncomingEvent)
    assert (event.reference, event.member, event.amount_minor, event.store) == ("17", "100000017", 1010, "")
    assert event.items == [{"sku": "5", "category": "", "quantity": 2, "amount_minor": 1010}]
