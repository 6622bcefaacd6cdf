"""Fuzz sources in every format: they lose no byte however they are cut into records, and each record is judged."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from esctl.engine.duckdb import connect
from esctl.index.decode.exact_json import judge_records
from esctl.model import Cursor, FileCursor
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, read
from esctl.sources.streams import Limits, zstd
from reliability.target import Target, each

ROOT = Path(__file__).resolve().parents[1]
LIMITS = Limits(expansion=100, unpacked=64 << 20, harmless=8 << 20)


def source_targets(folder: Path) -> list[Target]:
    """Return the targets that read sources."""
    lines = _samples()
    array = b"[\n" + b",\n".join(line.rstrip() for line in lines[:4]) + b"\n]\n"
    wrapped = b'{"Records": ' + array.rstrip() + b', "next": null}\n'
    concatenated = b"".join(json.dumps(json.loads(line), indent=1).encode() for line in lines[:4])
    table = b'id,type,time,stream,note\r\n1,Set,2024-01-02,thing-1,"a ""b"", c"\r\n2,Set,2024-01-03,thing-2,\r\n'
    plain = b"".join(lines[:6])
    return [
        Target(
            "jsonl", 6, (plain, b"\xef\xbb\xbf" + plain, b"\r\n".join(lines[:3])), each(_Source("jsonl", exact=True))
        ),
        Target("json", 2, (array, wrapped, concatenated, array + array), each(_Source("json"))),
        Target("json-document", 2, (wrapped, b""), each(_Source("json-document", exact=True))),
        Target("csv", 3, (table, table.replace(b"\r\n", b"\n")), each(_Source("csv", exact=True))),
        Target("tsv", 1.5, (table.replace(b",", b"\t"),), each(_Source("tsv", exact=True))),
        Target(
            "unknown", 2.5, (plain, array, wrapped, concatenated, table, _parquet(), _arrow()), each(_Source("auto"))
        ),
        Target("gzip", 2, (gzip.compress(plain, mtime=0),), each(_Source("auto"))),
        Target("zstd", 2, (zstd.compress(plain),), each(_Source("auto"))),
        Target("bzip2", 1, (bz2.compress(plain),), each(_Source("auto"))),
        Target("xz", 1, (lzma.compress(plain),), each(_Source("auto"))),
        Target("parquet", 4, (_parquet(),), each(_Table(folder / "t", "parquet"))),
        Target("arrow", 4, (_arrow(), _arrow(stream=True)), each(_Table(folder / "t", "arrow"))),
        Target("records", 14, tuple(line.rstrip() for line in (*lines, *NUMBERS)), _records, batch=500),
        Target("rows", 6, tuple(table.splitlines(keepends=True)[1:]), _rows, batch=500),
    ]


NUMBERS = (
    b'{"a":0.1234567890123456789,"b":1e400,"c":-0.0,"d":12345678901234567890}', b'{"a":1,"a":2,"b":{"c":1,"c":[1.50]}}',
    b'{"\xee\x80\x80":"\xee\x80\x80x","u":"\\ud83d\\ude00"}', b"[1,2,]", b"{'a':1}", b"NaN", b"[" * 200 + b"]" * 200,
)  # fmt: skip


def _samples() -> list[bytes]:
    found: list[bytes] = []
    for path in sorted((ROOT / "sample_logs").glob("*.jsonl")):
        with path.open("rb") as file:
            found += [line for line in (file.readline() for _ in range(3)) if 10 < len(line) < 2000]
    return found


def _table() -> Any:
    return pa.table(
        {
            "id": ["1", "2", None], "n": [1, None, 3], "t": pa.array([1, 2, 3], pa.timestamp("ms", "UTC")),
            "d": pa.array([Decimal("1.10"), None, Decimal("2.20")]), "l": [[1, 2], [], None],
            "s": [{"a": "x"}, {"a": None}, None], "b": [b"\xff", b"", None], "f": [0.1, float("nan"), None],
            "k": pa.array(["a", "b", "a"]).dictionary_encode(),
            "m": pa.array([[("k", 1)], [], None], pa.map_("string", "int64")),
        }
    )  # fmt: skip


def _parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(_table(), sink, row_group_size=2)
    return sink.getvalue()


def _arrow(stream: bool = False) -> bytes:
    sink = io.BytesIO()
    table = _table()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


class _Source:
    """Reads bytes as a source, whole and in small pieces. `exact`: its records together give the same bytes again."""

    def __init__(self, kind: str, exact: bool = False) -> None:
        self._kind, self._exact, self._turn = kind, exact, 0

    def __call__(self, data: bytes) -> None:
        self._turn += 1
        options = {"input_format": self._kind, "final": self._turn % 2 == 0, "limits": LIMITS}
        whole = _deliver(data, SourceOptions(**options, batch_bytes=1 << 20))
        pieces = _deliver(data, SourceOptions(**options, batch_bytes=1 + self._turn % 200, batch_rows=3))
        assert whole == pieces, (whole, pieces)
        raws, cursor, pending = whole
        if self._exact and cursor is not None:
            head, tail = base64.b64decode(cursor.header), base64.b64decode(cursor.tail)
            joined = head + b"".join(raws) + tail
            assert joined + data[len(data) - pending :] == data if pending else joined == data


def _deliver(data: bytes, options: SourceOptions) -> tuple[list[bytes], Cursor | None, int]:
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    try:
        reading = read(Source("-", None), options, {})
        raws: list[bytes] = []
        cursor: Cursor | None = None
        for delivery in reading:
            raws += delivery.batch.column("raw").to_pylist()
            cursor = delivery.cursor
            assert cursor.records == len(raws)
        return raws, cursor, reading.pending_bytes
    finally:
        sys.stdin = before


class _Table:
    """Reads a columnar file: its rows are JSON, or it is refused."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path, self._kind = path, kind

    def __call__(self, data: bytes) -> None:
        self._path.write_bytes(data)
        options = SourceOptions(input_format=self._kind, limits=LIMITS, batch_bytes=1 << 20)
        for delivery in read(Source("t", self._path), options, {}):
            for raw in delivery.batch.column("raw").to_pylist():
                json.loads(raw)


