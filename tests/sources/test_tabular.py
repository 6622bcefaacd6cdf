"""Tables: CSV rows cut and read as RFC 4180 says, parquet and arrow rows as exact JSON."""

from __future__ import annotations

import base64
import csv
import datetime
import io
import json
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from esctl.errors import InputError
from esctl.model import Cursor
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, read
from esctl.sources.formats.delimited import rows_to_json
from tests.support.cli_harness import good

CELLS = st.text(alphabet='ab,;\t|"\r\n \\é\x01', max_size=5)
DELIMITERS = st.sampled_from([",", ";", "\t", "|"])


class Table:
    """What reading a file gave, and its rows as JSON."""

    def __init__(self, path: Path, options: SourceOptions, cursors: dict[str, Cursor] | None = None) -> None:
        self.cursors = dict(cursors or {})
        batches = []
        reading = read(Source(str(path), path), options, self.cursors)
        for delivery in reading:
            batches.append(delivery.batch)
            self.cursors[reading.name] = delivery.cursor
        self.name, self.format, self.pending = reading.name, reading.format, reading.pending_bytes
        self.cursor = self.cursors.get(reading.name)
        self.raws = [raw for batch in batches for raw in batch["raw"].to_pylist()]
        self.offsets = [offset for batch in batches for offset in batch["offset"].to_pylist()]

    def texts(self) -> tuple[list[str | None], list[str | None]]:
        assert self.cursor is not None
        texts, reasons = rows_to_json(pa.array(self.raws, pa.large_binary()), self.cursor)
        return texts.to_pylist(), reasons.to_pylist()

    @property
    def rows(self) -> list[Any]:
        return [text and json.loads(text) for text in self.texts()[0]]


def take(folder: Path, data: bytes, **options: Any) -> Table:
    path = folder / "file"
    path.write_bytes(data)
    return Table(path, SourceOptions(**options))


