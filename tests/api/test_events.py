from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from members.actions import updating
from members.models import Member
from points.models import EarningRule, Entry, Event, PointType
from tests.api.conftest import LONG_AGO, NOON, Caller, purchase
from tests.members.factories import TESTER, MemberFactory, TierFactory


def test_a_purchase_earns_and_the_answer_names_the_entries(till: Caller, alice: Member) -> None:
    answer = till.post(
        "events/", purchase(alice, "bill-1", "196.90", channel="app", store="west", attributes={"a": 1})
    )

    assert answer.status == 201, answer.text
    assert answer.body["reference"] == "bill-1"
    assert answer.body["status"] == "accepted"
    assert answer.body["points"] == {"points": 196, "growth": 196}
    entries = {entry["type"]: entry for entry in answer.body["entries"]}
    assert entries["points"]["id"] == Entry.objects.get(point_type__code="points").pk
    assert {entry["rule"] for entry in answer.body["entries"]} == {"purchase-points", "purchase-growth"}
    event = Event.objects.get()
    assert (event.amount_minor, event.currency, event.channel, event.source) == (19690, "CNY", "app", "till")


def test_the_same_event_again_gives_the_first_answer(till: Caller, alice: Member) -> None:
    first, again = (till.post("events/", purchase(alice, "bill-1")) for _ in range(2))

    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.body == {**first.body, "status": "replayed"}
    assert Event.objects.count() == 1


def test_a_used_reference_with_other_content_is_a_conflict(till: Caller, alice: Member) -> None:
    till.post("events/", purchase(alice, "bill-1"))

    answer = till.post("events/", purchase(alice, "bill-1", "5.00"))

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (409, "reference_conflict")
    assert Event.objects.count() == 1


def test_two_systems_may_use_the_same_reference(till: Caller, shop: Caller, alice: Member) -> None:
    assert till.post("events/", purchase(alice, "1")).status == 201
    assert shop.post("events/", purchase(alice, "1", "2.00")).status == 201


def test_a_list_keeps_the_good_and_names_row_field_and_reason_of_the_others(till: Caller, alice: Member) -> None:
    away = MemberFactory.create(status="suspended")
    till.post("events/", purchase(alice, "old"))
    events: list[Any] = [
        purchase(alice, "good-1", "1.00"),
        {**purchase(alice, "naive"), "occurred_at": "2026-03-01T12:00:00"},
        {**purchase(alice, "nobody"), "member": "000000000000"},
        {**purchase(alice, "strange"), "type": "barter"},
        purchase(alice, "negative", "-1.00"),
        purchase(alice, "old", "3.00"),
        purchase(alice, "old"),
        purchase(alice, "good-1", "1.00"),
        purchase(alice, "good-1", "2.00"),
        purchase(away, "away"),
        "not an event",
        {**purchase(alice, "typo"), "mony": 1},
        purchase(
            alice,
            "good-2",
            "2.00",
            items=[{"sku": "a", "category": "tea", "quantity": 2, "money": {"amount": "2.00", "currency": "CNY"}}],
        ),
    ]

    answer = till.post("events/", events)

    assert answer.status == 200
    rows = answer.body
    assert [(row["status"], row.get("row"), row.get("field"), row.get("code")) for row in rows] == [
        ("accepted", None, None, None),
        ("rejected", 2, "occurred_at", "naive_time"),
        ("rejected", 3, "member", "unknown_member"),
        ("rejected", 4, "type", "unknown_type"),
        ("rejected", 5, "money", "negative_amount"),
        ("rejected", 6, "reference", "reference_conflict"),
        ("replayed", None, None, None),
        ("replayed", None, None, None),
        ("rejected", 9, "reference", "reference_conflict"),
        ("rejected", 10, "member", "member_not_active"),
        ("rejected", 11, "event", "invalid_event"),
        ("rejected", 12, "mony", "unknown_field"),
        ("accepted", None, None, None),
    ]
    assert rows[1]["detail"].startswith("occurred_at: ")
    assert [row["reference"] for row in rows[:3]] == ["good-1", "naive", "nobody"]
    assert rows[12]["points"] == {"points": 2, "growth": 2}
    assert set(Event.objects.values_list("reference", flat=True)) == {"old", "good-1", "good-2"}
    assert Event.objects.get(reference="good-2").items == [
        {"sku": "a", "category": "tea", "quantity": 2, "amount_minor": 200}
    ]


