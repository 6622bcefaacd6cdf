"""Compact a store: few large files in place of many small ones, in the log and in the index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from esctl.storage.local import Filesystem

if TYPE_CHECKING:
    from esctl.index.files.manifest import IndexFile
    from esctl.index.update import Updater
    from esctl.log.store_state import SegmentEntry, StoreState


class Compacted(Struct, frozen=True):
    """The number and bytes of the files of a part of the store, before and after."""

    part: str  # log | index
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def compact(path: Path, updater: Updater, files: Filesystem | None = None) -> list[Compacted]:
    """Merge the small files of a store while others read and write it.

    It is safe to kill at any point. Raises InputError if something cannot be read or written.
    """
    from esctl.log.commits import open_log
    from esctl.log.compacting import compact_log

    segments_before, segments_after = compact_log(path, files, updater.connection)
    before, after = updater.compact(open_log(path).read())
    return [_compared("log", segments_before, segments_after), _compared("index", before.files, after.files)]


def plan_compaction(store_state: StoreState, updater: Updater) -> list[Compacted]:
    """Return what `compact` would do. Bytes afterwards are not known yet: those before are given."""
    from esctl.index.files.merge import merge_groups
    from esctl.log.compacting import segments_to_merge

    fewer = sum(len(group) - 1 for group in segments_to_merge(store_state))
    files = updater.run(store_state).manifest.files
    log, index = _compared("log", store_state.segments, store_state.segments), _compared("index", files, files)
    return [replace(log, files_after=log.files_before - fewer), replace(index, files_after=len(merge_groups(files)))]


def _compared(
    part: str, before: Sequence[IndexFile | SegmentEntry], after: Sequence[IndexFile | SegmentEntry]
) -> Compacted:
    return Compacted(part, len(before), len(after), _total_bytes(before), _total_bytes(after))


def _total_bytes(files: Sequence[IndexFile | SegmentEntry]) -> int:
    return sum(getattr(file, "bytes", 0) or getattr(file, "size", 0) for file in files)
