"""A day's statistics, beside a bare GROUP BY of the same rows, and a day's increment beside a full rebuild."""

from datetime import date, timedelta
from itertools import batched
from pathlib import Path
from typing import Any

from django.conf import settings

from points import batches
from points.actions import awarding
from points.benchmarks import programme
from points.benchmarks.harness import (
    ROUNDS,
    Bench,
    Figure,
    NotMeasured,
    Side,
    alternate,
    compare,
    plain_transaction,
    sections,
)
from points.calendar import end_of, start_of

NAME = "rollup"
SQL = sections(Path(__file__).with_suffix(".sql"))
FIRST_DAY = date(2025, 3, 1)
DAYS = 365


def run(bench: Bench) -> list[Figure]:
    """Award a year of ordinary days and a few big ones; roll the big ones up, then an ordinary day."""
    small, big = bench.size(250, 5), bench.size(10_000, 20)
    programme.set_up(bench, members=bench.size(20_000, 20))
    members = programme.member_ids(bench)
    big_days = [FIRST_DAY + timedelta(days=DAYS + number) for number in range(ROUNDS + 1)]
    ordinary = [FIRST_DAY + timedelta(days=number) for number in range(DAYS)]
    sizes = dict.fromkeys(ordinary, small) | dict.fromkeys(big_days, big)
    with bench.bar("days", sum(sizes.values())) as bar:
        for day, count in sizes.items():
            _award_day(members, day, count)
            bar.update(count)
    bench.execute(SQL["tables"])

    def increment(day: date) -> int:
        return batches.roll_up(business_date=day)["statistics"]

    def bare(start: date, stop: date) -> int:
        bounds: dict[str, Any] = {"start": start_of(start), "end": end_of(stop), "zone": settings.TIME_ZONE}
        with plain_transaction(bench):
            bench.execute(SQL["empty"])
            statistics = bench.execute(SQL["by_day"], bounds)
            bench.execute(SQL["by_month"], bounds)
        return statistics

    day_ours, day_bare = alternate(
        bench,
        "rollup of a day",
        [
            Side("roll_up", lambda number: increment(big_days[number])),
            Side("bare GROUP BY", lambda number: bare(big_days[number], big_days[number])),
        ],
    )
    _compare_months(bench, big_days[-1])
    # The second figure compares times, not rows: one ordinary day against all days.
    one, all_days = alternate(
        bench,
        "increment",
        [
            Side("roll_up", lambda number: bool(increment(ordinary[-1 - number]))),
            Side("rebuild", lambda _: bool(bare(FIRST_DAY, big_days[-1]))),
        ],
    )
    bench.check_books(NAME)
    return [
        compare(
            day_ours,
            day_bare,
            workload=NAME,
            name="a day's roll_up ÷ bare GROUP BY",
            unit="rows",
            aim=0.67,
            note=f"{big} events with line items on the day; the bare side writes the same rows into empty tables",
        ),
        compare(
            one,
            all_days,
            inverse=True,
            workload=NAME,
            name="a day's increment ÷ rebuild (time)",
            unit="runs",
            aim=0.05,
            note=f"a day of {small} events against {sum(sizes.values())} events in {len(sizes)} days",
        ),
    ]


def _award_day(members: list[int], day: date, count: int) -> None:
    at = end_of(day) - timedelta(hours=2)
    events = programme.purchases(count, members=members, prefix=day.isoformat(), at=at, items=True)
    for chunk in batched(events, awarding.BATCH_LIMIT, strict=False):
        results = awarding.award_many(events=chunk, source="till", actor=programme.ACTOR, at=at, told=False)
        if any(result.status != "accepted" for result in results):
            raise NotMeasured(f"{NAME}: not every event of {day} was accepted")


def _compare_months(bench: Bench, day: date) -> None:
    """Refuse the figure when the bare side's rows are not those of the rollup."""
    if different := bench.value(SQL["differences"], {"day": day}):
        raise NotMeasured(f"{NAME}: {different} rows differ between the sides")
