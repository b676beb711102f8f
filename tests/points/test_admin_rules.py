"""Earning rules on screen: written in words, previewed, put into force, never rewritten."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import CheckConstraint
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from members.models import AuditRecord, Member
from points.actions import ruling
from points.admin.forms import check_path
from points.models import EarningRule
from tests.config.admin_scene import staff
from tests.members.factories import TESTER, TierFactory
from tests.points.factories import (
    PointTypeFactory,
    RuleFactory,
    fixed_rule,
    multiplier,
    new_member,
    nothing_changes,
)

pytestmark = pytest.mark.django_db

ADD = "admin:points_earningrule_add"


@pytest.fixture
def manager(client: Client) -> Client:
    client.force_login(staff("programme manager", username="maria"))
    return client


def page_of(rule: EarningRule, step: str = "change") -> str:
    return reverse(f"admin:points_earningrule_{step}", args=[rule.pk])


def answers(**changed: Any) -> dict[str, Any]:
    """What a person fills in for a rule of a point a yuan."""
    return {
        "name_en": "A point a yuan",
        "name_zh_hans": "每元一分",
        "code": "base",
        "priority": "0",
        "valid_from_0": "2026-03-01",
        "valid_from_1": "00:00:00",
        "point_type": PointTypeFactory.create().pk,
        "award_kind": "rate",
        "points": "1",
        "per_minor": "1.00",
        "amount_basis": "net",
        "rounding": "floor",
        "is_base": "on",
        "pending_days": "0",
        **changed,
    }


def errors_of(response: Any) -> dict[str, list[str]]:
    return dict(response.context["adminform"].form.errors)


def test_a_rule_is_written_in_words_and_kept_in_columns(manager: Client) -> None:
    TierFactory.create(code="gold")
    said = answers(
        event_types=["purchase", "top_up"],
        weekdays=["6", "7"],
        tiers=["gold"],
        channels="app， online、in-store",
        stores="356\n367",
        amount_from_minor="99.50",
        tier_multipliers="gold = 1.5",
        attributes_contain='{"paid_with": "card"}',
        attributes_path="$.weight > 2",
    )

    response = manager.post(reverse(ADD), said)

    assert response.status_code == 302, errors_of(response)
    rule = EarningRule.objects.get()
    assert (rule.status, rule.version, rule.name_zh_hans) == ("draft", 1, "每元一分")  # type: ignore[attr-defined]
    assert (rule.event_types, rule.weekdays, rule.tiers) == (["purchase", "top_up"], [6, 7], ["gold"])
    assert (rule.channels, rule.stores) == (["app", "online", "in-store"], ["356", "367"])
    assert (rule.amount_from_minor, rule.per_minor) == (9_950, 100)
    assert (rule.tier_multipliers, rule.attributes_contain) == ({"gold": "1.5"}, {"paid_with": "card"})
    assert AuditRecord.objects.filter(action="earningrule.added", actor="staff:maria").exists()


def test_a_form_saved_again_unchanged_changes_nothing(manager: Client) -> None:
    TierFactory.create(code="gold")
    manager.post(
        reverse(ADD), answers(channels="app", tier_multipliers="gold = 1.5", weekdays=["6"], amount_from_minor="5")
    )
    rule = EarningRule.objects.get()
    form = manager.get(page_of(rule)).context["adminform"].form
    before = EarningRule.objects.values().get()

    assert form.initial["amount_from_minor"] == 500
    said = answers(channels="app", tier_multipliers="gold = 1.5", weekdays=["6"], amount_from_minor="5.00")
    assert manager.post(page_of(rule), said).status_code == 302

    assert EarningRule.objects.values().get() == before


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("attributes_path", "$.weight >", "Position 11"),
        ("attributes_path", "$.a ? (@ >> 2)", "Position 11"),
        ("attributes_path", "weight > 2", "Position 7"),
        ("attributes_contain", '{"a": }', "Line 1, column 7"),
        ("attributes_contain", "[1]", "A JSON object is needed"),
        ("attributes_contain", '{"a": NaN}', "NaN"),
        ("tier_multipliers", "gold = 1.5\nlead = 2", "Line 2: there is no tier “lead”"),
        ("tier_multipliers", "gold = much", "Line 1: the factor must be a number"),
        ("tier_multipliers", "gold = -1", "Line 1: the factor must be a number"),
        ("amount_from_minor", "1.005", "more decimals"),
        ("currency", "yuan", "3 characters"),
        ("weekdays", ["8"], "8"),
        ("event_types", ["refund"], "refund"),
        ("tiers", ["lead"], "lead"),
        ("points", "-3", "greater than or equal to 0.0001"),
        ("per_minor", "0", "must be more than nothing"),
        ("hour_from", "30", "less than or equal to 23"),
        ("hour_below", "0", "greater than or equal to 1"),
        ("cap_day", "-5", "greater than or equal to 1"),
        ("cap_week", "0", "greater than or equal to 1"),
        ("cap_month", "-1", "greater than or equal to 1"),
        ("cap_lifetime", "0", "greater than or equal to 1"),
        ("budget", "-1", "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_beside_its_field(manager: Client, field: str, value: Any, told: str) -> None:
    TierFactory.create(code="gold")

    response = manager.post(reverse(ADD), answers(**{field: value}))

    assert told in " ".join(errors_of(response)[field])
    assert "Constraint" not in str(errors_of(response))
    assert not EarningRule.objects.exists()


def test_an_amount_that_ends_before_it_begins_is_refused_beside_its_field(manager: Client) -> None:
    response = manager.post(reverse(ADD), answers(amount_from_minor="50", amount_below_minor="10"))

    assert list(errors_of(response)) == ["amount_below_minor"]
    assert "must be less than" in str(errors_of(response))
    assert not EarningRule.objects.exists()


def test_no_law_of_a_rule_is_told_by_the_name_of_its_constraint() -> None:
    assert [
        law.name
        for law in EarningRule._meta.constraints
        if isinstance(law, CheckConstraint) and law.violation_error_message == law.default_violation_error_message
    ] == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"valid_until_0": "2026-02-01", "valid_until_1": "00:00:00"}, "The period must end after it begins."),
        ({"award_kind": "multiplier", "points": "2"}, "A multiplier is a bonus and more than 1."),
        ({"expiry_policy": "days"}, "This expiry policy needs its number or its date."),
    ],
)
def test_the_laws_of_the_table_speak_in_the_form(manager: Client, changed: dict[str, str], told: str) -> None:
    response = manager.post(reverse(ADD), answers(**changed))

    assert told in str(errors_of(response))


def test_a_path_that_postgresql_reads_is_a_path() -> None:
    check_path('$.items[*].colour == "red" && $.weight > 2')


def test_a_draft_is_put_into_force_and_its_forerunner_ends_there(manager: Client) -> None:
    old = RuleFactory.create(code="base")
    manager.post(page_of(old, "new_version"))
    draft = EarningRule.objects.get(version=2)
    assert (draft.status, draft.code, draft.name_en) == ("draft", "base", old.name_en)  # type: ignore[attr-defined]
    assert draft.points == old.points

    asked = manager.post(page_of(draft, "activate"), {"reason": "spring"})
    assert "base" in asked.content.decode()
    draft.refresh_from_db()
    assert draft.status == "draft"
    manager.post(page_of(draft, "activate"), {"reason": "spring", "confirmed": "1"})

    draft.refresh_from_db()
    old.refresh_from_db()
    assert (draft.status, old.status) == ("active", "retired")
    assert old.valid_until == draft.valid_from
    assert draft.valid_from <= timezone.now()


def test_a_version_in_force_keeps_its_terms_whoever_asks(manager: Client) -> None:
    rule = RuleFactory.create(code="base", name_en="Old name")

    page = manager.get(page_of(rule)).content.decode()
    response = manager.post(page_of(rule), answers(name_en="New name", points="9", code="other"))

    assert 'name="points"' not in page
    assert response.status_code == 302, errors_of(response)
    rule.refresh_from_db()
    assert (rule.name_en, rule.code) == ("New name", "base")  # type: ignore[attr-defined]
    assert rule.points == 1


def test_the_end_of_a_rule_is_not_moved_in_the_past(manager: Client) -> None:
    rule = RuleFactory.create()
    ended = {"valid_until_0": "2020-01-01", "valid_until_1": "00:00:00"}

    response = manager.post(page_of(rule), answers(**ended))

    assert "must lie ahead" in str(errors_of(response)["valid_until"])


def test_a_rule_is_retired_with_a_reason_and_not_twice(manager: Client) -> None:
    rule = RuleFactory.create()

    manager.post(page_of(rule, "retire"), {"reason": "over"})
    again = manager.post(page_of(rule, "retire"), {"reason": "over"})

    rule.refresh_from_db()
    assert rule.status == "retired"
    assert rule.valid_until is not None
    assert "cannot be retired" in again.content.decode()
    assert AuditRecord.objects.filter(action="rule.retired", reason="over").count() == 1


def test_an_end_that_is_past_is_refused_beside_its_field(manager: Client) -> None:
    rule = RuleFactory.create()

    past = manager.post(page_of(rule, "retire"), {"reason": "x", "until_0": "2020-01-01", "until_1": "00:00:00"})

    assert past.context["form"].errors == {"until": ["The end must lie ahead."]}


def test_a_rule_in_force_is_neither_activated_again_nor_deleted(manager: Client) -> None:
    rule = RuleFactory.create()

    again = manager.post(page_of(rule, "activate"), {"reason": "x", "confirmed": "1"})
    deleted = manager.post(page_of(rule, "delete"), {"post": "yes"})

    assert "make a new version" in again.content.decode()
    assert deleted.status_code == 403
    assert EarningRule.objects.count() == 1


def test_a_draft_runs_in_the_shadow_first(manager: Client) -> None:
    draft = RuleFactory.create(status="draft")

    manager.post(page_of(draft, "shadow"))

    draft.refresh_from_db()
    assert draft.status == "shadow"


def test_reading_roles_change_no_rule(client: Client) -> None:
    client.force_login(staff("clerk"))
    draft = RuleFactory.create(status="draft")

    assert client.get(page_of(draft)).status_code == 200
    assert client.get(page_of(draft, "preview_of")).status_code == 200
    for step in ("activate", "retire", "shadow", "new_version"):
        assert client.post(page_of(draft, step), {"reason": "x", "confirmed": "1"}).status_code == 403
    assert client.get(reverse(ADD)).status_code == 403


@pytest.fixture
def member() -> Member:
    return new_member(phone="13800138000")


def imagined(**changed: Any) -> dict[str, Any]:
    """An event that did not happen: a purchase of 200 yuan in the app."""
    return {
        "member": "13800138000",
        "type": "purchase",
        "amount": "200",
        "channel": "app",
        "occurred_at_0": "2026-03-10",
        "occurred_at_1": "12:00:00",
        **changed,
    }


def test_a_preview_tells_what_each_rule_would_give_and_stores_nothing(manager: Client, member: Member) -> None:
    RuleFactory.create(name_en="Base")
    multiplier("2", name_en="In the app", channels=["app"])
    fixed_rule(50, name_en="On food", categories=["FOOD"])

    with nothing_changes():
        response = manager.post(reverse("admin:points_earningrule_preview"), imagined())

    verdicts = response.context["verdicts"]
    assert [(verdict.name, verdict.points) for verdict in verdicts] == [
        ("Base", 200),
        ("In the app", 200),
        ("On food", 0),
    ]
    assert response.context["totals"] == [("400", "Points")]
    assert {verdict.point_type for verdict in verdicts} == {"Points"}


def test_a_draft_is_previewed_by_itself_beside_the_rules_in_force(manager: Client, member: Member) -> None:
    RuleFactory.create(name_en="Base")
    draft = fixed_rule(30, name_en="Tried out", status="draft", valid_from=timezone.now())
    tomorrow = timezone.localtime() + timedelta(days=1)

    response = manager.post(
        page_of(draft, "preview_of"),
        imagined(occurred_at_0=f"{tomorrow:%Y-%m-%d}", occurred_at_1="23:59:59"),
    )

    assert [(verdict.name, verdict.points) for verdict in response.context["own"]] == [("Tried out", 30)]
    assert [verdict.name for verdict in response.context["verdicts"]] == ["Base"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"member": "nobody"}, "member"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "1.001"}, "amount"),
        ({"currency": "yuan"}, "currency"),
        ({"attributes": "{"}, "attributes"),
        ({"occurred_at_0": "never"}, "occurred_at"),
        ({"type": "refund"}, "type"),
    ],
)
def test_a_preview_of_nonsense_says_what_is_wrong(
    manager: Client, member: Member, changed: dict[str, str], field: str
) -> None:
    RuleFactory.create()

    response = manager.post(reverse("admin:points_earningrule_preview"), imagined(**changed))

    assert field in response.context["form"].errors


def test_a_draft_that_would_end_before_it_begins_is_not_put_into_force() -> None:
    past = RuleFactory.create(status="draft", valid_until=timezone.now() - timedelta(seconds=1))

    with pytest.raises(ruling.RuleEndPassed):
        ruling.activate(rule=past, actor=TESTER, at=timezone.now())

    past.refresh_from_db()
    assert past.status == "draft"


def test_a_name_is_asked_for_in_each_language_by_the_name_of_the_language(manager: Client) -> None:
    fields = manager.get(reverse(ADD)).context["adminform"].form.fields

    assert (fields["name_en"].label, fields["name_zh_hans"].label) == ("Name (English)", "Name (Chinese)")


def test_the_points_of_a_draft_are_shown_without_the_zeros_of_their_column(manager: Client) -> None:
    draft = RuleFactory.create(status="draft", points="3")

    assert 'value="3"' in str(manager.get(page_of(draft)).context["adminform"].form["points"])
