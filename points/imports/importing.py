"""Events from a file into the books: a chunk at a time, each row once for ever, bad rows named and passed over.

There is nothing to resume by: a row that was taken before answers as it did then, so an import that was killed is run
again from the beginning and ends at the same books.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import batched
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from django.utils import timezone

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.actions import enrolling
from members.actions.enrolling import Person
from members.models import MemberKey, MemberKeyKind
from points.actions import awarding
from points.actions.awarding import EventResult, IncomingEvent
from points.imports import encodings, statistics
from points.imports.csv_files import CsvFile
from points.imports.error_report import ErrorReport
from points.imports.parquet_files import MARK, ParquetFile
from points.imports.reading import Reader
from points.imports.refusals import FileMissing, FormatUnknown, MemberUnknown, ReferenceRepeated, RowRejected
from points.imports.rows import COLUMNS, RawRow, RowProblem

CHUNK = 5_000
_MOST_CARDS = 200_000
_OTHER_FORMATS = (
    (b"PK\x03\x04", "Excel or ZIP"),
    (b"\xd0\xcf\x11\xe0", "Excel 97"),
    (b"\x1f\x8b", "gzip"),
    (b"%PDF", "PDF"),
)

Progress = Callable[[int, int], None]


class EventFile(Protocol):
    """A file of rows, with how far it has been read."""

    encoding: str
    size: int

    @property
    def position(self) -> int: ...

    def rows(self) -> Iterator[RawRow]: ...


@dataclass(slots=True)
class Summary:
    """What an import did."""

    rows: int = 0
    accepted: int = 0
    replayed: int = 0
    rejected: int = 0
    enrolled: int = 0
    points: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


def open_file(path: Path, *, encoding: str = "auto") -> EventFile:
    """Open a file as what it is, whatever it is called; refuse what is neither CSV nor Parquet."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise FileMissing(path=path, reason=error.strerror) from None
    if head.startswith(MARK):
        return ParquetFile(path)
    for mark, name in _OTHER_FORMATS:
        if head.startswith(mark):
            raise FormatUnknown(found=name)
    return CsvFile(path, encodings.resolve(path, encoding))


