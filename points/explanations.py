"""Why an event gave what it gave: the verdicts of points_evaluate, put into sentences."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from config.lib import money
from members.models import Tier
from points.models import EarningRule, Event, PointType

LABELS = {
    "event_type": gettext_lazy("Event type"),
    "currency": gettext_lazy("Currency"),
    "amount_from": gettext_lazy("Amount at least"),
    "amount_below": gettext_lazy("Amount below"),
    "channel": gettext_lazy("Channel"),
    "store": gettext_lazy("Store"),
    "category": gettext_lazy("Category of goods"),
    "tier": gettext_lazy("Tier"),
    "segment": gettext_lazy("Segment"),
    "weekday": gettext_lazy("Weekday"),
    "hour": gettext_lazy("Hour of the day"),
    "first_ever": gettext_lazy("First event of its type"),
    "birthday_month": gettext_lazy("Birthday month"),
    "attributes_contain": gettext_lazy("Attributes contain"),
    "attributes_path": gettext_lazy("Attributes match"),
}
LIMITS = {
    "day": gettext_lazy("the daily cap"),
    "week": gettext_lazy("the weekly cap"),
    "month": gettext_lazy("the monthly cap"),
    "lifetime": gettext_lazy("the cap per member"),
    "budget": gettext_lazy("the budget of the rule"),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule and whether the event met it."""

    name: str
    label: str
    expected: Any
    actual: Any
    holds: bool


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """One rule's word on one event: whether it fits, what the arithmetic says, what the caps left of it."""

    rule_id: int
    code: str
    name: str
    point_type: str
    matched: bool
    points: int
    rounded: int
    conditions: list[Condition]
    arithmetic: dict[str, Any]
    limits: dict[str, Any]
    sentence: str


def explain(*, event: Event) -> list[RuleVerdict]:
    """Every rule in force at that event, with the member and the caps as they stood then. A refund has no rules."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM points_explain(%s, %s, %s)", [event.member_id, event.pk, settings.TIME_ZONE])
        return read_verdicts(cursor, currency=event.currency)


def read_verdicts(cursor: Any, *, currency: str) -> list[RuleVerdict]:
    """Read rows of points_verdict, those that give points first."""
    names = [column.name for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    rules = EarningRule.objects.in_bulk({row["rule_id"] for row in rows})
    types = {one.pk: one for one in PointType.objects.all()}
    verdicts = [_read(row, rules[row["rule_id"]], types[row["point_type_id"]], currency) for row in rows]
    return sorted(verdicts, key=lambda verdict: (verdict.points == 0, not verdict.matched))


def _json(value: Any) -> Any:
    return json.loads(value, parse_float=Decimal) if isinstance(value, str) else value


def _read(row: dict[str, Any], rule: EarningRule, point_type: PointType, currency: str) -> RuleVerdict:
    conditions = [
        Condition(one["condition"], str(LABELS[one["condition"]]), one["expected"], one["actual"], one["holds"])
        for one in _json(row["conditions"]) or []
    ]
    arithmetic, limits = _json(row["arithmetic"]) or {}, _json(row["limits"]) or {}
    return RuleVerdict(
        rule_id=rule.pk,
        code=rule.code,
        name=str(rule.name or rule.code),
        point_type=point_type.code,
        matched=row["matched"],
        points=row["points"],
        rounded=row["rounded"],
        conditions=conditions,
        arithmetic=arithmetic,
        limits=limits,
        sentence=_sentence(row, rule, point_type, currency, conditions, arithmetic, limits),
    )


def _plain(number: Any) -> str:
    value = Decimal(str(number))
    whole = value == value.to_integral_value()
    return str(
        number_format(value.quantize(Decimal(1)) if whole else value.normalize(), use_l10n=True, force_grouping=True)
    )


def _money(minor: Any, currency: str) -> str:
    if minor is None:
        return "–"
    code = currency or settings.LAUREL_CURRENCY
    return f"{code} {money.to_decimal_string(int(minor), code)}"


def _sentence(
    row: dict[str, Any],
    rule: EarningRule,
    point_type: PointType,
    currency: str,
    conditions: list[Condition],
    arithmetic: dict[str, Any],
    limits: dict[str, Any],
) -> str:
    if not row["matched"]:
        missed = _(", ").join(one.label for one in conditions if not one.holds)
        return _("Does not apply: %(conditions)s.") % {"conditions": missed}
    text = _arithmetic(arithmetic, currency, row["rounded"], str(point_type.name or point_type.code))
    if not row["stands"]:
        return (
            text
            + " "
            + _("Another rule of the group “%(group)s” gives more, so this one gives nothing.")
            % {"group": rule.stacking_group}
        )
    if limits.get("trimmed"):
        hit = [str(label) for name, label in LIMITS.items() if _is_reached(limits.get(name), row["points"])]
        reached = _(", ").join(hit)
        left = ngettext("%(limits)s leaves %(points)s.", "%(limits)s leave %(points)s.", len(hit))
        text += " " + capfirst(left % {"limits": reached, "points": _plain(row["points"])})
    return text


def _is_reached(limit: Any, points: int) -> bool:
    return limit is not None and int(limit["used"]) + points >= int(limit["limit"])


def _arithmetic(arithmetic: dict[str, Any], currency: str, rounded: int, type_name: str) -> str:
    facts = {
        "points": _plain(arithmetic["points"]),
        "per": _money(arithmetic["per_minor"], currency),
        "money": _money(arithmetic["basis_minor"], currency),
        "factor": _plain(arithmetic["tier_multiplier"]),
        "base": _plain(arithmetic["base_points"]),
        "result": _plain(rounded),
        "type": type_name,
    }
    if arithmetic["award"] == "fixed":
        text = _("%(points)s %(type)s") % facts
    elif arithmetic["award"] == "multiplier":
        text = _("%(base)s base %(type)s made %(points)s times as many") % facts
    else:
        text = _("%(points)s %(type)s per %(per)s of %(money)s") % facts
    if Decimal(str(arithmetic["tier_multiplier"])) != 1:
        tier = Tier.objects.filter(code=arithmetic["tier"]).first()
        text += _(" × %(factor)s for tier %(tier)s") % (facts | {"tier": tier or arithmetic["tier"]})
    # A multiplier gives what comes on top of the base, which has given its own.
    return text + (_(": %(result)s more.") if arithmetic["award"] == "multiplier" else _(" = %(result)s.")) % facts