def test_an_empty_list_is_answered_by_an_empty_list(till: Caller) -> None:
    answer = till.post("events/", [])

    assert (answer.status, answer.body) == (200, [])


def test_more_than_ten_thousand_events_are_refused_whole(till: Caller) -> None:
    answer = till.post("events/", [{}] * 10_001)

    assert answer.is_problem
    assert answer.status == 400


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"reference": None}, 400, "invalid", "reference"),
        ({"reference": ""}, 400, "invalid", "reference"),
        ({"reference": 12}, 400, "invalid", "reference"),
        ({"reference": "x" * 101}, 422, "invalid_reference", "reference"),
        ({"reference": "a\x00b"}, 422, "invalid_reference", "reference"),
        ({"member": None}, 400, "invalid", "member"),
        ({"member": "a\x00"}, 404, "unknown_member", "member"),
        ({"type": "refund"}, 422, "unknown_type", "type"),
        ({"type": "referral"}, 422, "reserved_type", "type"),
        ({"type": "custom", "attributes": {"referral": True}}, 422, "reserved_attribute", "attributes"),
        ({"type": ["purchase"]}, 400, "invalid", "type"),
        ({"occurred_at": "2026-03-01T12:00:00"}, 400, "invalid", "occurred_at"),
        ({"occurred_at": "2026-03-01"}, 400, "invalid", "occurred_at"),
        ({"occurred_at": "2026-02-30T12:00:00Z"}, 400, "invalid", "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, 400, "invalid", "occurred_at"),
        ({"occurred_at": "1970-01-01T00:00:00Z"}, 422, "absurd_time", "occurred_at"),
        ({"occurred_at": "2199-01-01T00:00:00Z"}, 422, "future_time", "occurred_at"),
        ({"occurred_at": 1_700_000_000}, 400, "invalid", "occurred_at"),
        ({"money": 196}, 400, "invalid", "money"),
        ({"money": {"amount": 196.0, "currency": "CNY"}}, 400, "invalid", "money"),
        ({"money": {"amount": "-1.00", "currency": "CNY"}}, 400, "invalid", "money"),
        ({"money": {"amount": "1.001", "currency": "CNY"}}, 400, "invalid", "money"),
        ({"money": {"amount": "1.5", "currency": "JPY"}}, 400, "invalid", "money"),
        ({"money": {"amount": "1e3", "currency": "CNY"}}, 400, "invalid", "money"),
        ({"money": {"amount": "NaN", "currency": "CNY"}}, 400, "invalid", "money"),
        ({"money": {"amount": "١٢", "currency": "CNY"}}, 400, "invalid", "money"),
        ({"money": {"amount": "10000000000.01", "currency": "CNY"}}, 400, "invalid", "money"),
        ({"money": {"amount": "1.00", "currency": "yuan"}}, 400, "invalid", "money"),
        ({"money": {"amount": "1.00"}}, 400, "invalid", "money"),
        ({"gross": {"amount": "1.00", "currency": "USD"}}, 400, "invalid", "gross"),
        ({"channel": 5}, 400, "invalid", "channel"),
        ({"channel": "x" * 65}, 422, "invalid_channel", "channel"),
        ({"attributes": [1]}, 400, "invalid", "attributes"),
        ({"attributes": {"a": [[[[[[[[1]]]]]]]]}}, 400, "invalid", "attributes"),
        ({"attributes": {"a": "x" * 40_000}}, 422, "invalid_attributes", "attributes"),
        ({"attributes": {"a": "\x00"}}, 422, "invalid_attributes", "attributes"),
        ({"items": {"sku": "a"}}, 400, "invalid", "items"),
        ({"items": [7]}, 400, "invalid", "items.0"),
        (
            {"items": [{"sku": "a"}, {"sku": "a", "money": {"amount": "1", "currency": "USD"}}]},
            400,
            "invalid",
            "items.1.money",
        ),
        ({"items": [{"quantity": "two"}]}, 400, "invalid", "items.0.quantity"),
        ({"items": [{"quantity": True}]}, 400, "invalid", "items.0.quantity"),
        ({"items": [{"price": 1}]}, 400, "invalid", "items.0.price"),
        ({"surprise": 1}, 400, "invalid", "surprise"),
    ],
)
def test_an_event_that_cannot_be_is_refused_by_field(
    till: Caller, alice: Member, change: dict[str, object], status: int, code: str, field: str
) -> None:
    answer = till.post("events/", {**purchase(alice, "x"), **change})

    assert answer.is_problem, answer.text
    assert (answer.status, answer.body["code"]) == (status, code), answer.text
    assert field in answer.body["errors"]
    assert not Event.objects.exists()


