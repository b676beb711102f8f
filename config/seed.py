"""The programme everybody starts with: kinds of points, tiers, rules and rewards at the seed article's rates.

One unit of the programme's currency (1 yuan) of purchase gives 1 point and 1 growth, a referral 100 points; 100 points
are a coupon of 1 yuan, 1,000 a gift, 10,000 a service. A campaign on purchases is always bound to a channel, a store
or a category, whatever else it asks, so that a plain purchase earns the seed's rate and nothing else.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from config.lib import actor, money
from members.actions import staffing
from members.models import Tier
from points import calendar
from points.models import (
    AmountBasis,
    AwardKind,
    EarningRule,
    EventType,
    ExpiryPolicy,
    PointType,
    ReferralProgramme,
    RuleStatus,
)
from rewards.actions import stocking
from rewards.models import Reward, RewardCategory, RewardKind, RewardVariant

#: Long before any business fact that might be imported.
BEGINNING = datetime(2000, 1, 1, tzinfo=calendar.zone())

IN_STORE, APP, ONLINE = "in-store", "app", "online"

_POINT_TYPES: dict[str, dict[str, Any]] = {
    "points": {
        "name_en": "Points",
        "name_zh_hans": "积分",
        "is_redeemable": True,
        "expiry_policy": ExpiryPolicy.MONTHS_END,
        "expiry_value": 12,
        "cost_per_point": "0.01",
    },
    "growth": {"name_en": "Growth", "name_zh_hans": "成长值", "is_redeemable": False, "is_qualifying": True},
}
_TIERS: dict[str, dict[str, Any]] = {
    "member": {"name_en": "Member", "name_zh_hans": "普通会员", "rank": 0, "threshold": 0},
    "silver": {"name_en": "Silver", "name_zh_hans": "银卡会员", "rank": 1, "threshold": 1_000},
    "gold": {"name_en": "Gold", "name_zh_hans": "金卡会员", "rank": 2, "threshold": 5_000},
    "platinum": {"name_en": "Platinum", "name_zh_hans": "白金会员", "rank": 3, "threshold": 15_000},
}
_PURCHASE = [EventType.PURCHASE]
_RULES: dict[str, dict[str, Any]] = {
    "referral": {
        "name_en": "Invite a friend: 100 points",
        "name_zh_hans": "推荐好友得 100 积分",
        "event_types": [EventType.REFERRAL],
        "award_kind": AwardKind.FIXED,
        "points": 100,
        "is_base": False,
        "cap_day": 1_000,
    },
    # The friend's side, for programmes that want it: the event a referral makes for whoever was invited.
    "referral-friend": {
        "name_en": "Invited by a friend: 50 points",
        "name_zh_hans": "受邀好友得 50 积分",
        "event_types": [EventType.CUSTOM],
        "attributes_contain": {"referral": True, "role": "friend"},
        "award_kind": AwardKind.FIXED,
        "points": 50,
        "is_base": False,
        "cap_lifetime": 50,
        "status": RuleStatus.DRAFT,
    },
    "review": {
        "name_en": "Write a review",
        "name_zh_hans": "发表评价",
        "event_types": [EventType.REVIEW],
        "award_kind": AwardKind.FIXED,
        "points": 10,
        "is_base": False,
        "cap_day": 30,
    },
    "daily-sign-in": {
        "name_en": "Daily sign-in",
        "name_zh_hans": "每日签到",
        "event_types": [EventType.SIGN_IN],
        "award_kind": AwardKind.FIXED,
        "points": 2,
        "is_base": False,
        "cap_day": 2,
    },
    "event-attendance": {
        "name_en": "Take part in an event",
        "name_zh_hans": "参加活动",
        "event_types": [EventType.EVENT_ATTENDANCE],
        "award_kind": AwardKind.FIXED,
        "points": 50,
        "is_base": False,
        "cap_month": 200,
        "expiry_policy": ExpiryPolicy.DAYS,
        "expiry_value": 30,
    },
    "app-double": {
        "name_en": "Double points in the app",
        "name_zh_hans": "App 下单双倍积分",
        "event_types": _PURCHASE,
        "channels": [APP],
        "award_kind": AwardKind.MULTIPLIER,
        "points": 2,
        "is_base": False,
        "cap_day": 500,
        "pending_days": 7,
        "stacking_group": "channel",
        "priority": 10,
    },
    "first-online": {
        "name_en": "Welcome: first purchase online",
        "name_zh_hans": "线上首单礼",
        "event_types": _PURCHASE,
        "channels": [ONLINE, APP],
        "first_ever": True,
        "award_kind": AwardKind.FIXED,
        "points": 200,
        "is_base": False,
        "cap_lifetime": 200,
        "pending_days": 7,
    },
    "fresh-weekend": {
        "name_en": "Fresh weekend: half a point more on fresh food",
        "name_zh_hans": "周末生鲜加赠：每元多得 0.5 积分",
        "event_types": _PURCHASE,
        "categories": ["PRODUCE", "SEAFOOD", "MEAT", "FRESH"],
        "weekdays": [6, 7],
        "award_kind": AwardKind.RATE,
        "points": "0.5",
        "amount_basis": AmountBasis.ITEMS,
        "is_base": False,
        "cap_month": 100,
        "expiry_policy": ExpiryPolicy.DAYS,
        "expiry_value": 60,
    },
    "tuesday-stores": {
        "name_en": "Tuesday in selected stores: double points",
        "name_zh_hans": "周二指定门店双倍积分",
        "event_types": _PURCHASE,
        "stores": ["356", "367", "406"],
        "weekdays": [2],
        "award_kind": AwardKind.MULTIPLIER,
        "points": 2,
        "is_base": False,
        "cap_week": 200,
        "stacking_group": "in-store",
        "priority": 10,
    },
    "gold-in-store": {
        "name_en": "Gold and platinum in store: half as much again",
        "name_zh_hans": "金卡及以上到店 1.5 倍积分",
        "event_types": _PURCHASE,
        "channels": [IN_STORE],
        "tiers": ["gold", "platinum"],
        "award_kind": AwardKind.MULTIPLIER,
        "points": "1.5",
        "is_base": False,
        "cap_month": 1_000,
        "stacking_group": "in-store",
        "priority": 5,
    },
    "big-basket": {
        "name_en": "Big basket: 50 points from 100 on",
        "name_zh_hans": "到店满 100 加赠 50 积分",
        "event_types": _PURCHASE,
        "channels": [IN_STORE],
        "amount_from_minor": 10_000,
        "award_kind": AwardKind.FIXED,
        "points": 50,
        "is_base": False,
        "cap_day": 50,
        "cap_month": 150,
        "pending_days": 7,
        "expiry_policy": ExpiryPolicy.DAYS,
        "expiry_value": 90,
    },
    "fuel-trial": {
        "name_en": "Fuel: a point per 2 (on trial)",
        "name_zh_hans": "加油每 2 元 1 积分（试运行）",
        "event_types": _PURCHASE,
        "categories": ["FUEL"],
        "award_kind": AwardKind.RATE,
        "points": 1,
        "per_minor": 200,
        "amount_basis": AmountBasis.ITEMS,
        "is_base": False,
        "cap_month": 200,
        "status": RuleStatus.SHADOW,
    },
    # A budget is one row that every award waits for, so the one rule that has one is a draft.
    "singles-day": {
        "name_en": "Singles' day online: triple points",
        "name_zh_hans": "双十一线上三倍积分",
        "event_types": _PURCHASE,
        "channels": [ONLINE, APP],
        "award_kind": AwardKind.MULTIPLIER,
        "points": 3,
        "is_base": False,
        "cap_day": 2_000,
        "budget": 1_000_000,
        "stacking_group": "channel",
        "status": RuleStatus.DRAFT,
    },
}
_CATEGORIES: dict[str, dict[str, Any]] = {
    "vouchers": {"name_en": "Vouchers", "name_zh_hans": "优惠", "position": 1},
    "home": {"name_en": "For the home", "name_zh_hans": "居家", "position": 2},
    "leisure": {"name_en": "Travel and leisure", "name_zh_hans": "出行休闲", "position": 3},
}
_ON_SHELF = {RewardKind.COUPON: "vouchers", RewardKind.GIFT: "home", RewardKind.SERVICE: "leisure"}
_REWARDS: dict[str, dict[str, Any]] = {
    "coupon-1": {
        "kind": RewardKind.COUPON,
        "name_en": "Coupon of 1 yuan",
        "name_zh_hans": "1 元优惠券",
        "description_en": "1 yuan off any purchase, good for 90 days.",
        "description_zh_hans": "任意消费立减 1 元，90 天内有效。",
        "points": 100,
        "coupon_value_minor": 100,
        "coupon_valid_days": 90,
    },
    "coupon-20": {
        "kind": RewardKind.COUPON,
        "name_en": "Coupon of 20 yuan",
        "name_zh_hans": "20 元优惠券",
        "description_en": "20 yuan off a purchase of 100 yuan or more, good for 60 days.",
        "description_zh_hans": "消费满 100 元立减 20 元，60 天内有效。",
        "points": 1_900,
        "points_by_tier": {"gold": 1_800, "platinum": 1_700},
        "coupon_value_minor": 2_000,
        "coupon_minimum_minor": 10_000,
        "coupon_valid_days": 60,
    },
    "gift-mug": {
        "kind": RewardKind.GIFT,
        "name_en": "Stoneware mug",
        "name_zh_hans": "粗陶马克杯",
        "description_en": "350 ml, glazed by hand; sent to your address.",
        "description_zh_hans": "350 毫升，手工上釉，快递到家。",
        "points": 1_000,
    },
    "gift-tote": {
        "kind": RewardKind.GIFT,
        "name_en": "Canvas tote bag",
        "name_zh_hans": "帆布手提袋",
        "description_en": "Heavy cotton with an inner pocket; two at most for each member.",
        "description_zh_hans": "厚棉帆布，带内袋；每位会员限兑两件。",
        "points": 2_500,
        "per_member_limit": 2,
    },
    "gift-teapot": {
        "kind": RewardKind.GIFT,
        "name_en": "Teapot with two cups",
        "name_zh_hans": "一壶两杯茶具",
        "description_en": "Points and money together: you pay the rest at the till. One a month for each member.",
        "description_zh_hans": "积分加现金兑换，余款到店支付；每位会员每月限兑一套。",
        "points": 1_500,
        "money_minor": 5_900,
        "limit_month": 1,
    },
    "service-tasting": {
        "kind": RewardKind.SERVICE,
        "name_en": "Tea tasting for two",
        "name_zh_hans": "双人品茶会",
        "description_en": "An afternoon for gold and platinum members; show the code at the door.",
        "description_zh_hans": "金卡及以上会员专享的下午茶会，凭核销码入场。",
        "points": 3_000,
        "tiers": ["gold", "platinum"],
        "booking_places": ["静安茶室", "徐汇茶室"],
    },
    "service-lounge": {
        "kind": RewardKind.SERVICE,
        "name_en": "Airport lounge, one visit",
        "name_zh_hans": "机场贵宾厅一次",
        "description_en": "One visit with one guest; show the code at the desk.",
        "description_zh_hans": "可携一位同伴，凭核销码入场。",
        "points": 10_000,
        "booking_places": ["浦东机场二号航站楼", "虹桥机场二号航站楼"],
    },
}
_VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "gift-tote": {
        "natural": {"name_en": "Natural", "name_zh_hans": "本白"},
        "green": {"name_en": "Green", "name_zh_hans": "墨绿"},
    },
}
_PIECES = {"gift-mug": 500, "gift-tote": 60, "gift-teapot": 40}


@transaction.atomic
def seed_programme(*, delivered_at: datetime | None = None) -> None:
    """Make whatever of the starting programme is missing; what staff have changed since stays as they left it.

    `delivered_at` is when the first pieces came: now, unless a past is to be told.
    """
    staffing.ensure_staff_roles()
    for code, columns in _POINT_TYPES.items():
        PointType.objects.get_or_create(code=code, defaults=columns)
    for code, columns in _TIERS.items():
        Tier.objects.get_or_create(code=code, defaults=columns)
    _seed_base_rules("purchase", settings.LAUREL_CURRENCY, "Purchases", "消费")
    for code, columns in _RULES.items():
        _seed_rule(code, columns)
    for code, columns in _CATEGORIES.items():
        RewardCategory.objects.get_or_create(code=code, defaults=columns)
    for code, columns in _REWARDS.items():
        shelf = RewardCategory.objects.get(code=_ON_SHELF[columns["kind"]])
        _seed_reward(code, columns | {"category": shelf}, delivered_at or timezone.now())
    if not ReferralProgramme.objects.exists():
        ReferralProgramme.objects.create(
            name_en="A friend's first purchase", name_zh_hans="好友首次消费", valid_from=BEGINNING
        )


@transaction.atomic
def seed_currency(currency: str) -> None:
    """Let purchases in a foreign currency earn too: 1 point and 1 growth for each unit of it."""
    if currency != settings.LAUREL_CURRENCY:
        _seed_base_rules(f"purchase-{currency.lower()}", currency, f"Purchases in {currency}", f"{currency} 消费")


def _seed_base_rules(code: str, currency: str, name_en: str, name_zh_hans: str) -> None:
    """Make the base rate of one currency, in points and in growth."""
    for point_type, noun, noun_zh_hans in (("points", "point", "积分"), ("growth", "growth", "成长值")):
        _seed_rule(
            f"{code}-{point_type}",
            {
                "name_en": f"{name_en}: 1 {noun} for each {'yuan' if currency == 'CNY' else currency}",
                "name_zh_hans": f"{name_zh_hans}每 1 {'元' if currency == 'CNY' else currency} 得 1 {noun_zh_hans}",
                "event_types": _PURCHASE,
                "currency": currency,
                "award_kind": AwardKind.RATE,
                "points": 1,
                "per_minor": 10 ** money.exponent_of(currency),
                "priority": 100,
            },
            point_type=point_type,
        )


def _seed_rule(code: str, columns: dict[str, Any], *, point_type: str = "points") -> None:
    """Make the first version of a rule unless there is any version of it."""
    rules: models.Manager[EarningRule] = EarningRule.objects
    if not rules.filter(code=code).exists():
        rules.create(
            **{"code": code, "status": RuleStatus.ACTIVE, "valid_from": BEGINNING, **columns},
            point_type=PointType.objects.get(code=point_type),
        )


def _seed_reward(code: str, columns: dict[str, Any], delivered_at: datetime) -> None:
    """Make a reward with its variants and the first pieces in stock, unless it is there."""
    reward, is_new = Reward.objects.get_or_create(code=code, defaults=columns)
    if not is_new:
        return
    variants: list[RewardVariant | None] = [
        RewardVariant.objects.create(reward=reward, code=variant, **names)
        for variant, names in _VARIANTS.get(code, {}).items()
    ]
    if pieces := _PIECES.get(code):
        for variant in variants or [None]:
            stocking.set_count(
                reward=reward,
                variant=variant,
                count=pieces,
                reason=gettext_noop("first delivery"),
                actor=actor.system("seed"),
                at=delivered_at,
            )
