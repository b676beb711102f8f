"""Refunds over HTTP: what comes back with them, and what is said to a refund that cannot be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from members.models import Member
from points import reports
from points.models import Balance, EarningRule, Event, PointType
from rewards.models import Coupon, CouponEvent
from tests.api.conftest import LONG_AGO, NOON, Answer, Caller, purchase
from tests.members.factories import MemberFactory
from tests.points.factories import fingerprint
from tests.rewards.factories import printed_coupon

BILL = [
    {"sku": "tea", "category": "drinks", "quantity": 3, "money": {"amount": "10.00", "currency": "CNY"}},
    {"sku": "mug", "category": "wares", "quantity": 1, "money": {"amount": "90.00", "currency": "CNY"}},
]


def yuan(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


def back(till: Caller, reference: str, event: str = "bill", **more: Any) -> Answer:
    return till.post(f"events/{event}/refunds/", {"reference": reference, "occurred_at": NOON, **more})


def buy_with_coupon(till: Caller, member: Member, *uses: str) -> list[Coupon]:
    """Use a coupon under each reference, and send the purchase that names them."""
    used = []
    for use in uses:
        coupon = printed_coupon()
        answer = till.post(f"coupons/{coupon.code}/redeem/", {"reference": use, "money": yuan("100.00")})
        assert answer.status == 201, answer.text
        used.append(coupon)
    answer = till.post("events/", purchase(member, "bill", "100.00", items=BILL, coupons=list(uses)))
    assert answer.status == 201, answer.text
    return used


def states(*coupons: Coupon) -> list[str]:
    for coupon in coupons:
        coupon.refresh_from_db()
    return [coupon.state for coupon in coupons]


def available(member: Member) -> int:
    return Balance.objects.get(member=member, point_type__code="points").available


# ---- coupons ----


def test_the_return_of_a_whole_purchase_gives_its_coupons_back_once(till: Caller, alice: Member) -> None:
    used = buy_with_coupon(till, alice, "u-1", "u-2")

    first, again = back(till, "r-1"), back(till, "r-1")

    assert (first.status, first.body["coupons"]) == (201, ["u-1", "u-2"]), first.text
    assert (again.status, again.body) == (200, first.body)
    assert states(*used) == ["rolled_back", "rolled_back"]
    assert CouponEvent.objects.filter(to_state="rolled_back").count() == 2
    anew = till.post(f"coupons/{used[0].code}/redeem/", {"reference": "u-3", "money": yuan("100.00")})
    assert anew.status == 201


def test_parts_give_no_coupon_back_until_the_whole_is_returned(till: Caller, alice: Member) -> None:
    used = buy_with_coupon(till, alice, "u-1")

    parts = [back(till, "r-1", money=yuan("40.00")), back(till, "r-2", items=[{"sku": "tea"}])]
    before = states(*used)
    rest = back(till, "r-3")

    assert [part.body["coupons"] for part in parts] == [[], []]
    assert (before, rest.body["coupons"], states(*used)) == (["redeemed"], ["u-1"], ["rolled_back"])


@pytest.mark.parametrize("reasons", [["chargeback"], ["chargeback", "return"], ["return", "chargeback"]])
def test_a_chargeback_gives_no_coupon_back_and_takes_the_points_all_the_same(
    till: Caller, alice: Member, reasons: list[str]
) -> None:
    used = buy_with_coupon(till, alice, "u-1")

    for number, reason in enumerate(reasons):
        money: dict[str, Any] = {} if number == len(reasons) - 1 else {"money": yuan("40.00")}
        answer = back(till, f"r-{number}", reason=reason, **money)
        assert (answer.status, answer.body["coupons"]) == (201, []), answer.text

    assert states(*used) == ["redeemed"]
    assert available(alice) == 0
    assert Event.objects.filter(type="refund", attributes={"reason": "chargeback"}).count() == 1


def test_a_coupon_that_was_given_back_or_used_elsewhere_stays_as_it_is(till: Caller, alice: Member) -> None:
    given_back, elsewhere = buy_with_coupon(till, alice, "u-1", "u-2")
    for coupon in (given_back, elsewhere):
        till.post(f"coupons/{coupon.code}/rollback/", {"reference": f"b-{coupon.pk}"})
    till.post(f"coupons/{elsewhere.code}/redeem/", {"reference": "u-3", "money": yuan("100.00")})

    answer = back(till, "r-1")

    assert (answer.status, answer.body["coupons"]) == (201, [])
    assert states(given_back, elsewhere) == ["rolled_back", "redeemed"]


def test_only_uses_by_the_system_that_sent_the_purchase_come_back(till: Caller, shop: Caller, alice: Member) -> None:
    coupon = printed_coupon()
    shop.post(f"coupons/{coupon.code}/redeem/", {"reference": "u-1", "money": yuan("100.00")})
    till.post("events/", purchase(alice, "bill", "100.00", coupons=["u-1", "nothing"]))

    answer = back(till, "r-1")

    assert (answer.status, answer.body["coupons"], states(coupon)) == (201, [], ["redeemed"])


def test_a_use_that_two_purchases_name_belongs_to_the_first_of_them(till: Caller, alice: Member) -> None:
    (coupon,) = buy_with_coupon(till, alice, "u-1")
    bob = MemberFactory.create(name="Bob")
    till.post("events/", purchase(bob, "cheap", "1.00", coupons=["u-1"]))

    second = back(till, "r-1", "cheap")
    before = states(coupon)
    first = back(till, "r-2")

    assert (second.body["coupons"], before) == ([], ["redeemed"])
    assert (first.body["coupons"], states(coupon)) == (["u-1"], ["rolled_back"])


def test_a_use_by_a_member_comes_back_with_that_members_purchase_alone(till: Caller, alice: Member) -> None:
    bob, coupon = MemberFactory.create(name="Bob"), printed_coupon()
    used = {"reference": "u-1", "money": yuan("100.00"), "member": alice.number}
    till.post(f"coupons/{coupon.code}/redeem/", used)
    till.post("events/", purchase(bob, "bobs", "1.00", coupons=["u-1"]))
    till.post("events/", purchase(alice, "bill", "100.00", coupons=["u-1"]))

    others = back(till, "r-1", "bobs")
    own = back(till, "r-2")

    assert (others.body["coupons"], own.body["coupons"], states(coupon)) == ([], ["u-1"], ["rolled_back"])


def test_a_purchase_long_before_the_use_does_not_hold_its_name(till: Caller, alice: Member) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
        till.post("events/", purchase(alice, "early", "1.00", coupons=["u-1"]))
    (coupon,) = buy_with_coupon(till, alice, "u-1")

    early, own = back(till, "r-1", "early"), back(till, "r-2")

    assert (early.body["coupons"], own.body["coupons"], states(coupon)) == ([], ["u-1"], ["rolled_back"])


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"coupons": "u-1"}, "coupons"),
        ({"coupons": [1]}, "coupons"),
        ({"coupons": [""]}, "coupons"),
        ({"coupons": [f"u-{number}" for number in range(21)]}, "coupons"),
        ({"attributes": {"coupon_uses": ["u-1"]}}, "attributes"),
    ],
)
def test_coupons_of_a_purchase_are_a_short_list_of_references(
    till: Caller, alice: Member, more: dict[str, Any], field: str
) -> None:
    answer = till.post("events/", purchase(alice, "bill", **more))

    assert answer.is_problem
    assert (answer.status, list(answer.body["errors"])) == (400, [field])
    assert not Event.objects.exists()


# ---- points that were spent on it ----


def test_points_of_a_captured_hold_come_back_piece_by_piece_over_http(till: Caller, rich: Member) -> None:
    till.post("events/", purchase(rich, "bill", "100.00", items=BILL))
    held = till.post("holds/", {"reference": "h", "member": rich.number, "points": 90}).body
    captured = till.post(f"holds/{held['id']}/capture/", {"reference": "c", "points": 50, "event": "bill"})
    assert captured.status == 201, captured.text

    moved = [
        {entry["kind"]: entry["points"] for entry in answer.body["entries"] if entry["type"] == "points"}
        for answer in (
            *(back(till, f"r-{piece}", items=[{"sku": "tea", "quantity": 1}]) for piece in range(3)),
            back(till, "r-mug", items=[{"sku": "mug"}]),
        )
    ]

    assert [one.get("restoration", 0) for one in moved] == [1, 2, 2, 45]
    assert sum(one["clawback"] for one in moved) == 100
    assert available(rich) == 1_000
    assert not reports.check_books()


def test_pieces_of_a_line_cost_the_line_to_the_cent(till: Caller, alice: Member) -> None:
    till.post("events/", purchase(alice, "bill", "100.00", items=BILL))

    for piece in range(3):
        assert back(till, f"r-{piece}", items=[{"sku": "tea", "quantity": 1}]).status == 201
    again = [back(till, f"r-{piece}", items=[{"sku": "tea", "quantity": 1}]) for piece in range(3)]

    amounts = Event.objects.filter(type="refund").order_by("pk").values_list("amount_minor", flat=True)
    assert list(amounts) == [333, 333, 334]
    assert [answer.status for answer in again] == [200, 200, 200]


def test_a_refund_sent_again_with_its_time_in_another_offset_is_the_same(till: Caller, alice: Member) -> None:
    till.post("events/", purchase(alice, "bill", "100.00"))

    first = back(till, "r-1", money=yuan("40.00"))
    again = [
        back(till, "r-1", money=yuan("40.00"), occurred_at=moment)
        for moment in ("2026-03-01T04:00:00Z", "2026-03-02T03:59:00+23:59")
    ]

    assert first.status == 201, first.text
    assert [(answer.status, answer.body) for answer in again] == [(200, first.body)] * 2


def test_lines_of_a_discounted_purchase_come_back_one_by_one(till: Caller, alice: Member) -> None:
    till.post("events/", purchase(alice, "bill", "80.00", items=BILL))

    answers = [back(till, f"r-{sku}", items=[{"sku": sku}]) for sku in ("mug", "tea")]
    again = back(till, "r-mug", items=[{"sku": "mug"}])

    assert [answer.status for answer in answers] == [201, 201]
    assert [answer.body["entries"][0]["points"] for answer in answers] == [72, 8]
    assert available(alice) == 0
    assert (again.status, again.body) == (200, answers[0].body)


@pytest.mark.parametrize(("event", "lines"), [("other", [{"sku": "tea"}]), ("bill", [{"sku": "tea", "quantity": 4}])])
def test_a_used_reference_is_a_conflict_whatever_is_left_of_the_bill(
    till: Caller, alice: Member, event: str, lines: list[dict[str, Any]]
) -> None:
    for bill in ("bill", "other"):
        till.post("events/", purchase(alice, bill, "100.00", items=BILL))
    back(till, "r-1", items=[{"sku": "mug"}])
    back(till, "r-2", "other", items=[{"sku": "tea"}])

    answer = back(till, "r-1", event, items=lines)

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (409, "reference_conflict")


# ---- refusals ----

TOO_MUCH = [{"sku": "tea", "quantity": 4}]
FOREIGN = [{"sku": "tea", "money": {"amount": "1.00", "currency": "USD"}}]


@pytest.mark.parametrize(
    ("event", "body", "status", "code", "field", "facts"),
    [
        ("bill", {"money": yuan("60.01")}, 422, "refund_exceeds_event", "money", {"left": "60.00 CNY"}),
        ("bill", {"money": yuan("0.00")}, 422, "amount_not_positive", "money", {}),
        (
            "bill",
            {"money": {"amount": "1.00", "currency": "USD"}},
            422,
            "currency_mismatch",
            "money",
            {"currency": "CNY"},
        ),
        ("bill", {"items": FOREIGN}, 422, "currency_mismatch", "items", {"currency": "CNY"}),
        ("bill", {"items": [{"sku": "gold"}]}, 422, "unknown_item", "items", {"sku": "gold"}),
        (
            "bill",
            {"items": [{"sku": "tea", "category": "wares"}]},
            422,
            "category_mismatch",
            "items",
            {"sold": "drinks"},
        ),
        ("bill", {"items": TOO_MUCH}, 422, "refund_exceeds_line", "items", {"sku": "tea", "left": "3 ×"}),
        ("bill", {"items": [{"sku": "bag"}]}, 422, "line_without_amount", "items", {"sku": "bag"}),
        (
            "bill",
            {"occurred_at": "2026-03-01T11:59:59+08:00"},
            422,
            "invalid_time",
            "occurred_at",
            {"event_occurred_at": NOON},
        ),
        ("bill", {"occurred_at": "2199-03-01T11:59:59+08:00"}, 422, "invalid_time", "occurred_at", {}),
        ("bill", {"reason": "regret"}, 400, "invalid", "reason", {}),
        ("gone", {}, 422, "already_refunded", "event", {}),
        ("r-gone", {}, 422, "refund_of_refund", "event", {"event": "r-gone"}),
        ("nothing", {}, 404, "unknown_event", "event", {"event": "nothing"}),
        ("of-the-shop", {}, 404, "unknown_event", "event", {"event": "of-the-shop"}),
        ("visit", {"money": yuan("1.00")}, 422, "event_without_amount", "money", {}),
    ],
)
def test_a_refund_that_cannot_be_names_the_code_the_field_and_the_facts(
    till: Caller,
    shop: Caller,
    alice: Member,
    event: str,
    body: dict[str, Any],
    status: int,
    code: str,
    field: str,
    facts: dict[str, Any],
) -> None:
    till.post("events/", purchase(alice, "bill", "100.00", items=[*BILL, {"sku": "bag"}]))
    till.post("events/", purchase(alice, "gone", "10.00"))
    till.post("events/", {**purchase(alice, "visit"), "type": "review", "money": None})
    shop.post("events/", purchase(alice, "of-the-shop", "10.00"))
    back(till, "r-gone", "gone")
    back(till, "r-part", money=yuan("40.00"))
    before = fingerprint()

    answer = back(till, "r-new", event, **body)

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (status, code), answer.text
    assert list(answer.body["errors"]) == [field]
    assert facts.items() <= answer.body.items()
    assert fingerprint() == before


def test_of_a_line_no_more_pieces_go_back_than_were_sold_refund_by_refund(till: Caller, alice: Member) -> None:
    till.post("events/", purchase(alice, "bill", "100.00", items=BILL))
    back(till, "r-1", items=[{"sku": "tea", "quantity": 2, "money": yuan("1.00")}])
    before = fingerprint()

    answer = back(till, "r-2", items=[{"sku": "tea", "quantity": 2, "money": yuan("1.00")}])

    assert (answer.status, answer.body["code"], answer.body["left"]) == (422, "refund_exceeds_line", "1 ×")
    assert fingerprint() == before


# ---- bills of which points, coupons or nothing paid nearly all ----

GOODS = [
    {"sku": "tea", "category": "drinks", "quantity": 1, "money": yuan("40.00")},
    {"sku": "mug", "category": "wares", "quantity": 1, "money": yuan("60.00")},
    {"sku": "gift", "category": "wares", "quantity": 1, "money": yuan("0.00")},
]


def buy_goods(till: Caller, member: Member, paid: str, points: int, **more: Any) -> None:
    """Buy the goods for some money and some points; the fixture's member keeps the other points."""
    bought = purchase(member, "bill", paid, items=GOODS, gross=yuan("100.00"), **more)
    assert till.post("events/", bought).status == 201
    if points:
        held = till.post("holds/", {"reference": "h", "member": member.number, "points": points}).body
        captured = till.post(f"holds/{held['id']}/capture/", {"reference": "c", "points": points, "event": "bill"})
        assert captured.status == 201, captured.text