@time_machine.travel("2026-03-01T04:00:00Z", tick=False)
def test_a_clock_may_run_five_minutes_ahead_and_no_more(till: Caller, alice: Member) -> None:
    ahead = till.post("events/", {**purchase(alice, "a"), "occurred_at": "2026-03-01T12:05:00+08:00"})
    too_far = till.post("events/", {**purchase(alice, "b"), "occurred_at": "2026-03-01T12:05:01+08:00"})

    assert (ahead.status, too_far.status) == (201, 422)


def test_a_preview_tells_what_and_why_and_stores_nothing(till: Caller, alice: Member) -> None:
    answer = till.post("events/preview/", purchase(alice, "x", "12.00"))

    assert answer.status == 200, answer.text
    assert answer.body["points"] == {"points": 12, "growth": 12}
    (verdict, _growth) = answer.body["rules"]
    assert (verdict["rule"], verdict["matched"], verdict["points"]) == ("purchase-points", True, 12)
    assert verdict["conditions"][0] == {
        "name": "event_type",
        "label": "Event type",
        "expected": ["purchase"],
        "actual": "purchase",
        "holds": True,
    }
    assert not Event.objects.exists()
    assert not Entry.objects.exists()


def test_a_list_can_be_previewed(till: Caller, alice: Member) -> None:
    answer = till.post("events/preview/", [purchase(alice, "x", "1.00"), purchase(alice, "y", "2.00")])

    assert [one["points"]["points"] for one in answer.body] == [1, 2]


def test_an_event_is_explained_in_the_language_asked_for(till: Caller, alice: Member) -> None:
    till.post("events/", {**purchase(alice, "a/b c"), "type": "review"})

    answer = till.get("events/a/b%20c/explanation/", Accept_Language="zh-CN")

    assert answer.status == 200, answer.text
    assert answer.body["member"] == alice.number
    assert answer.body["points"] == {}
    assert {rule["name"] for rule in answer.body["rules"]} >= {"消费 1 元得 1 分"}
    assert answer.headers["Content-Language"] == "zh-hans"


def test_another_system_s_event_is_not_there(till: Caller, shop: Caller, alice: Member) -> None:
    till.post("events/", purchase(alice, "bill"))

    answers = [
        shop.get("events/bill/explanation/"),
        shop.post("events/bill/refunds/", {"reference": "r", "occurred_at": NOON}),
        till.get("events/other/explanation/"),
    ]

    assert [(answer.status, answer.is_problem) for answer in answers] == [(404, True)] * 3
    assert Event.objects.count() == 1


