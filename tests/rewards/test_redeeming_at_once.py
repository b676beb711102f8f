"""Several connections that really commit: exactly one wins, and the losers' points are untouched."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum

from config.lib.errors import DomainError
from points.models import Balance, Entry
from points.reports import check_books
from rewards.actions import coupons, fulfilling, paying, redeeming
from rewards.actions.booking import Booking
from rewards.actions.coupons import CouponDone
from rewards.actions.redeeming import Redeemed
from rewards.models import Coupon, Redemption, Stock, StockMovement
from tests.members.factories import AT, TESTER

from .factories import (
    CouponRewardFactory,
    RewardFactory,
    ServiceRewardFactory,
    available,
    member_with,
    order,
    printed_coupon,
    stock,
)

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 6


def at_once[T](work: Callable[[int], T]) -> list[T | DomainError]:
    """Run the work in several threads that start together; refusals come back as values."""
    start = Barrier(AT_ONCE)

    def run(n: int) -> T | DomainError:
        try:
            start.wait(10)
            return work(n)
        except DomainError as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, range(AT_ONCE)))


def codes(results: list[object]) -> list[str]:
    return [result.code for result in results if isinstance(result, DomainError)]


def test_the_last_pieces_go_to_exactly_as_many_buyers() -> None:
    reward = RewardFactory.create()
    stock(reward, 2)
    buyers = [member_with(1_000) for _ in range(AT_ONCE)]

    results = at_once(
        lambda n: redeeming.redeem(
            member=buyers[n], reward=reward, source="shop", reference=f"r-{n}", actor=TESTER, at=AT
        )
    )

    assert codes(list(results)) == ["out_of_stock"] * (AT_ONCE - 2)
    assert Stock.objects.get().count == 0
    assert Redemption.objects.count() == 2
    assert StockMovement.objects.filter(pieces=-1).count() == 2
    assert StockMovement.objects.aggregate(all=Sum("pieces")) == {"all": 0}
    assert sorted(available(buyer) for buyer in buyers) == [0, 0] + [1_000] * (AT_ONCE - 2)
    assert check_books() == []


def test_the_last_points_of_a_member_buy_one_thing() -> None:
    member, reward = member_with(1_500), RewardFactory.create()

    results = at_once(
        lambda n: redeeming.redeem(
            member=member, reward=reward, source="shop", reference=f"r-{n}", actor=TESTER, at=AT
        )
    )

    assert codes(list(results)) == ["insufficient_points"] * (AT_ONCE - 1)
    assert available(member) == 500


def test_the_limit_of_a_member_holds_against_many_requests() -> None:
    member, reward = member_with(60_000), RewardFactory.create(per_member_limit=2)

    results = at_once(
        lambda n: redeeming.redeem(
            member=member, reward=reward, source="shop", reference=f"r-{n}", actor=TESTER, at=AT
        )
    )

    assert codes(list(results)) == ["limit_reached"] * (AT_ONCE - 2)
    assert available(member) == 58_000


def test_one_reference_sent_many_times_is_one_order() -> None:
    member, reward = member_with(60_000), CouponRewardFactory.create()

    results = at_once(
        lambda _n: redeeming.redeem(member=member, reward=reward, source="shop", reference="r-1", actor=TESTER, at=AT)
    )

    done = [result for result in results if isinstance(result, Redeemed)]
    assert len(done) == AT_ONCE, results
    assert len({one.redemption.pk for one in done}) == len({one.coupon.pk for one in done if one.coupon}) == 1
    assert sum(not one.replayed for one in done) == 1
    assert Balance.objects.get(member=member, point_type__code="points").redeemed == 100


def test_a_coupon_is_used_by_exactly_one_of_many() -> None:
    coupon = printed_coupon()

    results = at_once(
        lambda n: coupons.redeem(
            code=coupon.code,
            amount_minor=10_000,
            currency="CNY",
            source="till",
            reference=f"u-{n}",
            actor=TESTER,
            at=AT,
        )
    )

    assert codes(list(results)) == ["coupon_unusable"] * (AT_ONCE - 1)
    assert coupon.events.filter(to_state="redeemed").count() == 1


def test_one_use_sent_many_times_is_one_use() -> None:
    coupon = printed_coupon()

    results = at_once(
        lambda _n: coupons.redeem(
            code=coupon.code, amount_minor=10_000, currency="CNY", source="till", reference="u-1", actor=TESTER, at=AT
        )
    )

    uses = [result for result in results if isinstance(result, CouponDone)]
    assert len(uses) == AT_ONCE, results
    assert sum(not use.replayed for use in uses) == 1


def test_an_order_is_cancelled_by_exactly_one_of_many() -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    stock(reward, 1)
    redemption = order(member, reward)

    results = at_once(
        lambda n: redeeming.cancel(
            redemption=Redemption.objects.get(pk=redemption.pk),
            source="shop",
            reference=f"x-{n}",
            actor=TESTER,
            at=AT,
        )
    )

    assert codes(list(results)) == ["cannot_cancel"] * (AT_ONCE - 1)
    assert available(member) == 1_000
    assert Stock.objects.get().count == 1
    assert check_books() == []


def test_one_cancellation_sent_many_times_is_one_cancellation() -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    stock(reward, 1)
    redemption = order(member, reward)

    results = at_once(
        lambda _n: redeeming.cancel(
            redemption=Redemption.objects.get(pk=redemption.pk), source="shop", reference="x", actor=TESTER, at=AT
        )
    )

    done = [result for result in results if isinstance(result, Redeemed)]
    assert [len(done), sum(not one.replayed for one in done)] == [AT_ONCE, 1], results
    assert (available(member), Stock.objects.get().count) == (1_000, 1)
    assert Entry.objects.filter(kind="restoration").count() == 1
    assert check_books() == []


def test_an_order_is_shipped_or_cancelled_but_never_both() -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    stock(reward, 1)
    redemption = fulfilling.approve(redemption=order(member, reward), actor=TESTER, at=AT)

    def ship_or_cancel(n: int) -> str:
        own = Redemption.objects.get(pk=redemption.pk)
        if n % 2:
            fulfilling.ship(redemption=own, carrier="SF", tracking=f"SF{n}", actor=TESTER, at=AT)
            return "shipped"
        redeeming.cancel(redemption=own, source="shop", reference=f"x-{n}", actor=TESTER, at=AT)
        return "cancelled"

    results = at_once(ship_or_cancel)

    (winner,) = [result for result in results if isinstance(result, str)]
    redemption.refresh_from_db()
    left = (redemption.state, available(member), Stock.objects.get().count)
    assert left == (("shipped", 0, 0) if winner == "shipped" else ("cancelled", 1_000, 1))
    assert check_books() == []


def test_a_gift_comes_back_once_however_many_take_it_back() -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    stock(reward, 1)
    redemption = fulfilling.approve(redemption=order(member, reward), actor=TESTER, at=AT)
    fulfilling.ship(redemption=redemption, carrier="SF", tracking="SF1", actor=TESTER, at=AT)

    results = at_once(
        lambda _n: fulfilling.return_(redemption=Redemption.objects.get(pk=redemption.pk), actor=TESTER, at=AT)
    )

    assert codes(list(results)) == ["step_refused"] * (AT_ONCE - 1)
    assert (available(member), Stock.objects.get().count) == (1_000, 1)
    assert Entry.objects.filter(kind="restoration").count() == 1
    assert check_books() == []


def test_a_service_ends_in_one_way_whoever_is_first() -> None:
    member, soon = member_with(10_000), AT + timedelta(hours=1)
    redemption = order(member, ServiceRewardFactory.create(), booking=Booking(soon, "North hall"))

    def end(n: int) -> str:
        own = Redemption.objects.get(pk=redemption.pk)
        if n % 3 == 0:
            fulfilling.no_show(redemption=own, actor=TESTER, at=soon, restore=True, reason="ill")
        elif n % 3 == 1:
            fulfilling.write_off(code=own.pickup_code, actor=TESTER, at=soon)
        else:
            redeeming.cancel(redemption=own, source="shop", reference=f"x-{n}", actor=TESTER, at=soon, though_due=True)
        own.refresh_from_db()
        return own.state

    results = at_once(end)

    (ended,) = [result for result in results if isinstance(result, str)]
    assert ended in {"returned", "completed", "cancelled"}
    assert available(member) == (0 if ended == "completed" else 10_000)
    assert check_books() == []


def test_an_order_is_paid_by_exactly_one_of_many_receipts() -> None:
    redemption = order(member_with(10_000), ServiceRewardFactory.create(money_minor=500))

    results = at_once(
        lambda n: paying.record_payment(
            redemption=Redemption.objects.get(pk=redemption.pk),
            amount_minor=500,
            currency="CNY",
            source="till",
            reference=f"receipt-{n}",
            actor=TESTER,
            at=AT,
        )
    )

    assert codes(list(results)) == ["already_paid"] * (AT_ONCE - 1)
    assert redemption.changes.filter(topic="payment").count() == 1


def test_a_member_cancels_or_a_till_takes_the_money_but_never_both() -> None:
    member = member_with(10_000)
    redemption = order(member, ServiceRewardFactory.create(money_minor=500))

    def pay_or_cancel(n: int) -> str:
        by: dict[str, Any] = {"source": "shop", "actor": TESTER, "at": AT}
        own = Redemption.objects.get(pk=redemption.pk)
        if n % 2:
            paying.record_payment(redemption=own, amount_minor=500, currency="CNY", reference=f"p-{n}", **by)
            return "paid"
        redeeming.cancel(redemption=own, reference=f"x-{n}", unpaid_only=True, **by)
        return "cancelled"

    results = at_once(pay_or_cancel)

    (winner,) = [result for result in results if isinstance(result, str)]
    redemption.refresh_from_db()
    left = (redemption.state, redemption.paid_at, available(member))
    assert left == (("ready", AT, 0) if winner == "paid" else ("cancelled", None, 10_000))


def test_a_coupon_is_used_or_its_order_cancelled_but_never_both() -> None:
    member = member_with(100)
    redemption = order(member, CouponRewardFactory.create())
    coupon = redemption.coupon
    assert coupon is not None

    def use_or_cancel(n: int) -> str:
        if n % 2:
            coupons.redeem(
                code=coupon.code,
                amount_minor=10_000,
                currency="CNY",
                source="till",
                reference=f"u-{n}",
                actor=TESTER,
                at=AT,
            )
            return "used"
        own = Redemption.objects.get(pk=redemption.pk)
        redeeming.cancel(redemption=own, source="shop", reference=f"x-{n}", actor=TESTER, at=AT)
        return "cancelled"

    results = at_once(use_or_cancel)

    (winner,) = [result for result in results if isinstance(result, str)]
    redemption.refresh_from_db()
    states = (redemption.state, Coupon.objects.get(pk=coupon.pk).state, available(member))
    assert states == (("completed", "redeemed", 0) if winner == "used" else ("cancelled", "void", 100))


def test_a_write_off_code_is_written_off_by_exactly_one_of_many() -> None:
    redemption = order(member_with(10_000), ServiceRewardFactory.create())

    results = at_once(lambda _n: fulfilling.write_off(code=redemption.pickup_code, actor=TESTER, at=AT))

    assert sum(isinstance(result, Redemption) for result in results) == 1
    assert redemption.changes.filter(to_state="completed").count() == 1
