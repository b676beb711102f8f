"""`manage.py import_events FILE --source NAME`: business events from a CSV or Parquet file into the books."""

import re
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import translation
from django.utils.translation import gettext as _
from tqdm import tqdm

from config.lib import actor
from members.models import RESERVED_SOURCES
from points.imports import error_report, importing
from points.imports.csv_files import CsvFile
from points.imports.importing import EventFile, Summary
from points.imports.refusals import FileUnusable

SOME_ROWS_REJECTED = 1
NOT_DONE = 2
INTERRUPTED = 130


class Command(BaseCommand):
    """Import a file; exit with 0 when every row is in the books, 1 when some were rejected, 2 when it was not done."""

    help = (
        "Imports events from CSV or Parquet with the columns reference, member, type, occurred_at, amount, currency, "
        "channel, store, items. Rows that cannot be taken are listed in FILE.errors.csv, the others are taken. "
        "Running it again, also after it was killed, changes nothing that is done."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--source", required=True, help="the system the events come from; references are unique in it"
        )
        parser.add_argument(
            "--create-members", action="store_true", help="members are outside ids; enrol who is unknown"
        )
        parser.add_argument("--encoding", default="auto", help="of a CSV file: utf-8, utf-16, gb18030, … (found out)")
        parser.add_argument(
            "--assume-zone", default="", help="the time zone of times without an offset (they are refused)"
        )
        parser.add_argument("--report", type=Path, help="where rejected rows are listed (beside the file)")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES], help="of the reasons")

    def handle(self, *args: Any, file: Path, source: str, language: str | None, **options: Any) -> None:
        with translation.override(language or translation.get_language() or settings.LANGUAGE_CODE):
            check_source(source)
            report = options["report"] or error_report.beside(file)
            started = time.monotonic()
            try:
                summary = self._import(file, source, report, options)
            except FileUnusable as refusal:
                raise CommandError(str(refusal), returncode=NOT_DONE) from None
            except DatabaseError as error:
                words = _(
                    "The database stopped answering: %(reason)s. Run the same command again; nothing is counted twice."
                )
                raise CommandError(words % {"reason": str(error).partition("\n")[0]}, returncode=NOT_DONE) from None
            except KeyboardInterrupt:
                words = _("Stopped. Run the same command again to go on; nothing is counted twice.")
                raise CommandError(words, returncode=INTERRUPTED) from None
            self._tell(summary, report, time.monotonic() - started)
        if summary.rejected:
            sys.exit(SOME_ROWS_REJECTED)

    def _import(self, path: Path, source: str, report: Path, options: dict[str, Any]) -> Summary:
        opened = importing.open_file(path, encoding=options["encoding"])
        with error_report.ErrorReport(report, file=path) as errors, _bar(opened, path, options["verbosity"]) as bar:

            def show(position: int, rows: int) -> None:
                bar.update(position - bar.n)
                bar.set_postfix(rows=rows, rejected=errors.rows)

            return importing.import_events(
                file=opened,
                source=source,
                create_members=options["create_members"],
                zone=find_zone(options["assume_zone"]),
                report=errors,
                actor=actor.system("import_events"),
                progress=show,
            )

    def _tell(self, summary: Summary, report: Path, seconds: float) -> None:
        """Print what was done."""
        rows = [
            (_("Rows read"), summary.rows),
            (_("Accepted"), summary.accepted),
            (_("Known already"), summary.replayed),
            (_("Rejected"), summary.rejected),
            (_("Members enrolled"), summary.enrolled),
            *((_("Awarded: %(type)s") % {"type": code}, points) for code, points in sorted(summary.points.items())),
            *((f"  {code}", count) for code, count in summary.reasons.most_common()),
        ]
        for name, count in rows:
            self.stdout.write(f"{name:<28}{count:>14,}")
        self.stdout.write(f"{_('Seconds'):<28}{seconds:>14,.1f}")
        if summary.rejected:
            self.stdout.write(_("The rejected rows and their reasons are in %(path)s.") % {"path": report})


def check_source(source: str) -> None:
    """Refuse a source that could be taken for one of our own, or that no reference can carry."""
    if source in RESERVED_SOURCES or not re.fullmatch(r"[\w.-]{1,50}", source):
        raise CommandError(
            _("source: 1 to 50 letters, digits, dots and dashes, and none of %(reserved)s.")
            % {"reserved": ", ".join(RESERVED_SOURCES)},
            returncode=NOT_DONE,
        )


def find_zone(name: str) -> ZoneInfo | None:
    """Return the time zone of this name, or None for none."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CommandError(
            _("assume-zone: there is no time zone “%(zone)s”; write for example Asia/Shanghai.") % {"zone": name},
            returncode=NOT_DONE,
        ) from None


def _bar(file: EventFile, path: Path, verbosity: int) -> "tqdm[Any]":
    """Return the progress bar: bytes of a text file, records of a Parquet file; silent where nobody watches."""
    text = isinstance(file, CsvFile)
    return tqdm(
        total=file.size,
        desc=path.name,
        unit="B" if text else " rows",
        unit_scale=True,
        disable=None if verbosity else True,
    )
