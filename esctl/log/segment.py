"""Segments: immutable Parquet files of records, and the leaf that each record has in the tree."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from esctl.engine import native
from esctl.engine.duckdb import connect, relational
from esctl.log.leaves.header_bytes import headers_bytes
from esctl.log.leaves.plain import WINDOW, hex_digests, is_plain, plain_leaf_hashes
from esctl.log.ranges import ByteRange
from esctl.log.store_state import SegmentEntry
from esctl.storage.local import Filesystem, describe_failure, publish, temporary_name

if TYPE_CHECKING:
    import duckdb

HEADERS = pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))
INSTANT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("recorded_at", INSTANT, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("headers", HEADERS),
        pa.field("source_time", INSTANT),
        pa.field("raw", pa.large_binary()),
        pa.field("salt", pa.binary()),
        pa.field("erased_leaf", pa.binary()),
    ]
)
"""Columns of a segment, in memory and on disk."""

DELIVERED = ("offset", "key", "headers", "source_time", "raw")
"""Columns that come from a source; the log adds the others."""

ROW_GROUP = 65_536
SEGMENT_ROWS = 1_000_000
SEGMENT_RAW_BYTES = 256 << 20
SALT = 16

_SAMPLE_ROWS = 1000  # records, to see whether their keys and headers are mostly the same

_LINE = "chr(10)"
# concat_ws skips nulls, so no part of a leaf may be null.


def leaf_hashes(table: pa.Table, connection: duckdb.DuckDBPyConnection | None = None) -> bytes:
    """Return the tree's leaf hash of every record, in the table's order, 32 bytes each.

    The table has SCHEMA's columns in ascending order of position. The leaf is UTF-8 text, lines ended by LF: the words
    `esctl/record/1`; position; recorded_at in microseconds since the epoch; offset; source_time likewise or `-`; then,
    in lower-case hex or `-` where null, SHA-256 of salt || key, of salt || headers, of salt || raw, of salt || source.
    Headers are laid end to end, name then value, each as `<length in bytes>:<bytes>`, a null value as `-:`. The leaf
    hash is SHA-256(0x00 || leaf) (RFC 6962). An erased record brings its own in `erased_leaf`.
    """
    return native.leaf_hashes(table) if native.is_available() else b"".join(_iter_duckdb_hashes(table, connection))


def iter_leaf_hashes(table: pa.Table, connection: duckdb.DuckDBPyConnection | None = None) -> Iterator[bytes]:
    """Yield what `leaf_hashes` returns, in pieces: least work in all, though plain records are hashed on one core."""
    compiled = native.is_available()
    if not compiled and not is_plain(table):
        yield from _iter_duckdb_hashes(table, connection)
        return
    hashes = native.leaf_hashes if compiled else plain_leaf_hashes
    for start in range(0, table.num_rows, ROW_GROUP):
        yield hashes(table.slice(start, ROW_GROUP))


def _iter_duckdb_hashes(table: pa.Table, connection: duckdb.DuckDBPyConnection | None) -> Iterator[bytes]:
    """Yield leaf hashes in pieces: the caller's work on one piece overlaps DuckDB's on the next."""
    connection = relational(connection or connect())
    starts = range(0, table.num_rows, ROW_GROUP)
    with ThreadPoolExecutor(1, "leaves") as pool:
        waiting: Future[bytes] | None = None
        for start in starts:
            known, expression = _prepare_columns(table.slice(start, ROW_GROUP))
            done = waiting.result() if waiting else b""
            waiting = pool.submit(_hash_leaves, connection, known, expression)
            if done:
                yield done
        if waiting:
            yield waiting.result()


def _prepare_columns(table: pa.Table) -> tuple[pa.Table, str]:
    """Return the columns that are not null throughout, and the SQL of a leaf hash over them.

    Headers are laid end to end. Without salts, `raw` and `source` are hashed here: OpenSSL uses the processor's SHA
    instructions (measured: 0.6 us for 300 bytes and 3.3 us for 5,000; DuckDB 0.8 and 11), and a source's name need not
    be hashed a million times, nor keys and headers that are mostly the same.
    """
    names = [column for column in SCHEMA.names if table[column].null_count < table.num_rows]
    known = table.select(names)
    if "headers" in names:
        known = known.set_column(names.index("headers"), "headers", headers_bytes(table["headers"]))
    if "salt" in names:
        return known, f"position, {_leaf_sql(set(names), set())} AS leaf"
    hashed = {"raw", "source"} | {name for name in ("key", "headers") if name in names and _has_few_values(known[name])}
    for name in hashed & set(names):
        found = _raw_hashes(known[name]) if name == "raw" else _hash_distinct(known[name])
        known = known.set_column(names.index(name), name, found)
    return known, f"position, {_leaf_sql(set(names), hashed)} AS leaf"


def _hash_leaves(connection: duckdb.DuckDBPyConnection, known: pa.Table, expression: str) -> bytes:
    return _sort_leaves(relational(connection).from_arrow(known).project(expression).to_arrow_table())


def _leaf_sql(present: set[str], hashed: set[str]) -> str:
    """Return the SQL of a leaf hash; columns that are null throughout are not in `present`."""

    def digest(column: str, content: str) -> str:
        if column not in present:
            return "'-'"
        if column in hashed:
            return column
        salted = f"coalesce(salt, ''::BLOB) || {content}" if "salt" in present else content
        return f"CASE WHEN {column} IS NULL THEN '-' ELSE sha256({salted}) END"

    parts = [
        "chr(0) || 'esctl/record/1'",
        "position",
        "epoch_us(recorded_at)",
        '"offset"',
        "coalesce(epoch_us(source_time)::VARCHAR, '-')" if "source_time" in present else "'-'",
        digest("key", "key"),
        digest("headers", "headers"),
        digest("raw", "raw"),
        digest("source", "encode(source)") + f" || {_LINE}",
    ]
    leaf = f"unhex(sha256(concat_ws({_LINE}, {', '.join(parts)})))"
    return f"coalesce(erased_leaf, {leaf})" if "erased_leaf" in present else leaf


def _has_few_values(values: pa.ChunkedArray) -> bool:
    """Return whether at most a quarter of the first values are distinct."""
    first = values.slice(0, _SAMPLE_ROWS)
    return len(first.unique()) * 4 <= len(first)


def _hash_distinct(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the SHA-256 of each value as hex text, `-` for null; hashes each distinct value once."""
    found = []
    for encoded in (chunk.dictionary_encode() for chunk in values.chunks):
        contents = encoded.dictionary.cast(pa.binary()).to_pylist()
        hashed = pa.array([sha256(content).hexdigest() for content in contents], pa.string())
        found.append(pc.fill_null(hashed.take(encoded.indices), "-"))
    return pa.chunked_array(found, pa.string())


