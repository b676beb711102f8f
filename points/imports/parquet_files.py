"""Rows of a Parquet file, a batch at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from points.imports.refusals import FileMissing, ParquetBroken, ValueUnreadable
from points.imports.rows import COLUMNS, RawRow, check_columns

MARK = b"PAR1"
_BATCH = 5_000
_UNREADABLE = (OverflowError, ValueError)


class ParquetFile:
    """A Parquet file being read. `position` is the record it has come to, `size` how many there are."""

    encoding = "utf-8"

    def __init__(self, path: Path) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise ParquetBroken(reason=error) from None
        except OSError as error:
            raise FileMissing(path=path, reason=error.strerror or error) from None
        self.size = int(self._file.metadata.num_rows)
        self.position = 0

    def rows(self) -> Iterator[RawRow]:
        """Yield every record in order, numbered from 1; raise before the first when the columns are not there."""
        names = list(self._file.schema_arrow.names)
        wanted = {known: name for known, name in zip(check_columns(names), names, strict=True) if known in COLUMNS}
        try:
            for batch in self._file.iter_batches(batch_size=_BATCH, columns=list(wanted.values())):
                columns = {known: _values(batch.column(name)) for known, name in wanted.items()}
                for values in zip(*columns.values(), strict=True):
                    self.position += 1
                    yield RawRow(self.position, dict(zip(columns, values, strict=True)))
        except (pa.ArrowException, OSError) as error:
            raise ParquetBroken(reason=error) from None


def _values(column: Any) -> list[Any]:
    """Return the column as Python values; nanoseconds, which Python's times do not have, are cut off."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = pc.cast(column, pa.timestamp("us", tz=column.type.tz), safe=False)
    try:
        values: list[Any] = column.to_pylist()
    except _UNREADABLE:
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: Any) -> Any:
    """Return one value, or the refusal of it: a date beyond Python's, or broken text, costs its own row alone."""
    try:
        return scalar.as_py()
    except _UNREADABLE:
        return ValueUnreadable()
