"""The figures a night leaves: the same however often they are made, and of what was really bought."""

from datetime import date, datetime
from typing import Any

import pytest

from members.models import Member
from points import batches
from points.actions import refunding, spending
from points.models import DailyStatistic, Event, MemberMonth
from tests.members.factories import TierFactory

from .factories import AT, SOURCE, TESTER, RuleFactory, buy, give, local, new_member, night

pytestmark = pytest.mark.django_db

TUESDAY = date(2026, 3, 10)


def test_figures_made_again_are_the_same_after_the_member_rose() -> None:
    member = new_member()
    give(member, 10)
    night(TUESDAY)
    told = _statistics()

    member.tier = TierFactory.create(code="gold", rank=1, threshold=100)
    member.save()
    batches.roll_up(business_date=TUESDAY)

    assert _statistics() == told == [("adjustment", "", 1, 10)]


def _statistics() -> list[tuple[Any, ...]]:
    return list(DailyStatistic.objects.order_by("kind").values_list("kind", "tier", "entries", "points"))


def test_a_basket_is_one_purchase_of_a_category_however_many_lines_it_has() -> None:
    member = new_member()
    bought = _basket(member, ("DAIRY", 100), ("DAIRY", 200), ("TOYS", 300))
    _basket(member, ("DAIRY", 50))
    _refund(bought, AT, items=[{"sku": "1", "category": "DAIRY", "amount_minor": 100}])

    night(TUESDAY)

    assert _months(member) == {"": (2, 550), "DAIRY": (2, 250), "TOYS": (1, 300)}


def test_a_refund_of_an_amount_is_shared_among_the_categories_of_its_purchase() -> None:
    member = new_member()
    bought = _basket(member, ("DAIRY", 100), ("FRUIT", 100), ("TOYS", 101))
    _refund(bought, AT, amount_minor=100)

    night(TUESDAY)

    # floor(100 × 100 / 301) = 33 twice; the rest of the 100 falls on the largest.
    assert _months(member) == {"": (1, 201), "DAIRY": (1, 67), "FRUIT": (1, 67), "TOYS": (1, 67)}


@pytest.mark.parametrize(
    "refunds",
    [
        [{}],
        [{"amount_minor": 1}] * 5 + [{}],
        [{"items": [{"sku": "3", "category": "TOYS", "amount_minor": 101}]}, {"amount_minor": 3}, {}],
    ],
)
def test_refunds_in_any_parts_leave_nothing_of_any_category(refunds: list[dict[str, Any]]) -> None:
    member = new_member()
    bought = _basket(member, ("DAIRY", 100), ("FRUIT", 100), ("TOYS", 101))
    for given in refunds:
        _refund(bought, AT, **given)

    night(TUESDAY)

    assert _months(member) == {"": (1, 0), "DAIRY": (1, 0), "FRUIT": (1, 0), "TOYS": (1, 0)}


def test_a_refund_in_another_month_counts_there() -> None:
    member = new_member()
    bought = _basket(member, ("DAIRY", 100), ("", 100), at=local(2026, 2, 10))
    _refund(bought, AT, amount_minor=50)

    night(TUESDAY)

    assert _months(member) == {"": (0, -50), "DAIRY": (0, -25)}


def test_points_stand_with_the_money_they_were_earned_and_spent_with() -> None:
    RuleFactory.create()
    member = new_member()
    dollars = buy(member, 30, currency="USD")
    buy(member, 10, currency="CNY")
    buy(member, 5, currency="EUR", type="top_up")
    give(member, 1_000)
    spend: dict[str, Any] = {"member": member, "source": SOURCE, "actor": TESTER, "at": AT}
    spending.spend(points=7, reference="s-1", **spend)
    spending.spend(points=8, reference="s-2", event_id=dollars.pk, **spend)
    _refund(dollars, AT, amount_minor=1_000)

    night(TUESDAY)

    # A third of the dollars came back, with a third of the points spent on them; the top-up is no spending.
    assert _points(member) == {"CNY": (10 + 5, 7), "USD": (20, 8 - 2)}


def test_points_without_spending_stand_with_the_programmes_money_or_with_what_was_spent() -> None:
    RuleFactory.create()
    traveller, saver = new_member(), new_member()
    buy(traveller, 30, currency="USD")
    buy(traveller, 20, currency="GBP")
    spending.spend(member=traveller, points=7, source=SOURCE, reference="s", actor=TESTER, at=AT)
    buy(saver, 5, currency="USD", type="top_up")

    night(TUESDAY)

    assert _points(traveller) == {"GBP": (20, 7), "USD": (30, 0)}
    assert _points(saver) == {"": (5, 0)}


def test_months_built_day_by_day_are_those_built_at_once() -> None:
    RuleFactory.create()
    member = new_member()
    spend: dict[str, Any] = {"member": member, "source": SOURCE, "actor": TESTER}
    dollars = buy(member, 30, currency="USD")
    spending.spend(points=7, reference="s", at=AT, **spend)
    night(TUESDAY)
    assert _points(member) == {"USD": (30, 7)}
    later = local(2026, 3, 11, 12)
    buy(member, 10, currency="CNY", occurred_at=later)
    _refund(dollars, later, amount_minor=1_500)
    night(date(2026, 3, 11))
    built = _points(member)

    MemberMonth.objects.all().delete()
    batches.roll_up(business_date=TUESDAY)

    assert _points(member) == built == {"CNY": (10, 7), "USD": (15, 0)}


def _points(member: Member) -> dict[str, tuple[int, int]]:
    rows = MemberMonth.objects.filter(member=member, month=date(2026, 3, 1), category="")
    return {row.currency: (row.earned, row.redeemed) for row in rows}


def _basket(member: Member, *lines: tuple[str, int], at: datetime = AT) -> Event:
    items = [
        {"sku": str(number), "category": category, "quantity": 1, "amount_minor": amount}
        for number, (category, amount) in enumerate(lines, start=1)
    ]
    total = sum(amount for _category, amount in lines)
    return buy(member, 0, amount_minor=total, items=items, occurred_at=at)


def _refund(bought: Event, at: datetime, **given: Any) -> None:
    number = Event.objects.filter(refund_of=bought.pk).count()
    reference = f"refund-{bought.pk}-{number}"
    refunding.refund(event=bought, source=SOURCE, reference=reference, occurred_at=at, actor=TESTER, at=at, **given)


def _months(member: Member) -> dict[str, tuple[int, int]]:
    rows = MemberMonth.objects.filter(member=member, month=date(2026, 3, 1))
    return {row.category: (row.events, row.amount_minor) for row in rows}
