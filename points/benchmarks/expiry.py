"""The nightly expiry of many lots, beside the bare statement that writes the same rows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import psutil

from points import batches
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
from points.calendar import end_of

NAME = "expiry"
SQL = sections(Path(__file__).with_suffix(".sql"))
#: The night of each round; its lots end with that day.
FIRST_NIGHT = date(2026, 3, 1)


def run(bench: Bench) -> list[Figure]:
    """Give each round its lots through the ledger, copy them, and let both sides expire one night after the other."""
    members = bench.size(300_000, 30)
    lots = bench.size(1_000_000, 100)
    programme.set_up(bench, members=members)
    _load(bench, members=members, lots=lots)
    bench.execute(SQL["tables"])
    bench.execute(SQL["foreign_keys"])
    grown: list[int] = []

    def expire(number: int) -> int:
        night = FIRST_NIGHT + timedelta(days=number)
        with bench.bar("expire", members) as bar, _memory() as peak:
            counts = batches.expire(business_date=night, at=end_of(night) + timedelta(hours=2), progress=bar.update)
        grown.append(peak[0])
        return counts["members"]

    def bare(number: int) -> int:
        cutoff = end_of(FIRST_NIGHT + timedelta(days=number))
        with plain_transaction(bench):
            return bench.execute(SQL["expire"], {"cutoff": cutoff, "at": cutoff + timedelta(hours=2)})

    ours, other = alternate(bench, NAME, [Side("batches.expire", expire), Side("bare", bare)])
    if left := bench.value(SQL["left"], {"cutoff": end_of(FIRST_NIGHT + timedelta(days=ROUNDS))}):
        raise NotMeasured(f"{NAME}: {left} lots were left open by one side")
    if different := bench.value(SQL["differences"]):
        raise NotMeasured(f"{NAME}: {different} balances differ between the sides")
    bench.check_books(NAME)
    return [
        compare(
            ours,
            other,
            workload=NAME,
            name="batches.expire ÷ bare statement",
            unit="balances",
            aim=0.8,
            note=f"{lots} lots of {members} members a night; our process grew by {max(grown[1:]) / 2**20:.1f} MiB",
        )
    ]


def _load(bench: Bench, *, members: int, lots: int) -> None:
    """Open the lots of every night, 10,000 accruals a call."""
    with bench.bar("lots", lots * (ROUNDS + 1)) as bar:
        for number in range(ROUNDS + 1):
            night = FIRST_NIGHT + timedelta(days=number)
            for start in range(0, lots, 10_000):
                bar.update(
                    bench.value(
                        SQL["load"],
                        {
                            "start": start,
                            "stop": min(lots, start + 10_000) - 1,
                            "members": members,
                            "night": number,
                            "ends": end_of(night),
                            "at": programme.BEGINNING,
                        },
                    )
                )


@contextmanager
def _memory() -> Iterator[list[int]]:
    """How many bytes the process held at most beyond what it held before."""
    process = psutil.Process()
    before = process.memory_info().rss
    peak = [0]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            peak[0] = max(peak[0], process.memory_info().rss - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        stop.set()
        watcher.join()
