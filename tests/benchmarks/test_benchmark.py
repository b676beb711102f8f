"""The benchmark at a tiny scale: that it measures what it says, on both sides, and leaves nothing behind. No times."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.urls import Resolver404, resolve

from config.benchmarks.workloads import WORKLOADS
from points.benchmarks import harness
from points.benchmarks.harness import Bench, Figure, NotMeasured, Side, alternate, compare, sections

ROOT = Path(__file__).parents[2]


def _databases() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'laurel\\_benchmark\\_%%'", [])
        return {row[0] for row in cursor.fetchall()}


@pytest.mark.slow
@pytest.mark.django_db
def test_every_workload_prints_ratios_and_drops_its_database() -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "benchmark", "--json", "--scale", "0.0005"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": harness.database_url(), "LAUREL_VAR": os.environ.get("LAUREL_VAR", "")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    answer, errors = process.communicate(timeout=600)

    assert process.returncode == 0, errors[-2000:]
    told = json.loads(answer)
    assert {figure["workload"] for figure in told["figures"]} == set(WORKLOADS)
    for figure in told["figures"]:
        assert len(figure["ratios"]) == harness.ROUNDS
        assert figure["ratio"] > 0
        assert figure["done"] > 0
        assert figure["ours"] > 0
        assert figure["other"] > 0
    assert told["cores"] == os.cpu_count()
    assert told["scale"] == 0.0005
    assert not {name for name in _databases() if str(process.pid) in name}


def _bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(Bench, "settle", lambda bench: None)
    return Bench(scale=0.01)


def test_sides_that_did_not_do_the_same_give_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotMeasured, match="did not do the same"):
        alternate(_bench(monkeypatch), "work", [Side("ours", lambda _: 3), Side("theirs", lambda _: 2)])


def test_sides_that_did_nothing_give_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotMeasured):
        alternate(_bench(monkeypatch), "work", [Side("ours", lambda _: 0), Side("theirs", lambda _: 0)])


def test_the_sides_take_turns_and_the_first_round_only_warms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []

    def work(name: str) -> Callable[[int], int]:
        def noted(number: int) -> int:
            seen.append((name, number))
            return 1

        return noted

    ours, theirs = alternate(_bench(monkeypatch), "work", [Side("a", work("a")), Side("b", work("b"))])

    assert seen == [(side, number) for number in range(4) for side in "ab"]
    assert len(ours) == len(theirs) == 3


def _compared(**about: Any) -> Figure:
    ours, other = [(10, 2.0), (10, 4.0), (10, 8.0)], [(10, 1.0), (10, 1.0), (10, 1.0)]
    return compare(ours, other, workload="w", name="n", unit="rows", **about)


def test_the_ratio_is_the_median_over_the_rounds() -> None:
    share = _compared(aim=0.3)
    cost = _compared(aim=4.0, inverse=True)

    assert (share.ratio, share.is_reached) == (0.25, False)
    assert (cost.ratio, cost.is_reached) == (4.0, True)
    assert (share.ours, share.other) == (2.5, 10.0)
    assert _compared(aim=None).is_reached is None


def test_a_scale_makes_sizes_and_never_nothing() -> None:
    assert Bench(scale=0.5).size(100_000) == 50_000
    assert Bench(scale=0.0001).size(100, 7) == 7


def test_statements_are_found_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "work.sql"
    path.write_text("-- a remark\n-- :one\nSELECT 1\n\n-- :two\n-- said here\nSELECT 2\n", encoding="utf-8")

    assert sections(path) == {"one": "SELECT 1", "two": "-- said here\nSELECT 2"}


def test_absurd_scales_and_unknown_workloads_are_refused() -> None:
    with pytest.raises(CommandError, match="--scale"):
        call_command("benchmark", scale=0.0, stdout=StringIO())
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("benchmark", "--only", "nothing", stdout=StringIO())


def test_the_view_that_does_nothing_is_none_of_the_products_addresses() -> None:
    with pytest.raises(Resolver404):
        resolve("/no-op/")

    assert resolve("/no-op/", "config.benchmarks.urls").route == "no-op/"
    assert resolve("/api/v1/events/", "config.benchmarks.urls").view_name == "api-events"
