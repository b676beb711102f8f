"""What a member sees of the catalogue: the price, and every reason against a reward."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import translation

from members.models import Member
from rewards import reports
from rewards.models import Reward
from rewards.reports import Offer
from tests.members.factories import AT, MemberFactory, TierFactory

from .factories import (
    CouponRewardFactory,
    PointTypeFactory,
    RewardCategoryFactory,
    RewardFactory,
    RewardVariantFactory,
    ServiceRewardFactory,
    member_with,
    order,
    stock,
)

pytestmark = pytest.mark.django_db


def offers(member: Member | None = None, **given: Any) -> dict[str, Offer]:
    return {offer.reward.code: offer for offer in reports.catalogue(**{"member": member, "at": AT} | given)}


def reasons(reward: Reward, member: Member | None = None) -> list[str]:
    return [code for code, _ in offers(member)[reward.code].reasons]


def test_it_lists_what_is_offered_cheapest_first_and_by_kind() -> None:
    service, coupon, gift = ServiceRewardFactory.create(), CouponRewardFactory.create(), RewardFactory.create()
    RewardFactory.create(is_active=False)
    RewardFactory.create(valid_until=AT)

    assert list(offers()) == [coupon.code, gift.code, service.code]
    assert list(offers(kind="service")) == [service.code]


def test_it_lists_one_shelf() -> None:
    kitchen = RewardCategoryFactory.create(code="kitchen")
    mug, other = RewardFactory.create(category=kitchen), RewardFactory.create()

    assert list(offers(category="kitchen")) == [mug.code]
    assert list(offers(category="garden")) == []
    assert set(offers()) == {mug.code, other.code}


def test_a_limit_of_the_day_is_told_as_one_and_is_gone_tomorrow() -> None:
    member, reward = member_with(3_000), RewardFactory.create(limit_day=1, per_member_limit=9)
    order(member, reward)

    (told,) = offers(member)[reward.code].reasons

    assert told == ("limit_reached", "A member can have 1 of this reward a day and you have had 1 today.")
    assert offers(member, at=AT + timedelta(days=1))[reward.code].available


def test_without_a_member_a_reward_costs_its_price_and_only_its_own_reasons_count() -> None:
    reward = RewardFactory.create(tiers=["gold"], per_member_limit=1, points_by_tier={"gold": 900})

    offer = offers()[reward.code]

    assert (offer.points, offer.available, offer.reasons, offer.left) == (1_000, True, [], None)


def test_a_member_sees_the_price_of_the_tier() -> None:
    TierFactory.create(code="gold")
    reward = RewardFactory.create(points_by_tier={"gold": 900})

    assert offers(member_with(900, tier="gold"))[reward.code].points == 900
    assert offers(member_with(900, tier="gold"))[reward.code].available


def test_too_few_points_are_told_with_both_numbers() -> None:
    member, reward = member_with(320), RewardFactory.create(points=500)

    offer = offers(member)[reward.code]

    assert offer.reasons == [("insufficient_points", "500 points are needed and 320 are available.")]
    assert not offer.available


def test_points_past_their_end_do_not_count_though_the_night_has_not_taken_them() -> None:
    PointTypeFactory.create(expiry_policy="days", expiry_value=30)
    member, reward = member_with(1_000), RewardFactory.create()

    assert offers(member)[reward.code].available
    assert not offers(member, at=AT + timedelta(31))[reward.code].available


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"valid_from": AT + timedelta(1)}, "not_yet"),
        ({"tiers": ["gold"]}, "tier_too_low"),
        ({"segments": ["staff"]}, "not_in_segment"),
    ],
)
def test_a_reward_that_is_not_for_the_member_now_says_why(terms: dict[str, Any], code: str) -> None:
    assert reasons(RewardFactory.create(**terms), member_with(1_000)) == [code]


def test_tiers_are_told_by_name_in_the_language_of_the_reader() -> None:
    TierFactory.create(code="gold", name_en="Gold", name_zh_hans="金卡会员")
    member, reward = member_with(1_000), RewardFactory.create(tiers=["gold"])

    with translation.override("zh-hans"):
        offer = offers(member)[reward.code]
        name = str(offer.reward)

    assert "金卡会员" in offer.reasons[0][1]
    assert name == "杯子"


def test_an_empty_shelf_and_a_reached_limit_are_told() -> None:
    member, reward = member_with(3_000), RewardFactory.create(per_member_limit=1)
    stock(reward, 1)
    order(member, reward)

    assert reasons(reward, member) == ["limit_reached", "out_of_stock"]
    assert reasons(reward) == ["out_of_stock"]


def test_all_reasons_are_told_at_once() -> None:
    member = MemberFactory.create(status="suspended")
    reward = RewardFactory.create(tiers=["gold"], valid_from=AT + timedelta(1))
    stock(reward, 0)

    assert reasons(reward, member) == [
        "not_yet",
        "member_not_active",
        "tier_too_low",
        "out_of_stock",
        "insufficient_points",
    ]


def test_variants_are_offered_with_what_is_left_of_each() -> None:
    reward = RewardFactory.create()
    small = RewardVariantFactory.create(reward=reward, code="s")
    large = RewardVariantFactory.create(reward=reward, code="l")
    RewardVariantFactory.create(reward=reward, code="old", is_active=False)
    stock(reward, 0, small)
    stock(reward, 3, large)

    offer = offers()[reward.code]

    assert [(one.variant.code, one.left, one.available) for one in offer.variants] == [("s", 0, False), ("l", 3, True)]
    assert (offer.left, offer.available) == (3, True)
    stock(reward, 0, large)
    assert reasons(reward) == ["out_of_stock"]


def test_a_count_that_variants_share_is_told_for_each_and_added_once() -> None:
    reward = RewardFactory.create()
    for code in ("s", "m", "l"):
        RewardVariantFactory.create(reward=reward, code=code)
    stock(reward, 2)
    stock(reward, 5, reward.variants.get(code="l"))

    offer = offers()[reward.code]

    assert [(one.variant.code, one.left) for one in offer.variants] == [("s", 2), ("m", 2), ("l", 5)]
    assert offer.left == 7
    stock(reward, 0)
    stock(reward, 0, reward.variants.get(code="l"))
    assert reasons(reward) == ["out_of_stock"]


def test_the_number_of_statements_does_not_grow_with_the_catalogue(
    django_assert_max_num_queries: Callable[[int], Any],
) -> None:
    member = member_with(1_000)
    for _ in range(12):
        RewardVariantFactory.create(reward=RewardFactory.create(per_member_limit=1, tiers=["gold"]))
    member = Member.objects.select_related("tier").get(pk=member.pk)

    with django_assert_max_num_queries(8):
        assert len(reports.catalogue(member=member, at=AT)) == 12