def moved(answer: Answer, kind: str = "restoration") -> int:
    assert answer.status == 201, answer.text
    return sum(one["points"] for one in answer.body["entries"] if (one["kind"], one["type"]) == (kind, "points"))


@pytest.mark.parametrize(("paid", "points"), [("0.00", 100), ("0.01", 99)])
@pytest.mark.parametrize("order", [["tea", "gift", "mug"], ["mug", "tea", "gift"], ["gift", "mug", "tea"]])
def test_points_that_paid_a_bill_come_back_by_the_share_of_the_goods(
    till: Caller, rich: Member, paid: str, points: int, order: list[str]
) -> None:
    buy_goods(till, rich, paid, points)
    due = {"tea": points * 40 // 100, "mug": points * 60 // 100, "gift": 0}

    given_back = {sku: moved(back(till, f"r-{sku}", items=[{"sku": sku}])) for sku in order}

    first = next(sku for sku in order if sku != "gift")
    assert (given_back[first], given_back["gift"]) == (due[first], 0)
    assert sum(given_back.values()) == points
    again = [back(till, "r-again"), back(till, "r-gift-again", items=[{"sku": "gift"}])]
    assert [(one.status, one.body["code"]) for one in again] == [
        (422, "already_refunded"),
        (422, "refund_exceeds_line"),
    ]
    assert available(rich) == 1_000
    assert not reports.check_books()


def test_a_line_of_a_bill_without_money_may_say_that_it_cost_none(till: Caller, rich: Member) -> None:
    buy_goods(till, rich, "0.00", 100)

    tea = back(till, "r-tea", items=[{"sku": "tea", "money": yuan("0.00")}])
    again = back(till, "r-tea", items=[{"sku": "tea", "money": yuan("0.00")}])
    twice = back(till, "r-twice", items=[{"sku": "tea", "money": yuan("0.00")}])
    rest = back(till, "r-rest")

    assert (moved(tea), moved(rest)) == (40, 60)
    assert (again.status, again.body) == (200, tea.body)
    assert (twice.status, twice.body["code"], twice.body["left"]) == (422, "refund_exceeds_line", "0 ×")


def test_all_that_is_left_goes_back_though_no_money_is(till: Caller, rich: Member) -> None:
    buy_goods(till, rich, "0.01", 99)

    mug = back(till, "r-mug", items=[{"sku": "mug"}])
    nothing = back(till, "r-nothing", money=yuan("0.00"))
    rest = back(till, "r-rest")

    assert (moved(mug), moved(rest)) == (59, 40)
    assert (nothing.status, nothing.body["code"]) == (422, "amount_not_positive")


def test_points_are_captured_for_a_bill_until_its_goods_are_back(till: Caller, rich: Member) -> None:
    buy_goods(till, rich, "0.01", 50)
    held = till.post("holds/", {"reference": "h-2", "member": rich.number, "points": 49}).body

    mug = back(till, "r-mug", items=[{"sku": "mug"}])
    captured = till.post(f"holds/{held['id']}/capture/", {"reference": "c-2", "event": "bill"})
    tea = back(till, "r-tea", items=[{"sku": "tea"}, {"sku": "gift"}])

    assert (moved(mug), captured.status, moved(tea)) == (30, 201, 69)
    assert available(rich) == 1_000


def test_a_gift_goes_back_alone_and_once(till: Caller, rich: Member) -> None:
    buy_goods(till, rich, "100.00", 10)

    gift = back(till, "r-gift", items=[{"sku": "gift"}])
    twice = back(till, "r-twice", items=[{"sku": "gift", "quantity": 1}])
    goods = [back(till, f"r-{sku}", items=[{"sku": sku}]) for sku in ("tea", "mug")]

    assert gift.body["entries"] == []
    assert (twice.status, twice.body["code"], twice.body["left"]) == (422, "refund_exceeds_line", "0 ×")
    assert [(moved(one), moved(one, "clawback")) for one in goods] == [(4, 40), (6, 60)]
    assert back(till, "r-late").body["code"] == "already_refunded"


@pytest.mark.parametrize(("paid", "earned"), [("0.00", [40, 60]), ("0.01", [40, 60]), ("100.00", [80, 120])])
def test_a_coupon_that_paid_comes_back_when_all_goods_are_back(
    till: Caller, rich: Member, paid: str, earned: list[int]
) -> None:
    coupon = printed_coupon(value_minor=10_000)
    used = till.post(f"coupons/{coupon.code}/redeem/", {"reference": "u", "money": yuan("100.00")})
    assert used.status == 201, used.text
    EarningRule.objects.create(
        code="items",
        name_en="One yuan of goods gives one point",
        status="active",
        valid_from=LONG_AGO,
        event_types=["purchase"],
        point_type=PointType.objects.get(code="points"),
        points=1,
        per_minor=100,
        amount_basis="items",
        is_base=False,
    )
    before = available(rich)
    buy_goods(till, rich, paid, 0, coupons=["u"])

    goods = [back(till, f"r-{sku}", items=[{"sku": sku}]) for sku in ("tea", "mug")]
    gift = back(till, "r-gift", items=[{"sku": "gift"}])

    assert [moved(one, "clawback") for one in goods] == earned
    assert [one.body["coupons"] for one in goods] == [[], []]
    assert (gift.body["entries"], gift.body["coupons"], states(coupon)) == ([], ["u"], ["rolled_back"])
    assert available(rich) == before


def test_a_bill_without_money_is_refunded_as_a_whole_as_before(till: Caller, rich: Member) -> None:
    buy_goods(till, rich, "0.00", 100)

    assert moved(back(till, "r-1", money=yuan("0.00"))) == 100
    assert back(till, "r-2", items=[{"sku": "tea"}]).body["code"] == "already_refunded"
