"""The programme that is measured: two kinds of points, a base rate in each, two campaigns, and plain members."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from config.lib.actor import system
from members.models import Tier
from points.actions.awarding import IncomingEvent
from points.benchmarks.harness import Bench, sections
from points.models import AwardKind, EarningRule, EventType, ExpiryPolicy, PointType, RuleStatus

ACTOR = system("benchmark")
SQL = sections(Path(__file__).with_name("programme.sql"))
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
#: A Wednesday's noon in Shanghai; the clock of a benchmark stands still.
AT = datetime(2026, 3, 11, 4, tzinfo=UTC)


def set_up(bench: Bench, *, members: int) -> None:
    """Make point types, rules and members. Their balance rows come with them."""
    points, _ = PointType.objects.get_or_create(
        code="points", defaults={"expiry_policy": ExpiryPolicy.MONTHS_END, "expiry_value": 12}
    )
    growth, _ = PointType.objects.get_or_create(
        code="growth", defaults={"is_redeemable": False, "is_qualifying": True}
    )
    for code, columns in _rules(points, growth).items():
        EarningRule.objects.get_or_create(
            code=code, defaults={"status": RuleStatus.ACTIVE, "valid_from": BEGINNING, **columns}
        )
    tier, _ = Tier.objects.get_or_create(code="member", defaults={"rank": 0})
    with bench.bar("members", members) as bar:
        for start in range(1, members + 1, 20_000):
            stop = min(members, start + 19_999)
            bar.update(bench.execute(SQL["members"], {"start": start, "stop": stop, "tier": tier.pk}))


def _rules(points: PointType, growth: PointType) -> dict[str, dict[str, Any]]:
    purchase: dict[str, Any] = {"event_types": [EventType.PURCHASE], "award_kind": AwardKind.RATE, "points": 1}
    campaign: dict[str, Any] = {"event_types": [EventType.PURCHASE], "point_type": points, "is_base": False}
    return {
        "base-points": {**purchase, "point_type": points},
        "base-growth": {**purchase, "point_type": growth},
        "app-double": {
            **campaign,
            "channels": ["app"],
            "award_kind": AwardKind.MULTIPLIER,
            "points": Decimal(2),
            "cap_day": 500,
            "pending_days": 7,
        },
        "big-basket": {
            **campaign,
            "channels": ["in-store"],
            "amount_from_minor": 18_000,
            "award_kind": AwardKind.FIXED,
            "points": 50,
            "cap_month": 150,
        },
    }


def member_ids(bench: Bench) -> list[int]:
    """The members there are, by id."""
    return list(bench.value("SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM members_member"))


def purchases(
    count: int, *, members: list[int], prefix: str, at: datetime = AT, items: bool = False
) -> list[IncomingEvent]:
    """Purchases of the hours before a moment: a tenth in the app, 1.00 to 200.00 yuan, members in no order."""
    return [
        IncomingEvent(
            reference=f"{prefix}-{number}",
            type="purchase",
            member_id=members[number * 7_919 % len(members)],
            occurred_at=at - timedelta(seconds=number % 36_000),
            amount_minor=100 + number * 37 % 19_901,
            currency="CNY",
            channel="app" if number % 10 == 0 else "in-store",
            store=f"{number % 50}",
            items=_items(number) if items else None,
        )
        for number in range(count)
    ]


def _items(number: int) -> list[dict[str, Any]]:
    total = 100 + number * 37 % 19_901
    return [
        {"sku": f"s{number % 997}", "category": f"c{number % 7}", "quantity": 1, "amount_minor": total // 2},
        {"sku": f"s{number % 991}", "category": f"c{number % 5}", "quantity": 2, "amount_minor": total - total // 2},
    ]
