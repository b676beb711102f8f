"""Balance and history of members with a hundred, ten thousand and a million entries: the same plans, the same time."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection

from members.models import Member
from points import reports
from points.benchmarks import programme
from points.benchmarks.harness import ROUNDS, Bench, Figure, NotMeasured, sections
from points.models import Entry

NAME = "reads"
SQL = sections(Path(__file__).with_suffix(".sql"))
PAGE = 50
READS = 200
AT = programme.AT + timedelta(days=400)


def run(bench: Bench) -> list[Figure]:
    """Load three histories through the ledger and read them in turn."""
    # Whole hundreds, so that no run is left with nothing to spend.
    sizes = sorted({100, bench.size(100, 2) * 100, bench.size(10_000, 3) * 100})
    programme.set_up(bench, members=len(sizes))
    members = dict(zip(sizes, Member.objects.order_by("id"), strict=True))
    for size, member in members.items():
        _load(bench, member, size)
    bench.check_books(NAME)
    bench.settle()
    reads: dict[str, Callable[[Member], int]] = {
        "balance": lambda member: len(reports.balances(member=member, at=AT)),
        "history, newest page": lambda member: len(list(Entry.objects.history(member)[:PAGE])),
        "history, oldest page": lambda member: len(list(Entry.objects.history(member).filter(seq__lte=PAGE)[:PAGE])),
    }
    return [_measure(bench, name, read, members) for name, read in reads.items()]


def _load(bench: Bench, member: Member, size: int) -> None:
    """Earn in runs and spend all but the last of each, so that a long life leaves few lots open, as in real ones."""
    with bench.bar(f"history of {size}", size) as bar:
        done = 0
        while done < size:
            count = min(9_999, size - done - 1)
            run = {"member": member.pk, "start": done, "count": count}
            posted = bench.value(SQL["earn"], run) + bench.value(SQL["spend"], run)
            if posted != count + 1:
                raise NotMeasured(f"{NAME}: {posted} of {count + 1} postings were taken")
            done += count + 1
            bar.update(count + 1)
    entries = Entry.objects.filter(member=member).count()
    if entries != size:
        raise NotMeasured(f"{NAME}: {entries} entries instead of {size}")


def _measure(bench: Bench, name: str, read: Callable[[Member], int], members: dict[int, Member]) -> Figure:
    smallest, largest = min(members), max(members)
    for member in members.values():
        _assert_indexed(name, read, member)
    seconds: dict[int, list[float]] = {size: [] for size in members}
    rows = 0
    with bench.bar(name, (ROUNDS + 1) * len(members)) as bar:
        for number in range(ROUNDS + 1):
            for size, member in members.items():
                started = time.perf_counter()
                rows = sum(read(member) for _ in range(READS))
                if number:
                    seconds[size].append(time.perf_counter() - started)
                bar.update()
    if not rows:
        raise NotMeasured(f"{NAME}: {name} read nothing")
    ratios = [large / small for large, small in zip(seconds[largest], seconds[smallest], strict=True)]
    return Figure(
        workload=NAME,
        name=f"{name}: {largest:,} ÷ {smallest:,} entries (time)",
        ratio=statistics.median(ratios),
        ratios=ratios,
        aim=1.5,
        sense="at_most",
        done=READS,
        unit="reads",
        ours=READS / statistics.median(seconds[largest]),
        other=READS / statistics.median(seconds[smallest]),
        note="; ".join(f"{size:,}: {READS / statistics.median(taken):,.0f}/s" for size, taken in seconds.items())
        + "; plans asserted: no sequential scan",
    )


def _assert_indexed(name: str, read: Callable[[Member], int], member: Member) -> None:
    """Refuse a plan that walks the ledger: time tells nothing on a machine that is busy, the plan does."""
    with _captured() as statements:
        read(member)
    with connection.cursor() as cursor:
        for sql, params in statements:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
            (answer,) = cursor.fetchone()
            plan = answer if isinstance(answer, list) else json.loads(answer)
            for node in _nodes(plan[0]["Plan"]):
                table = str(node.get("Relation Name", ""))
                if node["Node Type"] == "Seq Scan" and table in {"points_entry", "points_lot", "points_draw"}:
                    raise NotMeasured(f"{NAME}: {name} scans {table}")


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


@contextmanager
def _captured() -> Iterator[list[tuple[str, Any]]]:
    """The statements that the block sends."""
    statements: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield statements
