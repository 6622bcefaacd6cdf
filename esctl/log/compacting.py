"""Compact the log: many small segments become few, and no record, position, hash or cursor changes.

A merged segment is written into the log's folder under a temporary name that no writer sweeps, while others read and
write; the store's lock is taken only to rename the segment and commit. If the process is killed before the commit,
nothing has changed; if after, the next writer removes the old segments. A reader that finds a segment gone looks for
its records in the newest commit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.errors import InputError
from esctl.log.commits import open_log
from esctl.log.ranges import damage
from esctl.log.reader import read_table
from esctl.log.replacing import Replacement
from esctl.log.segment import SEGMENT_ROWS, write_unnamed
from esctl.log.segments import segments_in
from esctl.log.store_state import SegmentEntry, StoreState
from esctl.log.writer import LogWriter
from esctl.storage.local import TEMPORARY, Filesystem, entries, temporary_name

if TYPE_CHECKING:
    import duckdb

MOST_RAW = 128 << 20
"""Most bytes of records in a merged segment, which is held in memory whole."""
SMALL = 4
"""A segment is small if this many of them fit into a merged one."""
PATIENCE = 600.0
"""Seconds to wait for an ingest that is writing."""
ABANDONED = 3600.0
"""Seconds after which a file of a compaction that did not end is removed."""
_LABEL = "compact"


def segments_to_merge(store_state: StoreState) -> list[tuple[SegmentEntry, ...]]:
    """Return the groups of neighbouring small segments, each to be merged into one."""
    groups: list[list[SegmentEntry]] = [[]]
    rows = size = 0
    for segment in store_state.segments:
        count, raw = segment.last - segment.first + 1, _raw_bytes(store_state, segment)
        if SMALL * count > SEGMENT_ROWS or SMALL * raw > MOST_RAW:
            groups.append([])
            rows = size = 0
            continue
        if rows + count > SEGMENT_ROWS or size + raw > MOST_RAW:
            groups.append([])
            rows = size = 0
        groups[-1].append(segment)
        rows, size = rows + count, size + raw
    return [tuple(group) for group in groups if len(group) > 1]


def _raw_bytes(store_state: StoreState, segment: SegmentEntry) -> int:
    """Return the unpacked bytes of a segment's records, or its size on disk if it is large, damaged or gone."""
    import pyarrow.parquet as pq

    if SMALL * segment.size > MOST_RAW:
        return segment.size
    if damage(store_state.path / "log" / segment.file, segment.size, segment.ranges[-1:]):
        return segment.size
    try:
        about = pq.read_metadata(store_state.path / "log" / segment.file)
    except OSError:
        return segment.size
    return sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))


def compact_log(
    path: Path, files: Filesystem | None = None, connection: duckdb.DuckDBPyConnection | None = None
) -> tuple[Sequence[SegmentEntry], Sequence[SegmentEntry]]:
    """Merge small segments, one commit per merged segment; return the segments before and after.

    Raises InputError for a segment that cannot be read or is not what was committed, if nothing can be written, or if
    another process keeps the store's lock.
    """
    files = files or Filesystem()
    _remove_abandoned(path, files)
    before = open_log(path).read()
    groups = segments_to_merge(before)
    for group in groups:
        _commit_merged(path, _write_merged(before, group, files), group, files, connection)
    after = open_log(path).read()
    return before.segments, tuple(segment for segment in after.segments if segment.first <= before.head)


def _write_merged(
    store_state: StoreState, group: Sequence[SegmentEntry], files: Filesystem
) -> tuple[Path, SegmentEntry]:
    """Write the records of some segments as one under a temporary name, and check that they read back the same."""
    import pyarrow.parquet as pq

    records = read_table(store_state, group[0].first, group[-1].last).combine_chunks()
    label = f"{_LABEL}-{group[0].first}-{group[-1].last}"
    temporary, entry = write_unnamed(temporary_name(store_state.path / "log", label), records, files)
    again = pq.read_table(temporary, schema=records.schema, page_checksum_verification=True)
    if not again.equals(records):
        _discard(temporary, files)
        raise InputError(
            f"{temporary} does not read back as it was written; nothing was changed", "is the disk damaged?"
        )
    return temporary, entry


def _commit_merged(
    path: Path,
    ready: tuple[Path, SegmentEntry],
    group: Sequence[SegmentEntry],
    files: Filesystem,
    connection: duckdb.DuckDBPyConnection | None,
) -> None:
    try:
        with LogWriter(path, timeout=PATIENCE, files=files, connection=connection) as writer:
            there = segments_in(writer.store_state.segments, group[0].first, group[-1].last)
            if set(group) <= set(there):  # else another compaction, or a redaction, was here before
                writer.replace(Replacement("compact", group, ready=[ready]))
    finally:
        _discard(ready[0], files)


def _discard(temporary: Path, files: Filesystem) -> None:
    with suppress(OSError):
        files.unlink(temporary)


def may_be_merging(file: Path) -> bool:
    """Return whether a compaction may still be writing a file, as it holds no lock meanwhile."""
    if not file.name.startswith(f"{TEMPORARY}{_LABEL}-"):
        return False
    try:
        return file.lstat().st_mtime >= time.time() - ABANDONED
    except OSError:
        return False


def _remove_abandoned(path: Path, files: Filesystem) -> None:
    for name in entries(path / "log"):
        file = path / "log" / name
        with suppress(OSError):
            if name.startswith(f"{TEMPORARY}{_LABEL}-") and not may_be_merging(file):
                files.unlink(file)
