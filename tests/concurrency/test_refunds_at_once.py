"""Real connections that commit: parts of one purchase refunded at once give its coupon back once."""

from collections.abc import Callable
from typing import Any

import pytest

from points import reports
from points.actions import holding
from points.actions import refunding as points_refunding
from points.actions.refunding import AlreadyRefunded
from points.models import COUPON_USES
from rewards.actions import coupons, refunding
from rewards.actions.refunding import RefundedPurchase
from rewards.models import CouponEvent
from tests.points.factories import AT, SOURCE, TESTER, RuleFactory, accounts, buy, give, new_member
from tests.rewards.factories import printed_coupon

from .racing import at_once, codes, winners

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_parts_that_complete_a_return_at_once_one_gives_the_coupon_back() -> None:
    RuleFactory.create()
    member, coupon = new_member(), printed_coupon()
    use: dict[str, Any] = {"amount_minor": 10_000, "currency": "CNY", "source": SOURCE, "actor": TESTER, "at": AT}
    coupons.redeem(code=coupon.code, reference="u-1", **use)
    bought = buy(member, 100, attributes={COUPON_USES: ["u-1"]})

    def part(number: int) -> RefundedPurchase:
        given: dict[str, Any] = {"source": SOURCE, "occurred_at": AT, "actor": TESTER, "at": AT}
        return refunding.refund(event=bought, reference=f"r-{number}", amount_minor=2_500, **given)

    results = at_once([lambda n=number: part(n) for number in range(6)])  # type: ignore[misc]

    won = winners(results)
    assert sorted(one.coupons for one in won) == [[], [], [], ["u-1"]]
    assert codes(results) == [AlreadyRefunded.code] * 2
    assert CouponEvent.objects.filter(coupon=coupon, to_state="rolled_back").count() == 1
    assert accounts(member) == {}
    assert not reports.check_books()


def test_of_a_capture_and_the_refund_of_what_it_pays_for_no_point_is_lost() -> None:
    RuleFactory.create()
    common: dict[str, Any] = {"source": SOURCE, "actor": TESTER, "at": AT}
    members = [new_member() for _ in range(12)]
    calls: list[Callable[[], object]] = []
    for member in members:
        give(member, 50)
        bought = buy(member, 100)
        held = holding.hold(member=member, points=50, reference=f"h-{member.pk}", **common).hold
        calls += [
            lambda h=held, b=bought: holding.capture(hold=h, reference=f"c-{h.pk}", event_id=b.pk, **common),  # type: ignore[misc]
            lambda b=bought: points_refunding.refund(event=b, reference=f"r-{b.pk}", occurred_at=AT, **common),  # type: ignore[misc]
        ]

    results = at_once(calls)

    assert set(codes(results)) <= {holding.EventRefunded.code}
    assert len(winners(results)) + len(codes(results)) == 24
    for member in members:
        assert accounts(member) in ({"issued": 50, "available": 50}, {"issued": 50, "held": 50})
    assert not reports.check_books()
