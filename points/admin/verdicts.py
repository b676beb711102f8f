"""The word of every rule on an event, as a person reads it: conditions with ✓ and ✗, arithmetic, caps, a sentence."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from points.admin.reading import number, sum_of_money
from points.explanations import LIMITS, RuleVerdict
from points.models import AmountBasis, AwardKind, EventType, PointType, Rounding

_MINOR = ("amount_from", "amount_below")


@dataclass(frozen=True, slots=True)
class ShownCondition:
    """One condition, its wish and its finding in words."""

    label: str
    expected: str
    actual: str
    holds: bool


@dataclass(frozen=True, slots=True)
class ShownVerdict:
    """One rule's word, ready for the page."""

    rule_id: int
    name: str
    code: str
    point_type: str
    matched: bool
    points: int
    sentence: str
    conditions: list[ShownCondition]
    arithmetic: list[tuple[str, str]]
    limits: list[tuple[str, str, str]]


def shown_verdicts(verdicts: Iterable[RuleVerdict], currency: str) -> list[ShownVerdict]:
    """Return the verdicts in words."""
    names = type_names()
    return [_shown(verdict, currency, names[verdict.point_type]) for verdict in verdicts]


def type_names() -> dict[str, str]:
    """Return what the kinds of points are called, by code."""
    return {one.code: str(one) for one in PointType.objects.all()}


def _shown(verdict: RuleVerdict, currency: str, type_name: str) -> ShownVerdict:
    conditions = [
        ShownCondition(
            each.label,
            _value(each.name, each.expected, currency),
            _value(each.name, each.actual, currency),
            each.holds,
        )
        for each in verdict.conditions
    ]
    return ShownVerdict(
        rule_id=verdict.rule_id,
        name=verdict.name,
        code=verdict.code,
        point_type=type_name,
        matched=verdict.matched,
        points=verdict.points,
        sentence=capfirst(verdict.sentence),
        conditions=conditions,
        arithmetic=list(_arithmetic(verdict.arithmetic, currency)) if verdict.matched else [],
        limits=_limits(verdict.limits) if verdict.matched else [],
    )


def _value(name: str, value: Any, currency: str) -> str:
    """Return one side of a condition in words."""
    if value is None or value in ([], ""):
        return "–"
    if name in _MINOR:
        return sum_of_money(int(value), currency)
    if name == "weekday":
        return ", ".join(weekday(int(day)) for day in (value if isinstance(value, list) else [value]))
    if name == "hour" and isinstance(value, list):
        return f"{value[0] or 0}:00 – {24 if value[1] is None else value[1]}:00"
    if name == "event_type":
        return ", ".join(str(EventType(each).label) for each in (value if isinstance(value, list) else [value]))
    if isinstance(value, bool) or name == "first_ever":
        return _("yes") if value in (True, "true") else _("no")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def weekday(day: int) -> str:
    """Return the name of an ISO weekday; 1 is Monday."""
    names = [_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday")]
    return names[day - 1]


def _arithmetic(facts: dict[str, Any], currency: str) -> Iterable[tuple[str, str]]:
    """Tell how the number came about, a step a line."""
    award = str(AwardKind(facts["award"]).label)
    yield _("award"), f"{award}: {_plain(facts['points'])}"
    if facts["award"] == AwardKind.RATE:
        yield _("for each"), sum_of_money(int(facts["per_minor"]), currency)
        yield str(AmountBasis(facts["basis"]).label), sum_of_money(facts["basis_minor"], currency)
    if facts["award"] == AwardKind.MULTIPLIER:
        yield _("base points"), _plain(facts["base_points"])
    if _plain(facts["tier_multiplier"]) != "1":
        yield _("tier multiplier"), f"× {_plain(facts['tier_multiplier'])} ({facts['tier']})"
    yield _("exactly"), _plain(facts["exact"])
    yield _("rounded"), f"{_plain(facts['rounded'])} ({Rounding(facts['rounding']).label})"
    if facts["stacking_group"]:
        best = _("the best of its group") if facts["best_of_group"] else _("beaten in its group")
        yield _("stacking group"), f"{facts['stacking_group']}: {best}"


def _limits(facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Tell each cap: its name, what was used before, and its height."""
    return [
        (str(label), number(int(facts[name]["used"])), number(int(facts[name]["limit"])))
        for name, label in LIMITS.items()
        if facts.get(name)
    ]


def _plain(value: Any) -> str:
    """Return a number without the zeros that its column carries."""
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    return f"{exact.normalize():,f}" if exact else "0"
