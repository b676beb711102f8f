"""The books on screen: adjusted with a reason, found by reference, explained, proved, and taken along as files."""

import csv
import io
import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from members.models import AuditRecord, Member
from points.models import Entry, Event
from tests.config.admin_scene import staff
from tests.points.factories import (
    AT,
    RuleFactory,
    balance,
    buy,
    event,
    fixed_rule,
    give,
    new_member,
    nothing_changes,
    take,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def member() -> Member:
    return new_member(name="王小明", phone="13800138000")


@pytest.fixture
def clerk(client: Client) -> Client:
    client.force_login(staff("clerk", username="clara"))
    return client


@pytest.fixture
def auditor(client: Client) -> Client:
    client.force_login(staff("auditor", username="ada"))
    return client


def adjustment(member: Member, client: Client, **changed: Any) -> tuple[str, dict[str, Any]]:
    """The address of the form and answers to it."""
    address = reverse("admin:points_balance_adjust", args=[member.pk])
    initial = client.get(address).context["form"].initial
    answers = {
        "point_type": balance(member).point_type_id,
        "direction": "credit",
        "points": 500,
        "reason": "a lost receipt",
        "note": "With our apologies",
        "reference": initial["reference"],
    }
    return address, answers | changed


def text_of(response: Any) -> str:
    return str(response.content.decode())


def test_an_adjustment_is_repeated_before_it_is_posted(clerk: Client, member: Member) -> None:
    give(member, 320)
    address, answers = adjustment(member, clerk)

    with nothing_changes():
        response = clerk.post(address, answers)

    text = text_of(response)
    assert "+500 Points" in text
    assert "320 → 820" in text
    assert "a lost receipt" in text


def test_an_adjustment_confirmed_is_posted_once_under_the_clerks_name(clerk: Client, member: Member) -> None:
    address, answers = adjustment(member, clerk, confirmed="1")

    first = clerk.post(address, answers, follow=True)
    again = clerk.post(address, answers, follow=True)

    entry = Entry.objects.get()
    assert (entry.points, entry.kind, entry.actor) == (500, "adjustment", "staff:clara")
    assert (entry.reason, entry.note, entry.source) == ("a lost receipt", "With our apologies", "admin")
    assert balance(member).available == 500
    assert "Available now: 500" in text_of(first)
    assert "nothing was posted again" in text_of(again)


def test_a_debit_beyond_what_is_there_is_refused_in_words(clerk: Client, member: Member) -> None:
    give(member, 100)
    address, answers = adjustment(member, clerk, direction="debit", points=101, confirmed="1")

    with nothing_changes():
        response = clerk.post(address, answers)

    assert "101 points are needed and 100 are available" in text_of(response)


def test_a_debit_beyond_what_is_there_is_not_offered_for_confirmation(clerk: Client, member: Member) -> None:
    address, answers = adjustment(member, clerk, direction="debit", points=50)

    response = clerk.post(address, answers)

    assert response.context["form"].errors["points"] == ["50 points are needed and 0 are available."]
    assert "Please check before it is done" not in text_of(response)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("points", "0"),
        ("points", "-5"),
        ("points", "1e3"),
        ("points", "9" * 30),
        ("reason", " "),
        ("direction", "both"),
    ],
)
def test_an_adjustment_that_makes_no_sense_is_refused_beside_its_field(
    clerk: Client, member: Member, field: str, value: str
) -> None:
    address, answers = adjustment(member, clerk, confirmed="1", **{field: value})

    with nothing_changes():
        response = clerk.post(address, answers)

    assert field in response.context["form"].errors


@pytest.mark.parametrize("is_superuser", [False, True])
def test_one_person_adjusts_no_more_than_the_limit_at_once(
    client: Client, member: Member, settings: Settings, is_superuser: bool
) -> None:
    settings.LAUREL_ADJUSTMENT_LIMIT = 5_000
    client.force_login(staff("clerk", is_superuser=is_superuser))
    address, answers = adjustment(member, client, confirmed="1", points="5001")

    with nothing_changes():
        response = client.post(address, answers)

    assert response.context["form"].errors["points"] == ["One person adjusts at most 5,000 points at once."]
    assert client.post(address, answers | {"points": "5000"}).status_code == 302


