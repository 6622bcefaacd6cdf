"""Merge the files of an index: small neighbours as they become many, and all of them where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esctl.index.files.levels import with_groups
from esctl.index.files.manifest import IndexFile, Manifest, write_manifest
from esctl.index.files.merge import due, merge, together
from esctl.index.files.write import retire, sweep_unread

if TYPE_CHECKING:
    import duckdb

SMALL_ROWS = 500_000
"""Files with fewer rows are merged as the log grows: a long ingest writes larger ones."""
MOST_FILES = 32
"""Of a log so long that this would leave more, larger ones are merged too."""
MOST_SMALL = 8
"""So many neighbours of one size become one."""
MERGED_ROWS = 2_000_000
"""Where files of so many rows were merged, the rest waits for the next commit."""


def merge_small(connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest) -> Manifest:
    """Merge small neighbouring files as they become many. The old ones linger for those who read them."""
    files, merged = list(manifest.files), 0
    large = max(SMALL_ROWS, sum(file.rows for file in files) // MOST_FILES)
    while merged < MERGED_ROWS and (found := due(files, MOST_SMALL, large)):
        start, stop = found
        files[start:stop] = [merge(connection, folder, with_groups(folder, files[start:stop], manifest.runs))]
        merged += files[start].rows
    return _switched(folder, manifest, files) if len(files) < len(manifest.files) else manifest


def merge_all(connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest) -> Manifest:
    """Merge all files into few large ones. The old ones linger for those who read them."""
    groups = together(manifest.files)
    files = [
        group[0] if len(group) == 1 else merge(connection, folder, with_groups(folder, group, manifest.runs))
        for group in groups
    ]
    return _switched(folder, manifest, files)


def _switched(folder: Path, before: Manifest, files: list[IndexFile]) -> Manifest:
    after = replace(before, files=tuple(files))
    if after.files != before.files:
        retire(folder, before.names - after.names)
        after = write_manifest(folder, after)
        sweep_unread(folder, after)
    return after
