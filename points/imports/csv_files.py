"""Rows of a CSV file, one after the other, in bounded memory; a broken row never takes a good one with it."""

import csv
import io
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from config.lib.errors import DomainError
from points.imports.refusals import (
    ColumnCountWrong,
    ColumnsMissing,
    FileEmpty,
    FileMissing,
    QuotesBroken,
    RowTooLong,
)
from points.imports.rows import COLUMNS, RawRow, check_columns

LONGEST_ROW = 131_072  # characters; also the longest field that the csv module takes
_MOST_LINES = 50  # of one row, whose quoted field may hold line breaks
_DELIMITERS = (",", ";", "\t")


class CsvFile:
    """A CSV file being read. `position` is the byte it has come to, `size` where it ends: for the progress bar."""

    def __init__(self, path: Path, encoding: str) -> None:
        try:
            self._binary = path.open("rb")
        except OSError as error:
            raise FileMissing(path=path, reason=error.strerror) from None
        self.size = path.stat().st_size
        self.encoding = encoding

    @property
    def position(self) -> int:
        """The byte up to which the file has been read."""
        return 0 if self._binary.closed else self._binary.tell()

    def rows(self) -> Iterator[RawRow]:
        """Yield every row that is not blank, in order; raise before the first when the columns are not there."""
        with io.TextIOWrapper(self._binary, self.encoding, errors="replace", newline=None) as text:
            lines = _Lines(text)
            delimiter, columns = _read_header(lines)
            for number, line in lines:
                if line is None:
                    yield RawRow(number, refusal=RowTooLong(limit=LONGEST_ROW))
                elif line.strip(f" \r\n{delimiter}"):
                    yield _read_row(number, line, lines, delimiter, columns)


class _Lines:
    """Numbered lines that can be put back: an unclosed quotation mark is only known for one some lines later."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._read = 0
        self._returned: deque[tuple[int, str | None]] = deque()

    def __iter__(self) -> Iterator[tuple[int, str | None]]:
        return self

    def __next__(self) -> tuple[int, str | None]:
        """Return the next line; None in place of one that is too long to keep."""
        if self._returned:
            return self._returned.popleft()
        line = self._text.readline(LONGEST_ROW + 1)
        if not line:
            raise StopIteration
        self._read += 1
        too_long = len(line) > LONGEST_ROW
        while too_long and line and not line.endswith("\n"):
            line = self._text.readline(LONGEST_ROW)
        return self._read, None if too_long else line

    def put_back(self, lines: list[tuple[int, str | None]]) -> None:
        """Let these lines be the next ones again."""
        self._returned.extendleft(reversed(lines))


def _read_header(lines: _Lines) -> tuple[str, list[str]]:
    """Return the delimiter and the columns of the first row that is not blank."""
    for _number, line in lines:
        if line is None:
            raise ColumnsMissing(missing=", ".join(COLUMNS))
        if line.strip():
            delimiter = max(_DELIMITERS, key=line.count)
            return delimiter, check_columns(_split(line, delimiter))
    raise FileEmpty(columns=", ".join(COLUMNS))


def _read_row(number: int, line: str, lines: _Lines, delimiter: str, columns: list[str]) -> RawRow:
    """Read the row that begins with this line; when its quotation marks are broken, the next lines stay rows."""
    if line.count('"') % 2 == 0:
        return _parse(number, line, delimiter, columns)
    taken: list[tuple[int, str | None]] = []
    text = line
    for next_number, next_line in lines:
        taken.append((next_number, next_line))
        if next_line is None or len(text) > LONGEST_ROW or len(taken) == _MOST_LINES:
            break
        text += next_line
        if next_line.count('"') % 2:
            row = _parse(number, text, delimiter, columns)
            # A mark forgotten in one row and met by another one's: only the line items may hold line breaks.
            if row.refusal is None and not any("\n" in row.values[name] for name in COLUMNS if name != "items"):
                return row
            break
    lines.put_back(taken)
    first = _parse(number, line, delimiter, columns)
    return RawRow(number, first.values, QuotesBroken())


def _parse(number: int, line: str, delimiter: str, columns: list[str]) -> RawRow:
    """Split one whole row into its fields."""
    refusal: DomainError
    try:
        fields = _split(line, delimiter)
    except csv.Error:
        # Only guessed at, for the reference to name the row by.
        fields = [part.strip('" ') for part in line.partition("\n")[0].split(delimiter)]
        refusal = QuotesBroken()
    else:
        if len(fields) == len(columns):
            return RawRow(number, dict(zip(columns, fields, strict=True)))
        refusal = ColumnCountWrong(found=len(fields), expected=len(columns))
    return RawRow(number, dict(zip(columns, fields, strict=False)), refusal)


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, strict=True))