def test_only_who_may_adjusts(auditor: Client, member: Member) -> None:
    address = reverse("admin:points_balance_adjust", args=[member.pk])

    assert auditor.get(address).status_code == 403
    assert auditor.post(address, {"confirmed": "1"}).status_code == 403
    assert address not in text_of(auditor.get(reverse("admin:members_member_change", args=[member.pk])))


def test_the_page_of_a_member_shows_what_he_has_and_what_happened(clerk: Client, member: Member) -> None:
    RuleFactory.create(name_en="A point a yuan", cap_month=10_000)
    happened = buy(member, 217, channel="app", store="406")

    response = clerk.get(reverse("admin:members_member_change", args=[member.pk]))

    text = text_of(response)
    assert next(figure.value for figure in response.context["figures"]) == "217"
    assert "A point a yuan" in text
    assert "217.00 CNY" in text
    assert "app / 406" in text
    assert happened.reference in text
    assert {panel.slug for panel in response.context["panels"]} == {
        "lots",
        "entries",
        "events",
        "redemptions",
        "coupons",
        "usage",
        "tiers",
    }


def test_the_page_of_an_event_explains_it(clerk: Client, member: Member) -> None:
    RuleFactory.create(name_en="A point a yuan", cap_day=200)
    fixed_rule(50, name_en="Sundays", weekdays=[7], amount_from_minor=10_000)
    happened = buy(member, "217.90")

    response = clerk.get(reverse("admin:points_event_change", args=[happened.pk]))

    given, refused = response.context["verdicts"]
    assert (given.points, given.matched, refused.points, refused.matched) == (200, True, 0, False)
    assert given.limits == [("the daily cap", "0", "200")]
    assert [(c.label, c.expected, c.actual, c.holds) for c in refused.conditions] == [
        ("Amount at least", "100.00 CNY", "217.90 CNY", True),
        ("Weekday", "Sunday", "Tuesday", False),
    ]
    text = text_of(response)
    assert given.sentence in text
    assert "0 used of 200 before" in text
    assert "✗" in text


def test_the_page_of_an_entry_shows_its_lots_and_its_link_in_the_chain(clerk: Client, member: Member) -> None:
    give(member, 300)
    entry = Entry.objects.get()

    text = text_of(clerk.get(reverse("admin:points_entry_change", args=[entry.pk])))

    assert bytes(entry.digest).hex() in text
    assert "Lots opened" in text
    assert "This entry drew from no lot." in text


@pytest.mark.parametrize("model", ["event", "entry"])
def test_a_reference_finds_what_it_made_whichever_source_sent_it(clerk: Client, member: Member, model: str) -> None:
    RuleFactory.create()
    for source in ("till", "shop", "app"):
        take(event(member, 10, reference=f"only-{source}"), source=source)
    address = reverse(f"admin:points_{model}_changelist")

    found = clerk.get(address, {"q": "only-shop"}).context["cl"].result_list

    assert [(row.source, row.reference) for row in found] == [("shop", "only-shop")]


@pytest.mark.parametrize("model", ["event", "entry", "lot", "balance", "hold", "draw", "reference"])
def test_no_search_breaks_a_list(auditor: Client, member: Member, model: str) -> None:
    give(member, 10)
    address = reverse(f"admin:points_{model}_changelist")

    for term in ("#1", "#x", "#999999999999999999999999", "%", "'", "\x00", "no such thing"):
        assert auditor.get(address, {"q": term}).status_code in (200, 302), term


