"""Refunds take back what was earned and give back what was spent; any split of them ends at the same books."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members.models import Member
from points import reports
from points.actions import holding, refunding, spending
from points.actions.posting import ReferenceConflict
from points.actions.refunding import (
    AlreadyRefunded,
    EventWithoutAmount,
    RefundAmountInvalid,
    Refunded,
    RefundExceedsEvent,
    RefundRefused,
    RefundTime,
    UnknownEvent,
)
from points.models import ClawbackPolicy, Event, PointType, Reference

from .factories import (
    AT,
    SOURCE,
    TESTER,
    PointTypeFactory,
    RuleFactory,
    accounts,
    balance,
    buy,
    event,
    examples,
    fixed_rule,
    give,
    growth,
    history,
    in_utc,
    kept,
    local,
    lots,
    multiplier,
    new_member,
    new_reference,
    night,
    nothing_changes,
    take,
)

pytestmark = pytest.mark.django_db


def refund(bought: Event, yuan: str | int | None = None, **given: Any) -> Refunded:
    return refunding.refund(
        **{
            "event": bought,
            "source": SOURCE,
            "reference": new_reference("refund"),
            "occurred_at": AT,
            "actor": TESTER,
            "at": AT,
            "amount_minor": None if yuan is None else int(float(yuan) * 100),
            **given,
        }
    )


def spend(member: Member, points: int, *, at: datetime = AT, event_id: int | None = None) -> spending.Posted:
    return spending.spend(
        member=member,
        points=points,
        source=SOURCE,
        reference=new_reference("spend"),
        actor=TESTER,
        at=at,
        event_id=event_id,
    )


def kinds(refunded: Refunded) -> list[tuple[str, str, str, int]]:
    return [(one.kind, one.from_account, one.to_account, one.points) for one in refunded.entries]


@pytest.fixture
def member() -> Member:
    return new_member()


@pytest.fixture(autouse=True)
def _the_books_agree() -> Iterator[None]:
    yield
    assert not reports.check_books()


def test_a_whole_refund_takes_back_all_that_was_earned(member: Member) -> None:
    RuleFactory.create()
    RuleFactory.create(point_type=growth(), points=2)
    bought = buy(member, 100)

    refunded = refund(bought)

    assert sorted(kinds(refunded)) == [
        ("clawback", "available", "issued", 100),
        ("clawback", "available", "issued", 200),
    ]
    assert accounts(member) == accounts(member, "growth") == {}
    told = Event.objects.get(member=member, id=refunded.event_id)
    assert (told.type, told.refund_of, told.amount_minor, told.currency) == ("refund", bought.pk, 10_000, "CNY")


def test_what_is_kept_of_an_award_is_in_proportion_rounded_down(member: Member) -> None:
    RuleFactory.create()
    bought = buy(member, "9.99")

    refund(bought, "3.33")
    assert balance(member).available == 6
    refund(bought, "3.33")
    assert balance(member).available == 3
    refund(bought, "3.32")
    assert balance(member).available == 0
    refund(bought)
    assert accounts(member) == {}
    with nothing_changes(), pytest.raises(AlreadyRefunded):
        refund(bought, "0.01")


def test_pending_points_go_first_then_the_awards_own_lot_then_others_then_debt(member: Member) -> None:
    RuleFactory.create(channels=["now"])
    fixed_rule(30, code="later", pending_days=7, channels=["now"])
    bought = buy(member, 50, channel="now")
    give(member, 10)
    spend(member, 45)  # of the award's own lot, which is the older

    refunded = refund(bought)

    assert kinds(refunded) == [
        ("clawback", "available", "issued", 15),
        ("clawback", "owed", "issued", 35),
        ("clawback", "pending", "issued", 30),
    ]
    assert accounts(member) == {"issued": 10, "owed": 35, "redeemed": 45}


def test_debt_is_paid_from_whatever_comes_next_and_only_then_is_there_something_to_spend(member: Member) -> None:
    RuleFactory.create()
    bought = buy(member, 100)
    spend(member, 80)
    refund(bought)
    assert accounts(member) == {"owed": 80, "redeemed": 80}

    buy(member, 30)
    assert accounts(member) == {"issued": 30, "owed": 50, "redeemed": 80}
    buy(member, 70)
    assert accounts(member) == {"issued": 100, "available": 20, "redeemed": 80}
    assert [entry for entry in history(member) if entry[0] == "settlement"] == [
        ("settlement", "available", "owed", 30),
        ("settlement", "available", "owed", 50),
    ]


def test_debt_waits_for_pending_points_to_mature(member: Member) -> None:
    RuleFactory.create(channels=["now"])
    RuleFactory.create(channels=["later"], pending_days=1)
    bought = buy(member, 50, channel="now")
    spend(member, 50)
    refund(bought)

    buy(member, 80, channel="later")
    assert accounts(member) == {"issued": 80, "pending": 80, "owed": 50, "redeemed": 50}
    night(date(2026, 3, 10))
    assert accounts(member) == {"issued": 80, "available": 30, "redeemed": 50}


def test_a_restoration_pays_debt_too(member: Member) -> None:
    RuleFactory.create()
    bought = buy(member, 100)
    spent = spend(member, 100)
    refund(bought)

    spending.restore(
        member=member, entry_id=spent.entry_id, points=100, source=SOURCE, reference="back", actor=TESTER, at=AT
    )

    assert accounts(member) == {}


def test_the_clamp_policy_takes_what_is_left_and_forgives_the_rest(member: Member) -> None:
    RuleFactory.create()
    PointType.objects.update(clawback_policy=ClawbackPolicy.CLAMP)
    bought = buy(member, 100)
    spend(member, 80)

    refund(bought, 50)
    assert accounts(member) == {"issued": 80, "redeemed": 80}
    refund(bought)
    assert accounts(member) == {"issued": 80, "redeemed": 80}


def test_points_that_expired_unused_are_not_asked_for_again(member: Member) -> None:
    RuleFactory.create(expiry_policy="days", expiry_value=0)
    bought = buy(member, 100)
    refund(bought, 10)
    night(date(2026, 3, 10))

    refund(bought, at=local(2026, 3, 11, 9), occurred_at=local(2026, 3, 11, 9))

    assert accounts(member) == {"issued": 90, "expired": 90}


def test_points_that_a_restoration_moved_before_they_expired_unused_are_not_asked_for_again(member: Member) -> None:
    RuleFactory.create(channels=["ends"], expiry_policy="days", expiry_value=10)
    bought, other = buy(member, 100, channel="ends"), buy(member, 10)
    spend(member, 50, event_id=other.pk)
    refund(other)
    assert [left for left, _ends in lots(member)] == [50, 50]  # what was not spent keeps its end
    night(date(2026, 4, 20))
    assert accounts(member) == {"issued": 100, "expired": 100}

    refund(bought, at=local(2026, 4, 21, 9))

    assert accounts(member) == {"issued": 100, "expired": 100}


def test_of_points_that_a_restoration_put_together_each_purchase_is_spared_its_share(member: Member) -> None:
    RuleFactory.create(channels=["sooner"], expiry_policy="days", expiry_value=9)
    RuleFactory.create(channels=["later"], expiry_policy="days", expiry_value=10)
    few, many = buy(member, 40, channel="sooner"), buy(member, 100, channel="later")
    first, second = buy(member, 1), buy(member, 1)
    spend(member, 10, event_id=first.pk)
    spend(member, 90, event_id=second.pk)
    refund(first)
    refund(second, at=AT + timedelta(days=2))  # 30 of the few and 60 of the many, to one lot
    assert [left for left, _ends in lots(member)] == [40, 10, 90]
    spend(member, 50 + 45)
    night(date(2026, 4, 20))
    assert accounts(member) == {"issued": 140, "redeemed": 95, "expired": 45}

    refund(few, at=local(2026, 4, 21, 9))
    assert accounts(member) == {"issued": 115, "owed": 40 - 15, "redeemed": 95, "expired": 45}
    refund(many, at=local(2026, 4, 21, 9))
    assert accounts(member) == {"issued": 45, "owed": 25 + 100 - 30, "redeemed": 95, "expired": 45}


def test_points_that_were_spent_before_the_rest_expired_are_owed(member: Member) -> None:
    RuleFactory.create(expiry_policy="days", expiry_value=0)
    bought = buy(member, 100)
    spend(member, 60)
    night(date(2026, 3, 10))

    refund(bought, at=local(2026, 3, 11, 9))

    assert accounts(member) == {"issued": 40, "expired": 40, "owed": 60, "redeemed": 60}


def test_points_of_other_purchases_that_ended_are_not_taken(member: Member) -> None:
    RuleFactory.create(channels=["ends"], expiry_policy="days", expiry_value=0)
    RuleFactory.create(channels=["stays"])
    bought = buy(member, 50, channel="stays")
    spend(member, 50)
    buy(member, 20, channel="ends")

    refund(bought, at=local(2026, 3, 11, 9))  # before the night has taken what ended

    assert accounts(member) == {"issued": 20, "available": 20, "owed": 50, "redeemed": 50}


# ---- what was spent on the purchase ----


def test_points_spent_on_the_purchase_return_to_their_lots_with_grace(member: Member) -> None:
    RuleFactory.create(channels=["ends"], expiry_policy="fixed_date", expiry_on=date(2026, 3, 12))
    RuleFactory.create(channels=["shop"])
    buy(member, 40, channel="ends")
    give(member, 100)
    bought = buy(member, 60, channel="shop")
    spend(member, 90, event_id=bought.pk)  # 40 that end soon and 50 that do not

    refunded = refund(bought)

    assert [entry for entry in kinds(refunded) if entry[0] == "restoration"] == [
        ("restoration", "redeemed", "available", 90)
    ]
    assert accounts(member) == {"issued": 140, "available": 140}
    assert lots(member) == [(40, in_utc(local(2026, 4, 10))), (100, None)]


def test_part_of_a_purchase_gives_back_its_part_of_the_points_spent(member: Member) -> None:
    give(member, 100)
    bought = buy(member, 30)
    spend(member, 100, event_id=bought.pk)

    refund(bought, 10)
    assert accounts(member) == {"issued": 100, "available": 33, "redeemed": 67}
    refund(bought, 10)
    assert accounts(member)["available"] == 66
    refund(bought)
    assert accounts(member) == {"issued": 100, "available": 100}


def test_a_captured_hold_for_the_purchase_is_given_back_too(member: Member) -> None:
    give(member, 100)
    bought = buy(member, 30)
    held = holding.hold(member=member, points=80, source=SOURCE, reference="h", actor=TESTER, at=AT).hold
    holding.capture(hold=held, points=50, source=SOURCE, reference="c", actor=TESTER, at=AT, event_id=bought.pk)

    refund(bought)

    assert accounts(member) == {"issued": 100, "available": 100}


def test_what_was_given_back_already_is_not_given_twice_and_the_rest_still_comes(member: Member) -> None:
    give(member, 100)
    bought = buy(member, 30)
    spent = spend(member, 100, event_id=bought.pk)
    spending.restore(
        member=member, entry_id=spent.entry_id, points=40, source=SOURCE, reference="cancel", actor=TESTER, at=AT
    )

    refund(bought)

    assert accounts(member) == {"issued": 100, "available": 100}


# ---- refusals ----


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"amount_minor": 0}, RefundAmountInvalid),
        ({"amount_minor": -100}, RefundAmountInvalid),
        ({"amount_minor": 10_001}, RefundExceedsEvent),
        ({"occurred_at": datetime(2026, 3, 10, 12)}, RefundTime),  # noqa: DTZ001
        ({"occurred_at": AT + timedelta(minutes=6)}, RefundTime),
        ({"occurred_at": AT - timedelta(seconds=1)}, RefundTime),
        ({"items": [{"sku": "1"}]}, RefundRefused),
        ({"items": [{"sku": "1", "amount_minor": None}]}, RefundRefused),
        ({"items": [{"sku": "1", "amount_minor": -100}, {"sku": "2", "amount_minor": 200}]}, RefundRefused),
        ({"items": [{"sku": "1", "amount_minor": "100"}]}, RefundRefused),
        ({"items": [{"sku": "1", "amount_minor": 100, "note": "\x00"}]}, RefundRefused),
        ({"items": ["milk"]}, RefundRefused),
        ({"items": [{"sku": "1", "amount_minor": 10_001}]}, RefundExceedsEvent),
    ],
    ids=str,
)
def test_a_refund_without_sense_is_refused(member: Member, given: dict[str, Any], error: type[RefundRefused]) -> None:
    RuleFactory.create()
    bought = buy(member, 100, items=[{"sku": "1", "category": "FOOD", "amount_minor": 10_000}])

    with nothing_changes(), pytest.raises(error):
        refund(bought, **given)


def test_no_more_is_refunded_than_is_left(member: Member) -> None:
    RuleFactory.create()
    bought = buy(member, 100)
    refund(bought, 70)

    with nothing_changes(), pytest.raises(RefundExceedsEvent) as refused:
        refund(bought, 31)
    assert refused.value.facts == {"amount_minor": 10_000, "refunded_before": 7_000, "left": "30.00 CNY"}
    refund(bought, 30)
    assert accounts(member) == {}


def test_a_refund_is_not_refunded_and_what_is_not_there_neither(member: Member) -> None:
    bought, stranger = buy(member, 100), new_member()
    refunded = refund(bought)

    with nothing_changes(), pytest.raises(UnknownEvent):
        refund(Event.objects.get(member=member, id=refunded.event_id))
    with nothing_changes(), pytest.raises(UnknownEvent):
        refund(Event(id=10**12, member=member, occurred_at=AT))
    with nothing_changes(), pytest.raises(UnknownEvent):
        refund(Event(id=bought.pk, member=stranger, occurred_at=AT))


def test_an_event_without_money_is_refunded_whole_or_not_at_all_and_once(member: Member) -> None:
    fixed_rule(100, event_types=["review"])
    (result,) = take(event(member, type="review"))
    invited = kept(member, result)

    with nothing_changes(), pytest.raises(EventWithoutAmount):
        refund(invited, 1)
    refund(invited)
    assert accounts(member) == {}
    with nothing_changes(), pytest.raises(AlreadyRefunded):
        refund(invited)


def test_an_event_of_nothing_is_refunded_once(member: Member) -> None:
    fixed_rule(5)
    bought = buy(member, 0)

    refund(bought)
    assert accounts(member) == {}
    with nothing_changes(), pytest.raises(AlreadyRefunded):
        refund(bought)


def test_the_same_refund_again_is_the_first_one_and_another_is_a_conflict(member: Member) -> None:
    RuleFactory.create()
    bought, other = buy(member, 100), buy(member, 100)
    first = refund(bought, 30, reference="back")

    with nothing_changes():
        again = refund(bought, 30, reference="back", at=AT + timedelta(days=3))
    assert (again.event_id, again.replayed) == (first.event_id, True)
    assert [one.pk for one in again.entries] == [one.pk for one in first.entries]
    calls: list[Callable[[], object]] = [
        lambda: refund(bought, 31, reference="back"),
        lambda: refund(bought, reference="back"),
        lambda: refund(other, 30, reference="back"),
    ]
    for call in calls:
        with nothing_changes(), pytest.raises(ReferenceConflict):
            call()


def test_a_refused_refund_leaves_its_reference_free(member: Member) -> None:
    RuleFactory.create()
    bought = buy(member, 100)
    with nothing_changes(), pytest.raises(RefundExceedsEvent):
        refund(bought, 101, reference="back")

    assert not refund(bought, 100, reference="back").replayed
    assert Reference.objects.filter(operation="refund").count() == 1


def test_a_closed_member_is_refunded_all_the_same(member: Member) -> None:
    RuleFactory.create()
    bought = buy(member, 100)
    Member.objects.filter(pk=member.pk).update(status="closed")

    refund(bought)

    assert accounts(member) == {}


# ---- line items ----

BASKET = [
    {"sku": "1", "category": "FOOD", "quantity": 2, "amount_minor": 6_000},
    {"sku": "2", "category": "TOYS", "quantity": 1, "amount_minor": 3_000},
]


def test_an_item_gives_back_what_its_own_rule_earned(member: Member) -> None:
    RuleFactory.create(code="all")
    RuleFactory.create(code="toys", categories=["TOYS"], amount_basis="items", points=3, is_base=False)
    bought = buy(member, 90, items=BASKET)
    assert balance(member).available == 90 + 90

    refund(bought, items=[{"sku": "1", "category": "FOOD", "amount_minor": 6_000}])
    assert balance(member).available == 30 + 90
    refund(bought, items=[{"sku": "2", "category": "TOYS", "amount_minor": 1_000}])
    assert balance(member).available == 20 + 60
    refund(bought)
    assert accounts(member) == {}


def test_a_multiplied_bonus_goes_with_the_items_that_earned_it(member: Member) -> None:
    RuleFactory.create(code="food", categories=["FOOD"], amount_basis="items")
    multiplier("2", code="double")
    bought, other = buy(member, 90, items=BASKET), buy(member, 90, items=BASKET)
    assert balance(member).available == 2 * (60 + 60)

    refund(bought, items=[{"sku": "2", "category": "TOYS", "amount_minor": 3_000}])
    assert balance(member).available == 2 * (60 + 60)
    refund(other, items=[{"sku": "1", "category": "FOOD", "amount_minor": 3_000}])
    assert balance(member).available == 60 + 60 + 30 + 30
    refund(other, items=[{"sku": "1", "category": "FOOD", "amount_minor": 3_000}])
    assert balance(member).available == 60 + 60
    refund(other)
    assert balance(member).available == 60 + 60


def test_a_bonus_goes_with_the_base_points_of_its_own_kind(member: Member) -> None:
    RuleFactory.create(code="food", categories=["FOOD"], amount_basis="items")
    RuleFactory.create(code="growth", point_type=growth())
    multiplier("2", code="double")
    multiplier("3", code="treble", point_type=growth())
    bought = buy(member, 90, items=BASKET)

    refund(bought, items=[{"sku": "2", "category": "TOYS", "amount_minor": 3_000}])

    assert (balance(member).available, balance(member, "growth").available) == (120, 180)


def test_of_a_bill_that_money_did_not_pay_goods_are_measured_and_a_line_takes_some(member: Member) -> None:
    free = {"sku": "3", "category": "", "quantity": 2, "amount_minor": 0}
    give(member, 89)
    bought = buy(member, "0.01", items=[*BASKET, free])
    spend(member, 89, event_id=bought.pk)

    def line(sku: str, amount: int, **takes: int) -> dict[str, Any]:
        return {
            "items": [
                {"sku": sku, "category": {"1": "FOOD", "2": "TOYS"}.get(sku, ""), "amount_minor": amount, **takes}
            ]
        }

    for nothing in (line("1", 0), line("1", 0, gross_minor=0), line("3", 0, quantity=0)):
        with nothing_changes(), pytest.raises(RefundAmountInvalid):
            refund(bought, **nothing)
    left = []
    for part in (line("2", 1, gross_minor=3_000), line("3", 0, quantity=1), line("1", 0, gross_minor=6_000)):
        refund(bought, **part)
        left.append((balance(member).available, refunding.is_refunded(event=bought)))
    assert left == [(29, False), (29, False), (89, False)]
    refund(bought, **line("3", 0, quantity=1))
    assert refunding.is_returned(event=bought)
    with nothing_changes(), pytest.raises(AlreadyRefunded):
        refund(bought)


# ---- any split, in any order ----


def parts_of(total: int, cuts: list[int]) -> list[int]:
    edges = sorted({0, total, *(cut % total for cut in cuts)})
    return [end - start for start, end in pairwise(edges)]


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_split_in_any_order_ends_at_the_same_books(data: st.DataObject) -> None:
    """Parts by amount and by item, shuffled, up to some sum: the same as that sum at once."""
    total = data.draw(st.integers(1, 3_000), label="cents")
    foods = data.draw(st.integers(0, total), label="cents of food")
    parts = data.draw(st.permutations(parts_of(total, data.draw(st.lists(st.integers(0, 10**6), max_size=5)))))
    taken = parts[: data.draw(st.integers(1, len(parts)), label="parts refunded")]
    spent_on_it = data.draw(st.integers(0, 200), label="points spent on it")
    spent_else = data.draw(st.integers(0, 300), label="points spent elsewhere")
    policy = data.draw(st.sampled_from(ClawbackPolicy.values), label="policy")
    PointTypeFactory.create()  # stays, because its id is remembered
    with transaction.atomic():
        PointType.objects.update(clawback_policy=policy)
        RuleFactory.create(code="base", per_minor=data.draw(st.sampled_from([1, 7, 100])))
        food_is_base = data.draw(st.booleans(), label="food is base")
        RuleFactory.create(code="food", categories=["FOOD"], amount_basis="items", per_minor=1, is_base=food_is_base)
        multiplier("2.5", code="more")
        fixed_rule(31, code="fixed", is_base=False, pending_days=data.draw(st.integers(0, 1)))
        who = new_member()
        give(who, 300)
        items = [
            {"sku": "1", "category": "FOOD", "amount_minor": foods},
            {"sku": "2", "category": "TOYS", "amount_minor": total - foods},
        ]
        bought = buy(who, 0, amount_minor=total, items=items)
        if spent_on_it:
            spend(who, spent_on_it, event_id=bought.pk)
        if spent_else:
            spend(who, min(spent_else, balance(who).available) or 1)

        ends = []
        for split in ([sum(taken)], taken, taken[::-1]):
            point = transaction.savepoint_create()
            for part in split:
                refund(bought, amount_minor=part)
            ends.append((accounts(who), sorted(lots(who), key=str)))
            assert not reports.check_books(members=[who.pk])
            transaction.savepoint_rollback(point)

        assert ends[0] == ends[1] == ends[2]
        if sum(taken) == total and policy == ClawbackPolicy.OWE:
            assert ends[0][0]["issued"] == 300
        transaction.set_rollback(True)


OPERATIONS = ["earn", "spend", "spend on it", "hold on it", "void", "mature"]


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_parts_between_other_bookings_end_at_the_same_books_in_any_order(data: st.DataObject) -> None:
    """Amounts and items, with earnings, spends, holds and a maturity between them, until nothing is left."""
    food, toys = (data.draw(st.integers(1, 2_000), label=name) for name in ("food", "toys"))
    cuts = data.draw(st.lists(st.integers(0, 10**6), max_size=2))
    parts: list[dict[str, Any]] = []
    for category, total in (("FOOD", food), ("TOYS", toys)):
        pieces = parts_of(total, cuts)
        by_item = data.draw(st.lists(st.booleans(), min_size=len(pieces), max_size=len(pieces)))
        for piece, is_item in zip(pieces, by_item, strict=True):
            line = {"sku": category, "category": category, "amount_minor": piece}
            parts.append({"items": [line]} if is_item else {"amount_minor": piece})
    between = [
        data.draw(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(1, 60)), max_size=2)) for _ in parts
    ]
    PointTypeFactory.create()  # stays, because its id is remembered
    with transaction.atomic():
        RuleFactory.create(code="base", channels=["shop"], per_minor=7)
        RuleFactory.create(code="food", channels=["shop"], categories=["FOOD"], amount_basis="items", per_minor=3)
        multiplier("1.7", code="more", channels=["shop"])
        fixed_rule(31, code="fixed", channels=["shop"], is_base=False, pending_days=1)
        RuleFactory.create(code="other", channels=["other"])
        ends = []
        for order in (parts, parts[::-1], data.draw(st.permutations(parts), label="order")):
            point = transaction.savepoint_create()
            ends.append(refund_between(order, between, food, toys))
            transaction.savepoint_rollback(point)

        assert ends[0] == ends[1] == ends[2]
        transaction.set_rollback(True)


def refund_between(
    parts: list[dict[str, Any]], between: list[list[tuple[str, int]]], food: int, toys: int
) -> dict[str, int]:
    """Buy, and refund the parts with other bookings before each; what stands on the accounts then."""
    who = new_member()
    give(who, 10_000)
    items = [
        {"sku": "FOOD", "category": "FOOD", "amount_minor": food},
        {"sku": "TOYS", "category": "TOYS", "amount_minor": toys},
    ]
    bought = buy(who, 0, amount_minor=food + toys, items=items, channel="shop")
    left = {"issued": 10_000, "redeemed": 0}
    for part, operations in zip(parts, between, strict=True):
        for name, points in operations:
            book(who, bought, name, points)
            left["issued"] += points if name == "earn" else 0
            left["redeemed"] += points if name == "spend" else 0
        refund(bought, at=AT + timedelta(days=2), **part)
    night(date(2026, 3, 11))
    assert not reports.check_books(members=[who.pk])
    ended = accounts(who)
    # Of the purchase nothing is left: neither what it earned nor what was spent on it.
    assert {"issued": ended.pop("issued"), "redeemed": ended.pop("redeemed", 0)} == left
    assert ended == {"available": left["issued"] - left["redeemed"]}
    return left


def book(who: Member, bought: Event, name: str, points: int) -> None:
    """Let something else happen to the member's points."""
    common: dict[str, Any] = {"source": SOURCE, "actor": TESTER, "at": AT}
    if name == "earn":
        buy(who, points, channel="other")
    elif name == "spend":
        spend(who, points)
    elif name == "spend on it":
        spend(who, points, event_id=bought.pk)
    elif name == "mature":
        night(date(2026, 3, 10))
    else:
        held = holding.hold(member=who, points=points, reference=new_reference("hold"), **common).hold
        if name == "void":
            holding.void(hold=held, reference=new_reference("void"), **common)
        else:
            captured = (points + 1) // 2
            reference = new_reference("capture")
            holding.capture(hold=held, points=captured, reference=reference, event_id=bought.pk, **common)


