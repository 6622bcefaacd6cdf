"""Read records back, exactly as they were received, from the segments a snapshot names."""

from __future__ import annotations

import base64
import binascii
import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from esctl.errors import InputError, NotFoundError
from esctl.log.commits import open_log
from esctl.log.ranges import require
from esctl.log.segment import SCHEMA
from esctl.log.snapshot import SegmentEntry, Snapshot

_DAMAGED = "the store is damaged: restore the file from a copy"


def segments_for(snapshot: Snapshot, first: int, last: int) -> tuple[SegmentEntry, ...]:
    """Give the segments that hold positions [first, last], in order."""
    return tuple(segment for segment in snapshot.segments if segment.first <= last and segment.last >= first)


def read_table(snapshot: Snapshot, first: int, last: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the records at positions [first, last], in order, as a table of SCHEMA or of some of its columns.

    Positions outside the log give no rows. Raises InputError, naming the file, for a missing or damaged segment.
    """
    names = list(columns or SCHEMA.names)
    tables = [_read(snapshot, segment, first, last, names) for segment in segments_for(snapshot, first, last)]
    return pa.concat_tables(tables) if tables else _nothing(names)


def iter_batches(
    snapshot: Snapshot, first: int, last: int, rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Read positions [first, last] in batches of at most `rows` records: for more than fits in memory.

    Raises as `read_table` does.
    """
    names = list(columns or SCHEMA.names)
    for segment in segments_for(snapshot, first, last):
        with _open(snapshot, segment) as file:
            groups, start = _groups(file, segment, first, last)
            at = segment.first + start
            for batch in _checked(snapshot, segment, file, groups).iter_batches(rows, groups, names):
                skip, stop = max(first - at, 0), min(last - at + 1, batch.num_rows)
                at += batch.num_rows
                if skip < stop:
                    yield batch.slice(skip, stop - skip).select(names)


def raw_of(snapshot: Snapshot, positions: Iterable[int]) -> dict[int, bytes | None]:
    """Give the exact bytes of the records at these positions; None for a tombstone or an erased record.

    Positions outside the log are left out. Raises as `read_table` does.
    """
    found = records_at(snapshot, positions, ["position", "raw"])
    return dict(zip(found["position"].to_pylist(), found["raw"].to_pylist(), strict=True))


def records_at(snapshot: Snapshot, positions: Iterable[int], columns: Sequence[str] | None = None) -> pa.Table:
    """Read the records at these positions, in order, as a table of SCHEMA or of some of its columns.

    Reads only the row groups they are in. Positions outside the log are left out. Raises as `read_table` does.
    """
    names = list(columns or SCHEMA.names)
    wanted = sorted(set(positions))
    found: list[pa.Table] = []
    for segment in snapshot.segments:
        here = wanted[np.searchsorted(wanted, segment.first) : np.searchsorted(wanted, segment.last, side="right")]
        if here:
            with _open(snapshot, segment) as file:
                found += _rows_in(snapshot, segment, file, here, names)
    return pa.concat_tables(found) if found else _nothing(names)


def _nothing(names: list[str]) -> pa.Table:
    return pa.schema([SCHEMA.field(name) for name in names]).empty_table()


def erased_of(snapshot: Snapshot, source: str) -> list[int]:
    """List the positions of a source's records that were erased. Raises as `read_table` does."""
    found: list[int] = []
    for first, last in (range_ for redaction in snapshot.redactions for range_ in redaction.positions):
        table = read_table(snapshot, first, last, ["position", "source"])
        found += table["position"].filter(pc.equal(table["source"], source)).to_pylist()
    return sorted(found)


def export_raw(snapshot: Snapshot, source: str, *, skip_erased: bool = False) -> Iterator[bytes]:
    """Give a source's bytes as they were ingested, in pieces: its header, its records in order, its blank end.

    Raises NotFoundError for a source the log does not know; InputError for an erased record, whose bytes are gone
    (with `skip_erased` it is left out), and as `read_table` does.
    """
    cursor = snapshot.cursors.get(source)
    if cursor is None:
        near = difflib.get_close_matches(source, snapshot.cursors, 1)
        raise NotFoundError(f"no source {source!r} in the log", f"did you mean {near[0]!r}?" if near else "")
    erased = erased_of(snapshot, source)
    if erased and not skip_erased:
        raise InputError(
            f"{len(erased)} records of {source} were erased, the first at position {erased[0]}: it cannot be exported "
            "exactly",
            "leave them out with --skip-erased",
        )
    return _pieces(snapshot, source, cursor.header, cursor.tail)


def _pieces(snapshot: Snapshot, source: str, header: str, tail: str) -> Iterator[bytes]:
    if header:
        yield _decoded(header, source)
    for segment in snapshot.segments:
        with _open(snapshot, segment) as file:
            groups = [group for group in range(file.num_row_groups) if _may_hold(file, group, source)]
            columns = ["position", "source", "raw", "erased_leaf"]
            for batch in _checked(snapshot, segment, file, groups).iter_batches(row_groups=groups, columns=columns):
                own = batch.filter(pc.equal(batch.column("source"), source))
                own = own.filter(pc.is_null(own.column("erased_leaf")))
                if own.num_rows:
                    yield _joined(own, source)
    if tail:
        yield _decoded(tail, source)


def _joined(records: pa.RecordBatch, source: str) -> bytes:
    raw = records.column("raw")
    if raw.null_count:
        position = records.column("position").filter(raw.is_null())[0].as_py()
        raise InputError(
            f"the record at position {position} of {source} has no bytes",
            "it was a tombstone: this source cannot be exported exactly",
        )
    bounds = np.frombuffer(raw.buffers()[1], dtype=np.int64)[raw.offset :]
    start, stop = int(bounds[0]), int(bounds[len(raw)])
    return bytes(memoryview(raw.buffers()[2])[start:stop]) if stop > start else b""


def _decoded(text: str, source: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise InputError(f"the cursor of {source} is damaged", _DAMAGED) from error


def _may_hold(file: pq.ParquetFile, group: int, source: str) -> bool:
    statistics = file.metadata.row_group(group).column(SCHEMA.get_field_index("source")).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    # Compared as UTF-8, which is how Parquet orders strings.
    return bool(statistics.min.encode() <= source.encode() <= statistics.max.encode())


def _read(snapshot: Snapshot, segment: SegmentEntry, first: int, last: int, names: list[str]) -> pa.Table:
    with _open(snapshot, segment) as file:
        groups, start = _groups(file, segment, first, last)
        table = _checked(snapshot, segment, file, groups).read_row_groups(groups, columns=names).select(names)
    skip = max(first - segment.first - start, 0)
    return table.slice(skip, min(last, segment.last) - max(first, segment.first) + 1)


def _rows_in(
    snapshot: Snapshot, segment: SegmentEntry, file: pq.ParquetFile, positions: list[int], names: list[str]
) -> Iterator[pa.Table]:
    rows = np.array(positions) - segment.first
    starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))])
    groups = np.unique(np.searchsorted(starts, rows, side="right") - 1).tolist()
    _checked(snapshot, segment, file, groups)
    for group in groups:
        inside = rows[(rows >= starts[group]) & (rows < starts[group + 1])]
        table = file.read_row_group(group, columns=names).select(names)
        yield table.take(_indices(inside - starts[group]))


