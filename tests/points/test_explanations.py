"""Why an event gave what it gave: the same answer years later, whatever has become of the member and the rules."""

from datetime import timedelta
from random import Random

import pytest
from django.db import connection
from django.utils import translation

from members.models import Member
from points.actions import awarding, refunding
from points.explanations import RuleVerdict, explain
from points.models import ClawbackPolicy, Entry, Event, PointType
from tests.members.factories import TierFactory

from .factories import (
    AT,
    SOURCE,
    TESTER,
    RuleFactory,
    buy,
    event,
    fixed_rule,
    growth,
    kept,
    local,
    multiplier,
    new_member,
    take,
)

pytestmark = pytest.mark.django_db


def given_by(event: Event) -> dict[int, int]:
    """What the books say an event gave, by rule."""
    return dict(Entry.objects.of_event(event).filter(kind="accrual").values_list("rule_id", "points"))


def explained(event: Event) -> dict[int, int]:
    return {one.rule_id: one.points for one in explain(event=event) if one.points}


def facts_of(verdicts: list[RuleVerdict]) -> set[tuple[int, bool, int, int]]:
    return {(one.rule_id, one.matched, one.rounded, one.points) for one in verdicts}


def programme() -> None:
    """Rules of many sorts, with limits."""
    RuleFactory.create(code="base", cap_month=150, tier_multipliers={"gold": "1.5"})
    RuleFactory.create(code="growth", point_type=growth())
    fixed_rule(20, code="first", first_ever=True)
    fixed_rule(30, code="birthday", birthday_month=True, cap_lifetime=60)
    fixed_rule(40, code="gold", tiers=["gold"], stacking_group="extra")
    fixed_rule(35, code="students", segments=["student"], stacking_group="extra")
    multiplier("2", code="tuesday", weekdays=[2], cap_day=100, budget=400)


def test_the_preview_is_the_award_is_the_explanation() -> None:
    programme()
    member = new_member(birthday=local(1990, 3, 1).date(), labels=["student"])
    for yuan in (10, 80, 60, 90):
        incoming = event(member, yuan)

        previewed = awarding.preview(event=incoming, at=AT)
        (result,) = take(incoming)
        told = kept(member, result)

        assert facts_of(previewed) == facts_of(explain(event=told))
        assert {one.rule_id: one.points for one in previewed if one.points} == given_by(told)


def test_the_explanation_stands_whatever_happens_to_the_member_later() -> None:
    programme()
    gold = TierFactory.create(code="gold", rank=3)
    member = new_member(birthday=local(1990, 3, 1).date(), labels=["student"])
    events = [buy(member, yuan, occurred_at=AT + timedelta(minutes=n)) for n, yuan in enumerate((30, 70, 90, 10))]
    before = [(facts_of(explain(event=one)), given_by(one)) for one in events]

    Member.objects.filter(pk=member.pk).update(tier=gold, labels=["vip"])
    buy(member, 500, occurred_at=AT - timedelta(days=1))
    refunding.refund(event=events[0], source=SOURCE, reference="back", occurred_at=AT, actor=TESTER, at=AT)
    buy(member, 40, occurred_at=AT + timedelta(days=1), recorded_at=AT + timedelta(days=2))

    assert [(facts_of(explain(event=one)), given_by(one)) for one in events] == before
    assert [explained(one) for one in events] == [given for _facts, given in before]


def test_the_explanation_stands_when_a_birthday_is_corrected_or_forgotten() -> None:
    fixed_rule(30, birthday_month=True)
    member = new_member(birthday=local(1990, 3, 1).date())
    bought = buy(member, 10)

    Member.objects.filter(pk=member.pk).update(birth_month=None)

    assert explained(bought) == given_by(bought) != {}


def test_every_event_of_a_long_list_in_any_order_is_explained() -> None:
    programme()
    members = [new_member(birthday=local(1990, 3, 1).date()), new_member(labels=["student"]), new_member()]
    dice = Random(7)
    events = [
        event(
            dice.choice(members),
            dice.randint(1, 40),
            occurred_at=AT - timedelta(minutes=dice.randint(0, 3 * 24 * 60)),
        )
        for _ in range(120)
    ]

    results = take(events, at=AT)

    journal = {one.reference: one for one in Event.objects.all()}
    for incoming, result in zip(events, results, strict=True):
        assert result.reference == incoming.reference
        assert explained(journal[incoming.reference]) == {award.rule: award.points for award in result.awards}


