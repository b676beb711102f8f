"""Real connections that try the same codes: exactly as many win as a code is good for, round after round."""

import multiprocessing
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections

from config.lib.errors import DomainError
from rewards import batches
from rewards.actions import coupons, guessing
from rewards.actions.coupons import CouponDone
from rewards.models import Coupon, CouponBatch, CouponGiving, CouponGuess, CouponReservation, CouponUse
from tests.members.factories import AT, TESTER, MemberFactory
from tests.rewards.factories import (
    CouponBatchFactory,
    CouponRewardFactory,
    available,
    codes_of,
    member_with,
    order,
    printed_coupon,
)

pytestmark = pytest.mark.django_db(transaction=True)

CONNECTIONS = 20
PURCHASE: dict[str, Any] = {"amount_minor": 10_000, "currency": "CNY", "source": "till", "actor": TESTER, "at": AT}


def try_all[T](tries: int, work: Callable[[int], T]) -> Counter[str]:
    """Make the tries over many connections that start together; how often each outcome came."""
    start = Barrier(CONNECTIONS)

    def run(first: int) -> list[str]:
        outcomes = []
        try:
            connection.ensure_connection()
            start.wait(30)
            for number in range(first, tries, CONNECTIONS):
                try:
                    work(number)
                    outcomes.append("done")
                except DomainError as refusal:
                    outcomes.append(refusal.code)
        finally:
            connection.close()
        return outcomes

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return Counter(outcome for outcomes in pool.map(run, range(CONNECTIONS)) for outcome in outcomes)


def use(coupon: Coupon, number: int, **given: Any) -> CouponDone:
    return coupons.redeem(code=coupon.code, reference=f"{coupon.code}-{number}", **PURCHASE | given)


def test_of_two_hundred_tries_on_one_coupon_exactly_one_wins() -> None:
    for _round in range(3):
        coupon = printed_coupon()

        outcomes = try_all(200, lambda number, coupon=coupon: use(coupon, number))  # type: ignore[misc]

        assert outcomes == {"done": 1, "coupon_unusable": 199}
        assert CouponUse.objects.filter(coupon=coupon).count() == 1


def test_a_code_of_fifty_uses_is_used_exactly_fifty_times_by_sixty_four_clients() -> None:
    for _round in range(3):
        coupon = printed_coupon(uses=50)

        outcomes = try_all(64, lambda number, coupon=coupon: use(coupon, number))  # type: ignore[misc]

        assert outcomes == {"done": 50, "coupon_unusable": 14}
        assert CouponUse.objects.filter(coupon=coupon).count() == 50
        assert Coupon.objects.get(pk=coupon.pk).state == "redeemed"


def test_carts_that_were_left_cost_none_of_many_at_once_a_use() -> None:
    coupon, late = printed_coupon(uses=10), AT + timedelta(minutes=20)
    for number in range(9):
        coupons.reserve(code=coupon.code, reference=f"cart-{number}", **PURCHASE)

    outcomes = try_all(CONNECTIONS, lambda number: use(coupon, number, at=late))

    assert outcomes == {"done": 10, "coupon_unusable": CONNECTIONS - 10}


def test_a_member_uses_a_printed_code_once_however_many_tills_try() -> None:
    coupon, members = printed_coupon(uses=500, uses_per_member=1), [MemberFactory.create() for _ in range(5)]

    outcomes = try_all(60, lambda number: use(coupon, number, member=members[number % 5]))

    assert outcomes == {"done": 5, "member_limit_reached": 55}


def test_one_coupon_that_cannot_be_combined_is_alone_on_its_bill() -> None:
    everything = [printed_coupon(combinable=bool(number % 2)) for number in range(CONNECTIONS)]

    try_all(CONNECTIONS, lambda number: use(everything[number], number, bill="b-1"))

    on_bill = [use.coupon.combinable for use in CouponUse.objects.select_related("coupon")]
    assert on_bill
    assert all(on_bill) or len(on_bill) == 1


