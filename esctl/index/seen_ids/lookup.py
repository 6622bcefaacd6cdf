"""Find the events that have an id in a large index without a scan, by the runs of hashes.

A run has the first valid event of each id. Events that repeat it, and invalid ones, are found in columns that are
mostly empty. The pages that are read of these columns, and of the first event's file, are checked by checksums of their
own: to check the digests of whole row groups, as other questions do, costs most of a scan. Row groups with a match are
checked by their digests. If an event that a run has is not found, a scan is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from esctl.engine.quoting import literal
from esctl.index.files.levels import with_groups
from esctl.index.files.manifest import IndexFile
from esctl.index.pruning import ALWAYS
from esctl.index.scan import REBUILD, IndexView
from esctl.index.seen_ids.numberings import families
from esctl.index.seen_ids.run_file import DamagedRunError, Positions
from esctl.index.seen_ids.runs import IdRuns, hashes_in
from esctl.storage.mirrors import mirror_of

if TYPE_CHECKING:
    import duckdb

_FIND = ["position", "duplicate_of", "invalid"]
_NULL = "CAST(NULL AS VARCHAR)"


def positions_of(connection: duckdb.DuckDBPyConnection, view: IndexView, names: Sequence[str]) -> list[int] | None:
    """Return the positions of the events with one of these ids; None if a scan must find them, or report damage."""
    whole = view.edits is None and not view.unread and view.within == ALWAYS
    plain = not any(
        stanza.id_parts or stanza.dedupe_by for stanza in view.manifest.stanzas
    )  # otherwise a hash covers more than the id
    if not whole or not plain or mirror_of(view.folder, links=True):
        return None
    try:
        firsts = _positions_in_runs(connection, view, names)
        if firsts is None:
            return None
        found = {position for file in view.manifest.files for position in _positions_in_file(view, file, firsts, names)}
    except (DamagedRunError, OSError, pa.ArrowException):
        return None
    if not found.issuperset(firsts.tolist()):
        return None  # another id has the same hash, or a page is damaged
    return sorted(position for position in found if view.upto is None or position <= view.upto)


def _positions_in_runs(
    connection: duckdb.DuckDBPyConnection, view: IndexView, names: Sequence[str]
) -> Positions | None:
    """Return the positions in the runs of the hashes of these ids; None if runs have a gap or another hash function."""
    ids, runs, reached = IdRuns(connection), view.manifest.ids, 0
    for run in runs:
        if run.first != reached + 1 or run.made_by != ids.made_by():
            return None
        reached = run.last
    if reached != view.manifest.head:
        return None
    values = ", ".join(
        f"(0, {family}, {_NULL}, {literal(name)})" for family in set(families(view.manifest.stanzas)) for name in names
    )
    hashes = np.unique(hashes_in(connection, f"(VALUES {values}) t(position, stanza, scope, id)")[0])
    found = [ids.open(view.folder, run).find(hashes)[1] for run in runs if run.count]
    return np.concatenate([np.empty(0, np.int64), *found])


def _positions_in_file(view: IndexView, file: IndexFile, firsts: Positions, names: Sequence[str]) -> Iterator[int]:
    """Yield the positions in a file of the events with one of these ids: firsts, repeats of them, and invalid ones."""
    covered = bool(((firsts >= file.first) & (firsts <= file.last)).any())
    repeats = bool(file.duplicates + file.conflicts) and bool((firsts < file.last).any())
    if not (covered or repeats or file.invalid):
        return
    path = view.folder / file.file
    view.checked.require(path, file.bytes, [file.footer], REBUILD)
    with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
        for group in range(parquet.num_row_groups):
            if covered or _may_matter(parquet.metadata, group, firsts):
                yield from _rows_with(view, file, parquet, group, firsts, names)


def _may_matter(metadata: pq.FileMetaData, group: int, firsts: Positions) -> bool:
    """Return whether a row group may have an invalid event, or one that repeats any of the firsts."""
    columns = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
    rows = metadata.row_group(group)
    invalid, repeats = (rows.column(columns[name]).statistics for name in ("invalid", "duplicate_of"))
    if invalid is None or repeats is None or invalid.null_count != rows.num_rows:
        return True
    if not repeats.has_min_max:
        return bool(repeats.null_count != rows.num_rows)
    return bool(((firsts >= repeats.min) & (firsts <= repeats.max)).any())


def _rows_with(
    view: IndexView, file: IndexFile, parquet: pq.ParquetFile, group: int, firsts: Positions, names: Sequence[str]
) -> Iterator[int]:
    table = parquet.read_row_group(group, _FIND, use_threads=False)
    # pa.array() and to_numpy() import pandas where it is installed, which takes longer than all of this.
    wanted = pa.Array.from_buffers(pa.int64(), len(firsts), [None, pa.py_buffer(firsts.tobytes())])
    matches = pc.or_(*(pc.is_in(table[name], wanted) for name in ("position", "duplicate_of")))
    matches = pc.or_(matches, pc.is_valid(table["invalid"]))
    if pc.any(matches).as_py():
        (whole,) = with_groups(view.folder, (file,), view.manifest.runs)
        view.checked.require(view.folder / file.file, file.bytes, [whole.groups[group].range], REBUILD)
        table = parquet.read_row_group(group, ["position", "id"], use_threads=False).filter(matches)
        yield from (row["position"] for row in table.to_pylist() if row["id"] in names)
