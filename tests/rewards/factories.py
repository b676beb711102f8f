"""Nouns of the rewards app for every test. Points are adjusted in, orders are redeemed: nothing is written by hand."""

from datetime import datetime
from itertools import count
from typing import Any

import factory

from members.models import Member
from points.actions import adjusting
from points.models import Balance, PointType
from rewards import batches
from rewards.actions import redeeming, stocking
from rewards.models import Coupon, CouponBatch, Redemption, Reward, RewardCategory, RewardVariant
from tests.members.factories import AT, TESTER, MemberFactory

_numbers = count(1)


class PointTypeFactory(factory.django.DjangoModelFactory[PointType]):
    """The points that rewards are priced in."""

    class Meta:
        model = PointType
        django_get_or_create = ("code",)

    code = "points"
    name_en = "Points"


class RewardFactory(factory.django.DjangoModelFactory[Reward]):
    """A gift of 1,000 points, or whatever is said."""

    class Meta:
        model = Reward

    code = factory.Sequence(lambda n: f"reward-{n}")
    kind = "gift"
    name_en = "Mug"
    name_zh_hans = "杯子"
    points = 1_000


class CouponRewardFactory(RewardFactory):
    """A coupon of 1 yuan for 100 points."""

    kind = "coupon"
    name_en = "1 yuan off"
    points = 100
    coupon_value_minor = 100
    coupon_valid_days = 30


class ServiceRewardFactory(RewardFactory):
    """A service of 10,000 points."""

    kind = "service"
    name_en = "Lounge"
    points = 10_000


class RewardCategoryFactory(factory.django.DjangoModelFactory[RewardCategory]):
    """A shelf of the catalogue."""

    class Meta:
        model = RewardCategory

    code = factory.Sequence(lambda n: f"category-{n}")
    name_en = "Kitchen"
    name_zh_hans = "厨房"


class RewardVariantFactory(factory.django.DjangoModelFactory[RewardVariant]):
    """A size of a reward."""

    class Meta:
        model = RewardVariant

    reward = factory.SubFactory(RewardFactory)
    code = factory.Sequence(lambda n: f"size-{n}")
    name_en = factory.LazyAttribute(lambda variant: variant.code)


class CouponBatchFactory(factory.django.DjangoModelFactory[CouponBatch]):
    """Printed coupons of 5 yuan; their codes are issued by `codes_of`."""

    class Meta:
        model = CouponBatch

    name = "Spring"
    quantity = 1
    value_minor = 500
    currency = "CNY"
    created_by = TESTER


def member_with(points: int, **given: Any) -> Member:
    """Return a member who has this many points."""
    PointTypeFactory.create()
    member: Member = MemberFactory.create(**given)
    if points:
        credit(member, points)
    return member


def credit(member: Member, points: int, *, at: datetime = AT) -> None:
    """Give points to a member."""
    adjusting.adjust(
        member=member, points=points, credit=True, reason="test", reference=f"c-{next(_numbers)}", actor=TESTER, at=at
    )


def stock(reward: Reward, pieces: int | None, variant: RewardVariant | None = None) -> None:
    """Count the pieces of a reward."""
    stocking.set_count(reward=reward, variant=variant, count=pieces, actor=TESTER, at=AT, reason="delivery")


def order(member: Member, reward: Reward, **given: Any) -> Redemption:
    """Redeem a reward and return the order."""
    asked: dict[str, Any] = {"source": "shop", "reference": f"o-{next(_numbers)}", "actor": TESTER, "at": AT} | given
    return redeeming.redeem(member=member, reward=reward, **asked).redemption


def codes_of(batch: CouponBatch) -> list[Coupon]:
    """Issue the codes of a batch and return its coupons."""
    batches.issue_codes(batch=batch, actor=TESTER, at=AT)
    return list(Coupon.objects.filter(batch=batch).order_by("id"))


def printed_coupon(**terms: Any) -> Coupon:
    """Return one coupon that belongs to nobody."""
    (coupon,) = codes_of(CouponBatchFactory.create(**terms))
    return coupon


def available(member: Member) -> int:
    """Return what the member can spend."""
    return Balance.objects.get(member=member, point_type__code="points").available