def test_reserved_used_released_and_swept_at_once_the_counts_still_agree() -> None:
    coupon = printed_coupon(uses=8)
    late = AT + timedelta(minutes=20)

    def anything(number: int) -> None:
        kind, own = number % 5, f"cart-{number // 5 % 8}"
        common: dict[str, Any] = {"code": coupon.code, "reference": own}
        if kind == 0:
            coupons.reserve(**common, **PURCHASE)
        elif kind == 1:
            coupons.redeem(**common, **PURCHASE)
        elif kind == 2:
            coupons.release(**common, source="till", actor=TESTER, at=AT)
        elif kind == 3:
            batches.release_stale(at=late, actor=TESTER)
        else:
            coupons.rollback(**common, use=own, source="till", actor=TESTER, at=AT)

    try_all(200, anything)

    coupon.refresh_from_db()
    assert coupon.used == CouponUse.objects.standing().filter(coupon=coupon).count()
    assert coupon.held == CouponReservation.objects.filter(coupon=coupon, state="held").count()
    assert coupon.used + coupon.held <= coupon.uses


def _miss_in_a_process_of_its_own(times: int) -> int:
    connections.close_all()
    waits = [guessing.count_miss(door="client:till", at=AT) for _ in range(times)]
    connections.close_all()
    return waits.count(0)


def test_all_processes_share_one_count_of_wrong_codes(settings: Any) -> None:
    settings.LAUREL_COUPON_MISSES = 30
    connections.close_all()

    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("fork")) as pool:
        answered = list(pool.map(_miss_in_a_process_of_its_own, [25] * 4))

    assert sum(answered) == 30, answered
    assert CouponGuess.objects.get().misses == 100
    assert guessing.seconds_to_wait(door="client:till", at=AT) > 0


def test_a_batch_made_and_given_by_two_workers_at_once_is_made_and_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 7)
    batch: CouponBatch = CouponBatchFactory.create(quantity=40)
    members = [MemberFactory.create() for _ in range(12)]
    try_all(CONNECTIONS, lambda _number: batches.issue_codes(batch=batch, actor=TESTER, at=AT))
    giving = CouponGiving.objects.create(batch=batch, wanted=12, reason="x", created_by=TESTER, created_at=AT)

    try_all(CONNECTIONS, lambda _number: batches.give(giving=giving, actor=TESTER, at=AT))

    owners = Coupon.objects.filter(batch=batch, member__isnull=False).values_list("member_id", flat=True)
    assert Coupon.objects.filter(batch=batch).count() == 40
    assert sorted(owners) == sorted(member.pk for member in members)
    giving.refresh_from_db()
    assert (giving.given, giving.state) == (12, "done")


def test_two_givings_of_one_batch_at_once_give_every_member_one_code() -> None:
    batch: CouponBatch = CouponBatchFactory.create(quantity=40)
    codes_of(batch)
    members = [MemberFactory.create() for _ in range(12)]
    asked: dict[str, Any] = {"batch": batch, "wanted": 12, "reason": "x", "created_by": TESTER, "created_at": AT}
    givings = [CouponGiving.objects.create(**asked) for _ in range(CONNECTIONS)]

    try_all(CONNECTIONS, lambda number: batches.give(giving=givings[number], actor=TESTER, at=AT))

    owners = Coupon.objects.filter(batch=batch, member__isnull=False).values_list("member_id", flat=True)
    assert sorted(owners) == sorted(member.pk for member in members)
    assert set(CouponGiving.objects.values_list("state", flat=True)) == {"done"}


def test_the_last_codes_of_a_batch_go_to_exactly_as_many_buyers() -> None:
    batch = CouponBatchFactory.create(quantity=5)
    codes_of(batch)
    reward = CouponRewardFactory.create(coupon_value_minor=None, coupon_batch=batch)
    buyers = [member_with(100) for _ in range(CONNECTIONS)]

    outcomes = try_all(CONNECTIONS, lambda number: order(buyers[number], reward, reference=f"o-{number}"))

    assert outcomes == {"done": 5, "out_of_stock": CONNECTIONS - 5}
    assert len(set(batch.coupons.values_list("member_id", flat=True))) == 5
    assert sum(available(buyer) for buyer in buyers) == 100 * (CONNECTIONS - 5)


def test_two_files_with_the_same_codes_at_once_take_each_code_in_once() -> None:
    one, two = (CouponBatchFactory.create(origin="outside") for _ in range(2))
    rows = [(row, f"CODE{row}") for row in range(1, 51)]

    try_all(4, lambda number: batches.take_in(batch=(one, two)[number % 2], rows=rows, actor=TESTER, at=AT))

    assert Coupon.objects.count() == 50
    for batch in (one, two):
        batch.refresh_from_db()
        assert batch.made == batch.coupons.count()