def _indices(rows: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Array:
    # pa.array() imports pandas where it is installed: half a second for the bytes of one record.
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows.astype(np.int64).tobytes())])


def _groups(file: pq.ParquetFile, segment: SegmentEntry, first: int, last: int) -> tuple[list[int], int]:
    """Give the row groups with positions [first, last], and the number of rows before the first of them."""
    groups: list[int] = []
    before = start = 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if segment.first + before <= last and segment.first + before + count > first:
            start = start if groups else before
            groups.append(group)
        before += count
    return groups, start


@contextmanager
def _open(snapshot: Snapshot, segment: SegmentEntry) -> Iterator[pq.ParquetFile]:
    """Open a segment whose footer is what was committed. What is read of it goes through `_checked` first."""
    path = snapshot.path / "log" / segment.file
    if not path.exists() and _replaced(snapshot, segment):
        raise InputError(f"{path} was replaced meanwhile", "run the command again")
    require(path, segment.size, segment.ranges[-1:], _DAMAGED)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            whole = file.metadata.num_rows == segment.last - segment.first + 1
            parts = file.num_row_groups + 1 == len(segment.ranges)
            if not (whole and parts and file.schema_arrow.equals(SCHEMA)):
                raise InputError(f"{path} is not the segment that was committed", _DAMAGED)
            yield file
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read: {reason}", _DAMAGED) from error


def _replaced(snapshot: Snapshot, segment: SegmentEntry) -> bool:
    """Tell whether a commit after the snapshot took the segment away."""
    return segment.file not in {each.file for each in open_log(snapshot.path).read().segments}


def _checked(snapshot: Snapshot, segment: SegmentEntry, file: pq.ParquetFile, groups: Sequence[int]) -> pq.ParquetFile:
    """Give the file back once these row groups of it were held against their digests."""
    ranges = [segment.ranges[group] for group in groups]
    require(snapshot.path / "log" / segment.file, segment.size, ranges, _DAMAGED)
    return file
