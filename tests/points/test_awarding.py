"""Events come in by the list: good ones are kept, bad ones are named, and what came before is answered as before."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from members.models import Member
from points import reports
from points.actions import awarding, spending
from points.actions.awarding import EventRejected, IncomingEvent
from points.models import Event, PointType, Reference

from .factories import (
    AT,
    SOURCE,
    TESTER,
    RuleFactory,
    accounts,
    balance,
    event,
    fixed_rule,
    growth,
    local,
    lots,
    new_member,
    nothing_changes,
    take,
)

pytestmark = pytest.mark.django_db

#: What is wrong with an event, and the code that says so.
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no reference": ({"reference": ""}, "invalid_reference"),
    "a reference too long": ({"reference": "r" * 101}, "invalid_reference"),
    "a reference with a line break": ({"reference": "a\nb"}, "invalid_reference"),
    "a reference with NUL": ({"reference": "a\x00b"}, "invalid_reference"),
    "half a character in the reference": ({"reference": "a\ud800"}, "invalid_reference"),
    "no type": ({"type": ""}, "unknown_type"),
    "an unknown type": ({"type": "robbery"}, "unknown_type"),
    "a refund posing as an event": ({"type": "refund"}, "unknown_type"),
    "an invitation": ({"type": "referral"}, "reserved_type"),
    "somebody invited": ({"type": "custom", "attributes": {"referral": True, "role": "friend"}}, "reserved_attribute"),
    "a time without zone": ({"occurred_at": datetime(2026, 3, 10, 12)}, "naive_time"),  # noqa: DTZ001
    "the future": ({"occurred_at": AT + timedelta(minutes=6)}, "future_time"),
    "long ago": ({"occurred_at": datetime(1989, 12, 31, tzinfo=UTC)}, "absurd_time"),
    "a negative amount": ({"amount_minor": -1}, "negative_amount"),
    "a negative gross": ({"gross_minor": -1}, "negative_amount"),
    "an absurd amount": ({"amount_minor": 10**12 + 1}, "absurd_amount"),
    "a fraction of a cent": ({"amount_minor": 1.5}, "absurd_amount"),
    "yes as an amount": ({"amount_minor": True}, "absurd_amount"),
    "a currency without an amount": ({"amount_minor": None}, "amount_missing"),
    "a gross without an amount": ({"amount_minor": None, "currency": "", "gross_minor": 5}, "amount_missing"),
    "no currency": ({"currency": ""}, "unknown_currency"),
    "a small currency": ({"currency": "cny"}, "unknown_currency"),
    "a channel too long": ({"channel": "c" * 65}, "invalid_channel"),
    "half a character in the channel": ({"channel": "\udfff"}, "invalid_channel"),
    "a store with a tab": ({"store": "a\tb"}, "invalid_store"),
    "nobody": ({"member_id": None}, "unknown_member"),
    "a card number that is none": ({"member_id": None, "member": "100000017"}, "unknown_member"),
    "a card number with NUL": ({"member_id": None, "member": "1\x00"}, "unknown_member"),
    "half a character for a card number": ({"member_id": None, "member": "1\ud800"}, "unknown_member"),
    "a stranger": ({"member_id": 10**12}, "unknown_member"),
    "a member number beyond all numbers": ({"member_id": 10**30}, "unknown_member"),
    "attributes that are no object": ({"attributes": ["a"]}, "invalid_attributes"),
    "attributes with NaN": ({"attributes": {"a": float("nan")}}, "invalid_attributes"),
    "attributes with a date": ({"attributes": {"a": AT}}, "invalid_attributes"),
    "attributes with NUL": ({"attributes": {"a": "\x00"}}, "invalid_attributes"),
    "half a character in the attributes": ({"attributes": {"a": "\ud800"}}, "invalid_attributes"),
    "attributes too large": ({"attributes": {"a": "x" * 40_000}}, "invalid_attributes"),
    "too many items": ({"items": [{"sku": "1"}] * 2_001}, "invalid_items"),
    "an item that is no object": ({"items": ["milk"]}, "invalid_items"),
    "a negative item": ({"items": [{"amount_minor": -1}]}, "invalid_items"),
    "half a cent of an item": ({"items": [{"amount_minor": 0.5}]}, "invalid_items"),
    "a long category": ({"items": [{"category": "c" * 101}]}, "invalid_items"),
    "a category that is no text": ({"items": [{"category": 5}]}, "invalid_items"),
    "half a character in a category": ({"items": [{"category": "\ud800"}]}, "invalid_items"),
    "not a number of pieces": ({"items": [{"quantity": float("nan")}]}, "invalid_items"),
    "NUL in a word nobody asked for": ({"items": [{"sku": "1", "colour": "\x00"}]}, "invalid_items"),
    "NaN in a word nobody asked for": ({"items": [{"sku": "1", "weight": float("inf")}]}, "invalid_items"),
    "a date in a word nobody asked for": ({"items": [{"sku": "1", "packed": AT}]}, "invalid_items"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_event_is_named_and_the_good_ones_beside_it_are_kept(name: str) -> None:
    RuleFactory.create()
    member = new_member()
    wrong, code = BAD[name]
    good = [event(member, 10), event(member, 20)]
    bad = replace(event(member, 5), **wrong)

    first, rejected, last = take([good[0], bad, good[1]], at=AT)

    assert (first.status, last.status) == ("accepted", "accepted")
    assert (rejected.status, rejected.code, rejected.reference) == ("rejected", code, bad.reference)
    assert rejected.detail
    assert rejected.detail.split(":")[0] not in ("", code)
    assert accounts(member) == {"issued": 30, "available": 30}
    assert Event.objects.count() == Reference.objects.count() == 2

    with nothing_changes(), pytest.raises(EventRejected) as refused:
        awarding.award(event=bad, source=SOURCE, actor=TESTER, at=AT)
    assert refused.value.code == code


@pytest.mark.parametrize("status", ["suspended", "closed", "merged"])
def test_only_an_active_member_earns(status: str) -> None:
    RuleFactory.create()
    member = new_member(status=status)

    with nothing_changes():
        (result,) = take(event(member, 10))

    assert (result.status, result.code) == ("rejected", "member_not_active")


def test_a_clock_that_runs_a_little_ahead_is_forgiven() -> None:
    RuleFactory.create()

    (result,) = take(event(new_member(), 10, occurred_at=AT + timedelta(minutes=5)), at=AT)

    assert result.status == "accepted"


def test_the_limits_themselves_are_allowed() -> None:
    RuleFactory.create()
    member = new_member()

    results = take(
        [
            event(member, 10**10, reference="r" * 100, channel="c" * 64, store="店" * 64),
            event(
                member, 0, attributes={"deep": {"a": [1, None, "字"]}}, items=[{"sku": "1", "quantity": 0.5}] * 2_000
            ),
        ]
    )

    assert [result.points for result in results] == [{"points": 10**10}, {}]


def test_a_member_is_found_by_card_number_too() -> None:
    RuleFactory.create()
    member = new_member()

    (result,) = take(event(member, 10, member_id=None, member=member.number))

    assert result.points == {"points": 10}
    assert Event.objects.get().member == member


def test_the_answer_tells_what_each_rule_gave_and_the_books_agree() -> None:
    RuleFactory.create()
    RuleFactory.create(point_type=growth(), points=2)
    waiting = fixed_rule(7, pending_days=3, expiry_policy="days", expiry_value=9)
    member = new_member()

    (result,) = take(event(member, 10))

    assert result.points == {"points": 17, "growth": 20}
    (pending,) = [award for award in result.awards if award.pending]
    assert (pending.rule, pending.points, pending.type) == (waiting.pk, 7, "points")
    assert pending.expires_at is not None
    assert datetime.fromisoformat(pending.expires_at) == local(2026, 3, 20)
    assert accounts(member) == {"issued": 17, "available": 10, "pending": 7}
    assert accounts(member, "growth") == {"issued": 20, "available": 20}
    assert not reports.check_books()


def test_an_event_no_rule_fits_is_kept_all_the_same() -> None:
    (result,) = take(event(new_member(), 10))

    assert (result.status, result.points, result.awards) == ("accepted", {}, [])
    assert Event.objects.get().pk == result.event_id


def test_the_same_event_again_gives_the_first_answer_again() -> None:
    RuleFactory.create(cap_day=10)
    member = new_member()
    incoming = event(member, 10, attributes={"a": 1, "b": [2]}, items=[{"sku": "1", "amount_minor": 5}])
    (first,) = take(incoming)
    Member.objects.filter(pk=member.pk).update(status="closed")

    with nothing_changes():
        # Another zone, another order of words, a later moment: the same content.
        (again,) = take(
            replace(incoming, occurred_at=incoming.occurred_at.astimezone(UTC), attributes={"b": [2], "a": 1}),
            at=AT + timedelta(days=400),
        )

    assert again == replace(first, status="replayed")


@pytest.mark.parametrize("of_rule", [True, False])
def test_the_first_answer_tells_the_first_end_also_when_a_restoration_prolonged_the_lot(of_rule: bool) -> None:
    ends = {"expiry_policy": "days", "expiry_value": 10}
    rule = RuleFactory.create(**(ends if of_rule else {}))
    if not of_rule:
        PointType.objects.filter(pk=rule.point_type_id).update(**ends)
    member = new_member()
    incoming, other = event(member, 100), event(member, 100)
    first, another = take([incoming, other])
    spent = spending.spend(member=member, points=150, source=SOURCE, reference="s", actor=TESTER, at=AT)
    back: dict[str, Any] = {"source": SOURCE, "reference": "b", "actor": TESTER, "at": AT + timedelta(days=5)}
    spending.restore(member=member, entry_id=spent.entry_id, points=150, **back)
    assert len({end for _left, end in lots(member)}) == 2  # prolonged, and as it was

    with nothing_changes():
        again = take([incoming, other])

    assert again == [replace(first, status="replayed"), replace(another, status="replayed")]


CHANGES: dict[str, Callable[[IncomingEvent], IncomingEvent]] = {
    "amount": lambda one: replace(one, amount_minor=999),
    "time": lambda one: replace(one, occurred_at=one.occurred_at - timedelta(microseconds=1)),
    "type": lambda one: replace(one, type="top_up"),
    "channel": lambda one: replace(one, channel="app"),
    "attributes": lambda one: replace(one, attributes={"a": 1}),
    "items": lambda one: replace(one, items=[{"sku": "1"}]),
    "member": lambda one: replace(one, member_id=new_member().pk),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_content_under_a_known_reference_is_a_conflict(change: str) -> None:
    RuleFactory.create()
    incoming = event(new_member(), 10)
    take(incoming)
    other = CHANGES[change](incoming)

    with nothing_changes():
        (result,) = take(other, at=AT)
    with nothing_changes(), pytest.raises(EventRejected) as refused:
        awarding.award(event=other, source=SOURCE, actor=TESTER, at=AT)

    assert (result.status, result.code) == ("rejected", "reference_conflict")
    assert refused.value.status == 409


def test_a_reference_is_of_its_source() -> None:
    RuleFactory.create()
    member = new_member()
    incoming = event(member, 10)

    take(incoming, source="till")
    (result,) = take(incoming, source="shop")

    assert result.status == "accepted"
    assert balance(member).available == 20


def test_a_reference_twice_in_one_list_counts_once() -> None:
    RuleFactory.create()
    member = new_member()
    incoming = event(member, 10)
    late = replace(incoming, amount_minor=500, occurred_at=AT - timedelta(days=1))

    results = take([incoming, incoming, late], at=AT)

    assert [result.status for result in results] == ["accepted", "replayed", "rejected"]
    assert results[2].code == "reference_conflict"
    assert results[1].points == results[0].points == {"points": 10}
    assert balance(member).available == 10


def test_a_list_mixes_new_and_known_events() -> None:
    RuleFactory.create()
    member = new_member()
    known, new = event(member, 10), event(member, 20)
    take(known)

    results = take([new, known])

    assert [(result.status, result.points) for result in results] == [
        ("accepted", {"points": 20}),
        ("replayed", {"points": 10}),
    ]


def test_results_come_in_the_order_of_the_list_not_of_time() -> None:
    RuleFactory.create()
    member = new_member()
    events = [event(member, n, occurred_at=AT - timedelta(hours=n)) for n in (3, 1, 2)]

    results = take(events, at=AT)

    assert [result.reference for result in results] == [one.reference for one in events]
    assert [result.points["points"] for result in results] == [3, 1, 2]


def test_an_empty_list_is_nothing_and_an_endless_one_is_refused() -> None:
    member = new_member()

    with nothing_changes():
        assert awarding.award_many(events=[], source=SOURCE, actor=TESTER, at=AT) == []
        with pytest.raises(ValueError, match="at most"):
            awarding.award_many(events=[event(member)] * 10_001, source=SOURCE, actor=TESTER, at=AT)


def test_a_long_list_of_many_members_adds_up() -> None:
    RuleFactory.create()
    RuleFactory.create(point_type=growth())
    members = [new_member() for _ in range(7)]
    events = [event(members[n % 7], n % 11 + 1) for n in range(500)]

    results = take(events)

    assert {result.status for result in results} == {"accepted"}
    for place, member in enumerate(members):
        expected = sum(n % 11 + 1 for n in range(500) if n % 7 == place)
        assert balance(member).available == balance(member, "growth").available == expected
    assert not reports.check_books()


def test_a_preview_stores_nothing_and_refuses_what_the_award_refuses() -> None:
    RuleFactory.create()
    member = new_member()
    with nothing_changes():
        (verdict,) = awarding.preview(event=event(member, 10), at=AT)
        assert verdict.points == 10
        for name in ("a negative amount", "a stranger", "an invitation"):
            wrong, code = BAD[name]
            with pytest.raises(EventRejected) as refused:
                awarding.preview(event=replace(event(member, 10), **wrong), at=AT, source="till")
            assert refused.value.code == code