def written(rows: list[list[str]], delimiter: str, end: str, quoting: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    return out.getvalue().encode()


@given(
    rows=st.integers(2, 3).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6)),
    delimiter=DELIMITERS,
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    size=st.integers(1, 20),
    bom=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_written_tables_are_read_for_any_chunks(
    rows: list[list[str]],
    delimiter: str,
    end: str,
    quoting: Any,
    size: int,
    bom: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if quoting == csv.QUOTE_MINIMAL:
        # csv.writer leaves a lone carriage return unquoted, which then reads as part of the line end.
        rows = [[cell.replace("\r", "") for cell in row] for row in rows]
    names = ["c1", "c2", "c3"][: len(rows[0]) if rows else 2]
    header = bom + written([names], delimiter, end, csv.QUOTE_ALL)
    data = header + written(rows, delimiter, end, quoting)
    path = tmp_path_factory.mktemp("table") / "file"
    path.write_bytes(data)
    whole = Table(path, SourceOptions(input_format="csv"))
    assert whole.cursor is not None
    assume(whole.cursor.dialect["delimiter"] == delimiter)  # cells full of other delimiters can look like other tables
    assert base64.b64decode(whole.cursor.header) == header
    assert header + b"".join(whole.raws) == data
    assert Table(path, SourceOptions(input_format="csv", batch_bytes=size)).raws == whole.raws
    quoted_empty = quoting == csv.QUOTE_ALL
    expected = [
        {name: cell for name, cell in zip(names, row, strict=True) if cell or quoted_empty} for row in rows
    ]  # fmt: skip
    assert whole.rows == expected
    assert whole.texts()[1] == [None] * len(rows)


@given(data=st.text(alphabet='ab,"\n\r', max_size=40).map(str.encode), cut=st.integers(0, 40), size=st.integers(1, 20))
def test_any_text_as_csv_gives_its_bytes_back(
    data: bytes, cut: int, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    whole = take(folder, data, input_format="csv", final=True)
    assert take(folder, data, input_format="csv", final=True, batch_bytes=size).raws == whole.raws
    assert together(whole.raws, whole.cursor) == data
    path = folder / "file"
    path.write_bytes(data[:cut])
    first = Table(path, SourceOptions(input_format="csv"))
    path.write_bytes(data)
    second = Table(path, SourceOptions(input_format="csv", final=True), first.cursors)
    assert together(first.raws + second.raws, second.cursor) == data
    if whole.raws:
        assert all((text is None) != (reason is None) for text, reason in zip(*whole.texts(), strict=True))


def together(raws: list[bytes], cursor: Cursor | None) -> bytes:
    if cursor is None:
        return b""
    return base64.b64decode(cursor.header) + b"".join(raws) + base64.b64decode(cursor.tail)


@given(rows=st.lists(st.text(alphabet='ab,"\r', max_size=8), min_size=1, max_size=6))
def test_both_ways_to_read_rows_agree(rows: list[str]) -> None:
    cursor = Cursor(format="csv", header=base64.b64encode(b"x,y\n").decode(), dialect={"delimiter": ","})
    raws = [f"{row}\n".encode() for row in rows if row.strip("\r")]
    texts, reasons = rows_to_json(pa.array(raws, pa.large_binary()), cursor)
    one_by_one = [rows_to_json(pa.array([raw, None], pa.large_binary()), cursor) for raw in raws]
    assert texts.to_pylist() == [text[0].as_py() for text, _ in one_by_one]
    assert reasons.to_pylist() == [reason[0].as_py() for _, reason in one_by_one]


def test_one_odd_row_among_many_is_named(tmp_path: Path) -> None:
    rows = [f"{number},x{number}\n".encode() for number in range(2000)]
    rows[7], rows[1500], rows[1900] = b"1,2,3\n", b"\xff,1\n", b'a"b,"c ""d"""\n'
    table = take(tmp_path, b"a,b\n" + b"".join(rows), input_format="csv")
    texts, reasons = table.texts()
    assert [(at, reason) for at, reason in enumerate(reasons) if reason] == [
        (7, "3 cells where the header has 2"),
        (1500, "not UTF-8"),
    ]
    assert [at for at, text in enumerate(texts) if text is None] == [7, 1500]
    assert table.rows[1900] == {"a": 'a"b', "b": 'c "d"'}
    assert table.rows[1999] == {"a": "1999", "b": "x1999"}


def test_empty_is_missing_and_a_named_text_is_null(tmp_path: Path) -> None:
    data = b'a,b,c\n,"",\\N\n"\\N",NULL,1\n'
    assert take(tmp_path, data).rows == [{"b": "", "c": "\\N"}, {"a": "\\N", "b": "NULL", "c": "1"}]
    assert take(tmp_path, data, null="\\N").rows == [{"b": "", "c": None}, {"a": None, "b": "NULL", "c": "1"}]


def test_odd_headers_get_names(tmp_path: Path) -> None:
    table = take(tmp_path, b'\xef\xbb\xbf,a,a,"b ""x"""\n0,1,2,3\n', input_format="csv")
    assert table.rows == [{"column_1": "0", "a": "1", "a_2": "2", 'b "x"': "3"}]


def test_a_grown_table_keeps_its_header(tmp_path: Path) -> None:
    first = take(tmp_path, b"a,b\n1,2\n3,")
    assert (first.raws, first.pending) == ([b"1,2\n", b"3,"], 0)
    path = tmp_path / "file"
    path.write_bytes(b"a,b\n1,2\n3,\n5,6\n")
    grown = Table(path, SourceOptions(), first.cursors)
    assert grown.raws == [b"\n5,6\n"]
    assert grown.rows == [{"a": "5", "b": "6"}]
    assert Table(path, SourceOptions(), grown.cursors).raws == []


def test_an_incomplete_row_waits(tmp_path: Path) -> None:
    table = take(tmp_path, b'a,b\n1,2\n3,"x')
    assert (table.raws, table.pending) == ([b"1,2\n"], 4)
    assert take(tmp_path, b"a,b\n1,2\n3").pending == 1
    assert take(tmp_path, b"a,b\n1,2\n3", final=True).raws == [b"1,2\n", b"3"]


def test_a_header_alone_moves_the_cursor(tmp_path: Path) -> None:
    table = take(tmp_path, b"a,b\n")
    assert table.raws == []
    assert table.cursor is not None
    (tmp_path / "file").write_bytes(b"a,b\n1,2\n")
    assert Table(tmp_path / "file", SourceOptions(), table.cursors).rows == [{"a": "1", "b": "2"}]


def test_a_table_written_by_postgresql(real_logs: Path) -> None:
    path = real_logs / "pg_cdc_shop" / "checkpoints" / "17_end.shop_orders.csv.zst"
    table = Table(path, SourceOptions(null="\\N"))
    assert table.format == "csv"
    assert table.texts()[1] == [None] * len(table.raws)
    plain = csv.DictReader(io.StringIO(together(table.raws, table.cursor).decode(), newline=""))
    assert table.rows == [
        {key: None if value == "\\N" else value for key, value in row.items() if value} for row in plain
    ]


UTC = datetime.UTC
VALUES: list[tuple[Any, list[Any], list[str]]] = [
    (pa.int64(), [2**63 - 1, -1], ["9223372036854775807", "-1"]),
    (pa.uint64(), [2**64 - 1], ["18446744073709551615"]),
    (pa.bool_(), [True, False], ["true", "false"]),
    (pa.float64(), [0.1, 1e300, 5e-324, -0.0], ["0.1", "1e+300", "5e-324", "-0"]),
    (pa.float64(), [float("nan"), float("inf"), -float("inf")], ['"NaN"', '"Infinity"', '"-Infinity"']),
    (pa.float32(), [struct.unpack("<f", struct.pack("<f", 0.1))[0]], ["0.1"]),
    (
        pa.decimal128(38, 10),
        [Decimal("1234567890123456789012345678.0123456789")],
        ["1234567890123456789012345678.0123456789"],
    ),
    (pa.decimal256(76, 1), [Decimal("9" * 75 + ".5")], ["9" * 75 + ".5"]),
    (pa.string(), ['a"\\\n\x01\u2028é\U0001f600'], ['"a\\"\\\\\\n\\u0001\u2028é\U0001f600"']),
    (pa.large_string(), ["x"], ['"x"']),
    (pa.string_view(), ["x"], ['"x"']),
    (pa.binary(), [b"\x00\xff"], ['"AP8="']),
    (pa.binary(2), [b"\x00\xff"], ['"AP8="']),
    (pa.timestamp("ns", "UTC"), [0], ['"1970-01-01T00:00:00Z"']),
    (pa.timestamp("us", "Europe/Berlin"), [1], ['"1970-01-01T00:00:00.000001Z"']),
    (pa.timestamp("ms"), [1], ['"1970-01-01T00:00:00.001"']),
    (pa.timestamp("s"), [2**62], ["4611686018427387904"]),
    (pa.date32(), [datetime.date(2024, 2, 29)], ['"2024-02-29"']),
    (pa.time64("us"), [datetime.time(1, 2, 3, 4)], ['"01:02:03.000004"']),
    (pa.duration("ms"), [1500], ["1500"]),
    (pa.list_(pa.int64()), [[1, None], [], None], ["[1,null]", "[]", "null"]),
    (pa.list_(pa.list_(pa.string())), [[["a"], None], [[]]], ['[["a"],null]', "[[]]"]),
    (pa.list_(pa.int8(), 2), [[1, 2], None, [3, 4]], ["[1,2]", "null", "[3,4]"]),
    (pa.struct([("a", pa.int64()), ('"', pa.string())]), [{"a": 1, '"': None}, None], ['{"a":1,"\\"":null}', "null"]),
    (pa.map_(pa.string(), pa.int64()), [[("k", 1), ("l", None)], [], None], ['{"k":1,"l":null}', "{}", "null"]),
    (pa.map_(pa.int64(), pa.int64()), [[(1, 2)]], ['[{"key":1,"value":2}]']),
    (pa.dictionary(pa.int8(), pa.string()), ["a", None], ['"a"', "null"]),
    (pa.uuid(), [bytes(16)], ['"00000000-0000-0000-0000-000000000000"']),
    (pa.null(), [None], ["null"]),
]


@pytest.mark.parametrize(("kind", "values", "expected"), VALUES, ids=lambda value: str(value)[:30])
def test_values_are_written_exactly(kind: Any, values: list[Any], expected: list[str], tmp_path: Path) -> None:
    # A slice has an offset, and a null before it must not shift what follows.
    array = pa.concat_arrays([pa.array([None], kind), pa.array(values, kind)])
    table = pa.table({"before": pa.array(range(len(array))), "v": array}).slice(1)
    path = tmp_path / "file"
    with pa.ipc.new_file(path, table.schema) as file:
        file.write(table)
    rows = Table(path, SourceOptions())
    assert rows.raws == [f'{{"before":{at},"v":{text}}}'.encode() for at, text in enumerate(expected, 1)]
    assert [json.loads(raw) for raw in rows.raws]


MAPS = [(kind, values, expected) for kind, values, expected in VALUES if pa.types.is_map(kind)]


@pytest.mark.parametrize(("kind", "values", "expected"), MAPS, ids=lambda value: str(value)[:30])
def test_maps_in_parquet_are_written_as_those_of_arrow(
    kind: Any, values: list[Any], expected: list[str], tmp_path: Path
) -> None:
    pq.write_table(pa.table({"v": pa.array(values, kind)}), tmp_path / "file")
    assert Table(tmp_path / "file", SourceOptions()).raws == [f'{{"v":{text}}}'.encode() for text in expected]


def test_text_that_is_not_utf8_is_shown_as_such(tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"a\xff"], pa.binary()).buffers())
    with pa.ipc.new_file(tmp_path / "file", pa.schema([("v", pa.string())])) as file:
        file.write(pa.record_batch([bad], ["v"]))
    assert Table(tmp_path / "file", SourceOptions()).raws == [b'{"v":"a\\\\xff"}']


