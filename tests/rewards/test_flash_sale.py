"""Sixty-four clients and too few pieces: exactly as many are sold, and nobody waits for somebody else's Python."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.test import Client

from config.lib.errors import DomainError
from members.models import Member
from points.reports import check_books
from rewards.actions import redeeming, stocking
from rewards.models import Redemption, Reward, Stock, StockMovement
from tests.concurrency.racing import at_once
from tests.members.factories import AT, TESTER, sign_in_for

from .factories import CouponRewardFactory, RewardFactory, available, member_with, stock

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 64
PRICE = 10


def sell(reward: Reward, members: list[Member], orders_each: int, round_: str = "") -> list[list[str]]:
    """Let each member order again and again, all at once; what came of each order, member by member."""

    def buy(member: Member) -> Callable[[], list[str]]:
        return lambda: [_order(reward, member, f"{round_}{member.number}-{n}") for n in range(orders_each)]

    results = at_once([buy(member) for member in members])
    return [result for result in results if not isinstance(result, DomainError)]


def _order(reward: Reward, member: Member, reference: str) -> str:
    try:
        redeeming.redeem(member=member, reward=reward, source="shop", reference=reference, actor=TESTER, at=AT)
    except DomainError as refusal:
        return refusal.code
    return "sold"


def assert_sold_exactly(pieces: int, members: list[Member], points: int, results: list[list[str]]) -> None:
    outcomes = [outcome for each in results for outcome in each]
    assert outcomes.count("sold") == pieces
    assert set(outcomes) <= {"sold", "out_of_stock"}
    assert Redemption.objects.count() == pieces
    assert Stock.objects.get().count == 0
    assert StockMovement.objects.aggregate(all=Sum("pieces")) == {"all": 0}
    assert StockMovement.objects.filter(pieces=-1).count() == pieces
    spent = [PRICE * each.count("sold") for each in results]
    assert [available(member) for member in members] == [points - one for one in spent]
    assert check_books() == []


@pytest.mark.parametrize(("pieces", "orders_each"), [(100, 2), pytest.param(1_000, 17, marks=pytest.mark.slow)])
def test_a_flash_sale_sells_exactly_what_there_is(pieces: int, orders_each: int) -> None:
    reward, points = RewardFactory.create(points=PRICE), PRICE * orders_each
    stock(reward, pieces)
    members = [member_with(points) for _ in range(CLIENTS)]

    results = sell(reward, members, orders_each)

    assert_sold_exactly(pieces, members, points, results)


def test_the_last_fifty_gifts_go_to_fifty_round_after_round() -> None:
    reward = RewardFactory.create(points=PRICE)
    members = [member_with(3 * PRICE) for _ in range(CLIENTS)]
    results: list[list[str]] = [[] for _ in members]

    for round_ in range(3):
        stock(reward, 50)
        outcomes = sell(reward, members, 1, round_=f"{round_}-")
        assert sum(each == ["sold"] for each in outcomes) == 50
        assert Stock.objects.get().count == 0
        results = [before + now for before, now in zip(results, outcomes, strict=True)]

    assert_sold_exactly(150, members, 3 * PRICE, results)


def test_the_stock_is_free_again_before_python_hears_that_it_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    reward, member = RewardFactory.create(), member_with(1_000)
    stock(reward, 2)
    seen: list[Any] = []
    really = redeeming.Redeemed

    def look_at_the_stock() -> int | None:
        with transaction.atomic():
            return Stock.objects.select_for_update(nowait=True).get().count

    def answer(*values: Any, **named: Any) -> Any:
        seen.extend(at_once([look_at_the_stock]))
        return really(*values, **named)

    monkeypatch.setattr(redeeming, "Redeemed", answer)
    done = redeeming.redeem(member=member, reward=reward, source="shop", reference="r", actor=TESTER, at=AT)
    redeeming.cancel(redemption=done.redemption, source="shop", reference="c", actor=TESTER, at=AT)

    assert seen == [1, 2]


def test_nothing_is_said_to_the_database_after_the_stock_was_taken() -> None:
    reward, member = CouponRewardFactory.create(), member_with(1_000)
    stock(reward, 2)
    said: list[str] = []

    def listen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        said.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        done = redeeming.redeem(member=member, reward=reward, source="shop", reference="r", actor=TESTER, at=AT)
        assert done.redemption.coupon == done.coupon

    (place,) = [number for number, sql in enumerate(said) if "UPDATE rewards_stock" in sql]
    assert place == len(said) - 1
    assert said[place].rstrip().endswith("; COMMIT")


def test_within_a_transaction_of_somebody_else_the_end_is_theirs() -> None:
    reward, member = RewardFactory.create(), member_with(1_000)
    stock(reward, 1)

    def order_and_fail() -> None:
        redeeming.redeem(member=member, reward=reward, source="shop", reference="r", actor=TESTER, at=AT)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        transaction.atomic(order_and_fail)()

    assert available(member) == 1_000
    assert Stock.objects.get().count == 1
    assert not Redemption.objects.exists()


def test_a_page_of_the_portal_takes_the_stock_in_the_same_way() -> None:
    reward, member = RewardFactory.create(code="mug"), member_with(1_000)
    stock(reward, 1)
    browser = Client()
    browser.force_login(sign_in_for(member))
    given = {"reference": "0" * 32, "points": "1000", "quantity": "1", "delivery": "pick_up"}

    answers = [browser.post("/rewards/mug/redeem/", given | {"reference": str(n) * 32}) for n in range(2)]

    assert [answer.status_code for answer in answers] == [302, 422]
    assert Stock.objects.get().count == 0
    assert available(member) == 0


def test_pieces_go_round_between_buyers_and_those_who_cancel() -> None:
    reward = RewardFactory.create(points=PRICE)
    stock(reward, 5)
    members = [member_with(PRICE) for _ in range(16)]

    def buy_and_cancel(member: Member) -> Callable[[], None]:
        def work() -> None:
            for n in range(4):
                if _order(reward, member, f"{member.number}-{n}") == "sold":
                    own = Redemption.objects.filter(member=member).latest("id")
                    redeeming.cancel(redemption=own, source="shop", reference=f"x-{own.pk}", actor=TESTER, at=AT)

        return work

    results = at_once([buy_and_cancel(member) for member in members])

    assert results == [None] * 16
    assert Stock.objects.get().count == 5
    assert StockMovement.objects.aggregate(all=Sum("pieces")) == {"all": 5}
    assert [available(member) for member in members] == [PRICE] * 16
    assert stocking.add(reward=reward, pieces=-5, actor=TESTER, at=AT).count == 0
    assert check_books() == []
