"""Work for later does what its batch does, and twice is once."""

import pytest

from rewards import tasks
from rewards.models import Coupon
from tests.members.factories import AT

from .factories import CouponBatchFactory, RewardFactory, member_with, order, printed_coupon

pytestmark = pytest.mark.django_db


def test_a_batch_gets_its_codes_however_often_the_task_comes() -> None:
    batch = CouponBatchFactory.create(quantity=3)

    assert [tasks.issue_codes(batch.pk), tasks.issue_codes(batch.pk)] == [3, 0]
    assert Coupon.objects.filter(batch=batch).count() == 3


def test_an_order_that_was_not_paid_in_time_is_taken_back_once() -> None:
    order(member_with(1_000), RewardFactory.create(money_minor=500))

    assert [tasks.cancel_unpaid()["orders"] for _ in range(2)] == [1, 0]


def test_ended_coupons_are_said_to_be_ended_once() -> None:
    printed_coupon(expires_at=AT)

    assert [tasks.expire_coupons(), tasks.expire_coupons()] == [1, 0]
