"""Read records back, exactly as they were received, from the segments a snapshot names."""

from __future__ import annotations

import base64
import binascii
import difflib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from esctl.errors import InputError, NotFoundError
from esctl.log.commits import open_log
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
    tables = [_read(held, names) for held in _held(snapshot, first, last)]
    return pa.concat_tables(tables) if tables else pa.schema([SCHEMA.field(name) for name in names]).empty_table()


def iter_batches(
    snapshot: Snapshot, first: int, last: int, rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Read positions [first, last] in batches of at most `rows` records: for more than fits in memory.

    Raises as `read_table` does.
    """
    names = list(columns or SCHEMA.names)
    for held in _held(snapshot, first, last):
        groups, start = _groups(held)
        at = held.segment.first + start
        for batch in held.file.iter_batches(batch_size=rows, row_groups=groups, columns=names):
            skip, stop = max(held.first - at, 0), min(held.last - at + 1, batch.num_rows)
            at += batch.num_rows
            if skip < stop:
                yield batch.slice(skip, stop - skip).select(names)


def raw_of(snapshot: Snapshot, positions: Iterable[int]) -> dict[int, bytes | None]:
    """Give the exact bytes of the records at these positions; None for a tombstone or an erased record.

    Reads only the row groups they are in. Positions outside the log are left out. Raises as `read_table` does.
    """
    wanted = sorted(position for position in set(positions) if 0 < position <= snapshot.head)
    found: dict[int, bytes | None] = {}
    while wanted:
        with _open_at(snapshot, wanted[0]) as (file, segment):
            stop = bisect_right(wanted, segment.last)
            found |= _raw_in(file, segment, wanted[:stop])
        wanted = wanted[stop:]
    return found


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
    for held in _held(snapshot, 1, snapshot.head):
        groups = [group for group in _groups(held)[0] if _may_hold(held.file, group, source)]
        for batch in held.file.iter_batches(row_groups=groups, columns=["position", "source", "raw", "erased_leaf"]):
            place = pc.field("position")
            inside = (place >= held.first) & (place <= held.last) & pc.field("erased_leaf").is_null()
            own = batch.filter((pc.field("source") == source) & inside)
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


@dataclass(frozen=True, slots=True)
class _Held:
    """An open segment, and the positions that are wanted of it."""

    file: pq.ParquetFile
    segment: SegmentEntry
    first: int
    last: int


def _held(snapshot: Snapshot, first: int, last: int) -> Iterator[_Held]:
    """Open the segments that hold positions [first, last], one after another."""
    at, last = max(first, 1), min(last, snapshot.head)
    while at <= last:
        with _open_at(snapshot, at) as (file, segment):
            yield _Held(file, segment, at, min(last, segment.last))
        at = segment.last + 1


def _read(held: _Held, names: list[str]) -> pa.Table:
    groups, start = _groups(held)
    table = held.file.read_row_groups(groups, columns=names).select(names)
    return table.slice(held.first - held.segment.first - start, held.last - held.first + 1)


def _raw_in(file: pq.ParquetFile, segment: SegmentEntry, positions: list[int]) -> dict[int, bytes | None]:
    found: dict[int, bytes | None] = {}
    rows = np.array(positions) - segment.first
    starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))])
    for group in np.unique(np.searchsorted(starts, rows, side="right") - 1):
        inside = rows[(rows >= starts[group]) & (rows < starts[group + 1])]
        raw = file.read_row_group(int(group), columns=["raw"]).column("raw")
        values = raw.take(pa.array(inside - starts[group])).to_pylist()
        found |= dict(zip((inside + segment.first).tolist(), values, strict=True))
    return found


def _groups(held: _Held) -> tuple[list[int], int]:
    """Give the row groups with the wanted positions, and the number of rows before the first of them."""
    groups: list[int] = []
    before = start = 0
    for group in range(held.file.num_row_groups):
        count = held.file.metadata.row_group(group).num_rows
        if held.segment.first + before <= held.last and held.segment.first + before + count > held.first:
            start = start if groups else before
            groups.append(group)
        before += count
    return groups, start


@contextmanager
def _open_at(snapshot: Snapshot, position: int) -> Iterator[tuple[pq.ParquetFile, SegmentEntry]]:
    """Open the segment that holds a position.

    Where it was replaced since the snapshot was taken, the one that has its records now: they are the same.
    """
    entry = next(segment for segment in snapshot.segments if segment.first <= position <= segment.last)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(_open(snapshot, entry))
        except InputError:
            now = _replaced(snapshot, entry)
            if now is None:
                raise
            file, entry = stack.enter_context(_open_at(now, position))
        yield file, entry


def _replaced(snapshot: Snapshot, segment: SegmentEntry) -> Snapshot | None:
    """Give the store as it is now, if it does not name the segment any more.

    Raises InputError where records of the segment were erased meanwhile.
    """
    now = open_log(snapshot.path).read()
    if now.head < snapshot.head or segment in now.segments:
        return None
    for redaction in now.redactions[len(snapshot.redactions) :]:
        if any(first <= segment.last and last >= segment.first for first, last in redaction.positions):
            raise InputError(f"{snapshot.path}: records were erased meanwhile", "run the command again")
    return now


@contextmanager
def _open(snapshot: Snapshot, segment: SegmentEntry) -> Iterator[pq.ParquetFile]:
    path = snapshot.path / "log" / segment.file
    _check_size(path, segment)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            whole = file.metadata.num_rows == segment.last - segment.first + 1
            if not whole or not file.schema_arrow.equals(SCHEMA):
                raise InputError(f"{path} is not the segment that was committed", _DAMAGED)
            yield file
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read: {reason}", _DAMAGED) from error


def _check_size(path: Path, segment: SegmentEntry) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} is missing or cannot be read", _DAMAGED) from error
    if size != segment.size:
        raise InputError(f"{path} has {size:,} bytes, {segment.size:,} were committed", _DAMAGED)