def test_a_refund_takes_back_what_its_part_earned(till: Caller, alice: Member) -> None:
    till.post("events/", purchase(alice, "bill", "100.00"))

    part = till.post("events/bill/refunds/", refund("r-1", money={"amount": "30.00", "currency": "CNY"}))
    rest = till.post("events/bill/refunds/", refund("r-2"))

    assert part.status == 201, part.text
    assert [(one["kind"], one["type"], one["points"], one["from"], one["to"]) for one in part.body["entries"]] == [
        ("clawback", "points", 30, "available", "issued"),
        ("clawback", "growth", 30, "available", "issued"),
    ]
    assert {(one["kind"], one["points"]) for one in rest.body["entries"]} == {("clawback", 70)}
    assert (part.body["event"], part.body["reference"]) == ("bill", "r-1")


def test_the_same_refund_again_gives_the_first_answer(till: Caller, alice: Member) -> None:
    till.post("events/", purchase(alice, "bill", "100.00"))

    first, again = (till.post("events/bill/refunds/", refund("r-1")) for _ in range(2))
    other = till.post("events/bill/refunds/", refund("r-1", money={"amount": "1.00", "currency": "CNY"}))

    assert (first.status, again.status, again.headers["Idempotent-Replayed"]) == (201, 200, "true")
    assert again.body == first.body
    assert (other.status, other.body["code"]) == (409, "reference_conflict")


def test_a_refund_by_item_knows_the_bill(till: Caller, alice: Member) -> None:
    tea = {"sku": "tea", "category": "drinks", "quantity": 3, "money": {"amount": "30.00", "currency": "CNY"}}
    till.post("events/", purchase(alice, "bill", "100.00", items=[tea]))

    answer = till.post("events/bill/refunds/", refund("r-1", items=[{"sku": "tea", "quantity": 1}]))
    unknown = till.post("events/bill/refunds/", refund("r-2", items=[{"sku": "gold"}]))

    assert {one["points"] for one in answer.body["entries"]} == {10}
    assert Event.objects.get(type="refund").items == [
        {"sku": "tea", "category": "drinks", "quantity": 1, "amount_minor": 1000}
    ]
    assert (unknown.status, unknown.body["code"]) == (422, "unknown_item")


