"""A hundred requests at once through the whole API, on real connections: exact, whoever comes first."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db.models import Sum

from members.models import Member
from points import reports
from points.actions import adjusting
from points.models import Entry, Event
from rewards.models import Redemption, Stock, StockMovement
from tests.api.conftest import NOON, Answer, Caller, purchase
from tests.members.factories import MemberFactory
from tests.points.factories import AT, TESTER, accounts, new_reference
from tests.rewards.factories import CouponRewardFactory, RewardFactory, printed_coupon, stock

from .calling import CLIENTS, Request, held, member_with, order, ordered, refund, send_at_once, tally, yuan
from .racing import at_once, winners

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("_one_storm_at_a_time")]

HUNDRED = 100
ROUNDS = 2


def content(answer: Answer) -> dict[str, Any]:
    """What an answer says, but for the one word that tells the first from the others."""
    return {name: value for name, value in answer.body.items() if (name, value) != ("status", "replayed")}


# What is sent a hundred times, prepared for a member of 1,000 points, and how many entries it makes.


def an_event(till: Caller, member: Member) -> tuple[Request, int]:
    return ("events/", purchase(member, new_reference("e"), "10.00")), 2


def a_refund(till: Caller, member: Member) -> tuple[Request, int]:
    bill = purchase(member, new_reference("e"), "10.00")
    assert till.post("events/", bill).status == 201
    return (f"events/{bill['reference']}/refunds/", refund(money=yuan("4.00"))), 2


def a_hold(till: Caller, member: Member) -> tuple[Request, int]:
    return ("holds/", {"reference": new_reference("h"), "member": member.number, "points": 100}), 1


def a_capture(till: Caller, member: Member) -> tuple[Request, int]:
    return (f"{held(till, member)}/capture/", {"reference": new_reference("c"), "points": 60}), 2


def a_void(till: Caller, member: Member) -> tuple[Request, int]:
    return (f"{held(till, member)}/void/", {"reference": new_reference("v")}), 1


def a_redemption(till: Caller, member: Member) -> tuple[Request, int]:
    return ("redemptions/", order(member, CouponRewardFactory.create())), 1


def a_cancellation(till: Caller, member: Member) -> tuple[Request, int]:
    address = ordered(till, member, CouponRewardFactory.create())
    return (f"{address}/cancel/", {"reference": new_reference("x")}), 1


def a_coupon_used(till: Caller, member: Member) -> tuple[Request, int]:
    return (f"coupons/{printed_coupon().code}/redeem/", {"reference": new_reference("u"), "money": yuan("50.00")}), 0


def a_coupon_given_back(till: Caller, member: Member) -> tuple[Request, int]:
    code = printed_coupon().code
    used = till.post(f"coupons/{code}/redeem/", {"reference": new_reference("u"), "money": yuan("50.00")})
    assert used.status == 201, used.text
    return (f"coupons/{code}/rollback/", {"reference": new_reference("g")}), 0


def an_enrolment(till: Caller, member: Member) -> tuple[Request, int]:
    return ("members/", {"reference": new_reference("m"), "name": "Bob"}), 0


@pytest.mark.parametrize(
    "prepare",
    [
        an_event,
        a_refund,
        a_hold,
        a_capture,
        a_void,
        a_redemption,
        a_cancellation,
        a_coupon_used,
        a_coupon_given_back,
        an_enrolment,
    ],
)
def test_what_is_sent_a_hundred_times_at_once_is_done_once_and_answered_alike(
    till: Caller, prepare: Callable[[Caller, Member], tuple[Request, int]]
) -> None:
    member = member_with(till, 1_000)
    for _ in range(ROUNDS):
        request, entries = prepare(till, member)
        before, people = Entry.objects.count(), Member.objects.count()

        answers = send_at_once(till, [request] * HUNDRED)

        assert tally(answers) == {(201, ""): 1, (200, ""): HUNDRED - 1}
        (first,) = [answer for answer in answers if answer.status == 201]
        for answer in answers:
            assert content(answer) == {name: content(first)[name] for name in content(answer)}
            assert answer.headers.get("Idempotent-Replayed") == (None if answer is first else "true")
        assert Entry.objects.count() - before == entries
        assert Member.objects.count() - people == (prepare is an_enrolment)
    assert not reports.check_books()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("events/", {"type": "purchase", "occurred_at": NOON, "money": yuan("10.00")}),
        ("holds/", {"points": 10}),
        ("redemptions/", {"reward": "voucher"}),
    ],
)
def test_one_reference_with_two_contents_goes_to_one_of_them(till: Caller, path: str, told: dict[str, Any]) -> None:
    CouponRewardFactory.create(code="voucher", points=10)
    members = [member_with(till, 1_000), member_with(till, 1_000)]
    for _ in range(ROUNDS):
        reference = new_reference("r")
        bodies = [{"reference": reference, "member": member.number, **told} for member in members]

        answers = send_at_once(till, [(path, body) for body in bodies] * (HUNDRED // 2))

        assert tally(answers) == {
            (201, ""): 1,
            (200, ""): HUNDRED // 2 - 1,
            (409, "reference_conflict"): HUNDRED // 2,
        }
        place = [answer.status for answer in answers].index(201) % 2
        assert {answer.status for answer in answers[place::2]} == {200, 201}
        assert {answer.status for answer in answers[1 - place :: 2]} == {409}
    moved = Entry.objects.filter(member__in=members, point_type__code="points").count()
    assert moved == len(members) + ROUNDS
    assert not reports.check_books()


def test_sixty_four_clients_spend_the_last_points_and_not_one_more(till: Caller) -> None:
    coupon = CouponRewardFactory.create()
    for _ in range(ROUNDS):
        member = member_with(till, 1_000)
        holds = [("holds/", a_hold(till, member)[0][1]) for _ in range(32)]
        orders = [("redemptions/", order(member, coupon)) for _ in range(32)]

        answers = send_at_once(till, [one for pair in zip(holds, orders, strict=True) for one in pair])

        assert tally(answers) == {(201, ""): 10, (422, "insufficient_points"): 54}
        assert all(answer.body["needed"] == 100 for answer in answers if answer.status == 422)
        kept = sum(answer.status == 201 for answer in answers[::2]) * 100
        split = {"held": kept, "redeemed": 1_000 - kept}
        assert accounts(member) == {"issued": 1_000} | {name: points for name, points in split.items() if points}
        assert Redemption.objects.filter(member=member).count() * 100 == 1_000 - kept
    assert not reports.check_books()


def test_a_hold_is_captured_or_voided_once_whoever_asks(till: Caller) -> None:
    member = member_with(till, 1_000)
    for _ in range(ROUNDS * 2):
        before = accounts(member)
        hold = held(till, member)
        whole = [(f"{hold}/capture/", {"reference": new_reference("c")}) for _ in range(10)]
        part = [(f"{hold}/capture/", {"reference": new_reference("c"), "points": 40}) for _ in range(10)]
        void = [(f"{hold}/void/", {"reference": new_reference("v")}) for _ in range(10)]

        answers = send_at_once(till, [one for three in zip(whole, part, void, strict=True) for one in three])

        assert tally(answers) == {(201, ""): 1, (409, "hold_closed"): 29}
        spent = (100, 40, 0)[[answer.status for answer in answers].index(201) % 3]
        after = accounts(member)
        assert after.get("redeemed", 0) - before.get("redeemed", 0) == spent
        assert before["available"] - after["available"] == spent
        assert "held" not in after
    assert not reports.check_books()


def test_refunds_in_parts_by_many_never_take_more_than_the_bill(till: Caller) -> None:
    member = MemberFactory.create()
    tea = {"sku": "tea", "category": "tea", "quantity": 10, "money": yuan("100.00")}
    amounts = [{"money": yuan("7.00")} for _ in range(30)]
    lines = [{"items": [{"sku": "tea", "quantity": 3}]} for _ in range(30)]
    mixed = [part for pair in zip(amounts, lines, strict=True) for part in pair]
    for parts, most in ((amounts, 98), (lines, 90), (mixed, 100)):
        bill = purchase(member, new_reference("bill"), "100.00", items=[tea])
        assert till.post("events/", bill).status == 201
        address = f"events/{bill['reference']}/refunds/"
        before = accounts(member)["available"]

        answers = send_at_once(till, [(address, refund(**part)) for part in parts])

        bought = Event.objects.get(reference=bill["reference"])
        refunds = Event.objects.filter(member=member, refund_of=bought.pk)
        refunded = sum(refund.amount_minor or 0 for refund in refunds)
        assert len(refunds) == tally(answers)[201, ""]
        assert {code for _status, code in tally(answers)} <= {"", "refund_exceeds_event", "refund_exceeds_line"}
        assert 10_000 - 3_000 < refunded <= most * 100
        assert parts is mixed or refunded == most * 100
        # What is kept is floored over the sum, so no split of it costs or gives a point.
        assert before - accounts(member)["available"] == 100 - (10_000 - refunded) // 100
        assert till.post(address, refund()).status == (201 if refunded < 10_000 else 422)
    assert accounts(member) == {}
    assert not reports.check_books()


def test_the_last_pieces_go_round_while_their_orders_are_cancelled(till: Caller) -> None:
    mug = RewardFactory.create(points=100)
    buyers = [member_with(till, 100) for _ in range(12)]
    for _ in range(ROUNDS):
        stock(mug, 3)
        standing = [ordered(till, buyer, mug) for buyer in buyers[:3]]
        cancels = [(f"{address}/cancel/", {"reference": new_reference("x")}) for address in standing for _ in range(8)]
        orders = [("redemptions/", order(buyer, mug)) for buyer in buyers for _ in range(4)]

        answers = send_at_once(till, cancels + orders)

        for place in range(3):
            assert tally(answers[place * 8 : place * 8 + 8]) == {(201, ""): 1, (422, "cannot_cancel"): 7}
        assert {code for _status, code in tally(answers[24:])} <= {"", "out_of_stock", "insufficient_points"}
        live = Redemption.objects.standing().filter(reward=mug)
        assert Stock.objects.get(reward=mug).count == 3 - live.count()
        assert StockMovement.objects.aggregate(left=Sum("pieces"))["left"] == 3 - live.count()
        for buyer in buyers:
            assert accounts(buyer).get("available", 0) == 100 - 100 * live.filter(member=buyer).count()
        for one in live:
            assert till.post(f"redemptions/{one.key}/cancel/", {"reference": new_reference("x")}).status == 201
    assert Stock.objects.get(reward=mug).count == 3
    assert all(accounts(buyer) == {"issued": 100, "available": 100} for buyer in buyers)
    assert not reports.check_books()


def test_staff_debit_while_tills_spend_and_nobody_goes_below_nought(till: Caller) -> None:
    member = member_with(till, 1_000)

    def debit(reference: str) -> int:
        posted = adjusting.adjust(
            member=member, points=50, credit=False, reason="race", reference=reference, actor=TESTER, at=AT
        )
        return 0 if posted.replayed else 201

    def hold() -> int:
        body = {"reference": new_reference("h"), "member": member.number, "points": 50}
        return till.post("holds/", body).status

    # Each debit is asked for twice, as a clerk's second click does.
    debits = [partial(debit, new_reference("d")) for _ in range(16)]
    works: list[Callable[[], int]] = [
        work for three in zip(debits, debits, [hold] * 16, strict=True) for work in three
    ]

    results = at_once(works, clients=CLIENTS)

    assert winners(results).count(201) == 20
    assert accounts(member)["issued"] == 1_000 - 50 * Entry.objects.filter(kind="adjustment").count()
    assert "available" not in accounts(member)
    assert not reports.check_books()
