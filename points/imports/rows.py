"""One row of a file, whatever the file: its number, its fields, and what became of the reading."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.lib.errors import DomainError
from points.imports.refusals import ColumnsMissing, ColumnsRepeated

COLUMNS = ("reference", "member", "type", "occurred_at", "amount", "currency", "channel", "store", "items")


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it stands in the file. `number` counts lines of text (the header is 1) or records of Parquet.

    In place of a value that cannot be read stands its refusal.
    """

    number: int
    values: Mapping[str, Any] = field(default_factory=dict)
    refusal: DomainError | None = None

    @property
    def reference(self) -> str:
        """The reference as it stands there, to find the row by."""
        reference = self.values.get("reference")
        return "" if isinstance(reference, DomainError) else str(reference or "")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Something wrong with one row: which row, which field, and the refusal that says why."""

    row: int
    reference: str
    field: str
    refusal: DomainError


def check_columns(names: list[str]) -> list[str]:
    """Return the names in the spelling they are known by; refuse a file that lacks one, or names one twice."""
    known = [name.strip().strip("\ufeff").lower() for name in names]
    if missing := [column for column in COLUMNS if column not in known]:
        raise ColumnsMissing(missing=", ".join(missing))
    if repeated := [column for column in COLUMNS if known.count(column) > 1]:
        raise ColumnsRepeated(repeated=", ".join(repeated))
    return known
