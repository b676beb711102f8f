"""Codes from outside as a file of rows: CSV the way spreadsheets write it, in UTF-8, UTF-16 or GB 18030."""

import codecs
import csv
import io

from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError

MOST_ROWS = 50_000
#: What the column of codes is called; Chinese clerks head it in Chinese.
_COLUMNS = ("code", "券码")
_DELIMITERS = (",", ";", "\t")


class CodeFileRefused(DomainError):
    """The file as a whole cannot be read; the subclasses say why."""


class FileUnreadable(CodeFileRefused):
    code = "file_unreadable"
    message = _("file: this is not a text file; save the sheet as “CSV UTF-8” and choose that.")


class FileEmpty(CodeFileRefused):
    code = "file_empty"
    message = _("file: there is no code in it.")


class FileTooLong(CodeFileRefused):
    code = "file_too_long"
    message = _("file: it has more than %(most)s rows; add the rest to the batch as a second file.")


def read(content: bytes) -> list[tuple[int, str]]:
    """Return (row, code) of every row that is not blank. Raises FileUnreadable, FileEmpty, FileTooLong."""
    text = _decode(content)
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise FileUnreadable from error
    names = [cell.strip().casefold() for cell in table[0]] if table else []
    named = [names.index(column) for column in _COLUMNS if column in names]
    place, first = (named[0], 1) if named else (0, 0)
    rows = [
        (number, cells[place] if place < len(cells) else "")
        for number, cells in enumerate(table[first:], start=first + 1)
        if any(cell.strip() for cell in cells)
    ]
    if not rows:
        raise FileEmpty
    if len(rows) > MOST_ROWS:
        raise FileTooLong(most=f"{MOST_ROWS:,}")
    return rows


def _decode(content: bytes) -> str:
    encodings = (
        ["utf-16"] if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ["utf-8-sig", "gb18030"]
    )
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" in text:
            break
        return text
    raise FileUnreadable