def _raw_hashes(raws: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the SHA-256 of each record's bytes as hex text, `-` for null."""
    hashed = []
    for raw in raws.chunks:
        bounds = np.frombuffer(raw.buffers()[1], np.int64, len(raw) + 1, raw.offset * 8)
        content = raw.buffers()[2] or pa.py_buffer(b"")
        windows = (bounds[at : at + WINDOW + 1] for at in range(0, len(raw), WINDOW))
        text = "".join(digest for window in windows for digest in hex_digests(content, window))
        each = pa.py_buffer(np.arange(0, len(raw) * 64 + 1, 64, dtype=np.int32))
        hexes = pa.StringArray.from_buffers(len(raw), each, pa.py_buffer(text.encode()))
        hashed.append(pc.if_else(raw.is_null(), "-", hexes) if raw.null_count else hexes)
    return pa.chunked_array(hashed, pa.string())


def _sort_leaves(hashed: pa.Table) -> bytes:
    positions = hashed["position"].to_numpy()
    leaves = hashed["leaf"].combine_chunks().cast(pa.binary(32))
    packed = np.frombuffer(leaves.buffers()[1], dtype="V32", count=len(leaves), offset=leaves.offset * 32)
    if not (np.diff(positions) > 0).all():  # DuckDB keeps an Arrow table's order only if asked to
        packed = packed[np.argsort(positions, kind="stable")]
    return packed.tobytes()


class _HashingSink:
    """A file that hashes what is written to it, so that a segment need not be read again."""

    def __init__(self, files: Filesystem, file: Any) -> None:
        self._files, self._file = files, file
        self.digest, self.size, self.closed = sha256(), 0, False
        self.ranges: list[ByteRange] = []
        self._range_start, self._range_digest = 0, sha256()

    def end_range(self) -> None:
        """End the current range: what is written next begins another."""
        length = self.size - self._range_start
        self.ranges.append(ByteRange(self._range_start, length, self._range_digest.hexdigest()))
        self._range_start, self._range_digest = self.size, sha256()

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.digest.update(view)
        self._range_digest.update(view)
        self.size += len(view)
        self._files.write(self._file, view)
        return len(view)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Leave the file open: it is synced after the Parquet writer has closed this."""
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def write_segment(folder: Path, table: pa.Table, files: Filesystem | None = None) -> SegmentEntry:
    """Write a table of SCHEMA, not empty and dense in position, as one durable segment.

    The entry has no block roots yet. Raises InputError if it cannot be written (which leaves at most a temporary file),
    ConflictError if another writer has taken these positions.
    """
    files = files or Filesystem()
    label = f"{table['position'][0].as_py():020d}-{table['position'][-1].as_py():020d}"
    return name_segment(*write_unnamed(temporary_name(folder, label), table, files), files)


def write_unnamed(temporary: Path, table: pa.Table, files: Filesystem) -> tuple[Path, SegmentEntry]:
    """Write a segment-to-be durably under a temporary name. Raises InputError if it cannot be written."""
    first, last = table["position"][0].as_py(), table["position"][-1].as_py()
    name = f"{first:020d}-{last:020d}.{secrets.token_hex(4)}.parquet"
    doing = describe_failure(f"write {temporary.with_name(name)}")
    with doing, _remove_on_failure(temporary, files), files.create(temporary) as file:
        sink = _HashingSink(files, file)
        _write_parquet(table, sink)
        files.sync(file)
    times = pc.min_max(table["recorded_at"].cast(pa.int64())).as_py()
    ranges = tuple(sink.ranges)
    entry = SegmentEntry(
        name, sink.size, sink.digest.hexdigest(), first, last, times["min"], times["max"], ranges=ranges
    )
    return temporary, entry


def name_segment(temporary: Path, entry: SegmentEntry, files: Filesystem) -> SegmentEntry:
    """Rename a written segment to its final name, durably. Raises as `write_segment` does."""
    target = temporary.with_name(entry.file)
    with describe_failure(f"write {target}"):
        with _remove_on_failure(temporary, files):
            publish(files, temporary, target, over=True)
        files.sync_folder(target.parent)
    return entry


@contextmanager
def _remove_on_failure(path: Path, files: Filesystem) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            files.unlink(path)
        raise


def _write_parquet(table: pa.Table, sink: _HashingSink) -> None:
    # Raw has no dictionary (records differ) and no statistics (a minimum would be a copy of a record).
    numbers = ("position", "recorded_at", "offset", "source_time")
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=["source"],
        column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
        write_statistics=[*numbers, "source"],
        write_page_checksum=True,
    ) as writer:
        for start in range(0, table.num_rows, ROW_GROUP):
            writer.write_table(table.slice(start, ROW_GROUP), ROW_GROUP)
            sink.end_range()
    sink.end_range()