def import_events(
    *,
    file: EventFile,
    source: str,
    create_members: bool = False,
    zone: ZoneInfo | None = None,
    report: ErrorReport,
    actor: Actor,
    at: datetime | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Take every good row of a file as an event of `source`, and write every bad one to the report.

    A killed import is simply run again. `progress` is told the place in the file and the rows so far.
    Without `at` each chunk is booked when it is taken: a long import must not book into a day that is closed by then.
    """
    running = _Import(
        Reader(encoding=file.encoding, zone=zone, at=at or timezone.now()), source, create_members, actor
    )
    summary = running.summary
    statistics.begin_bulk()
    with _References() as references:
        for step, rows in enumerate(batched(file.rows(), CHUNK, strict=False), start=1):
            if at is None and step > 1:
                running.reader = replace(running.reader, at=timezone.now())
            problems = running.take(rows, references)
            statistics.refresh_at(step)
            summary.rows += len(rows)
            summary.rejected += len({problem.row for problem in problems})
            summary.reasons.update(problem.refusal.code for problem in problems)
            report.write(sorted(problems, key=lambda problem: problem.row))
            report.flush()
            if progress:
                progress(file.position, summary.rows)
    return summary


_Numbered = tuple[int, IncomingEvent]


@dataclass(slots=True)
class _Import:
    """A running import: what it is told once, and what it has learnt so far."""

    reader: Reader
    source: str
    create_members: bool
    actor: Actor
    summary: Summary = field(default_factory=Summary)
    cards: dict[str, str] = field(default_factory=dict)

    def take(self, rows: Iterable[RawRow], references: "_References") -> list[RowProblem]:
        """Bring one chunk of rows into the books; return what is wrong with the others."""
        problems: list[RowProblem] = []
        events = self._read(rows, references, problems)
        if self.create_members:
            events = self._enrol(events, problems)
        self._award(events, problems)
        return problems

    def _read(self, rows: Iterable[RawRow], references: "_References", problems: list[RowProblem]) -> list[_Numbered]:
        """Return the rows that are well-formed and stand first with their reference."""
        events: list[_Numbered] = []
        for row in rows:
            event = self.reader.read(row)
            if isinstance(event, list):
                problems += event
            else:
                events.append((row.number, event))
        firsts = references.first_rows([(event.reference, number) for number, event in events])
        for (number, event), first in zip(events, firsts, strict=True):
            if first != number:
                problems.append(RowProblem(number, event.reference, "reference", ReferenceRepeated(first=first)))
        return [numbered for numbered, first in zip(events, firsts, strict=True) if first == numbered[0]]

    def _enrol(self, events: list[_Numbered], problems: list[RowProblem]) -> list[_Numbered]:
        """Take members in under their outside ids; return the events with card numbers in their place."""
        named = {event.member for _number, event in events}
        if len(self.cards) > _MOST_CARDS:
            self.cards = {name: card for name, card in self.cards.items() if name in named}
        refused = self._learn_cards(named - self.cards.keys())
        for number, event in events:
            if event.member not in self.cards:
                refusal = refused.get(event.member) or MemberUnknown()
                problems.append(RowProblem(number, event.reference, "member", refusal))
        return [
            (number, replace(event, member=self.cards[event.member]))
            for number, event in events
            if event.member in self.cards
        ]

    def _learn_cards(self, names: set[str]) -> dict[str, DomainError]:
        """Find the cards of those who are named: by outside id, by card number, else by enrolling them now."""
        keys = MemberKey.objects.filter(key__in=names)
        outside = keys.filter(kind=MemberKeyKind.EXTERNAL, scope=self.source).values_list("key", "member__number")
        self.cards |= dict(outside)
        numbers = keys.filter(kind=MemberKeyKind.NUMBER, scope="").values_list("key", flat=True)
        self.cards = {number: number for number in numbers} | self.cards
        strangers = [Person(external=name) for name in sorted(names - self.cards.keys())]
        if not strangers:
            return {}
        enrolled = enrolling.enrol_many(source=self.source, people=strangers, actor=self.actor, at=self.reader.at)
        self.summary.enrolled += enrolled.created
        self.cards |= enrolled.numbers
        return enrolled.refused

    def _award(self, events: list[_Numbered], problems: list[RowProblem]) -> None:
        """Let the rules award the events, and note what the programme refuses."""
        results = awarding.award_many(
            events=[event for _number, event in events], source=self.source, actor=self.actor, at=self.reader.at
        )
        for (number, _event), result in zip(events, results, strict=True):
            if result.status == "rejected":
                problems.append(_rejected(number, result))
            elif result.status == "replayed":
                self.summary.replayed += 1
            else:
                self.summary.accepted += 1
                self.summary.points.update(result.points)


def _rejected(number: int, result: EventResult) -> RowProblem:
    """Return the programme's refusal as the problem of a row: its sentence begins with the field it is about."""
    name, colon, sentence = (result.detail or "").partition(": ")
    known = bool(colon) and name in COLUMNS
    refusal: DomainError = RowRejected(sentence if known else result.detail)
    refusal.code = result.code or refusal.code  # type: ignore[misc]
    return RowProblem(number, result.reference, name if known else "", refusal)


class _References:
    """The references seen in this file and the rows they stand in, on disk once they are many."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # a file of its own that goes with us
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (reference TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID")

    def __enter__(self) -> "_References":
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    def first_rows(self, references: list[tuple[str, int]]) -> list[int]:
        """Remember where references stand, and return for each the row where it stands first."""
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", references)
        self._database.execute("COMMIT")
        find = "SELECT row FROM seen WHERE reference = ?"
        return [self._database.execute(find, (reference,)).fetchone()[0] for reference, _row in references]
