"""Merge the files of an index: small neighbours as they accumulate, all files on request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esctl.index.files.levels import with_groups
from esctl.index.files.manifest import IndexFile, Manifest, write_manifest
from esctl.index.files.merge import COMPACT_ROWS, complete_groups, find_due, is_worth_merging, merge, merge_groups
from esctl.index.files.write import retire, sweep_unread
from esctl.storage.mirrors import mirror_of

if TYPE_CHECKING:
    import duckdb

SMALL_ROWS = 500_000
"""Files with fewer rows are merged as the log grows: a long ingest writes larger ones."""
MOST_FILES = 32
"""If a long log would have more files than this, larger ones are merged too."""
MOST_SMALL = 8
"""Neighbours of one size that become one file."""
MERGED_ROWS = 2_000_000
"""Once this many rows were merged, the rest waits for the next commit."""


def merge_small(connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest) -> Manifest:
    """Merge small neighbouring files as they accumulate. The old ones linger for their readers.

    In a store kept elsewhere, where each file costs readers a request, files that fill a large one are merged too.
    """
    files, merged = list(manifest.files), 0
    large = max(SMALL_ROWS, sum(file.rows for file in files) // MOST_FILES)
    while merged < MERGED_ROWS and (found := find_due(files, MOST_SMALL, large)):
        start, stop = found
        files[start:stop] = [_merge_files(connection, folder, manifest, files[start:stop])]
        merged += files[start].rows
    if mirror_of(folder):
        files = _with_files(connection, folder, manifest, files, complete_groups(merge_groups(files, COMPACT_ROWS)))
    return _switch_to(folder, manifest, files) if len(files) < len(manifest.files) else manifest


def merge_rest(connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest) -> Manifest:
    """Merge the last files, which would otherwise wait for the log to grow, if that is worth it."""
    files = list(manifest.files)
    last = merge_groups(files, COMPACT_ROWS)[-1:]
    due_now = [group for group in last if is_worth_merging(group, SMALL_ROWS)]
    return _switch_to(folder, manifest, _with_files(connection, folder, manifest, files, due_now))


def merge_all(connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest) -> Manifest:
    """Merge all files into few large ones. The old ones linger for their readers."""
    groups = [group for group in merge_groups(manifest.files) if len(group) > 1]
    return _switch_to(folder, manifest, _with_files(connection, folder, manifest, manifest.files, groups))


def _with_files(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    manifest: Manifest,
    files: Sequence[IndexFile],
    groups: Sequence[list[IndexFile]],
) -> list[IndexFile]:
    """Return files with groups of them merged."""
    left = list(files)
    for group in groups:
        at = left.index(group[0])
        left[at : at + len(group)] = [_merge_files(connection, folder, manifest, group)]
    return left


def _merge_files(
    connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest, files: Sequence[IndexFile]
) -> IndexFile:
    return merge(connection, folder, with_groups(folder, files, manifest.runs))


def _switch_to(folder: Path, before: Manifest, files: list[IndexFile]) -> Manifest:
    after = replace(before, files=tuple(files))
    if after.files != before.files:
        retire(folder, before.names - after.names)
        after = write_manifest(folder, after)
        sweep_unread(folder, after)
    return after
