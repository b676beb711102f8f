"""From money to points: rates, fixed points, multipliers, rounding, bases, stacking; against a plain reading."""

from fractions import Fraction
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from points.actions import awarding
from points.models import AmountBasis, AwardKind, EarningRule, Rounding
from tests.members.factories import TierFactory

from .factories import (
    AT,
    RuleFactory,
    earned,
    event,
    examples,
    fixed_rule,
    growth,
    multiplier,
    new_member,
    nothing_changes,
    take,
)

pytestmark = pytest.mark.django_db

ITEMS = [
    {"sku": "1", "category": "FRUIT", "quantity": 2, "amount_minor": 3_050},
    {"sku": "2", "category": "FUEL", "quantity": 1, "amount_minor": 2_000},
    {"sku": "3", "category": "FRUIT", "quantity": 1, "amount_minor": 100},
    {"sku": "4", "quantity": 1},
]


@pytest.mark.parametrize(
    ("rounding", "yuan", "points"),
    [
        (Rounding.FLOOR, "1.99", 1),
        (Rounding.FLOOR, "0.99", 0),
        (Rounding.HALF_UP, "1.49", 1),
        (Rounding.HALF_UP, "1.50", 2),
        (Rounding.HALF_UP, "2.50", 3),
        (Rounding.CEIL, "1.01", 2),
        (Rounding.CEIL, "1.00", 1),
        (Rounding.CEIL, "0.00", 0),
    ],
)
def test_a_fraction_of_a_point_is_rounded_as_the_rule_says(rounding: Rounding, yuan: str, points: int) -> None:
    RuleFactory.create(rounding=rounding)

    assert earned(event(new_member(), yuan)) == points


@pytest.mark.parametrize(
    ("basis", "categories", "points"),
    [
        (AmountBasis.NET, [], 40),
        (AmountBasis.GROSS, [], 51),
        (AmountBasis.ITEMS, [], 51),
        (AmountBasis.ITEMS, ["FRUIT"], 31),
        (AmountBasis.ITEMS, ["FUEL"], 20),
        (AmountBasis.ITEMS, ["TOYS"], 0),
        (AmountBasis.NET, ["FUEL"], 40),
    ],
)
def test_a_rate_is_applied_to_its_basis(basis: AmountBasis, categories: list[str], points: int) -> None:
    RuleFactory.create(amount_basis=basis, categories=categories)

    assert earned(event(new_member(), 40, gross_minor=5_150, items=ITEMS)) == points


def test_a_gross_that_was_not_told_is_the_net() -> None:
    RuleFactory.create(amount_basis=AmountBasis.GROSS)

    assert earned(event(new_member(), 40)) == 40


def test_a_rate_gives_nothing_for_an_event_without_money() -> None:
    RuleFactory.create()
    member = new_member()

    assert earned(event(member)) == 0
    assert earned(event(member, 40, currency="CNY")) == 40


def test_fixed_points_need_no_money_and_grow_with_the_tier() -> None:
    fixed_rule("10.5", tier_multipliers={"gold": "1.5", "silver": 2})

    assert earned(event(new_member())) == 10
    assert earned(event(new_member(tier=TierFactory.create(code="gold")))) == 15
    assert earned(event(new_member(tier=TierFactory.create(code="silver")))) == 21


def test_a_multiplier_adds_to_the_base_points_of_its_type_and_nothing_else() -> None:
    RuleFactory.create(code="base")
    fixed_rule(7, code="bonus", is_base=False)
    RuleFactory.create(code="growth", point_type=growth())
    double = multiplier("2", code="double")
    half = multiplier("1.5", code="half")
    member = new_member()

    (result,) = take(event(member, "10.99"))

    # 10 base + 7 bonus + 10 (×2 adds as much again) + 5 (×1.5 adds half): multipliers do not multiply each other.
    assert result.points == {"points": 32, "growth": 10}
    by_rule = {award.rule: award.points for award in result.awards if award.type == "points"}
    assert (by_rule[double.pk], by_rule[half.pk]) == (10, 5)


def test_a_multiplier_without_base_points_gives_nothing() -> None:
    fixed_rule(7, is_base=False)
    multiplier("3")

    assert earned(event(new_member(), 100)) == 7


