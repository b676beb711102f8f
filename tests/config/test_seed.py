"""The programme everybody starts with: the seed article's rates, and campaigns that leave a plain purchase alone."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from config import seed
from config.lib import actor
from members.models import Member, Tier
from points.actions import awarding, catalogue
from points.actions.awarding import IncomingEvent
from points.models import Balance, EarningRule, PointType, ReferralProgramme, RuleStatus
from rewards.actions import redeeming
from rewards.models import Redemption, Reward, Stock
from tests.members.factories import MemberFactory
from tests.points.factories import local

pytestmark = pytest.mark.django_db
AT = local(2026, 3, 10, 12)  # a Tuesday
TESTER = actor.system("tests")


@pytest.fixture(autouse=True)
def _programme() -> None:
    catalogue.forget()
    seed.seed_programme()


def new_member(tier: str = "member") -> Member:
    return MemberFactory.create(tier=Tier.objects.get(code=tier))


def earned(member: Member, *, at: datetime = AT, source: str = "till", **columns: object) -> dict[str, int]:
    """Return what one event gives a member."""
    given = {"reference": f"r-{member.number}-{at}", "type": "purchase", "currency": "CNY", **columns}
    event = IncomingEvent(member_id=member.pk, occurred_at=at, **given)  # type: ignore[arg-type]
    return awarding.award(event=event, source=source, actor=TESTER, at=at).points


def test_1_yuan_of_a_plain_purchase_is_1_point_and_1_growth_and_nothing_else() -> None:
    for tier in ("member", "silver", "gold", "platinum"):
        member = new_member(tier)
        for day in range(7):
            moment = AT + timedelta(days=day)
            assert earned(member, at=moment, amount_minor=21_799) == {"points": 217, "growth": 217}, (tier, day)


def test_a_referral_is_100_points() -> None:
    assert earned(new_member(), type="referral", currency="", source="referral") == {"points": 100}


def test_what_is_earned_buys_a_coupon_a_gift_and_a_service() -> None:
    member = new_member()
    earned(member, amount_minor=1_100_000)
    earned(member, at=AT + timedelta(hours=1), type="referral", currency="", source="referral")

    for code, points in (("coupon-1", 100), ("gift-mug", 1_000), ("service-lounge", 10_000)):
        ordered = redeeming.redeem(
            member=member,
            reward=Reward.objects.get(code=code),
            source="till",
            reference=code,
            address="somewhere",
            actor=TESTER,
            at=AT + timedelta(hours=2),
        )
        assert ordered.redemption.points == points
        if ordered.coupon:
            assert (ordered.coupon.value_minor, ordered.coupon.currency) == (100, "CNY")

    assert Balance.objects.get(member=member, point_type__code="points").available == 0
    assert Redemption.objects.count() == 3


def test_every_campaign_on_purchases_is_bound_to_a_channel_a_store_or_a_category() -> None:
    for rule in EarningRule.objects.filter(is_base=False, event_types__contains=["purchase"]):
        assert rule.channels or rule.stores or rule.categories, rule.code


def test_campaigns_give_what_they_say() -> None:
    member, gold = new_member(), new_member("gold")
    saturday = AT + timedelta(days=4)
    fish = [{"sku": "1", "category": "SEAFOOD", "quantity": 1, "amount_minor": 5_000}]

    assert earned(member, amount_minor=1_000, channel="app") == {"points": 20 + 200, "growth": 10}
    assert earned(member, at=saturday, amount_minor=9_000, items=fish) == {"points": 90 + 25, "growth": 90}
    assert earned(gold, amount_minor=10_000, channel="in-store") == {"points": 100 + 50 + 50, "growth": 100}
    assert earned(gold, at=AT + timedelta(minutes=1), amount_minor=1_000, channel="in-store", store="406") == {
        "points": 20,
        "growth": 10,
    }


def test_a_foreign_currency_earns_once_it_is_let_in() -> None:
    member = new_member()
    assert earned(member, amount_minor=1_050, currency="USD") == {}

    seed.seed_currency("USD")
    seed.seed_currency("CNY")

    assert earned(member, at=AT + timedelta(hours=1), amount_minor=1_050, currency="USD") == {
        "points": 10,
        "growth": 10,
    }
    assert earned(member, at=AT + timedelta(hours=2), amount_minor=1_050) == {"points": 10, "growth": 10}


def test_seeding_again_makes_nothing_twice_and_keeps_what_staff_changed() -> None:
    Reward.objects.filter(code="gift-mug").update(points=1_200, name_en="Blue mug")
    PointType.objects.filter(code="points").update(cost_per_point=Decimal("0.02"))
    before = [model.objects.count() for model in (PointType, Tier, EarningRule, Reward, Stock)]

    seed.seed_programme()

    assert [model.objects.count() for model in (PointType, Tier, EarningRule, Reward, Stock)] == before
    assert Reward.objects.values_list("points", "name_en").get(code="gift-mug") == (1_200, "Blue mug")
    assert PointType.objects.get(code="points").cost_per_point == Decimal("0.02")


def test_everything_has_a_name_in_both_languages() -> None:
    for model in (PointType, Tier, EarningRule, Reward, ReferralProgramme):
        for names in model.objects.values_list("name_en", "name_zh_hans"):
            assert all(names), (model, names)


def test_a_rule_is_there_in_each_state_of_its_life_but_retired() -> None:
    states = set(EarningRule.objects.values_list("status", flat=True))

    assert states == {RuleStatus.ACTIVE, RuleStatus.SHADOW, RuleStatus.DRAFT}
    assert not EarningRule.objects.filter(status=RuleStatus.ACTIVE, budget__isnull=False).exists()
