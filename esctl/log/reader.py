"""Read records back, exactly as they were received, from the segments that a store state names."""

from __future__ import annotations

import base64
import difflib
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from esctl.errors import InputError, NotFoundError, did_you_mean
from esctl.log.commits import open_log
from esctl.log.ranges import damage_at, open_parts
from esctl.log.segment import SCHEMA
from esctl.log.segments import segments_in
from esctl.log.store_state import SegmentEntry, StoreState
from esctl.model import FileCursor

_DAMAGED = "the store is damaged: restore the file from a copy"


def read_table(store_state: StoreState, first: int, last: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the records at positions [first, last], in order, as a table of SCHEMA or of some of its columns.

    Positions outside the log give no rows. Raises InputError, naming the file, for a missing or damaged segment.
    """
    names = list(columns or SCHEMA.names)
    tables = [_read_range(held, names) for held in _open_ranges(store_state, first, last)]
    return pa.concat_tables(tables) if tables else _empty_table(names)


def iter_batches(
    store_state: StoreState, first: int, last: int, rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the records at positions [first, last] in batches of at most `rows`, for more than fits in memory.

    Raises as `read_table` does.
    """
    names = list(columns or SCHEMA.names)
    for held in _open_ranges(store_state, first, last):
        groups, start = _groups_of_range(held)
        at = held.segment.first + start
        for batch in held.segment_file.checked(groups).iter_batches(rows, groups, names):
            skip, stop = max(held.first - at, 0), min(held.last - at + 1, batch.num_rows)
            at += batch.num_rows
            if skip < stop:
                yield batch.slice(skip, stop - skip).select(names)


def raw_of(store_state: StoreState, positions: Iterable[int]) -> dict[int, bytes | None]:
    """Return the exact bytes of the records at these positions; None for a tombstone or an erased record.

    Positions outside the log are left out. Raises as `read_table` does.
    """
    found = records_at(store_state, positions, ["position", "raw"])
    return dict(zip(found["position"].to_pylist(), found["raw"].to_pylist(), strict=True))


def records_at(store_state: StoreState, positions: Iterable[int], columns: Sequence[str] | None = None) -> pa.Table:
    """Read the records at these positions, in order, as a table of SCHEMA or of some of its columns.

    Reads only the row groups they are in. Positions outside the log are left out. Raises as `read_table` does.
    """
    names = list(columns or SCHEMA.names)
    wanted = sorted(position for position in set(positions) if 0 < position <= store_state.head)
    found: list[pa.Table] = []
    while wanted:
        with _open_at(store_state, wanted[0]) as file:
            stop = bisect_right(wanted, file.segment.last)
            found += _rows_in(file, wanted[:stop], names)
        wanted = wanted[stop:]
    return pa.concat_tables(found) if found else _empty_table(names)


def _empty_table(names: list[str]) -> pa.Table:
    return pa.schema([SCHEMA.field(name) for name in names]).empty_table()


def erased_positions(store_state: StoreState, source: str) -> list[int]:
    """List the positions of a source's records that were erased. Raises as `read_table` does."""
    found: list[int] = []
    for first, last in (range_ for redaction in store_state.redactions for range_ in redaction.positions):
        table = read_table(store_state, first, last, ["position", "source"])
        found += table["position"].filter(pc.equal(table["source"], source)).to_pylist()
    return sorted(found)


def export_raw(store_state: StoreState, source: str, *, skip_erased: bool = False) -> Iterator[bytes]:
    """Return a source's bytes as they were ingested, in pieces: its header, its records in order, its blank end.

    Raises NotFoundError for a source the log does not know; InputError for an erased record, whose bytes are gone
    (with `skip_erased` it is left out), and as `read_table` does.
    """
    cursor = store_state.cursors.get(source)
    if cursor is None:
        near = difflib.get_close_matches(source, store_state.cursors, 1)
        raise NotFoundError(f"no source {source!r} in the log", did_you_mean(near))
    check_unerased(store_state, source, skip_erased=skip_erased)
    return iter_pieces(store_state, source, cursor.header, cursor.tail if isinstance(cursor, FileCursor) else "")


def check_unerased(store_state: StoreState, source: str, *, skip_erased: bool) -> None:
    """Raise InputError if records of a source were erased, unless `skip_erased` lets them be left out."""
    erased = erased_positions(store_state, source)
    if erased and not skip_erased:
        raise InputError(
            f"{len(erased)} records of {source} were erased, the first at position {erased[0]}: it cannot be exported "
            "exactly",
            "leave them out with --skip-erased",
        )


def iter_firsts(store_state: StoreState, size: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield some columns, `offset` among them, of the records that begin in the first `size` bytes of their sources.

    Raises as `read_table` does.
    """
    for held in _open_ranges(store_state, 1, store_state.head):
        parquet = held.segment_file.parquet
        groups = [each for each in _groups_of_range(held)[0] if (_bounds(parquet, each, "offset") or (0, 0))[0] < size]
        for batch in _batches_where(held, groups, ["position", *columns], pc.field("offset") < size):
            yield batch.select(list(columns))


def first_positions(store_state: StoreState, first: int = 1) -> dict[str, int]:
    """Return each source's first position in the row groups from that of `first` on, in order. Raises InputError."""
    found: dict[str, int] = {}
    for held in _open_ranges(store_state, first, store_state.head):
        (groups, start), file = _groups_of_range(held), held.segment_file
        at = held.segment.first + start
        for group in groups:
            if name := _only_source(file.parquet, group):
                found.setdefault(name, at)
            else:
                names = file.checked([group]).read_row_group(group, ["source"])["source"].combine_chunks()
                for name in names.slice(0, held.last - at + 1).unique().to_pylist():
                    found.setdefault(name, at + pc.index(names, name).as_py())
            at += file.parquet.metadata.row_group(group).num_rows
    return found


def _only_source(file: pq.ParquetFile, group: int) -> str:
    """Return the one source of a row group, according to the footer; empty if there may be several."""
    least, greatest = _bounds(file, group, "source") or ("", None)
    return str(least) if least == greatest else ""


def _bounds(file: pq.ParquetFile, group: int, column: str) -> tuple[Any, Any] | None:
    """Return the bounds of a column's values in a row group, according to the footer; None if it does not say."""
    statistics = file.metadata.row_group(group).column(SCHEMA.get_field_index(column)).statistics
    return (statistics.min, statistics.max) if statistics is not None and statistics.has_min_max else None


def iter_pieces(store_state: StoreState, source: str, header: str, tail: str) -> Iterator[bytes]:
    """Yield a header (base64), the bytes of a source's records without erased ones, and a tail (base64)."""
    if header:
        yield base64.b64decode(header)
    columns = ["position", "source", "raw", "erased_leaf"]
    for held in _open_ranges(store_state, 1, store_state.head):
        parquet = held.segment_file.parquet
        groups = [group for group in _groups_of_range(held)[0] if _may_hold(parquet, group, source)]
        is_kept = (pc.field("source") == source) & pc.field("erased_leaf").is_null()
        for own in _batches_where(held, groups, columns, is_kept):
            if own.num_rows:
                yield _join_raws(own, source)
    if tail:
        yield base64.b64decode(tail)


def _join_raws(records: pa.RecordBatch, source: str) -> bytes:
    raw = records.column("raw")
    if raw.null_count:
        position = records.column("position").filter(raw.is_null())[0].as_py()
        raise InputError(
            f"the record at position {position} of {source} has no bytes",
            "it was a tombstone: this source cannot be exported exactly",
        )
    return join_raws(raw)


def join_raws(raws: pa.LargeBinaryArray, most: int | None = None) -> bytes:
    """Return the bytes of records end to end, at most `most` of them. No record may be null."""
    bounds = np.frombuffer(raws.buffers()[1], dtype=np.int64)[raws.offset :]
    start, stop = int(bounds[0]), int(bounds[len(raws)])
    stop = stop if most is None else min(stop, start + most)
    return bytes(memoryview(raws.buffers()[2])[start:stop]) if stop > start else b""


def _may_hold(file: pq.ParquetFile, group: int, source: str) -> bool:
    bounds = _bounds(file, group, "source")
    # Compared as UTF-8, which is how Parquet orders strings.
    return bounds is None or bool(bounds[0].encode() <= source.encode() <= bounds[1].encode())


class _SegmentFile(Struct, frozen=True):
    """An open segment whose footer was checked; it stays readable even if its file is removed."""

    path: Path
    segment: SegmentEntry
    parquet: pq.ParquetFile
    descriptor: int

    def checked(self, groups: Sequence[int]) -> pq.ParquetFile:
        """Return the file after checking these row groups against their digests. Raises InputError if one differs."""
        ranges = [self.segment.ranges[group] for group in groups]
        if message := damage_at(self.path, self.descriptor, self.segment.size, ranges):
            raise InputError(f"{self.path}: {message}", _DAMAGED)
        return self.parquet


class _SegmentRange(Struct, frozen=True):
    """An open segment, and the positions wanted from it."""

    segment_file: _SegmentFile
    first: int
    last: int

    @property
    def segment(self) -> SegmentEntry:
        return self.segment_file.segment


def _open_ranges(store_state: StoreState, first: int, last: int) -> Iterator[_SegmentRange]:
    """Yield the segments that hold positions [first, last], each open until the next is asked for."""
    at, last = max(first, 1), min(last, store_state.head)
    while at <= last:
        with _open_at(store_state, at) as file:
            yield _SegmentRange(file, at, min(last, file.segment.last))
        at = file.segment.last + 1


def _read_range(held: _SegmentRange, names: list[str]) -> pa.Table:
    groups, start = _groups_of_range(held)
    table = held.segment_file.checked(groups).read_row_groups(groups, columns=names).select(names)
    return table.slice(held.first - held.segment.first - start, held.last - held.first + 1)


def _batches_where(
    held: _SegmentRange, groups: Sequence[int], columns: Sequence[str], condition: pc.Expression
) -> Iterator[pa.RecordBatch]:
    """Yield the wanted records of some row groups that meet a condition; `position` must be among the columns."""
    position = pc.field("position")
    inside = (position >= held.first) & (position <= held.last)
    for batch in held.segment_file.checked(groups).iter_batches(row_groups=groups, columns=list(columns)):
        yield batch.filter(inside & condition)


def _rows_in(file: _SegmentFile, positions: list[int], names: list[str]) -> Iterator[pa.Table]:
    rows = np.array(positions) - file.segment.first
    metadata = file.parquet.metadata
    starts = np.cumsum([0, *(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))])
    groups = np.unique(np.searchsorted(starts, rows, side="right") - 1).tolist()
    parquet = file.checked(groups)
    for group in groups:
        inside = rows[(rows >= starts[group]) & (rows < starts[group + 1])]
        table = parquet.read_row_group(group, columns=names).select(names)
        yield table.take(_indices(inside - starts[group]))


def _indices(rows: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Array:
    # pa.array() imports pandas where it is installed: half a second for the bytes of one record.
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows.astype(np.int64).tobytes())])