def test_an_event_that_found_the_budget_used_up_says_so_whatever_the_order_of_the_ids() -> None:
    """In a race for a budget the one that is first may have the later id."""
    rule = RuleFactory.create(budget=100)
    fixed_rule(1, code="other", is_base=False)
    early, late = new_member(), new_member()
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('points_event_id_seq', nextval('points_event_id_seq') + 10)")
        second = buy(late, 70)
        cursor.execute("SELECT setval('points_event_id_seq', %s)", [second.pk - 5])
    partly, nothing = buy(early, 40), buy(early, 20)
    assert partly.pk < nothing.pk < second.pk

    for bought, points in ((second, 70), (partly, 30), (nothing, 0)):
        assert given_by(bought).get(rule.pk, 0) == points
        assert explained(bought) == given_by(bought)
    told = {one.rule_id: one for one in explain(event=nothing)}
    assert told[rule.pk].limits["budget"] == {"limit": 100, "used": 100}
    assert "leaves 0" in told[rule.pk].sentence


def test_a_new_version_explains_nothing_of_what_the_old_one_gave() -> None:
    old = RuleFactory.create(code="base", version=1)
    member = new_member()
    bought = buy(member, 10)

    old.valid_until = AT + timedelta(hours=1)
    old.status = "retired"
    old.save(update_fields=["valid_until", "status"])
    new = RuleFactory.create(code="base", version=2, points=3, valid_from=AT + timedelta(hours=1))
    later = buy(member, 10, occurred_at=AT + timedelta(hours=1))

    assert explained(bought) == {old.pk: 10}
    assert explained(later) == {new.pk: 30}


def test_a_clamped_clawback_leaves_caps_and_their_explanation_at_one() -> None:
    """Points that could not be taken back stay given: the cap counts them, and so does the explanation."""
    rule = RuleFactory.create(cap_lifetime=100)
    PointType.objects.update(clawback_policy=ClawbackPolicy.CLAMP)
    member = new_member()
    first = buy(member, 80)
    from points.actions import spending

    spending.spend(member=member, points=50, source=SOURCE, reference="spent", actor=TESTER, at=AT)
    refunding.refund(event=first, source=SOURCE, reference="back", occurred_at=AT, actor=TESTER, at=AT)

    second = buy(member, 90)

    assert explained(second) == given_by(second)
    (verdict,) = explain(event=second)
    assert verdict.limits["lifetime"] == {"limit": 100, "used": 100 - given_by(second)[rule.pk]}


def test_nothing_is_explained_too_and_says_which_condition_failed() -> None:
    fixed_rule(50, channels=["app"], amount_from_minor=10_000)
    member = new_member()
    bought = buy(member, 10, channel="till")

    (verdict,) = explain(event=bought)

    assert (verdict.matched, verdict.points) == (False, 0)
    assert "Channel" in verdict.sentence
    assert "Amount at least" in verdict.sentence


def test_the_sentence_is_in_the_language_of_the_reader() -> None:
    RuleFactory.create(cap_day=5, tier_multipliers={"base": "1.5"})
    bought = buy(new_member(), 10)

    with translation.override("en"):
        (english,) = explain(event=bought)
    with translation.override("zh-hans"):
        (chinese,) = explain(event=bought)

    assert "15" in english.sentence
    assert "1.5" in english.sentence
    assert "5" in english.sentence
    assert english.points == chinese.points == 5


def test_a_refund_has_no_rules_to_explain() -> None:
    RuleFactory.create()
    bought = buy(new_member(), 10)
    refunded = refunding.refund(event=bought, source=SOURCE, reference="back", occurred_at=AT, actor=TESTER, at=AT)

    assert explain(event=Event.objects.get(member_id=bought.member_id, id=refunded.event_id)) == []


# ---- backtest ----


def test_a_draft_is_tried_on_its_own_and_within_its_own_caps() -> None:
    RuleFactory.create(code="in-force")
    draft = RuleFactory.create(code="draft", status="draft", points=5, cap_day=30)
    member = new_member()
    buy(member, 100)

    (verdict,) = awarding.preview(event=event(member, 10), at=AT, only_rules=[draft.pk])

    assert (verdict.code, verdict.rounded, verdict.points) == ("draft", 50, 30)


def test_a_draft_that_multiplies_is_tried_on_the_base_points_in_force() -> None:
    RuleFactory.create(code="in-force")
    draft = multiplier("3", code="draft", status="draft")

    verdicts = awarding.preview(event=event(new_member(), 10), at=AT, only_rules=[draft.pk])

    assert [(one.code, one.points) for one in verdicts if one.code == "draft"] == [("draft", 20)]