def test_of_a_group_only_the_best_is_awarded() -> None:
    RuleFactory.create(code="one-per-yuan", stacking_group="rate")
    RuleFactory.create(code="fifty", award_kind=AwardKind.FIXED, points=50, stacking_group="rate")
    fixed_rule(3, code="beside")
    member = new_member()

    assert earned(event(member, 49)) == 50 + 3
    assert earned(event(member, 51)) == 51 + 3


def test_of_equals_in_a_group_the_one_of_higher_priority_stands() -> None:
    fixed_rule(50, code="first", stacking_group="g", priority=1)
    wins = fixed_rule(50, code="second", stacking_group="g", priority=2)

    (result,) = take(event(new_member()))

    assert [award.rule for award in result.awards] == [wins.pk]


def test_a_rule_that_does_not_fit_is_no_rival_in_its_group() -> None:
    fixed_rule(500, channels=["app"], stacking_group="g")
    fixed_rule(5, stacking_group="g")

    assert earned(event(new_member())) == 5


def test_a_multiplier_that_does_not_fit_is_no_rival_either_when_it_is_only_asked_for() -> None:
    RuleFactory.create()
    multiplier("5", channels=["app"], stacking_group="g")
    fits = multiplier("2", stacking_group="g")
    incoming = event(new_member(), 10)

    previewed = {one.rule_id: one.points for one in awarding.preview(event=incoming, at=AT)}

    assert previewed[fits.pk] == 10
    assert earned(incoming) == sum(previewed.values()) == 20


def test_base_points_beaten_in_their_group_are_not_multiplied() -> None:
    RuleFactory.create(stacking_group="g")
    fixed_rule(50, stacking_group="g")
    multiplier("2")

    assert earned(event(new_member(), 30)) == 50 + 50


def test_the_best_multiplier_of_a_group_stands_beside_the_best_rate() -> None:
    RuleFactory.create(stacking_group="g")
    multiplier("2", stacking_group="g")
    multiplier("3", stacking_group="g")

    assert earned(event(new_member(), 10)) == 10 + 20


@pytest.mark.parametrize(
    "columns",
    [
        {"points": 0},
        {"points": -1},
        {"per_minor": 0},
        {"award_kind": AwardKind.MULTIPLIER, "points": 1, "is_base": False},
        {"award_kind": AwardKind.MULTIPLIER, "points": 2, "is_base": True},
        {"hour_from": 24},
        {"hour_below": 0},
        {"expiry_policy": "days"},
        {"expiry_policy": "fixed_date"},
        {"status": "retired"},
        {"tier_multipliers": {"gold": "much"}},
        {"tier_multipliers": {"gold": -2}},
        {"tier_multipliers": {"gold": "NaN"}},
        {"tier_multipliers": {"gold": "Infinity"}},
        {"tier_multipliers": {"gold": [2]}},
        {"tier_multipliers": ["gold"]},
    ],
    ids=str,
)
def test_a_rule_that_could_not_be_computed_is_refused_by_the_database(columns: dict[str, Any]) -> None:
    new_member()
    with nothing_changes(), pytest.raises((IntegrityError, DatabaseError)), transaction.atomic():
        RuleFactory.create(**columns)
    assert not EarningRule.objects.exists()


# ---- against a plain reading ----

TIERS = {"base": Fraction(1), "gold": Fraction("1.25"), "black": Fraction("0.333")}


def a_real_multiplier(rule: dict[str, Any]) -> dict[str, Any]:
    """A multiplier is a bonus and more than 1."""
    if rule["award_kind"] == AwardKind.MULTIPLIER:
        return {**rule, "is_base": False, "points": rule["points"] + 1}
    return rule


def real_money(fact: dict[str, Any]) -> dict[str, Any]:
    """An amount has a currency, and without it there is no gross."""
    return {**fact, "gross_minor": None} if fact["amount_minor"] is None else {**fact, "currency": "CNY"}


