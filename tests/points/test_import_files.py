"""Reading rows out of files, whatever is wrong with the files."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from points.imports import encodings, importing
from points.imports.csv_files import LONGEST_ROW
from points.imports.refusals import FileUnusable
from points.imports.rows import COLUMNS, RawRow

HEADER = ",".join(COLUMNS)
ROW = "{},100000017,purchase,2026-03-10T12:00:00+08:00,10.00,CNY,app,1,"


def rows_of(path: Path, content: bytes | str | Sequence[str], encoding: str = "utf-8") -> list[RawRow]:
    """Write a CSV file and read it back; a list of lines gets the header in front."""
    if not isinstance(content, str | bytes):
        content = "\n".join([HEADER, *content]) + "\n"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return list(importing.open_file(path).rows())


def codes(rows: list[RawRow]) -> dict[int, str]:
    """Return what is wrong with which row."""
    return {row.number: row.refusal.code for row in rows if row.refusal}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.csv"


def test_rows_are_numbered_like_the_lines_of_the_file_and_blank_ones_are_passed_over(path: Path) -> None:
    rows = rows_of(path, [ROW.format("a"), "", ",,,,,,,,", ROW.format("b")])

    assert [(row.number, row.reference) for row in rows] == [(2, "a"), (5, "b")]
    assert rows[0].values["occurred_at"] == "2026-03-10T12:00:00+08:00"


@pytest.mark.parametrize(
    ("encoding", "detected"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("gbk", "gb18030"),
        ("gb18030", "gb18030"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
    ],
)
def test_chinese_is_read_in_every_encoding_spreadsheets_write(path: Path, encoding: str, detected: str) -> None:
    rows = rows_of(path, [ROW.format(f"订单{number}") for number in range(50)], encoding)

    assert encodings.detect(path) == detected
    assert [row.reference for row in rows] == [f"订单{number}" for number in range(50)]
    assert codes(rows) == {}


def test_one_broken_byte_does_not_turn_a_file_in_utf_8_into_gbk(path: Path) -> None:
    lines = [HEADER, ROW.format("订单1"), ROW.format("订单2"), ROW.format("订单3")]
    encoded = "\n".join(lines).encode().replace("订单2".encode(), "订".encode() + b"\xff2")

    rows = rows_of(path, encoded)

    assert [row.reference for row in rows] == ["订单1", "订\ufffd2", "订单3"]


def test_a_wrong_number_of_fields_is_named_and_the_rows_around_it_stay(path: Path) -> None:
    rows = rows_of(path, [ROW.format("a"), "b,100000017,purchase", ROW.format("c") + ",more", ROW.format("d")])

    assert codes(rows) == {3: "wrong_column_count", 4: "wrong_column_count"}
    assert [row.reference for row in rows] == ["a", "b", "c", "d"]
    assert str(rows[1].refusal) == "The row has 3 fields where the first row names 9 columns."


@pytest.mark.parametrize("broken", ['b"', '"b', '"b"x', 'b"b"b"'])
def test_a_broken_quotation_mark_costs_its_own_row_and_no_other(path: Path, broken: str) -> None:
    rows = rows_of(path, [ROW.format("a"), ROW.format(broken), *(ROW.format(f"c{n}") for n in range(100))])

    good = [row.reference for row in rows if row.refusal is None and "b" not in row.reference]
    assert good == ["a", *(f"c{n}" for n in range(100))]
    assert codes(rows) in ({3: "broken_quotes"}, {})


def test_two_broken_quotation_marks_do_not_swallow_the_rows_between_them(path: Path) -> None:
    items = '"[{""sku"": ""x"", ""amount"": 1}]"'
    between = [ROW.format(f"c{n}") + items for n in range(5)]

    rows = rows_of(path, [ROW.format('"a'), *between, ROW.format('"z'), ROW.format("end")])

    assert [row.reference for row in rows if row.refusal is None] == ["c0", "c1", "c2", "c3", "c4", "end"]
    assert codes(rows) == {2: "broken_quotes", 8: "broken_quotes"}


def test_line_items_may_hold_line_breaks(path: Path) -> None:
    rows = rows_of(path, [ROW.format("a") + '"[\n{""sku"": ""x"",\n""amount"": 1}]"', ROW.format("b")])

    assert [(row.number, row.reference, row.refusal) for row in rows] == [(2, "a", None), (5, "b", None)]
    assert rows[0].values["items"] == '[\n{"sku": "x",\n"amount": 1}]'


def test_a_row_without_end_is_refused_in_bounded_memory(path: Path) -> None:
    rows = rows_of(path, [ROW.format("a"), ROW.format("b" * (LONGEST_ROW * 3)), ROW.format("c")])

    assert codes(rows) == {3: "row_too_long"}
    assert [row.reference for row in rows] == ["a", "", "c"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_of_spreadsheets_are_understood(path: Path, delimiter: str) -> None:
    rows = rows_of(path, "\r\n".join([HEADER, ROW.format("a")]).replace(",", delimiter))

    assert rows[0].reference == "a"
    assert codes(rows) == {}


def test_columns_may_stand_in_any_order_and_beside_others(path: Path) -> None:
    (row,) = rows_of(path, f"Remark, {' , '.join(reversed(COLUMNS)).upper()}\nx,,,,CNY,1,t,purchase,m,r\n")

    assert (row.values["reference"], row.values["member"], row.values["currency"]) == ("r", "m", "CNY")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("reference,member,type,occurred_at\n", "The columns amount, currency, channel, store, items are missing."),
        (f"{HEADER},member\n", "The columns member are named twice."),
        ("", "The file is empty"),
        ("\n\n", "The file is empty"),
        (b"PK\x03\x04 a spreadsheet", "The file is Excel or ZIP, not CSV or Parquet."),
        (b"PAR1 and nothing else", "The file cannot be read as Parquet"),
        (b"\x00" * 4000, "missing"),
    ],
)
def test_a_file_that_is_no_use_is_refused_before_anything_is_done(
    path: Path, content: str | bytes, sentence: str
) -> None:
    with pytest.raises(FileUnusable, match=sentence):
        rows_of(path, content)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match=r"none\.csv cannot be opened: No such file"):
        importing.open_file(tmp_path / "none.csv")
    with pytest.raises(FileUnusable, match="cannot be opened: Is a directory"):
        importing.open_file(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-9", "zip", "hex", "rot13", "idna", "undefined", "", "\udcff"])
def test_an_encoding_nobody_knows_or_that_is_no_text_is_refused(path: Path, encoding: str) -> None:
    path.write_text(HEADER)

    with pytest.raises(FileUnusable, match=f"There is no text encoding called {encoding}"):
        importing.open_file(path, encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gbk", "gb18030", "big5", "latin-1"])
def test_encodings_of_text_are_taken_by_name(path: Path, encoding: str) -> None:
    path.write_text(f"{HEADER}\n{ROW.format('a')}\n", encoding=encoding)

    (row,) = importing.open_file(path, encoding=encoding).rows()

    assert row.reference == "a"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_without_the_mark_its_encoding_needs_is_refused(path: Path, encoding: str) -> None:
    path.write_text(HEADER)

    with pytest.raises(FileUnusable, match=f"The file cannot be read as {encoding}"):
        importing.open_file(path, encoding=encoding)


def write_parquet(path: Path, **columns: Any) -> None:
    """Write one record with these columns, strings where nothing else is said."""
    given = dict.fromkeys(COLUMNS, "") | columns
    pq.write_table(pa.table({name: pa.array([value]) for name, value in given.items()}), path)


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    moment = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
    items = [{"sku": "x", "category": "FRESH", "quantity": 2, "amount": Decimal("1.50")}]
    write_parquet(tmp_path / "events.bin", reference=17, occurred_at=moment, amount=Decimal("10.00"), items=items)

    (row,) = importing.open_file(tmp_path / "events.bin").rows()

    assert row.number == 1
    assert row.values["occurred_at"] == moment
    assert (row.values["reference"], row.values["amount"], row.values["items"]) == (17, Decimal("10.00"), items)


def test_parquet_with_nanoseconds_or_without_a_column_is_dealt_with(tmp_path: Path) -> None:
    stamp = pa.array([1_489_147_200_123_456_789], pa.timestamp("ns"))
    columns = {name: pa.array([""]) for name in COLUMNS} | {"occurred_at": stamp}
    pq.write_table(pa.table(columns), tmp_path / "ns.parquet")
    pq.write_table(pa.table({"reference": ["a"]}), tmp_path / "short.parquet")

    (row,) = importing.open_file(tmp_path / "ns.parquet").rows()

    assert row.values["occurred_at"] == datetime(2017, 3, 10, 12, 0, 0, 123456)  # noqa: DTZ001
    with pytest.raises(FileUnusable, match="The columns member, type"):
        list(importing.open_file(tmp_path / "short.parquet").rows())


def test_times_and_text_of_parquet_that_are_beyond_reading_cost_their_own_row(tmp_path: Path) -> None:
    offsets = pa.py_buffer(bytes([0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]))
    broken_text = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xffab")])
    stamp = pa.array([1 << 62, 1_489_147_200_000], pa.timestamp("ms", "UTC"))
    columns = {name: pa.array(["", ""]) for name in COLUMNS} | {"occurred_at": stamp, "reference": broken_text}
    pq.write_table(pa.table(columns), tmp_path / "broken.parquet")

    first, second = importing.open_file(tmp_path / "broken.parquet").rows()

    assert [type(first.values[name]).__name__ for name in ("reference", "occurred_at")] == ["ValueUnreadable"] * 2
    assert first.reference == ""
    assert (second.reference, second.values["occurred_at"]) == ("b", datetime(2017, 3, 10, 12, tzinfo=UTC))
