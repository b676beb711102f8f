"""`manage.py import_events`: what it takes, what it names, and that doing it twice is doing it once."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import translation

from members.models import AuditRecord, Member
from points import reports
from points.imports import importing
from points.imports.refusals import ValueMissing
from points.imports.rows import COLUMNS
from points.models import Entry, Event
from tests.members.factories import base_tier
from tests.points.factories import PointTypeFactory, RuleFactory, new_member, nothing_changes

HEADER = ",".join(COLUMNS)


@pytest.fixture
def _programme() -> None:
    base_tier()
    RuleFactory.create(code="base", event_types=["purchase"])


def line(reference: str, member: str, amount: str = "10.00", **given: str) -> str:
    """Return one row of a CSV file."""
    columns = {
        "reference": reference,
        "member": member,
        "type": "purchase",
        "occurred_at": "2026-03-10T12:00:00+08:00",
        "amount": amount,
        "currency": "CNY",
        "channel": "app",
        "store": "17",
        "items": "",
    }
    return ",".join({**columns, **given}.values())


def write(path: Path, lines: Sequence[str], encoding: str = "utf-8") -> Path:
    """Write a CSV file with these rows."""
    path.write_bytes("\n".join([HEADER, *lines, ""]).encode(encoding))
    return path


def run(path: Path, *more: str) -> int:
    """Import a file; return the exit code."""
    try:
        call_command("import_events", str(path), "--source", "till", *more)
    except SystemExit as stopped:
        return int(str(stopped.code))
    except CommandError as error:
        return error.returncode
    return 0


def report_of(path: Path) -> list[dict[str, str]]:
    """Return the report of rejected rows."""
    with path.with_name(f"{path.name}.errors.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_every_row_of_a_good_file_is_awarded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    member = new_member()
    items = '"[{""sku"": ""x"", ""category"": ""FRESH"", ""quantity"": 2, ""amount"": ""10.00""}]"'
    path = write(tmp_path / "good.csv", [line("a", member.number, items=items), line("b", member.number, "2.50")])

    assert run(path) == 0

    event = Event.objects.get(reference="a")
    assert (event.source, event.amount_minor, event.currency, event.channel, event.store) == (
        "till",
        1000,
        "CNY",
        "app",
        "17",
    )
    assert event.items == [{"sku": "x", "category": "FRESH", "quantity": 2, "amount_minor": 1000}]
    assert sum(Entry.objects.values_list("points", flat=True)) == 12
    assert not path.with_name("good.csv.errors.csv").exists()
    assert "Accepted                                 2" in capsys.readouterr().out


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_bad_rows_are_named_and_the_good_ones_kept(tmp_path: Path) -> None:
    member, closed = new_member(), new_member(status="suspended")
    number = member.number
    path = write(
        tmp_path / "mixed.csv",
        [
            line("good-1", number),
            line("short", number) + ",too,many",
            line("member", "999999999999"),
            line("closed", closed.number),
            line("type", number, type="theft"),
            line("naive", number, occurred_at="2026-03-10T12:00:00"),
            line("future", number, occurred_at="2999-03-10T12:00:00Z"),
            line("negative", number, "-1.00"),
            line("decimals", number, "1.001"),
            line("items", number, items="[1"),
            line("good-1", number, "99.00"),
            line("nul\0", number),
            line('"quote', number),
            line("good-2", number),
        ],
    )

    assert run(path) == 1

    assert [(row["row"], row["reference"], row["field"], row["code"]) for row in report_of(path)] == [
        ("3", "short", "(row)", "wrong_column_count"),
        ("4", "member", "member", "unknown_member"),
        ("5", "closed", "member", "member_not_active"),
        ("6", "type", "type", "unknown_type"),
        ("7", "naive", "occurred_at", "naive_time"),
        ("8", "future", "occurred_at", "future_time"),
        ("9", "negative", "amount", "negative_amount"),
        ("10", "decimals", "amount", "too_many_decimals"),
        ("11", "items", "items", "invalid_json"),
        ("12", "good-1", "reference", "duplicate_reference"),
        ("13", "nul\0", "reference", "control_characters"),
        ("14", "quote", "(row)", "broken_quotes"),
    ]
    assert "1.001 has more decimals than CNY allows (2)." in [row["reason"] for row in report_of(path)]
    assert set(Event.objects.values_list("reference", flat=True)) == {"good-1", "good-2"}
    assert reports.check_books() == []


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_reasons_are_given_in_the_language_that_was_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "naive.csv", [line("", new_member().number)])

    assert run(path, "--language", "zh-hans") == 1

    (row,) = report_of(path)
    with translation.override("zh-hans"):
        assert (row["field"], row["code"], row["reason"]) == ("reference", "missing", str(ValueMissing()))


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "utf-16"])
def test_outside_ids_in_chinese_encodings_become_members(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "gbk.csv", [line(f"订单{n}", f"客户{n % 2}") for n in range(6)], encoding)

    assert run(path, "--create-members") == 0

    assert Member.objects.by_external("till", "客户1").count() == 1
    assert Member.objects.count() == 2
    assert Event.objects.filter(reference="订单5").count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_an_outside_id_without_create_members_is_an_unknown_member(tmp_path: Path) -> None:
    path = write(tmp_path / "outside.csv", [line("a", "customer-1")])

    assert run(path) == 1

    assert report_of(path)[0]["code"] == "unknown_member"
    assert not Member.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_with_create_members_a_card_number_is_still_the_member_who_has_it(tmp_path: Path) -> None:
    member = new_member()
    path = write(tmp_path / "both.csv", [line("a", member.number), line("b", "customer-1"), line("c", member.number)])

    assert run(path, "--create-members") == 0

    assert Event.objects.filter(member=member).count() == 2
    assert Member.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_members_are_enrolled_once_however_many_chunks_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK", 4)
    path = write(tmp_path / "chunks.csv", [line(f"r{n}", f"customer-{n % 3}") for n in range(20)])

    assert run(path, "--create-members") == 0

    assert Member.objects.count() == 3
    assert AuditRecord.objects.filter(action="members.enrolled").count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_importing_a_file_again_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "twice.csv", [*(line(f"r{n}", f"customer-{n}") for n in range(5)), line("", "x")])
    run(path, "--create-members")
    first_report = report_of(path)
    capsys.readouterr()

    with nothing_changes():
        assert run(path, "--create-members") == 1

    assert report_of(path) == first_report
    assert "Known already                            5" in capsys.readouterr().out


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_a_reference_that_was_used_for_something_else_is_a_conflict(tmp_path: Path) -> None:
    member = new_member()
    run(write(tmp_path / "first.csv", [line("a", member.number)]))
    changed = write(tmp_path / "second.csv", [line("a", member.number, "99.00")])

    with nothing_changes():
        assert run(changed) == 1

    (row,) = report_of(changed)
    assert (row["field"], row["code"]) == ("reference", "reference_conflict")


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_the_report_of_an_earlier_try_goes_when_nothing_is_rejected_any_more(tmp_path: Path) -> None:
    member = new_member()
    path = write(tmp_path / "mended.csv", [line("", member.number)])
    assert run(path) == 1

    assert run(write(path, [line("a", member.number)])) == 0

    assert not path.with_name("mended.csv.errors.csv").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("reach", ["the file itself", "a symbolic link", "a hard link"])
def test_the_report_is_never_written_over_the_file(tmp_path: Path, reach: str) -> None:
    path = write(tmp_path / "orig.csv", [line("", "1")])
    before = path.read_bytes()
    report = path if reach == "the file itself" else tmp_path / "link.csv"
    if reach == "a symbolic link":
        report.symlink_to(path)
    if reach == "a hard link":
        report.hardlink_to(path)

    with nothing_changes():
        assert run(path, "--report", str(report)) == 2

    assert path.read_bytes() == report.read_bytes() == before


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
@pytest.mark.parametrize("content", ["row,reference,of,somebody\n", "", "row,reference,field,code,reason\n"])
@pytest.mark.parametrize("reference", ["good", ""])
def test_a_file_that_is_no_report_is_neither_overwritten_nor_removed(
    tmp_path: Path, content: str, reference: str
) -> None:
    path, other = write(tmp_path / "good.csv", [line(reference, new_member().number)]), tmp_path / "other.csv"
    other.write_text(content)

    with nothing_changes():
        assert run(path, "--report", str(other)) == 2
        assert run(path, "--report", str(tmp_path)) == 2

    assert other.read_text() == content


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_the_report_of_an_earlier_try_is_replaced_whole(tmp_path: Path) -> None:
    number = new_member().number
    path = write(tmp_path / "two.csv", [line("a", number), line("", number), line("b", number), line("", number)])
    assert run(path) == 1
    assert len(report_of(path)) == 2

    assert run(write(path, [line("a", number), line("", number)])) == 1

    assert [row["row"] for row in report_of(path)] == ["3"]


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_an_import_that_breaks_off_keeps_the_report_of_the_earlier_try(tmp_path: Path) -> None:
    path = write(tmp_path / "broken.csv", [line("", new_member().number)])
    assert run(path) == 1
    earlier = report_of(path)

    path.write_text("reference,member\n")
    assert run(path) == 2

    assert report_of(path) == earlier


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_times_without_an_offset_are_taken_when_the_zone_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "naive.csv", [line("a", new_member().number, occurred_at="2026-03-10 12:00:00")])

    assert run(path, "--assume-zone", "Asia/Shanghai") == 0

    assert Event.objects.get().occurred_at.isoformat() == "2026-03-10T04:00:00+00:00"


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_parquet_is_imported_like_csv(tmp_path: Path) -> None:
    rows: dict[str, list[Any]] = {
        "reference": ["a", "b"],
        "member": [900, 901],
        "type": ["purchase", "purchase"],
        "occurred_at": ["2026-03-10T12:00:00+08:00", "2026-03-10T12:00:00"],
        "amount": [10.1, 5.0],
        "currency": ["CNY", "CNY"],
        "channel": ["app", None],
        "store": [None, None],
        "items": [[{"sku": "x", "category": "c", "quantity": 1, "amount": 10.1}], None],
    }
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table(rows), path)

    assert run(path, "--create-members") == 1

    assert Event.objects.get().amount_minor == 1010
    assert [(row["row"], row["reference"], row["code"]) for row in report_of(path)] == [("2", "b", "naive_time")]


@pytest.mark.django_db
@pytest.mark.usefixtures("_programme")
def test_values_of_parquet_that_python_cannot_hold_cost_their_own_row(tmp_path: Path) -> None:
    number = new_member().number
    rows: dict[str, Any] = {
        "reference": ["a", "b", "c"],
        "member": [number] * 3,
        "type": ["purchase"] * 3,
        "occurred_at": pa.array([1_763_600_000_000_000, 1 << 62, 1_763_600_000_000_000], pa.timestamp("us", "UTC")),
        "amount": [10, 10, 10],
        "currency": ["CNY"] * 3,
        "channel": [None, None, ["app", "web"]],
        "store": [None] * 3,
        "items": [None] * 3,
    }
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table(rows), path)

    assert run(path) == 1

    assert [event.reference for event in Event.objects.all()] == ["a"]
    assert [(row["row"], row["reference"], row["field"], row["code"]) for row in report_of(path)] == [
        ("2", "b", "occurred_at", "unreadable"),
        ("3", "c", "channel", "wrong_type"),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("content", ["", "reference,member\n", "PK\x03\x04"])
def test_a_file_that_is_no_use_ends_with_2_and_leaves_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "useless.csv"
    path.write_text(content)

    with nothing_changes():
        assert run(path) == 2

    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "more", [("--source", "admin"), ("--source", "two words"), ("--assume-zone", "Mars"), ("--encoding", "zip")]
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, more: tuple[str, str]) -> None:
    assert run(write(tmp_path / "good.csv", [line("a", "b")]), *more) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_programme")
def test_an_import_that_was_killed_ends_at_the_same_books_when_it_is_run_again(tmp_path: Path) -> None:
    PointTypeFactory.create()
    rows = 12_000
    path = write(tmp_path / "long.csv", [line(f"r{n}", f"customer-{n % 50}", f"{n % 90}.00") for n in range(rows)])
    database = connection.settings_dict
    address = f"{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    command = [sys.executable, "-c", _IMPORT, str(path)]
    environment = {**os.environ, "DATABASE_URL": f"postgres://{address}", "DJANGO_SETTINGS_MODULE": "config.settings"}

    process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment)
    while not Event.objects.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    taken = Event.objects.count()
    assert run(path, "--create-members") == 0

    assert 0 < taken < rows
    assert Event.objects.count() == rows
    assert sum(Entry.objects.values_list("points", flat=True)) == sum(n % 90 for n in range(rows))
    assert reports.check_books() == []


# In the settings of the tests, whose keys open what this process seals.
_IMPORT = """
import sys, pytest, django
django.setup()
from django.core.management import call_command
call_command("import_events", sys.argv[1], "--source", "till", "--create-members")
"""