def _groups_of_range(held: _SegmentRange) -> tuple[list[int], int]:
    """Return the row groups with the wanted positions, and the number of rows before the first of them."""
    groups: list[int] = []
    before = start = 0
    metadata = held.segment_file.parquet.metadata
    for group in range(metadata.num_row_groups):
        count = metadata.row_group(group).num_rows
        if held.segment.first + before <= held.last and held.segment.first + before + count > held.first:
            start = start if groups else before
            groups.append(group)
        before += count
    return groups, start


@contextmanager
def _open_at(store_state: StoreState, position: int) -> Iterator[_SegmentFile]:
    """Open the segment that holds a position.

    If it was replaced since the store state was read, open the segment that holds the same records now.
    """
    (entry,) = segments_in(store_state.segments, position, position)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(_open(store_state, entry))
        except InputError:
            now = _state_after_replacing(store_state, entry)
            if now is None:
                raise
            file = stack.enter_context(_open_at(now, position))
        yield file


@contextmanager
def _open(store_state: StoreState, segment: SegmentEntry) -> Iterator[_SegmentFile]:
    path = store_state.path / "log" / segment.file
    try:
        descriptor = open_parts(path, segment.size)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        if message := damage_at(path, descriptor, segment.size, segment.ranges[-1:]):
            raise InputError(f"{path}: {message}", _DAMAGED)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            whole = file.metadata.num_rows == segment.last - segment.first + 1
            parts = file.num_row_groups + 1 == len(segment.ranges)
            if not (whole and parts and file.schema_arrow.equals(SCHEMA)):
                raise InputError(f"{path} is not the segment that was committed", _DAMAGED)
            yield _SegmentFile(path, segment, file, descriptor)
    except FileNotFoundError as error:
        raise _unreadable(path, error) from error
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read: {reason}", _DAMAGED) from error
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: OSError) -> InputError:
    reason = "it is missing" if isinstance(error, FileNotFoundError) else f"it cannot be read: {error.strerror}"
    return InputError(f"{path}: {reason}", _DAMAGED)


def _state_after_replacing(store_state: StoreState, segment: SegmentEntry) -> StoreState | None:
    """Return the store state as it is now if it no longer names the segment, else None.

    Raises InputError if records of the segment were erased meanwhile.
    """
    now = open_log(store_state.path).read()
    if now.head < store_state.head or segment in segments_in(now.segments, segment.first, segment.last):
        return None
    for redaction in now.redactions[len(store_state.redactions) :]:
        if any(first <= segment.last and last >= segment.first for first, last in redaction.positions):
            raise InputError(
                f"{store_state.path / 'log' / segment.file} was replaced meanwhile: records were erased",
                "run the command again",
            )
    return now
