"""Each condition a rule may ask, met and missed: the award, the preview and the named verdict agree."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from members.actions import updating
from members.models import Member
from points.actions import awarding
from tests.members.factories import TierFactory

from .factories import AT, TESTER, RuleFactory, earned, event, fixed_rule, growth, local, new_member, take

pytestmark = pytest.mark.django_db

NOON = local(2026, 3, 10, 12)  # a Tuesday
BASKET = [
    {"sku": "1", "category": "FRUIT", "quantity": 1, "amount_minor": 3_000},
    {"sku": "2", "category": "FUEL", "quantity": 1, "amount_minor": 2_000},
]

# What the rule asks, the name of the condition, an event that meets it and one that misses it.
CASES: dict[str, tuple[dict[str, Any], str, dict[str, Any], dict[str, Any]]] = {
    "event type": ({"event_types": ["review"]}, "event_type", {"type": "review"}, {"type": "sign_in"}),
    "one of the event types": (
        {"event_types": ["review", "custom"]},
        "event_type",
        {"type": "custom"},
        {"type": "purchase"},
    ),
    "currency": (
        {"currency": "CNY"},
        "currency",
        {"amount_minor": 100, "currency": "CNY"},
        {"amount_minor": 100, "currency": "USD"},
    ),
    "currency of an event without money": (
        {"currency": "CNY"},
        "currency",
        {"amount_minor": 0, "currency": "CNY"},
        {"amount_minor": None, "currency": ""},
    ),
    "amount from: itself counts": (
        {"amount_from_minor": 100},
        "amount_from",
        {"amount_minor": 100, "currency": "CNY"},
        {"amount_minor": 99, "currency": "CNY"},
    ),
    "amount from: no money is less than any": (
        {"amount_from_minor": 0},
        "amount_from",
        {"amount_minor": 0, "currency": "CNY"},
        {},
    ),
    "amount below: itself does not count": (
        {"amount_below_minor": 100},
        "amount_below",
        {"amount_minor": 99, "currency": "CNY"},
        {"amount_minor": 100, "currency": "CNY"},
    ),
    "channel": ({"channels": ["app", "web"]}, "channel", {"channel": "web"}, {"channel": "APP"}),
    "channel that was not told": ({"channels": ["app"]}, "channel", {"channel": "app"}, {}),
    "store": ({"stores": ["356"]}, "store", {"store": "356"}, {"store": "35"}),
    "category": ({"categories": ["FUEL", "TOYS"]}, "category", {"items": BASKET}, {"items": BASKET[:1]}),
    "category of an event without items": ({"categories": ["FUEL"]}, "category", {"items": BASKET}, {}),
    "weekday": (
        {"weekdays": [2]},
        "weekday",
        {"occurred_at": local(2026, 3, 10, 0, 0, 0)},
        {"occurred_at": local(2026, 3, 9, 23, 59, 59)},
    ),
    "Sunday is 7": (
        {"weekdays": [7]},
        "weekday",
        {"occurred_at": local(2026, 3, 8, 23, 59, 59)},
        {"occurred_at": local(2026, 3, 9)},
    ),
    "hour from": (
        {"hour_from": 9},
        "hour",
        {"occurred_at": local(2026, 3, 10, 9)},
        {"occurred_at": local(2026, 3, 10, 8, 59, 59)},
    ),
    "hour below": (
        {"hour_below": 9},
        "hour",
        {"occurred_at": local(2026, 3, 10, 8, 59, 59)},
        {"occurred_at": local(2026, 3, 10, 9)},
    ),
    "hours of the day": (
        {"hour_from": 9, "hour_below": 17},
        "hour",
        {"occurred_at": local(2026, 3, 10, 16, 59, 59)},
        {"occurred_at": local(2026, 3, 10, 17)},
    ),
    "hours over midnight, late": (
        {"hour_from": 22, "hour_below": 2},
        "hour",
        {"occurred_at": local(2026, 3, 10, 23, 59, 59)},
        {"occurred_at": local(2026, 3, 10, 21, 59, 59)},
    ),
    "hours over midnight, early": (
        {"hour_from": 22, "hour_below": 2},
        "hour",
        {"occurred_at": local(2026, 3, 10, 0)},
        {"occurred_at": local(2026, 3, 10, 2)},
    ),
    "the last hour": (
        {"hour_from": 23, "hour_below": 24},
        "hour",
        {"occurred_at": local(2026, 3, 9, 23)},
        {"occurred_at": local(2026, 3, 10, 0)},
    ),
    "attributes contain": (
        {"attributes_contain": {"card": {"kind": "credit"}}},
        "attributes_contain",
        {"attributes": {"card": {"kind": "credit", "last4": "4242"}}},
        {"attributes": {"card": {"kind": "debit"}}},
    ),
    "attributes that were not told": (
        {"attributes_contain": {"a": 1}},
        "attributes_contain",
        {"attributes": {"a": 1}},
        {},
    ),
    "attributes path": (
        {"attributes_path": "$.weight > 2 && $.fragile == true"},
        "attributes_path",
        {"attributes": {"weight": 2.5, "fragile": True}},
        {"attributes": {"weight": 2.5}},
    ),
    "attributes path into a list": (
        {"attributes_path": '$.tags[*] == "eco"'},
        "attributes_path",
        {"attributes": {"tags": ["new", "eco"]}},
        {"attributes": {"tags": []}},
    ),
    "attributes path over values of the wrong type": (
        {"attributes_path": "$.weight > 2"},
        "attributes_path",
        {"attributes": {"weight": 3}},
        {"attributes": {"weight": "heavy"}},
    ),
    "attributes path that asks for presence": (
        {"attributes_path": "exists($.weight)"},
        "attributes_path",
        {"attributes": {"weight": None}},
        {"attributes": {"size": 1}},
    ),
    "attributes path that is no question": (
        {"attributes_path": "$.is_gift"},
        "attributes_path",
        {"attributes": {"is_gift": True}},
        {"attributes": {"is_gift": 1}},
    ),
}


def told(member: Member, facts: dict[str, Any]) -> awarding.IncomingEvent:
    return event(member, **{"type": "custom", **facts})


def assert_agreement(member: Member, facts: dict[str, Any], name: str, *, holds: bool) -> None:
    """The preview names the condition with this verdict, and the award does as the preview says."""
    incoming = told(member, facts)

    (verdict,) = awarding.preview(event=incoming, at=incoming.occurred_at)
    (condition,) = verdict.conditions
    assert (condition.name, condition.holds, verdict.matched) == (name, holds, holds)
    assert verdict.points == (50 if holds else 0)
    assert verdict.sentence

    assert earned(incoming) == verdict.points


@pytest.mark.parametrize("case", CASES)
def test_a_condition_is_met_and_missed(case: str) -> None:
    asked, name, meets, misses = CASES[case]
    member = new_member()
    fixed_rule(50, **asked)

    assert_agreement(member, meets, name, holds=True)
    assert_agreement(member, misses, name, holds=False)


def test_a_tier_is_the_one_of_the_moment() -> None:
    gold = TierFactory.create(code="gold", rank=2)
    fixed_rule(50, tiers=["gold"])
    member = new_member()

    assert_agreement(member, {}, "tier", holds=False)
    updating.assign_tier(member=member, tier=gold, reason="goodwill", actor=TESTER, at=AT)
    assert_agreement(member, {}, "tier", holds=True)
    assert_agreement(member, {"occurred_at": AT - timedelta(seconds=1)}, "tier", holds=False)


def test_a_segment_is_any_of_the_members_labels() -> None:
    fixed_rule(50, segments=["student", "staff"])

    assert_agreement(new_member(labels=["student", "vip"]), {}, "segment", holds=True)
    assert_agreement(new_member(labels=["vip"]), {}, "segment", holds=False)
    assert_agreement(new_member(), {}, "segment", holds=False)


def test_a_birthday_month_is_the_month_here_not_in_utc() -> None:
    fixed_rule(50, birthday_month=True)
    member = new_member(birthday=date(1990, 3, 31))

    # One second before and at the local midnight that ends March, while it is 16:00 in UTC.
    assert_agreement(member, {"occurred_at": local(2026, 3, 31, 23, 59, 59)}, "birthday_month", holds=True)
    assert_agreement(member, {"occurred_at": local(2026, 4, 1)}, "birthday_month", holds=False)
    assert_agreement(new_member(), {"occurred_at": NOON}, "birthday_month", holds=False)


def test_the_first_event_of_a_type_is_first_once_also_within_one_list() -> None:
    fixed_rule(50, first_ever=True)
    member, other = new_member(), new_member()
    early, late = local(2026, 3, 1), local(2026, 3, 2)

    # The one that happened first is the first, whatever its place in the list.
    results = take([told(member, {"occurred_at": late}), told(member, {"occurred_at": early}), told(other, {})])
    assert [result.points.get("points", 0) for result in results] == [0, 50, 50]

    # Another type has its own first, and what is heard of late is not first any more.
    assert_agreement(member, {"type": "review"}, "first_ever", holds=True)
    assert_agreement(member, {"occurred_at": local(2026, 2, 1)}, "first_ever", holds=False)


def test_every_condition_asked_must_hold() -> None:
    fixed_rule(50, channels=["app"], weekdays=[2], amount_from_minor=1_000)
    member = new_member()

    assert earned(event(member, 10, channel="app")) == 50
    assert earned(event(member, 10, channel="web")) == 0
    assert earned(event(member, "9.99", channel="app")) == 0
    verdict = awarding.preview(event=event(member, 1, channel="web"), at=NOON)[0]
    assert {one.name: one.holds for one in verdict.conditions} == {
        "amount_from": False,
        "channel": False,
        "weekday": True,
    }


def test_a_rule_holds_from_its_first_moment_to_the_last_before_its_end() -> None:
    fixed_rule(50, valid_from=local(2026, 3, 10), valid_until=local(2026, 3, 11))
    member = new_member()

    moments = [local(2026, 3, 9, 23, 59, 59), local(2026, 3, 10), local(2026, 3, 10, 23, 59, 59), local(2026, 3, 11)]
    assert [earned(told(member, {"occurred_at": moment})) for moment in moments] == [0, 50, 50, 0]


def test_a_late_event_asks_the_rules_of_its_own_time() -> None:
    retired = fixed_rule(50, code="march", valid_until=local(2026, 4, 1))
    fixed_rule(70, code="april", valid_from=local(2026, 4, 1))
    retired.status = "retired"
    retired.save(update_fields=["status"])
    member = new_member()

    assert earned(told(member, {"occurred_at": local(2026, 3, 31, 23, 59, 59)}), at=local(2026, 6, 1)) == 50
    assert earned(told(member, {"occurred_at": local(2026, 4, 1)}), at=local(2026, 6, 1)) == 70


@pytest.mark.parametrize("status", ["draft", "shadow"])
def test_a_rule_that_is_not_in_force_gives_nothing(status: str) -> None:
    rule = fixed_rule(50, status=status)
    member = new_member()

    assert earned(told(member, {})) == 0
    # What it would give is asked for by name.
    (verdict,) = awarding.preview(event=told(member, {}), at=NOON, only_rules=[rule.pk])
    assert (verdict.matched, verdict.points) == (True, 50)


def test_rules_of_several_point_types_each_give_their_own() -> None:
    member = new_member()
    RuleFactory.create()
    RuleFactory.create(point_type=growth(), points=2)

    (result,) = take(event(member, "10.99"))

    assert result.points == {"points": 10, "growth": 21}


@pytest.mark.parametrize("path", ["$.a >", "not a path", '$.a like_regex "("', "$.a > $limit", "$[$n] == 1"])
def test_a_path_postgresql_cannot_judge_never_becomes_a_rule(path: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        fixed_rule(50, attributes_path=path, status="draft")


@pytest.mark.parametrize("path", ['$.code like_regex "^VIP.*$"', '$.price == "5$"', '$."a$" == "$x"'])
def test_a_dollar_in_a_text_of_a_path_is_no_variable(path: str) -> None:
    fixed_rule(50, attributes_path=path)

    assert earned(told(new_member(), {"attributes": {"code": "VIP-1", "price": "5$", "a$": "$x"}})) == 50


def test_a_moment_among_the_attributes_is_compared_with_its_zone_and_never_stops_a_batch() -> None:
    fixed_rule(50, attributes_path='$.booked.datetime() >= "2026-03-01".datetime()')
    member = new_member()

    booked = ["2026-03-02T00:00:00+08:00", "2026-02-01", "2026-03-02", "soon", 5, None]
    results = take([told(member, {"attributes": {"booked": value}}) for value in booked])

    assert [result.points.get("points", 0) for result in results] == [50, 0, 50, 0, 0, 0]
