"""Lines of a refund, held to the bill: however a discounted bill comes back, it ends where the whole does."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from points import reports
from points.actions import refunding, spending
from points.api import bills
from points.models import Entry, Event

from .factories import (
    AT,
    SOURCE,
    TESTER,
    PointTypeFactory,
    RuleFactory,
    accounts,
    balance,
    buy,
    examples,
    give,
    multiplier,
    new_member,
    new_reference,
)

pytestmark = pytest.mark.django_db

FOOD = {"sku": "tea", "category": "FOOD", "quantity": 1, "amount_minor": 6_000}
TOYS = {"sku": "car", "category": "TOYS", "quantity": 1, "amount_minor": 4_000}


@pytest.fixture(autouse=True)
def _the_books_agree() -> Iterator[None]:
    yield
    assert not reports.check_books()


def bring_back(bought: Event, sku: str, quantity: int | None = None, money: int | None = None) -> dict[str, Any]:
    """Refund pieces of something, or so much of its money, or what is left of it; the line as the bill knows it."""
    line: dict[str, Any] = {"sku": sku, "category": ""} | ({} if money is None else {"amount_minor": money})
    reference = new_reference("back")
    (known,) = bills.hold_to_bill(bought, [line], [quantity], source=SOURCE, reference=reference)
    refunding.refund(
        event=bought, items=[known], reference=reference, source=SOURCE, occurred_at=AT, actor=TESTER, at=AT
    )
    return known


def restored(bought: Event) -> int:
    """How many points that were spent on a purchase its refunds gave back."""
    refunds = Event.objects.filter(member_id=bought.member_id, refund_of=bought.pk).values("pk")
    given_back = Entry.objects.filter(member_id=bought.member_id, kind="restoration", event_id__in=refunds)
    return sum(given_back.values_list("points", flat=True))


@pytest.mark.parametrize("order", [["tea", "car"], ["car", "tea"]])
def test_of_a_discounted_bill_a_line_goes_back_as_its_share_of_what_was_paid(order: Sequence[str]) -> None:
    RuleFactory.create(code="all")
    RuleFactory.create(code="food", categories=["FOOD"], amount_basis="items", is_base=False)
    member = new_member()
    bought = buy(member, 80, items=[FOOD, TOYS])
    assert balance(member).available == 80 + 60

    lines = {order[0]: bring_back(bought, order[0])}
    assert balance(member).available == (32 if order[0] == "tea" else 48 + 60)
    lines[order[1]] = bring_back(bought, order[1])

    assert {sku: (line["amount_minor"], line["gross_minor"]) for sku, line in lines.items()} == {
        "tea": (4_800, 6_000),
        "car": (3_200, 4_000),
    }
    assert accounts(member) == {}


def test_money_back_for_a_line_of_a_discounted_bill_is_money_that_was_paid() -> None:
    RuleFactory.create(code="food", categories=["FOOD"], amount_basis="items")
    member = new_member()
    bought = buy(member, 80, items=[FOOD, TOYS])

    bring_back(bought, "tea", money=2_400)
    assert balance(member).available == 30
    with pytest.raises(bills.RefundExceedsLine) as refused:
        bring_back(bought, "tea", money=2_401)

    assert refused.value.facts == {"sku": "tea", "left": "24.00 CNY", "wanted": "24.01 CNY"}


def test_a_line_costs_what_it_says_where_more_was_paid_than_the_lines_add_up_to() -> None:
    bought = buy(new_member(), 120, items=[FOOD, TOYS])

    assert bring_back(bought, "tea") == {**FOOD, "quantity": 1}


def test_a_piece_costs_what_it_costs_after_money_went_back_for_its_line() -> None:
    member = new_member()
    bought = buy(member, 9, items=[{**FOOD, "quantity": 3, "amount_minor": 900}])

    bring_back(bought, "tea", money=300)
    pieces = [bring_back(bought, "tea", quantity=1)["amount_minor"] for _ in range(2)]

    assert pieces == [300, 300]
    with pytest.raises(bills.RefundExceedsLine):
        bring_back(bought, "tea", quantity=1)


def test_of_a_thing_sold_in_two_categories_what_is_left_goes_back() -> None:
    bought = buy(new_member(), 100, items=[FOOD, {**TOYS, "sku": "tea"}])

    assert [bring_back(bought, "tea")["category"] for _ in range(2)] == ["FOOD", "TOYS"]
    with pytest.raises(bills.RefundExceedsLine):
        bring_back(bought, "tea")


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_all_lines_in_any_pieces_and_order_end_at_the_books_of_the_whole(data: st.DataObject) -> None:
    """With a discount or without: a set of pieces is worth the same in any order, and all pieces all."""
    lines: list[dict[str, Any]] = [
        {
            "sku": f"line-{number}",
            "category": data.draw(st.sampled_from(["FOOD", "TOYS"])),
            "quantity": data.draw(st.integers(1, 3)),
            "amount_minor": data.draw(st.integers(20, 3_000)),
        }
        for number in range(data.draw(st.integers(1, 3)))
    ]
    total = sum(line["amount_minor"] for line in lines)
    paid = data.draw(st.integers(total // 2, total), label="paid")
    pieces = [line["sku"] for line in lines for _ in range(line["quantity"])]
    taken = data.draw(st.permutations(pieces))[: data.draw(st.integers(1, len(pieces)), label="pieces returned")]
    PointTypeFactory.create()  # stays, because its id is remembered
    with transaction.atomic():
        RuleFactory.create(code="base", per_minor=7)
        RuleFactory.create(code="food", categories=["FOOD"], amount_basis="items", per_minor=3)
        multiplier("1.7", code="more")
        who = new_member()
        bought = buy(who, 0, amount_minor=paid, items=lines)

        ends = []
        for order in (taken, taken[::-1], sorted(taken)):
            point = transaction.savepoint_create()
            amounts = [bring_back(bought, sku, quantity=1)["amount_minor"] for sku in order]
            ends.append((sum(amounts), accounts(who)))
            transaction.savepoint_rollback(point)

        assert ends[0] == ends[1] == ends[2]
        if len(taken) == len(pieces):
            assert ends[0] == (paid, {})
        transaction.set_rollback(True)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_points_that_paid_for_goods_come_back_with_the_goods_whatever_money_did(data: st.DataObject) -> None:
    """Any money from nothing to all, and points for the rest: points come back in the share of the goods."""
    lines: list[dict[str, Any]] = [
        {
            "sku": f"line-{number}",
            "category": data.draw(st.sampled_from(["FOOD", "TOYS"])),
            "quantity": data.draw(st.integers(1, 3)),
            "amount_minor": data.draw(st.integers(0, 3_000)),
        }
        for number in range(data.draw(st.integers(1, 4)))
    ]
    lines[0]["amount_minor"] += 1
    total = sum(line["amount_minor"] for line in lines)
    paid = data.draw(st.just(0) | st.integers(0, min(3, total)) | st.integers(0, total), label="paid")
    points = max(1, total - paid)
    pieces = data.draw(st.permutations([line["sku"] for line in lines for _ in range(line["quantity"])]))
    PointTypeFactory.create()  # stays, because its id is remembered
    with transaction.atomic():
        RuleFactory.create(code="base", per_minor=7)
        RuleFactory.create(code="food", categories=["FOOD"], amount_basis="items", per_minor=3)
        who = new_member()
        give(who, points)
        bought = buy(who, 0, amount_minor=paid, items=lines)
        common: dict[str, Any] = {"source": SOURCE, "actor": TESTER, "at": AT}
        reference = new_reference("spend")
        spending.spend(member=who, points=points, reference=reference, event_id=bought.pk, **common)

        for order in (pieces, pieces[::-1]):
            point = transaction.savepoint_create()
            gone = dict.fromkeys(pieces, 0)
            left = list(order)
            while left:
                sku, told = left[0], 1
                if data.draw(st.booleans(), label="all that is left of the line"):
                    told = left.count(sku)
                    bring_back(bought, sku)
                    left = [one for one in left if one != sku]
                else:
                    bring_back(bought, sku, quantity=1)
                    left.pop(0)
                gone[sku] += told
                goods = sum(line["amount_minor"] * gone[line["sku"]] // line["quantity"] for line in lines)
                assert restored(bought) == points * goods // total
                assert refunding.is_refunded(event=bought) == (not left)
            assert accounts(who) == {"issued": points, "available": points}
            with pytest.raises(refunding.AlreadyRefunded):
                refunding.refund(event=bought, reference=new_reference("back"), occurred_at=AT, **common)
            transaction.savepoint_rollback(point)
        transaction.set_rollback(True)
