"""Events through the rules into the books, beside the bare INSERT of the same entries, lots and balances."""

from datetime import timedelta
from itertools import batched
from pathlib import Path
from typing import Any

from points.actions import awarding
from points.actions.awarding import IncomingEvent
from points.benchmarks import programme
from points.benchmarks.harness import Bench, Figure, NotMeasured, Side, alternate, compare, plain_transaction, sections

NAME = "bulk_award"
SQL = sections(Path(__file__).with_suffix(".sql"))
CHUNK = awarding.BATCH_LIMIT


def run(bench: Bench) -> list[Figure]:
    """Award the events in batches of 10,000, then insert what came of them into tables like the ledger's own."""
    events = bench.size(100_000, 100)
    programme.set_up(bench, members=bench.size(20_000, 20))
    members = programme.member_ids(bench)
    bench.execute(SQL["tables"])
    bench.execute(SQL["foreign_keys"])
    incoming: list[IncomingEvent] = []

    def prepare(number: int) -> None:
        bench.execute(SQL["forget"])
        incoming[:] = programme.purchases(
            events, members=members, prefix=f"r{number}", at=programme.AT + timedelta(days=number)
        )

    def award(number: int) -> int:
        at = programme.AT + timedelta(days=number)
        accepted = 0
        for chunk in batched(incoming, CHUNK, strict=False):
            results = awarding.award_many(events=chunk, source="till", actor=programme.ACTOR, at=at, told=False)
            accepted += sum(result.status == "accepted" for result in results)
        if accepted != events:
            raise NotMeasured(f"{NAME}: {accepted} of {events} events were accepted")
        return int(bench.value(SQL["count"]))

    def insert(prefix: str) -> int:
        with plain_transaction(bench):
            entries = bench.execute(SQL["entries"].replace("bare_", prefix))
            bench.execute(SQL["lots"].replace("bare_", prefix))
            bench.execute(SQL["balances"].replace("bare_", prefix))
        return entries

    ours, bare, free = alternate(
        bench,
        NAME,
        [
            Side("award_many", award, prepare),
            Side("bare", lambda _: insert("bare_"), lambda _: _stage(bench)),
            Side("bare, no foreign keys", lambda _: insert("free_")),
        ],
    )
    bench.check_books(NAME)
    _compare_books(bench)
    about: dict[str, Any] = {"workload": NAME, "unit": "entries"}
    return [
        compare(
            ours,
            bare,
            aim=0.4,
            name="award_many ÷ bare INSERT",
            note=f"{events} events, told=False; bare tables with the same columns, indexes, checks and foreign keys",
            **about,
        ),
        compare(
            ours,
            free,
            aim=None,
            name="award_many ÷ bare INSERT, no FKs",
            note="the same without foreign keys",
            **about,
        ),
    ]


def _stage(bench: Bench) -> None:
    """Lay the new rows ready, so that the bare side only reads a plain table."""
    bench.execute(SQL["stage"])


def _compare_books(bench: Bench) -> None:
    """Refuse the figure when the bare balances differ from ours: the sides would not have done the same."""
    if different := bench.value(SQL["differences"]):
        raise NotMeasured(f"{NAME}: {different} balances differ between the sides")
