"""Caps and budgets: what goes beyond is trimmed, in event order, however the events arrive."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members.models import Member
from points.actions import awarding, refunding
from points.actions.awarding import EventResult, IncomingEvent
from points.models import EarningRule, RuleBudget, RuleUsage

from .factories import (
    AT,
    SHANGHAI,
    SOURCE,
    TESTER,
    RuleFactory,
    buy,
    earned,
    event,
    examples,
    fixed_rule,
    local,
    multiplier,
    new_member,
    take,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("cap", "same_period", "next_period"),
    [
        ("cap_day", local(2026, 3, 10, 23, 59, 59), local(2026, 3, 11)),
        ("cap_week", local(2026, 3, 15, 23, 59, 59), local(2026, 3, 16)),
        ("cap_month", local(2026, 3, 31, 23, 59, 59), local(2026, 4, 1)),
    ],
)
def test_a_cap_counts_within_its_local_period_and_begins_anew(
    cap: str, same_period: datetime, next_period: datetime
) -> None:
    RuleFactory.create(**{cap: 100})
    member, other = new_member(), new_member()

    assert earned(event(member, 70)) == 70
    assert earned(event(member, 70, occurred_at=same_period)) == 30
    assert earned(event(member, 70, occurred_at=same_period)) == 0
    assert earned(event(member, 70, occurred_at=next_period)) == 70
    assert earned(event(other, 150, occurred_at=same_period)) == 100


def test_a_cap_for_life_never_begins_anew() -> None:
    RuleFactory.create(cap_lifetime=100)
    member = new_member()

    assert earned(event(member, 70, occurred_at=local(2020, 1, 1))) == 70
    assert earned(event(member, 70)) == 30
    assert earned(event(member, 70, occurred_at=local(2021, 1, 1)), at=AT) == 0


def test_a_late_event_counts_in_the_period_it_happened_in() -> None:
    RuleFactory.create(cap_day=100)
    member = new_member()
    yesterday = AT - timedelta(days=1)

    assert earned(event(member, 100)) == 100
    assert earned(event(member, 60, occurred_at=yesterday), at=AT) == 60
    assert earned(event(member, 60, occurred_at=yesterday), at=AT) == 40
    assert earned(event(member, 1)) == 0


def test_a_multiplier_has_caps_of_its_own_and_multiplies_what_the_base_was_before_caps() -> None:
    RuleFactory.create(cap_day=50)
    multiplier("3", cap_day=120)
    member = new_member()

    assert earned(event(member, 60)) == 50 + 120
    assert earned(event(member, 60)) == 0


def test_a_budget_is_shared_by_everybody_and_never_overdrawn() -> None:
    rule = RuleFactory.create(budget=100)

    assert earned(event(new_member(), 70)) == 70
    assert earned(event(new_member(), 70)) == 30
    assert earned(event(new_member(), 70)) == 0
    assert RuleBudget.objects.get(rule=rule).used == 100


def test_a_refund_gives_back_room_under_caps_and_budget() -> None:
    rule = RuleFactory.create(cap_day=100, budget=1_000)
    member = new_member()
    purchase = buy(member, 100)
    assert earned(event(member, 10)) == 0

    refunding.refund(
        event=purchase, source=SOURCE, reference="back", occurred_at=AT, actor=TESTER, at=AT, amount_minor=4_000
    )

    assert RuleUsage.objects.get(member=member, rule=rule).points == 60
    assert RuleBudget.objects.get(rule=rule).used == 60
    assert earned(event(member, 100)) == 40


def test_no_award_is_larger_than_the_books_can_hold_and_none_stops_its_batch() -> None:
    """A rule gone mad must not turn a batch of ten thousand away for ever."""
    RuleFactory.create(code="mad", channels=["mad"], points=9_999_999_999, per_minor=1)
    RuleFactory.create(code="sane")
    member, other = new_member(), new_member()

    results = take([event(member, 9_999_999_999, channel="mad"), event(other, 5)])

    assert [result.status for result in results] == ["accepted", "accepted"]
    assert results[1].points == {"points": 5}
    assert all(award.points <= 10**12 for result in results for award in result.awards)


# ---- against a greedy reading ----

MOMENTS = [
    local(2026, 2, 28, 23, 59, 59),
    local(2026, 3, 1),  # a Sunday: another day and month, the same week
    local(2026, 3, 1, 12),
    local(2026, 3, 2),  # a Monday: another week
    local(2026, 3, 31, 23, 59, 59),
    local(2026, 4, 1),
]
limits = st.none() | st.integers(1, 120)
capped_rules = st.fixed_dictionaries(
    {
        "cap_day": limits,
        "cap_week": limits,
        "cap_month": limits,
        "cap_lifetime": limits,
        "budget": st.none() | st.integers(1, 300),
        "channels": st.sampled_from([[], ["app"]]),
    }
)
purchases = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 99), st.sampled_from(MOMENTS), st.sampled_from(["app", "till"])),
    min_size=1,
    max_size=12,
)


class Greedy:
    """Walks the events in order and gives what every limit still leaves."""

    def __init__(self, rules: list[EarningRule]) -> None:
        self.rules = rules
        self.used: defaultdict[tuple[Any, ...], int] = defaultdict(int)

    def give(self, member: int, points: int, moment: datetime, channel: str) -> dict[int, int]:
        given = {}
        for rule in self.rules:
            if rule.channels and channel not in rule.channels:
                continue
            keys = list(self._limits(rule, member, moment.astimezone(SHANGHAI).date()))
            part = max(0, min([points, *(limit - self.used[key] for key, limit in keys)]))
            for key, _limit in keys:
                self.used[key] += part
            if part:
                given[rule.pk] = part
        return given

    @staticmethod
    def _limits(rule: EarningRule, member: int, day: date) -> list[tuple[tuple[Any, ...], int]]:
        every = [
            (("day", rule.pk, member, day), rule.cap_day),
            (("week", rule.pk, member, day - timedelta(days=day.weekday())), rule.cap_week),
            (("month", rule.pk, member, day.replace(day=1)), rule.cap_month),
            (("life", rule.pk, member), rule.cap_lifetime),
            (("budget", rule.pk), rule.budget),
        ]
        return [(key, limit) for key, limit in every if limit is not None]


def awarded(results: list[EventResult]) -> list[dict[int, int]]:
    return [{award.rule: award.points for award in result.awards} for result in results]


def usage() -> tuple[set[Any], set[Any]]:
    """What caps and budgets have counted, periods never touched left out."""
    used = RuleUsage.objects.filter(points__gt=0).values_list("member_id", "rule_id", "period", "starts_on", "points")
    return set(used), set(RuleBudget.objects.filter(used__gt=0).values_list("rule_id", "used"))


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(capped_rules, min_size=1, max_size=3), bought=purchases, cuts=st.sets(st.integers(1, 11)))
def test_one_by_one_in_batches_and_at_once_give_what_a_greedy_reading_gives(
    drawn: list[dict[str, Any]], bought: list[tuple[int, int, datetime, str]], cuts: set[int]
) -> None:
    bought.sort(key=lambda purchase: purchase[2])
    with transaction.atomic():
        members: list[Member] = [new_member(), new_member()]
        made = [RuleFactory.create(code=f"drawn-{n}", **rule) for n, rule in enumerate(drawn)]
        events: list[IncomingEvent] = [
            event(members[who], yuan, occurred_at=moment, channel=channel) for who, yuan, moment, channel in bought
        ]
        greedy = Greedy(made)
        expected = [greedy.give(who, yuan, moment, channel) for who, yuan, moment, channel in bought]
        edges = sorted({0, len(events), *(cut for cut in cuts if cut < len(events))})

        roads = {
            "one by one": [[one] for one in events],
            "in batches": [events[start:end] for start, end in pairwise(edges)],
            "at once": [events],
        }
        counted = {}
        for name, batches in roads.items():
            point = transaction.savepoint_create()
            at = local(2026, 5, 1)
            previewed = [one for batch in batches[:1] for one in batch][:1]
            seen = awarding.preview(event=previewed[0], at=at)
            results = [result for batch in batches for result in take(batch, at=at)]
            assert awarded(results) == expected, name
            assert {one.rule_id: one.points for one in seen if one.points} == expected[0], name
            counted[name] = usage()
            transaction.savepoint_rollback(point)

        assert counted["one by one"] == counted["in batches"] == counted["at once"]
        transaction.set_rollback(True)


def test_rules_without_limits_count_nothing() -> None:
    fixed_rule(10)

    assert earned(event(new_member())) == 10
    assert not RuleUsage.objects.exists()