def yuan(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


def line(sku: str, amount: str, **more: Any) -> dict[str, Any]:
    return {"sku": sku, "money": yuan(amount), **more}


def test_of_a_line_no_more_is_refunded_than_was_sold(till: Caller, alice: Member) -> None:
    till.post("events/", purchase(alice, "bill", "1000.00", items=[line("tea", "10.00"), line("gold", "990.00")]))

    def back(reference: str, *items: dict[str, Any]) -> Any:
        return till.post("events/bill/refunds/", refund(reference, items=list(items)))

    absurd = back("r-1", line("tea", "900.00"))
    twice = back("r-2", line("tea", "6.00"), line("tea", "6.00"))
    some, again = (back("r-3", line("tea", "6.00")) for _ in range(2))
    rest, late = back("r-4", line("tea", "4.00")), back("r-5", {"sku": "tea"})
    many = back("r-6", {"sku": "gold", "quantity": 2})

    for answer in (absurd, twice, late, many):
        assert answer.is_problem
        assert (answer.status, answer.body["code"]) == (422, "refund_exceeds_line"), answer.text
    assert "of tea 10.00 CNY is left to refund, and 900.00 CNY was to be" in absurd.body["detail"]
    assert (some.status, again.status, rest.status) == (201, 200, 201)
    assert Event.objects.filter(type="refund").count() == 2


def test_a_refunded_line_is_of_the_category_it_was_sold_in(till: Caller, alice: Member) -> None:
    sold = [line("tea", "10.00", category="drinks"), line("tea", "20.00", category="gifts")]
    till.post("events/", purchase(alice, "bill", "30.00", items=sold))

    wrong = till.post("events/bill/refunds/", refund("r-1", items=[line("tea", "1.00", category="gold")]))
    right = till.post("events/bill/refunds/", refund("r-2", items=[line("tea", "15.00", category="gifts")]))
    first = till.post("events/bill/refunds/", refund("r-3", items=[{"sku": "tea"}]))

    assert (wrong.status, wrong.body["code"]) == (422, "category_mismatch")
    assert (right.status, first.status) == (201, 201)
    kept = Event.objects.filter(type="refund").order_by("pk").values_list("items", flat=True)
    assert [(one["category"], one["amount_minor"]) for items in kept for one in items or ()] == [
        ("gifts", 1500),
        ("drinks", 1000),
    ]


def test_the_same_thing_twice_on_a_bill_is_summed(till: Caller, alice: Member) -> None:
    till.post("events/", purchase(alice, "bill", "30.00", items=[line("tea", "10.00"), line("tea", "20.00")]))

    answer = till.post("events/bill/refunds/", refund("r-1", items=[{"sku": "tea"}]))

    assert {one["points"] for one in answer.body["entries"]} == {30}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"money": {"amount": "100.01", "currency": "CNY"}}, 422, "refund_exceeds_event"),
        ({"money": {"amount": "0.00", "currency": "CNY"}}, 422, "amount_not_positive"),
        ({"money": {"amount": "1.00", "currency": "USD"}}, 422, "currency_mismatch"),
        ({"money": {"amount": "1.00", "currency": "CNY"}, "items": [{"sku": "a"}]}, 400, "invalid"),
        ({"items": []}, 400, "invalid"),
        ({"occurred_at": "2026-03-01T12:00:00"}, 400, "invalid"),
        ({"occurred_at": "2199-03-01T12:00:00Z"}, 422, "invalid_time"),
        ({"reference": ""}, 400, "invalid"),
        ({"amount": 1}, 400, "invalid"),
    ],
)
def test_a_refund_that_cannot_be_is_refused(
    till: Caller, alice: Member, change: dict[str, object], status: int, code: str
) -> None:
    till.post("events/", purchase(alice, "bill", "100.00"))

    answer = till.post("events/bill/refunds/", {**refund("r"), **change})

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (status, code), answer.text
    assert Event.objects.count() == 1


def refund(reference: str, **more: Any) -> dict[str, Any]:
    return {"reference": reference, "occurred_at": NOON, **more}


def test_a_late_event_is_judged_by_the_tier_of_its_own_time(till: Caller, alice: Member) -> None:
    gold = TierFactory.create(code="gold", rank=2)
    EarningRule.objects.create(
        code="gold-only",
        name_en="Gold earns five more a yuan",
        status="active",
        valid_from=LONG_AGO,
        event_types=["purchase"],
        tiers=["gold"],
        point_type=PointType.objects.get(code="points"),
        points=5,
        per_minor=100,
    )
    updating.assign_tier(member=alice, tier=gold, reason="goodwill", actor=TESTER, at=datetime.now(UTC))

    late = purchase(alice, "late", "100.00")
    previewed = till.post("events/preview/", late)
    taken = till.post("events/", late)
    now = till.post("events/", {**late, "reference": "now", "occurred_at": datetime.now(UTC).isoformat()})

    assert (taken.status, taken.body["points"]["points"]) == (201, 100)
    assert previewed.body["points"] == taken.body["points"]
    assert (now.status, now.body["points"]["points"]) == (201, 600)
    assert [event.tier for event in Event.objects.order_by("id")] == ["base", "gold"]


def test_a_card_number_may_be_grouped_as_people_write_it(till: Caller, alice: Member) -> None:
    plain = purchase(alice, "bill-1")
    dashes, blanks = ({**plain, "member": mark.join(alice.grouped_number.split())} for mark in "- ")

    assert till.post("events/preview/", dashes).status == 200
    assert till.post("events/", dashes).status == 201
    assert [till.post("events/", body).status for body in (plain, blanks)] == [200, 200], "the same event"
    assert [row["status"] for row in till.post("events/", [dashes, {**blanks, "reference": "2"}]).body] == [
        "replayed",
        "accepted",
    ]
