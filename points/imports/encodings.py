"""Which encoding a text file is in. Chinese spreadsheets write UTF-8 with or without a mark, UTF-16 or GBK."""

import codecs
import io
from pathlib import Path
from typing import BinaryIO

from points.imports.refusals import EncodingUnknown, EncodingWrong

_CHUNK = 1 << 20
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def resolve(path: Path, wanted: str) -> str:
    """Return the encoding to read a file with: the wanted one if it is one of text, the detected one for `auto`."""
    if wanted == "auto":
        return detect(path)
    try:
        # Python knows codecs that are no text (zip, hex), and some that give up at the first odd letter (idna).
        _read_some(io.BytesIO("订单".encode(wanted, "replace")), wanted)
    except (LookupError, ValueError):
        raise EncodingUnknown(encoding=wanted) from None
    try:
        with path.open("rb") as file:
            _read_some(file, wanted)
    except UnicodeError:  # UTF-16 and UTF-32 of this name begin with a mark
        raise EncodingWrong(encoding=wanted) from None
    return codecs.lookup(wanted).name


def _read_some(file: BinaryIO, encoding: str) -> None:
    io.TextIOWrapper(file, encoding, errors="replace").read(100)


def detect(path: Path) -> str:
    """Return the encoding a file is in, by its mark or by what most of its lines can be read as; reads all of it."""
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    return _utf16_without_mark(head) or _by_lines(path)


def _utf16_without_mark(head: bytes) -> str:
    """Tell UTF-16 by the zero bytes that every second place of Latin text holds, or return nothing."""
    pairs = len(head) // 2
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if pairs and odd * 2 > pairs > even * 8:
        return "utf-16-le"
    if pairs and even * 2 > pairs > odd * 8:
        return "utf-16-be"
    return ""


def _by_lines(path: Path) -> str:
    """Weigh the lines that are not plain ASCII: one broken row must not turn a whole UTF-8 file into GBK."""
    utf8 = gb18030 = 0
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if chunk.isascii() and not rest:
                continue
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[-_CHUNK:]
            votes = [_vote(line) for line in lines if not line.isascii()]
            utf8 += votes.count("utf-8")
            gb18030 += votes.count("gb18030")
    last = _vote(rest) if not rest.isascii() else ""
    return "gb18030" if gb18030 + (last == "gb18030") > utf8 + (last == "utf-8") else "utf-8"


def _vote(line: bytes) -> str:
    """Return what a line can be read as; text in GBK is hardly ever good UTF-8 by accident."""
    for encoding in ("utf-8", "gb18030"):
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return ""
