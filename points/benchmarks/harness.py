"""The bench: a database of its own, two sides measured in turn, and counts that prove both did the work."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import ProgrammingError, connection, transaction
from tqdm import tqdm

from points import reports
from points.actions import catalogue

ROUNDS = 3
TABLES = ("entry", "lot", "draw", "balance", "event", "reference", "ruleusage", "rulebudget", "membermonth")


class NotMeasured(Exception):
    """A side did not do what it was meant to, so its time says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One ratio: the median over the rounds, what it should reach, and what both sides did in a round."""

    workload: str
    name: str
    ratio: float
    ratios: list[float]
    aim: float | None
    #: "at_least" for a share of the bare statement's speed, "at_most" for a cost that must not grow.
    sense: str = "at_least"
    #: What was done in one round, and by which measure.
    done: int
    unit: str
    #: Units a second, medians: ours and the other side's.
    ours: float
    other: float
    note: str = ""

    @property
    def is_reached(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        if self.aim is None:
            return None
        return self.ratio >= self.aim if self.sense == "at_least" else self.ratio <= self.aim


@dataclass(slots=True)
class Bench:
    """What a workload needs: its size, the clock, the database, and somebody watching."""

    scale: float = 1.0
    quiet: bool = True
    remarks: list[str] = field(default_factory=list)

    def size(self, full: int, least: int = 1) -> int:
        """How many of something, at this scale."""
        return max(least, round(full * self.scale))

    @contextmanager
    def bar(self, what: str, total: int, unit: str = "") -> "Iterator[tqdm[Any]]":
        """A progress bar, silent where nobody watches."""
        with tqdm(total=total, desc=what, unit=unit, unit_scale=True, disable=self.quiet, leave=False) as bar:
            yield bar

    def execute(self, sql: str, params: dict[str, Any] | None = None) -> int:
        """Run SQL; how many rows the last statement touched."""
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return int(cursor.rowcount)

    def value(self, sql: str, params: dict[str, Any] | None = None) -> Any:
        """The one value a query gives."""
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchone()[0]

    def settle(self) -> None:
        """Write out what the other side left behind, and tell the planner the tables: nobody pays for the other."""
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")
            try:
                cursor.execute("CHECKPOINT")
            except ProgrammingError:
                remark = "CHECKPOINT is not ours to ask for here: one side may pay for the other's writes."
                if remark not in self.remarks:
                    self.remarks.append(remark)

    def check_books(self, workload: str) -> None:
        """Refuse to report a workload whose books do not agree."""
        breaks = reports.check_books()
        if breaks or any(line.total for line in reports.trial_balance()):
            raise NotMeasured(f"{workload}: the books do not agree: {'; '.join(map(str, breaks[:3]))}")


def sections(path: Path) -> dict[str, str]:
    """The named statements of a workload's `.sql`: each begins with a line `-- :name`."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("-- :"):
            found[line.removeprefix("-- :").strip()] = current = []
        elif found:
            current.append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


@dataclass(frozen=True, slots=True)
class Side:
    """One way to do the work: what it does in a round, untimed before it, and how many units it says it did."""

    name: str
    work: Callable[[int], int]
    prepare: Callable[[int], None] = lambda _round: None


def alternate(bench: Bench, what: str, sides: Sequence[Side], rounds: int = ROUNDS) -> list[list[tuple[int, float]]]:
    """Let the sides work in turn, once to warm up and then in measured rounds: per side its (done, seconds)."""
    measured: list[list[tuple[int, float]]] = [[] for _ in sides]
    with bench.bar(what, (rounds + 1) * len(sides), " runs") as bar:
        for number in range(rounds + 1):
            for side, results in zip(sides, measured, strict=True):
                bar.set_postfix_str(side.name)
                side.prepare(number)
                bench.settle()
                started = time.perf_counter()
                done = side.work(number)
                results.append((done, time.perf_counter() - started))
                bar.update()
            done_by = {side.name: results[-1][0] for side, results in zip(sides, measured, strict=True)}
            if len(set(done_by.values())) > 1 or not all(done_by.values()):
                raise NotMeasured(f"{what}: the sides did not do the same: {done_by}")
    return [results[1:] for results in measured]


def compare(
    ours: list[tuple[int, float]], other: list[tuple[int, float]], *, inverse: bool = False, **about: Any
) -> Figure:
    """The ratio of two sides: our speed as a share of the other's; inverse, our time as a multiple."""
    shares = [(one / mine) / (another / theirs) for (one, mine), (another, theirs) in zip(ours, other, strict=True)]
    ratios = [1 / share if inverse else share for share in shares]
    return Figure(
        ratio=statistics.median(ratios),
        ratios=ratios,
        sense="at_most" if inverse else "at_least",
        done=ours[-1][0],
        ours=statistics.median(done / seconds for done, seconds in ours),
        other=statistics.median(done / seconds for done, seconds in other),
        **about,
    )


@contextmanager
def plain_transaction(bench: Bench) -> Iterator[None]:
    """One transaction of the bare side, at its best: compiling a statement that runs once only delays it."""
    with transaction.atomic():
        bench.execute("SET LOCAL jit = off")
        yield


# The database of the benchmark. The one it is pointed at is only asked to make and drop another beside it.


@contextmanager
def own_database() -> Iterator[str]:
    """Migrate a database of our own, from which each workload takes a copy; dropped whatever happens."""
    name = f"laurel_benchmark_{os.getpid()}"
    with _database(name):
        call_command("migrate", verbosity=0, interactive=False)
        yield name


@contextmanager
def fresh_copy(template: str) -> Iterator[None]:
    """A copy of the migrated database for one workload, so that none meets the rows of another."""
    with _database(f"{template}_run", template=template):
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"ALTER TABLE points_{table} SET (autovacuum_enabled = false)")
        yield


@contextmanager
def _database(name: str, template: str = "template0") -> Iterator[None]:
    before = connection.settings_dict["NAME"]
    environment = os.environ.get("DATABASE_URL")
    _leave()
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        _point_at(name)
        yield
    finally:
        _leave()
        _point_at(before)
        if environment is None:
            os.environ.pop("DATABASE_URL", None)
        else:
            os.environ["DATABASE_URL"] = environment
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _leave() -> None:
    """Let go of the database: no copy is made of one that somebody is in."""
    catalogue.forget()
    connection.close()
    if connection.settings_dict.get("OPTIONS", {}).get("pool"):
        connection.close_pool()  # type: ignore[attr-defined]


def _point_at(name: str) -> None:
    """Let this process and those it starts use another database of the server."""
    connection.settings_dict["NAME"] = name
    settings.DATABASES["default"]["NAME"] = name
    os.environ["DATABASE_URL"] = database_url()


def database_url() -> str:
    """The address of the database in use, as child processes and pgbench understand it."""
    from urllib.parse import quote

    database = connection.settings_dict
    user = quote(str(database["USER"]), safe="")
    password = f":{quote(str(database['PASSWORD']), safe='')}" if database["PASSWORD"] else ""
    host, port = database["HOST"] or "127.0.0.1", database["PORT"] or 5432
    return f"postgres://{user}{password}@{host}:{port}/{quote(str(database['NAME']), safe='')}"