def parquet(path: Path, rows: int) -> None:
    pq.write_table(pa.table({"n": range(rows), "t": [f"x{number}" for number in range(rows)]}), path, row_group_size=7)


def test_parquet_rows_go_on_where_they_were_left(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    parquet(path, 30)
    options = SourceOptions(batch_rows=4)
    whole = Table(path, options)
    assert (whole.format, len(whole.raws), whole.offsets) == ("parquet", 30, list(range(30)))
    assert whole.raws[29] == b'{"n":29,"t":"x29"}'
    assert Table(path, options, whole.cursors).raws == []
    reading = read(Source(str(path), path), options, {})
    deliveries = iter(reading)
    next(deliveries)
    after_one = {str(path): next(deliveries).cursor}
    reading.close()
    assert Table(path, options, after_one).raws == whole.raws[after_one[str(path)].offset :]
    assert len(Table(path, SourceOptions(batch_bytes=1)).raws) == 30
    parquet(path, 31)
    changed = Table(path, options, whole.cursors)
    assert (changed.name, len(changed.raws)) == (f"{path}#2", 31)


def test_packed_parquet_and_feather_and_streams_are_read(tmp_path: Path) -> None:
    table = pa.table({"n": [1, 2]})
    expected = [b'{"n":1}', b'{"n":2}']
    pyarrow.feather.write_feather(table, tmp_path / "feather")
    with pa.ipc.new_stream(tmp_path / "stream", table.schema) as file:
        file.write(table)
    pq.write_table(table, tmp_path / "parquet")
    with pa.CompressedOutputStream(str(tmp_path / "parquet.gz"), "gzip") as packed:
        packed.write((tmp_path / "parquet").read_bytes())
    for name, kind in (("feather", "arrow"), ("stream", "arrow"), ("parquet", "parquet"), ("parquet.gz", "parquet")):
        got = Table(tmp_path / name, SourceOptions())
        assert (got.format, got.raws) == (kind, expected)


@pytest.mark.parametrize("data", [b"PAR1garbage", b"ARROW1\0\0garbage", b"FEA1garbage"])
def test_damaged_tables_are_errors(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="damaged"):
        take(tmp_path, data)


FOLDED = {
    "dictionary": pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), ["x" * 100_000]),
    "runs": pa.RunEndEncodedArray.from_arrays([50_000], pa.array(["x" * 100_000])),
    "nested": pa.StructArray.from_arrays(
        [pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), ["x" * 100_000])], ["deep"]
    ),
    "listed": pa.LargeListArray.from_arrays(
        np.arange(50_001), pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), ["x" * 100_000])
    ),
}


