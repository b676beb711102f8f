"""The file beside the input that names every row that was not taken, and why."""

import codecs
import csv
import io
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from django.utils.translation import gettext as _

from points.imports.refusals import FileMissing, ReportIsTheFile, ReportPlaceTaken
from points.imports.rows import RowProblem

HEADER = ("row", "reference", "field", "code", "reason")
_BEGINNING = codecs.BOM_UTF8 + ",".join(HEADER).encode() + b"\r\n"


def beside(path: Path) -> Path:
    """Return where the report of a file lies: events.csv has events.csv.errors.csv."""
    return path.with_name(f"{path.name}.errors.csv")


class ErrorReport:
    """A CSV file of problems, marked as UTF-8 for spreadsheets; without a problem there is no file.

    It takes the place of the report of an earlier try, which is known by its first line, and of no other file.
    """

    def __init__(self, path: Path, *, file: Path) -> None:
        """Open the report on `file`; raise FileUnusable when it cannot be written, or would cost another file."""
        self.path = path
        self.rows = 0
        try:
            binary, self._is_earlier = _open(path, file)
        except OSError as error:
            raise FileMissing(path=path, reason=error.strerror) from None
        self._file = io.TextIOWrapper(binary, encoding="utf-8", newline="", errors="replace")
        self._writer = csv.writer(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        # An import that broke off before its first problem says nothing about those of the earlier try.
        if not self.rows and (kind is None or not self._is_earlier):
            self.path.unlink(missing_ok=True)

    def write(self, problems: Iterable[RowProblem]) -> None:
        """Add one line for every problem, in the active language."""
        for problem in problems:
            if not self.rows:
                self._file.truncate()
            self.rows += 1
            field = problem.field or _("(row)")
            self._writer.writerow([problem.row, problem.reference, field, problem.refusal.code, str(problem.refusal)])

    def flush(self) -> None:
        """Let what was found so far be seen, should the import be killed."""
        self._file.flush()


def _open(path: Path, file: Path) -> tuple[BinaryIO, bool]:
    """Open a report behind its first line, new or of an earlier try, and tell which; refuse any other file."""
    try:
        report: BinaryIO = path.open("xb")
    except FileExistsError:
        if file.exists() and path.samefile(file):
            raise ReportIsTheFile from None
        if not path.is_file():
            raise ReportPlaceTaken(path=path) from None
        report = path.open("r+b")
        if report.read(len(_BEGINNING)) != _BEGINNING:
            report.close()
            raise ReportPlaceTaken(path=path) from None
        return report, True
    report.write(_BEGINNING)
    report.flush()  # a killed import leaves what the next one knows as a report
    return report, False