rules = st.fixed_dictionaries(
    {
        "award_kind": st.sampled_from(AwardKind.values),
        "points": st.decimals("0.0001", "9", places=4),
        "per_minor": st.sampled_from([1, 3, 7, 100, 200, 1_999]),
        "amount_basis": st.sampled_from(AmountBasis.values),
        "rounding": st.sampled_from(Rounding.values),
        "stacking_group": st.sampled_from(["", "a", "b"]),
        "priority": st.integers(0, 2),
        "is_base": st.booleans(),
        "categories": st.sampled_from([[], ["FRUIT"]]),
        "tier_multipliers": st.sampled_from([{}, {"gold": "1.25", "black": "0.333"}]),
    }
).map(a_real_multiplier)
facts = st.fixed_dictionaries(
    {
        "amount_minor": st.none() | st.integers(0, 100_000),
        "gross_minor": st.none() | st.integers(0, 100_000),
        "items": st.sampled_from([None, ITEMS]),
        "tier": st.sampled_from(sorted(TIERS)),
    }
).map(real_money)


def rounded(exact: Fraction, rounding: str) -> int:
    """A fraction as whole points; half up is away from nought, and nothing here is below it."""
    whole, rest = divmod(exact, 1)
    more = {Rounding.FLOOR: False, Rounding.CEIL: rest > 0, Rounding.HALF_UP: rest >= Fraction(1, 2)}
    return whole + more[Rounding(rounding)]


def basis_of(rule: EarningRule, fact: dict[str, Any]) -> int:
    if rule.amount_basis == AmountBasis.ITEMS:
        return sum(
            item.get("amount_minor", 0)
            for item in fact["items"] or []
            if not rule.categories or item.get("category") in rule.categories
        )
    net = fact["amount_minor"] or 0
    gross = fact["gross_minor"]
    return gross if rule.amount_basis == AmountBasis.GROSS and gross is not None else net


def oracle(made: list[EarningRule], fact: dict[str, Any]) -> dict[int, int]:
    """What each rule gives for one event, read off the rule's own words; caps apart."""

    def factor(rule: EarningRule) -> Fraction:
        return Fraction(str(rule.tier_multipliers.get(fact["tier"], 1)))

    fits = [rule for rule in made if not rule.categories or fact["items"]]
    first = {}
    for rule in fits:
        if rule.award_kind == AwardKind.FIXED:
            first[rule.pk] = rounded(Fraction(rule.points) * factor(rule), rule.rounding)
        elif rule.award_kind == AwardKind.RATE:
            exact = basis_of(rule, fact) * Fraction(rule.points) * factor(rule) / rule.per_minor
            first[rule.pk] = rounded(exact, rule.rounding)

    def stands(rule: EarningRule) -> bool:
        def worth(other: EarningRule) -> tuple[Fraction, int, int]:
            value = Fraction(other.points) if rule.award_kind == "multiplier" else Fraction(first[other.pk])
            return (value, other.priority, -other.pk)

        rivals = [
            other
            for other in fits
            if other.stacking_group == rule.stacking_group
            and (other.award_kind == "multiplier") == (rule.award_kind == "multiplier")
        ]
        return not rule.stacking_group or rule.pk == max(rivals, key=worth).pk

    base = sum(first[rule.pk] for rule in fits if rule.pk in first and rule.is_base and stands(rule))
    given = {}
    for rule in fits:
        if not stands(rule):
            continue
        if rule.award_kind == AwardKind.MULTIPLIER:
            given[rule.pk] = rounded(
                max(Fraction(0), base * (Fraction(rule.points) * factor(rule) - 1)), rule.rounding
            )
        else:
            given[rule.pk] = first[rule.pk]
    return {rule: points for rule, points in given.items() if points}


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(rules, min_size=1, max_size=5), fact=facts)
def test_any_rules_give_any_event_what_a_plain_reading_says(drawn: list[dict[str, Any]], fact: dict[str, Any]) -> None:
    with transaction.atomic():
        member = new_member(tier=TierFactory.create(code=fact["tier"]))
        made = [RuleFactory.create(code=f"drawn-{n}", **rule) for n, rule in enumerate(drawn)]
        for rule in made:
            rule.refresh_from_db()
        incoming = event(member, **{name: value for name, value in fact.items() if name != "tier"})

        previewed = {one.rule_id: one.points for one in awarding.preview(event=incoming, at=AT) if one.points}
        (result,) = take(incoming)

        assert {award.rule: award.points for award in result.awards} == previewed == oracle(made, fact)
        transaction.set_rollback(True)