def test_a_members_rows_are_narrowed_by_card_number_and_by_day(clerk: Client, member: Member) -> None:
    other = new_member()
    give(member, 10)
    give(other, 20)
    address = reverse("admin:points_entry_changelist")

    by_number = clerk.get(address, {"q": member.grouped_number}).context["cl"].result_list
    that_day = {"recorded_at_from": f"{AT:%Y-%m-%d}", "recorded_at_to": f"{AT:%Y-%m-%d}"}
    on_day = clerk.get(address, that_day).context["cl"].result_list
    before = clerk.get(address, {"recorded_at_to": "2026-03-09"}).context["cl"].result_list
    of_member = clerk.get(address, {"member__exact": member.pk}).context["cl"].result_list

    assert [entry.points for entry in by_number] == [10]
    assert [entry.points for entry in on_day] == [20, 10]
    assert list(before) == []
    assert [entry.points for entry in of_member] == [10]


def test_the_trial_balance_adds_up_to_nothing(auditor: Client, member: Member) -> None:
    give(member, 300)

    response = auditor.get(reverse("admin:points_balance_trial"))

    (line,) = response.context["lines"]
    assert (line.issued, line.available, line.total) == (300, 300, 0)
    assert "300" in text_of(response)


def test_the_books_are_checked_of_all_or_of_one(auditor: Client, member: Member) -> None:
    give(member, 300)
    address = reverse("admin:points_balance_check")

    everybody = auditor.post(address, {"member": ""})
    one = auditor.post(address, {"member": "138 0013 8000"})
    nobody = auditor.post(address, {"member": "no such member"})

    assert "The books agree." in text_of(everybody)
    assert f"The books of {member.grouped_number} agree." in text_of(one)
    assert "member" in nobody.context["form"].errors


def export(client: Client, model: str, **filters: str) -> list[dict[str, str]]:
    """The rows of an exported CSV."""
    address = reverse(f"admin:points_{model}_export")
    page = text_of(client.get(address, filters))
    form = re.search(r'<option value="(\d+)"[^>]*>\s*csv', page)
    assert form, page[:2_000]
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    response = client.post(f"{address}?{query}", {"format": form[1], "resource": "0"})
    assert response.headers["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


def test_entries_are_taken_along_as_filtered_and_that_is_written_down(auditor: Client, member: Member) -> None:
    RuleFactory.create(code="base")
    buy(member, 10)
    give(member, 20)

    rows = export(auditor, "entry", kind__exact="accrual")

    assert [(row["member"], row["points"], row["rule"]) for row in rows] == [(member.number, "10", "base")]
    record = AuditRecord.objects.filter(action="entry.exported", actor="staff:ada").get()
    assert record.details["filters"] == {"kind__exact": "accrual"}


def test_events_and_statistics_are_taken_along_without_anything_personal(auditor: Client, member: Member) -> None:
    take(event(member, 10, attributes={"name": "王小明"}))

    rows = export(auditor, "event")

    assert [row["amount_minor"] for row in rows] == ["1000"]
    assert "王小明" not in json.dumps(rows, ensure_ascii=False)
    assert export(auditor, "dailystatistic") == []


def test_a_file_costs_no_query_a_row(auditor: Client) -> None:
    RuleFactory.create()
    buy(new_member(), 10)
    with CaptureQueriesContext(connection) as one:
        assert len(export(auditor, "entry")) == 1
    for _member in range(5):
        buy(new_member(), 10)

    with CaptureQueriesContext(connection) as six:
        assert len(export(auditor, "entry")) == 6

    assert len(six) == len(one)


@pytest.mark.parametrize("list_name", ["points_entry", "points_event", "points_dailystatistic", "members_member"])
def test_a_clerk_takes_nothing_along(clerk: Client, member: Member, list_name: str) -> None:
    address = reverse(f"admin:{list_name}_export")

    assert clerk.get(address).status_code == 403
    assert clerk.post(address, {"format": "0"}).status_code == 403
    if list_name != "points_dailystatistic":
        assert address not in text_of(clerk.get(reverse(f"admin:{list_name}_changelist")))


def test_a_formula_in_a_reference_is_only_text_in_a_spreadsheet(auditor: Client, member: Member) -> None:
    take(event(member, 10, reference="=cmd|' /C calc'!A0"))

    (row,) = export(auditor, "event")

    assert not row["reference"].startswith("=")
    assert Event.objects.get().reference.startswith("=")
