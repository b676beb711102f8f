"""Files of the books: as wide as was asked for, told in the reader's time, and refused rather than cut short."""

import csv
import io

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from import_export.formats.base_formats import XLSX
from tablib import Dataset

from members.admin import exporting
from members.admin.exporting import MarkedCSV
from members.models import AuditRecord, Member
from points.models import Entry
from tests.config.admin_scene import staff
from tests.points.factories import RuleFactory, buy, new_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def auditor(client: Client) -> Client:
    client.force_login(staff("auditor", username="ada"))
    return client


@pytest.fixture
def member() -> Member:
    RuleFactory.create(code="base")
    member = new_member()
    for amount in (10, 20, 30):
        buy(member, amount)
    return member


def test_every_column_says_what_its_row_holds(auditor: Client, member: Member) -> None:
    response = auditor.post(reverse("admin:points_entry_export"), {"format": "0", "resource": "0"})

    rows = {int(row["id"]): row for row in csv.DictReader(io.StringIO(response.content.decode("utf-8-sig")))}
    assert len(rows) == 3
    for entry in Entry.objects.select_related("member", "point_type", "rule"):
        row = rows[entry.pk]
        assert (row["member"], row["point_type"], row["rule"], row["corrects"]) == (
            member.number,
            "points",
            "base",
            "",
        )
        assert (row["seq"], row["points"], row["event_id"]) == (str(entry.seq), str(entry.points), str(entry.event_id))
        assert row["occurred_at"] == f"{timezone.localtime(entry.occurred_at):%Y-%m-%d %H:%M:%S}"


def test_a_spreadsheet_gets_numbers_and_times_as_such(auditor: Client, member: Member) -> None:
    response = auditor.post(reverse("admin:points_entry_export"), {"format": "1", "resource": "0"})

    first = Dataset().load(response.content, format="xlsx").dict[0]
    assert (type(first["points"]).__name__, type(first["occurred_at"]).__name__) == ("int", "datetime")


@pytest.mark.parametrize(("kind", "number", "name"), [(MarkedCSV, "0", "CSV"), (XLSX, "1", "XLSX")])
def test_more_rows_than_one_file_takes_are_refused_and_not_cut_short(
    auditor: Client, member: Member, monkeypatch: pytest.MonkeyPatch, kind: type, number: str, name: str
) -> None:
    address = reverse("admin:points_entry_export")
    monkeypatch.setitem(exporting.LIMITS, kind, 2)

    response = auditor.post(address, {"format": number, "resource": "0"})

    assert response.headers["Content-Type"].startswith("text/html")
    assert f"More than 2 rows, the most one {name} file takes." in response.content.decode()
    assert not AuditRecord.objects.filter(action="entry.exported").exists()
    monkeypatch.setitem(exporting.LIMITS, kind, 3)
    assert not auditor.post(address, {"format": number, "resource": "0"}).headers["Content-Type"].startswith("text/h")


def test_members_and_days_are_exported_too(auditor: Client, member: Member) -> None:
    response = auditor.post(reverse("admin:members_member_export"), {"format": "0", "resource": "0"})

    (row,) = csv.DictReader(io.StringIO(response.content.decode("utf-8-sig")))
    assert (row["number"], row["status"], row["tier"]) == (member.number, "active", member.tier.code)
    days = auditor.post(reverse("admin:points_dailystatistic_export"), {"format": "0", "resource": "0"})
    assert days.headers["Content-Type"].startswith("text/csv")
