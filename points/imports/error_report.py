"""The file beside the input that names every row that was not taken, and why."""

import csv
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from django.utils.translation import gettext as _

from points.imports.refusals import FileMissing
from points.imports.rows import RowProblem

HEADER = ("row", "reference", "field", "code", "reason")


def beside(path: Path) -> Path:
    """Return where the report of a file lies: events.csv has events.csv.errors.csv."""
    return path.with_name(f"{path.name}.errors.csv")


class ErrorReport:
    """A CSV file of problems, marked as UTF-8 for spreadsheets; without a problem there is no file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        try:
            self._file = path.open("w", encoding="utf-8-sig", newline="", errors="replace")
        except OSError as error:
            raise FileMissing(path=path, reason=error.strerror) from None
        self._writer = csv.writer(self._file)
        self._writer.writerow(HEADER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        if not self.rows:
            self.path.unlink(missing_ok=True)

    def write(self, problems: Iterable[RowProblem]) -> None:
        """Add one line for every problem, in the active language."""
        for problem in problems:
            self.rows += 1
            field = problem.field or _("(row)")
            self._writer.writerow([problem.row, problem.reference, field, problem.refusal.code, str(problem.refusal)])

    def flush(self) -> None:
        """Let what was found so far be seen, should the import be killed."""
        self._file.flush()
