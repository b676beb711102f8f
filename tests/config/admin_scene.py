"""A programme in which every screen of the back office has rows to show, all made through actions."""

from datetime import timedelta
from itertools import count, pairwise
from typing import Any

from axes.models import AccessAttempt
from django.contrib.auth.models import Group

from members.actions import staffing, webhooks
from members.models import Member, User
from points.actions import catalogue, holding, referring, spending
from points.models import DailyStatistic, EarningRule, JobRun, ReferralProgramme
from tests.members.factories import TESTER, StaffFactory, TierFactory, client_key
from tests.points.factories import AT, RuleFactory, buy, event, fixed_rule, give, growth, local, new_member, take
from tests.rewards.factories import (
    CouponBatchFactory,
    CouponRewardFactory,
    RewardCategoryFactory,
    RewardFactory,
    RewardVariantFactory,
    codes_of,
    order,
    stock,
)
from tests.webhooks.factories import listener

_numbers = count(1)


def populate(rows: int) -> list[Member]:
    """Add that many rows, at least, to what every screen shows; the members among them."""
    catalogue.forget()
    _let_in(rows)
    members = [new_member(name="王小明", phone=f"139{next(_numbers):08d}") for _row in range(rows)]
    growth()
    _write_rules(rows)
    _earn_and_spend(members)
    _redeem(members)
    _remember_nights(rows)
    _invite(members)
    return members


def staff(*roles: str, **given: Any) -> User:
    """Return a person of the back office with exactly these roles."""
    staffing.ensure_staff_roles()
    user: User = StaffFactory.create(**{"is_superuser": False} | given)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def _write_rules(rows: int) -> None:
    for _row in range(rows):
        number = next(_numbers)
        EarningRule.objects.filter(code=f"base-{number}").exists() or fixed_rule(
            2, code=f"base-{number}", channels=["in-store"], cap_day=10_000, name_zh_hans="固定积分"
        )
        TierFactory.create()
    RuleFactory.create(code=f"draft-{next(_numbers)}", status="draft")


def _earn_and_spend(members: list[Member]) -> None:
    for member in members:
        number = next(_numbers)
        take(event(member, 100, channel="in-store", reference=f"scene-{number}"))
        give(member, 20_000)
        common: dict[str, Any] = {"member": member, "source": "till", "actor": TESTER, "at": AT}
        spending.spend(points=10, reference=f"spend-{number}", **common)
        holding.hold(points=10, reference=f"hold-{number}", **common)
        buy(member, 10, channel="online")


def _redeem(members: list[Member]) -> None:
    for member in members:
        gift, coupon = RewardFactory.create(category=RewardCategoryFactory.create()), CouponRewardFactory.create()
        variant = RewardVariantFactory.create(reward=gift)
        stock(gift, 10, variant)
        order(member, gift, variant=variant, address="上海市世纪大道 100 号")
        order(member, coupon)
        codes_of(CouponBatchFactory.create())


def _let_in(rows: int) -> None:
    for _row in range(rows):
        number = next(_numbers)
        client, _key = client_key(f"till-{number}")
        endpoint = listener(f"https://till-{number}.example.com/", "member.enrolled", client=client)
        webhooks.send_test(endpoint=endpoint, actor=TESTER, at=AT)
        StaffFactory.create().groups.add(Group.objects.create(name=f"role-{number}"))
        AccessAttempt.objects.create(username=f"nobody-{number}", ip_address="192.0.2.1", failures_since_start=1)


def _invite(members: list[Member]) -> None:
    """Let each have invited the next from the same device, which waits in quarantine; and terms for single days."""
    ReferralProgramme.objects.get_or_create(
        name_en="Now", defaults={"name_zh_hans": "现行方案", "valid_from": local(2020, 1, 1)}
    )
    for member, friend in pairwise(members):
        alike = {"device": f"device-{member.number}"}
        Member.objects.filter(pk__in=[member.pk, friend.pk]).update(attributes=alike)
        Member.objects.filter(pk=friend.pk).update(referred_by=member)
        referring.convert_referrals(actor=TESTER, at=AT, friends=[friend.pk])
    for _member in members:
        begins = local(1950, 1, 1) + timedelta(days=next(_numbers))
        ReferralProgramme.objects.create(
            name_en="A day", name_zh_hans="某日", valid_from=begins, valid_until=begins + timedelta(days=1)
        )


def _remember_nights(rows: int) -> None:
    rule = EarningRule.objects.latest("pk")
    for _row in range(rows):
        day = AT.date() - timedelta(days=next(_numbers))
        JobRun.objects.create(job="close", business_date=day, state="done", started_at=AT, finished_at=AT)
        DailyStatistic.objects.create(
            day=day, point_type="points", kind="accrual", rule_id=rule.pk, entries=1, points=100
        )
