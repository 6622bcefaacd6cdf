"""The ids seen before: a run of hashes for each stretch of the log; runs are merged as they accumulate.

A matching hash only makes a candidate: stanza, scope and id themselves are then compared. DuckDB's `hash` is fast, and
the same in all processes but not surely in all versions, so each run keeps what the function made of a probe. Runs made
by another function are rebuilt from the index files, as are damaged ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from esctl.engine.duckdb import single_row
from esctl.engine.quoting import literal
from esctl.index.files.levels import with_groups
from esctl.index.files.manifest import IdRun, Manifest
from esctl.index.scan import require_files
from esctl.index.seen_ids.numberings import by_stanza, families
from esctl.index.seen_ids.run_file import (
    FARTHEST,
    DamagedRunError,
    HashedIds,
    Hashes,
    Mask,
    OpenRun,
    Positions,
    RunKey,
    ascending,
    merge_runs,
    write_run,
)
from esctl.storage.places import fetched_path

if TYPE_CHECKING:
    import duckdb

SIZE_UNIT = 4096
"""Runs of fewer than twice this many ids are of one size; each next size is four times as large."""
FAN = 4
"""Runs of one size that become one of the next."""
REBUILT = 4_000_000
"""Positions whose ids are read from the index files at once."""


def hash_sql() -> str:
    """Write SQL for the hash of an id, over the columns stanza (the first of its family), scope and id."""
    return "hash(stanza::USMALLINT, scope::VARCHAR, id::VARCHAR)"


def hashes_in(connection: duckdb.DuckDBPyConnection, rows: str) -> HashedIds:
    """Return the hashes of the ids in rows (position, stanza, scope, id) in ascending order, and the positions."""
    found = connection.execute(f"SELECT {hash_sql()} AS h, position FROM {rows}").fetchnumpy()
    hashes, positions = np.asarray(found["h"], np.uint64), np.asarray(found["position"], np.int64)
    order = ascending(hashes)
    return hashes[order], positions[order]


class IdRuns(Struct):
    """The ids in an index. Keeps runs open, so that no block is checked twice."""

    connection: duckdb.DuckDBPyConnection
    opened: dict[Path, OpenRun] = field(default_factory=dict)
    probe: str = ""

    def in_index(self, folder: Path, manifest: Manifest) -> IdsBefore:
        """Return the ids of all events that a manifest covers; runs that are missing or damaged are rebuilt."""
        return IdsBefore(self, folder, manifest, self.runs_covering(folder, manifest, manifest.ids))

    def runs_covering(self, folder: Path, manifest: Manifest, given: Sequence[IdRun]) -> tuple[IdRun, ...]:
        """Return runs that cover a manifest's positions without a gap: the intact ones of those given, and new ones."""
        kept: list[IdRun] = []
        for run in given:
            reached = kept[-1].last if kept else 0
            if reached < run.first and run.last <= manifest.head and self._is_intact(folder, run):
                kept += [*self._build_runs(folder, manifest, reached + 1, run.first - 1), run]
        reached = kept[-1].last if kept else 0
        kept += self._build_runs(folder, manifest, reached + 1, manifest.head)
        try:
            return self.merge_due(folder, kept) if len(kept) > len(given) else tuple(kept)
        except DamagedRunError as error:
            return self.runs_covering(folder, manifest, self.without(folder, kept, error.run))

    def _is_intact(self, folder: Path, run: IdRun) -> bool:
        try:
            return run.made_by == self.made_by() and bool(not run.count or self.open(folder, run))
        except DamagedRunError:
            return False

    def _build_runs(self, folder: Path, manifest: Manifest, first: int, last: int) -> Iterator[IdRun]:
        family = by_stanza(families(manifest.stanzas))
        for file in manifest.files:
            if first <= file.last and last >= file.first:
                require_files(
                    folder, with_groups(folder, [file], manifest.runs)
                )  # or an id would be missing where a file is damaged
            for start in range(max(first, file.first), min(last, file.last) + 1, REBUILT):
                stop = min(start + REBUILT - 1, last, file.last)
                rows = f"""(SELECT {"DISTINCT" if file.roles else ""} position, {family} AS stanza, scope, id
                    FROM read_parquet({literal(str(folder / file.file))})
                    WHERE position BETWEEN {start} AND {stop}
                    AND id IS NOT NULL AND invalid IS NULL AND duplicate_of IS NULL)"""
                hashes, positions = hashes_in(self.connection, rows)
                yield write_run(folder, RunKey(self.made_by(), start, stop), [(hashes, positions)], len(hashes))

    def open(self, folder: Path, run: IdRun) -> OpenRun:
        """Return a run, opened if it is not open yet. Raises DamagedRunError."""
        path = folder / run.file
        if path not in self.opened:
            self.opened[path] = OpenRun(folder, run)
        return self.opened[path]

    def add(self, folder: Path, runs: Sequence[IdRun], ids: HashedIds, last: int) -> tuple[IdRun, ...]:
        """Add the ids of the events after those of `runs`, up to `last`, and merge runs that have accumulated."""
        key = RunKey(self.made_by(), runs[-1].last + 1 if runs else 1, last)
        held = [*runs, write_run(folder, key, [ids], len(ids[0]))]
        try:
            return self.merge_due(folder, held)
        except DamagedRunError as error:  # the next lookup fills the gap
            return tuple(self.without(folder, held, error.run))

    def merge_into_one(self, folder: Path, runs: Sequence[IdRun], first: int, last: int) -> IdRun:
        """Merge runs into one that covers the positions [first, last]. Raises DamagedRunError."""
        held = [self.open(folder, run) for run in runs if run.count]
        return merge_runs(folder, held, RunKey(self.made_by(), first, last))

    def without(self, folder: Path, runs: Sequence[IdRun], damaged: IdRun) -> list[IdRun]:
        """Return the runs without a damaged one, and close that."""
        self.opened.pop(folder / damaged.file, None)
        return [run for run in runs if run.file != damaged.file]

    def merge_due(self, folder: Path, runs: Sequence[IdRun]) -> tuple[IdRun, ...]:
        """Merge neighbouring runs that have accumulated. Raises DamagedRunError."""
        held = list(runs)
        while due := _due(held):
            start, stop = due
            several = [run for run in held[start:stop] if run.count]
            if len(several) > 1:
                one = merge_runs(folder, [self.open(folder, run) for run in several])
            else:
                one = several[0] if several else held[start]
            held[start:stop] = [replace(one, first=held[start].first, last=held[stop - 1].last)]
            for run in several:
                self.opened.pop(folder / run.file, None)
        return tuple(held)

    def made_by(self) -> str:
        """Return what the hash function makes of a probe, which identifies the function."""
        if not self.probe:
            row = single_row(
                self.connection,
                f"""SELECT md5(string_agg({hash_sql()}::VARCHAR, ',' ORDER BY position)) FROM (
                SELECT range AS position, range::USMALLINT AS stanza, repeat('é', range::BIGINT) AS id,
                       CASE WHEN range % 2 = 1 THEN 'scope ' || range END AS scope FROM range(50))""",
            )
            assert row is not None
            self.probe = row[0]
        return self.probe