@pytest.mark.parametrize("kind", FOLDED)
def test_rows_that_unfold_to_far_more_than_the_file_come_in_small_parts(tmp_path: Path, kind: str) -> None:
    with pa.ipc.new_file(tmp_path / "file", pa.schema([("v", FOLDED[kind].type)])) as file:
        file.write(pa.record_batch([FOLDED[kind]], ["v"]))
    assert (tmp_path / "file").stat().st_size < 2_000_000
    reading = read(Source("file", tmp_path / "file"), SourceOptions(batch_bytes=4 << 20), {})
    first = next(iter(reading)).batch
    reading.close()
    assert 10 < first.num_rows < 100
    assert {len(raw.as_py()) for raw in first.column("raw")} <= {100_008, 100_010, 100_017}


def test_a_dictionary_in_parquet_stays_folded(tmp_path: Path) -> None:
    text = "y" * 200_000
    columns = {"a": [text] * 600, "b": [{"c": text}] * 600, "d": [[text]] * 600}
    for name, values in columns.items():
        pq.write_table(pa.table({name: values}), tmp_path / name)
        assert (tmp_path / name).stat().st_size < 200_000
        reading = read(Source(name, tmp_path / name), SourceOptions(batch_bytes=4 << 20), {})
        deliveries = iter(reading)
        assert next(deliveries).batch.num_rows < 100
        assert next(deliveries).batch.nbytes < 8 << 20
        reading.close()


