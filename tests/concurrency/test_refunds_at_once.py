"""Real connections that commit: parts of one purchase refunded at once give its coupon back once."""

from typing import Any

import pytest

from points import reports
from points.actions.refunding import AlreadyRefunded
from points.models import COUPON_USES
from rewards.actions import coupons, refunding
from rewards.actions.refunding import RefundedPurchase
from rewards.models import CouponEvent
from tests.points.factories import AT, SOURCE, TESTER, RuleFactory, accounts, buy, new_member
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