class IdsBefore(Struct):
    """The ids of the events before a chunk."""

    ids: IdRuns
    folder: Path
    manifest: Manifest
    runs: tuple[IdRun, ...]

    def find(self, needles: Hashes) -> tuple[Mask, Positions]:
        """Look up hashes (ascending, distinct): return a mask of those found, and the positions of all matches.

        Runs that turn out damaged are rebuilt.
        """
        while True:
            try:
                return self._find(needles)
            except DamagedRunError as error:
                intact = self.ids.without(self.folder, self.runs, error.run)
                self.runs = self.ids.runs_covering(self.folder, self.manifest, intact)

    def _find(self, needles: Hashes) -> tuple[Mask, Positions]:
        hit, positions = np.zeros(len(needles), np.bool_), [np.empty(0, np.int64)]
        for run in self.runs:
            if run.count and len(needles):
                here, found = self.ids.open(self.folder, run).find(needles)
                hit |= here
                positions.append(found)
        return hit, np.concatenate(positions)

    def files_of(self, positions: Positions) -> list[str]:
        """List the index files that have these positions."""
        lasts = np.array([file.last for file in self.manifest.files], np.int64)
        found = np.unique(np.searchsorted(lasts, positions)).tolist()
        return [str(fetched_path(self.folder / self.manifest.files[at].file)) for at in found]

    def add(self, ids: HashedIds, last: int) -> tuple[IdRun, ...]:
        """Return the runs with the ids of the events that follow, up to the position `last`."""
        return self.ids.add(self.folder, self.runs, ids, last)


def _due(runs: Sequence[IdRun]) -> tuple[int, int] | None:
    """Find neighbours to merge: runs before a larger one, or FAN of one size. Sizes then never rise along the log."""
    sizes = [max(run.count // SIZE_UNIT, 1).bit_length() // 2 for run in runs]
    for start, size in enumerate(sizes):
        stop = next((at for at in range(start, len(sizes)) if sizes[at] != size), len(sizes))
        if stop < len(sizes) and sizes[stop] > size:
            stop += 1
        elif stop - start < FAN:
            continue
        if runs[stop - 1].last - runs[start].base < FARTHEST:
            return start, stop
    return None