def test_points_spent_on_a_purchase_after_a_part_went_back_come_back_whole_in_the_end(member: Member) -> None:
    give(member, 100)
    bought = buy(member, 30)

    refund(bought, 15)
    spend(member, 50, event_id=bought.pk)
    refund(bought)

    assert accounts(member) == {"issued": 100, "available": 100}


def test_what_a_clamp_could_not_take_is_asked_for_again_with_the_next_part(member: Member) -> None:
    RuleFactory.create()
    PointType.objects.update(clawback_policy=ClawbackPolicy.CLAMP)
    bought = buy(member, 100)
    spend(member, 80)

    refund(bought, 50)
    give(member, 50)
    refund(bought)

    assert accounts(member) == {"issued": 80, "redeemed": 80}


def test_thirds_of_an_item_add_up_to_the_whole_of_it(member: Member) -> None:
    RuleFactory.create(categories=["FOOD"], amount_basis="items", per_minor=1)
    items = [{"sku": "1", "category": "FOOD", "amount_minor": 3}, {"sku": "2", "category": "TOYS", "amount_minor": 6}]
    bought, other = buy(member, "0.09", items=items), buy(member, "0.09", items=items)

    refund(bought, amount_minor=6)
    assert balance(member).available == 1 + 3
    for _ in range(3):
        refund(other, amount_minor=2)
    assert balance(member).available == 1 + 1


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    food=st.integers(1, 2_000),
    toys=st.integers(1, 2_000),
    cuts=st.lists(st.integers(0, 10**6), max_size=3),
    by_amount=st.integers(0, 10**6),
    order=st.randoms(use_true_random=False),
)
def test_items_and_amounts_in_any_order_end_at_the_same_books(
    food: int, toys: int, cuts: list[int], by_amount: int, order: Any
) -> None:
    PointTypeFactory.create()  # stays, because its id is remembered
    with transaction.atomic():
        RuleFactory.create(code="base", per_minor=7)
        RuleFactory.create(code="food", categories=["FOOD"], amount_basis="items", per_minor=3)
        multiplier("1.7", code="more")
        who = new_member()
        items = [
            {"sku": "1", "category": "FOOD", "amount_minor": food},
            {"sku": "2", "category": "TOYS", "amount_minor": toys},
        ]
        bought = buy(who, 0, amount_minor=food + toys, items=items)
        pieces: list[dict[str, Any]] = [
            {"items": [{"sku": "1", "category": "FOOD", "amount_minor": part}]} for part in parts_of(food, cuts)[1:]
        ]
        pieces += [
            {"items": [{"sku": "2", "category": "TOYS", "amount_minor": part}]} for part in parts_of(toys, cuts)[1:]
        ]
        left = food + toys - sum(piece["items"][0]["amount_minor"] for piece in pieces)
        amount = by_amount % left
        pieces += [{"amount_minor": part} for part in parts_of(amount, cuts)] if amount else []

        ends = []
        for _ in range(3):
            order.shuffle(pieces)
            point = transaction.savepoint_create()
            for piece in pieces:
                refund(bought, **piece)
            ends.append(accounts(who))
            transaction.savepoint_rollback(point)

        assert ends[0] == ends[1] == ends[2]
        transaction.set_rollback(True)