_connection = connect(threads=1)
_JSONL = Cursor(format="jsonl")
_CSV = FileCursor(
    0,
    "",
    0,
    "",
    format="csv",
    records=0,
    header=base64.b64encode(b"id,type,time,stream,note\n").decode(),
    dialect={"delimiter": ","},
)


def _records(batch: Sequence[bytes]) -> None:
    """Judge records together: each is taken if and only if a strict reader takes it, with the same value."""
    judged = judge_records(pa.array(batch, pa.large_binary()), _JSONL, _connection)
    for raw, text, reason, marked in zip(
        batch, judged.text.to_pylist(), judged.invalid.to_pylist(), judged.marked.to_pylist(), strict=True
    ):
        expected = _parse_strictly(raw)
        assert (text is None) == (reason is not None), raw
        if expected is _DEEP or "exponent of over" in (reason or ""):
            continue  # nested too deep for Python, or an exponent that only Python takes
        assert (text is not None) == (expected is not None), (raw[:300], reason)
        if text is not None and not marked:
            assert [_parse_exact(text)] == expected, raw


_DEEP = object()


def _parse_strictly(raw: bytes) -> Any:
    """Read RFC 8259 with Python; return the value in a list, None if it is not JSON, `_DEEP` if nested too deep."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    while text != (bare := text.strip(" \t\r\n").removeprefix("\ufeff")):
        text = bare
    try:
        value = [_parse_exact(text)]
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is not text
        return value
    except RecursionError:
        return _DEEP
    except ValueError:
        return None


def _parse_exact(text: str) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)


def _rows(batch: Sequence[bytes]) -> None:
    """Judge rows of a table together and one by one: the results must be the same."""
    batch = [raw.rstrip(b"\r\n") + b"\n" for raw in batch]  # blank lines come before a row, never after it
    judged = judge_records(pa.array(batch, pa.large_binary()), _CSV, _connection)
    for number in range(0, len(batch), 97):
        alone = judge_records(pa.array([batch[number]], pa.large_binary()), _CSV, _connection)
        assert alone.text.to_pylist()[0] == judged.text.to_pylist()[number], batch[number]
    for text, reason in zip(judged.text.to_pylist(), judged.invalid.to_pylist(), strict=True):
        assert (text is None) == (reason is not None)
        if text is not None:
            assert isinstance(json.loads(text), dict)
