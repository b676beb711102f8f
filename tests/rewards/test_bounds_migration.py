"""Rewards that nobody could pay for come through the migration that says how much a price can be."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection

from rewards.models import Reward

from .factories import CouponRewardFactory, RewardFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _whole_again() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


@pytest.mark.usefixtures("_whole_again")
def test_prices_and_days_beyond_all_bounds_are_brought_to_them() -> None:
    gift, coupon, fine = RewardFactory.create(), CouponRewardFactory.create(), RewardFactory.create(money_minor=5)

    call_command("migrate", "rewards", "0005_once", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE rewards_reward SET points = 100000000000000000, points_by_tier = '{"gold": 1e30, "base": 7}',
            money_minor = 100000000000000000 WHERE id = %s""",
            [gift.pk],
        )
        cursor.execute("UPDATE rewards_reward SET coupon_valid_days = 3000000 WHERE id = %s", [coupon.pk])
    call_command("migrate", verbosity=0)

    gift, coupon, fine = (Reward.objects.get(pk=one.pk) for one in (gift, coupon, fine))
    assert (gift.points, gift.money_minor, gift.points_by_tier) == (10**12, 10**12, {"gold": 10**12, "base": 7})
    assert (coupon.coupon_valid_days, coupon.money_minor, coupon.points) == (36_500, None, 100)
    assert (fine.points, fine.money_minor, fine.coupon_valid_days, fine.points_by_tier) == (1_000, 5, None, {})
