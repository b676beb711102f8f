"""An import that goes on past midnight: each chunk is booked when it is taken, not when the import began."""

from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.lib.actor import system
from points.imports import importing
from points.imports.error_report import ErrorReport
from points.imports.rows import COLUMNS
from points.models import Entry

from .factories import RuleFactory, local, new_member

pytestmark = pytest.mark.django_db

MIDNIGHT = local(2026, 3, 11)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of two chunks, and a clock that moves an hour each time it is looked at."""
    RuleFactory.create()
    number = new_member().number
    rows = [f"r{n},{number},purchase,2026-03-10T12:00:00+08:00,10.00,CNY,,," for n in range(2)]
    file = tmp_path / "two.csv"
    file.write_text("\n".join([",".join(COLUMNS), *rows, ""]))
    monkeypatch.setattr(importing, "CHUNK", 1)
    hours = count()
    clock = SimpleNamespace(now=lambda: MIDNIGHT + timedelta(hours=next(hours)) - timedelta(minutes=30))
    monkeypatch.setattr(importing, "timezone", clock, raising=False)
    return file


def booked(path: Path, at: datetime | None = None) -> list[datetime]:
    """Import the file; when its entries were booked."""
    with ErrorReport(path.with_suffix(".errors"), file=path) as report:
        importing.import_events(
            file=importing.open_file(path), source="till", report=report, actor=system("tests"), at=at
        )
    return list(Entry.objects.order_by("seq").values_list("recorded_at", flat=True))


def test_each_chunk_is_booked_at_its_own_time(path: Path) -> None:
    assert booked(path) == [MIDNIGHT - timedelta(minutes=30), MIDNIGHT + timedelta(minutes=30)]


def test_a_time_that_the_caller_fixed_is_the_time_of_all(path: Path) -> None:
    assert booked(path, local(2026, 3, 10, 13)) == [local(2026, 3, 10, 13)] * 2
