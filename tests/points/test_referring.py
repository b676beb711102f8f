"""A referral is paid for a friend who buys something and keeps it."""

from datetime import date

import pytest

from points.actions import refunding
from points.models import Event

from .factories import AT, SOURCE, TESTER, accounts, buy, fixed_rule, local, new_member, night

pytestmark = pytest.mark.django_db

TUESDAY = date(2026, 3, 10)


def test_a_purchase_of_nothing_is_no_referral() -> None:
    fixed_rule(100, event_types=["referral"])
    referrer = new_member()
    friend = new_member(referral_code=referrer.referral_code)
    buy(friend, 0)

    night(TUESDAY)
    assert accounts(referrer) == {}

    buy(friend, 1, occurred_at=local(2026, 3, 11, 12))
    night(date(2026, 3, 11))
    assert accounts(referrer) == {"issued": 100, "available": 100}


def test_a_purchase_refunded_in_full_is_no_referral_and_one_refunded_in_part_is() -> None:
    fixed_rule(100, event_types=["referral"])
    nothing, something = new_member(), new_member()
    for referrer, amounts in ((nothing, (600, 400)), (something, (600, 399))):
        bought = buy(new_member(referral_code=referrer.referral_code), 10)
        for amount in amounts:
            refunding.refund(
                event=bought,
                source=SOURCE,
                reference=f"{referrer.pk}-{amount}",
                occurred_at=AT,
                actor=TESTER,
                at=AT,
                amount_minor=amount,
            )

    steps = {report.name: report.counts for report in night(TUESDAY)}

    assert steps["referrals"] == {"referrals": 1}
    assert accounts(nothing) == {}
    assert accounts(something) == {"issued": 100, "available": 100}
    assert Event.objects.filter(type="referral").count() == 1