def test_a_row_longer_than_the_limit_is_an_error_that_names_it(tmp_path: Path) -> None:
    pq.write_table(pa.table({"v": ["short", "x" * 5000]}), tmp_path / "file")
    with pytest.raises(InputError, match=r"row 1 is longer than 4,096 bytes"):
        Table(tmp_path / "file", SourceOptions(max_record_bytes=4096))
    nulls = pa.ListArray.from_arrays(pa.array([0, 1 << 30], pa.int32()), pa.nulls(1 << 30))
    with pa.ipc.new_file(tmp_path / "nulls", pa.schema([("v", nulls.type)])) as file:
        file.write(pa.record_batch([nulls], ["v"]))
    with pytest.raises(InputError, match=r"row 0 is longer than"):
        Table(tmp_path / "nulls", SourceOptions())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_header_that_comes_again_is_no_event(end: str, tmp_path: Path) -> None:
    lines = ["time,account,action", "2024-03-05 10:00:00,a-1,open", "2024-03-05 10:01:00,a-1,close"]
    (tmp_path / "a.csv").write_bytes((end.join([*lines, *lines]) + end).encode())
    assert good("ingest", "a.csv", cwd=tmp_path).rows[0]["invalid"] == 1
    rows = good("log", "--columns", "time,entity,invalid", cwd=tmp_path).rows
    assert [row["invalid"] for row in rows] == [None, None, "the header again", None, None]
    assert rows[2]["time"] is None


def test_timestamps_of_96_bits_beyond_nanoseconds_do_not_wrap(tmp_path: Path) -> None:
    path = tmp_path / "file"
    near, far = 1_704_067_200_000_000, 253_402_214_400_000_000
    for last, told in ((far, ["2024-01-01T00:00:00", "9999-12-31T00:00:00"]), (near, ["2024-01-01T00:00:00"] * 2)):
        table = pa.table({"t": pa.array([near, last], pa.timestamp("us"))})
        pq.write_table(table, path, use_deprecated_int96_timestamps=True)
        assert [json.loads(raw)["t"] for raw in Table(path, SourceOptions()).raws] == told
    exact = pa.table({"t": pa.array([1_704_067_200_123_456_789], pa.timestamp("ns"))})
    pq.write_table(exact, path, use_deprecated_int96_timestamps=True)
    assert Table(path, SourceOptions()).raws == [b'{"t":"2024-01-01T00:00:00.123456789"}']
    far_within = [{"a": near, "b": [{"c": far}]}]
    kind = pa.struct([("a", pa.timestamp("us")), ("b", pa.list_(pa.struct([("c", pa.timestamp("us"))])))])
    pq.write_table(pa.table({"t": pa.array(far_within, kind)}), path, use_deprecated_int96_timestamps=True)
    (raw,) = Table(path, SourceOptions()).raws
    assert json.loads(raw)["t"] == {"a": "2024-01-01T00:00:00", "b": [{"c": "9999-12-31T00:00:00"}]}
