"""Hash every record again, in order: the tree, the order of positions, the times, the bytes of each source."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct, field

from esctl.engine.duckdb import connect
from esctl.ledger.check.findings import Finding
from esctl.ledger.check.source_bytes import SourceHashes
from esctl.log.merkle import BLOCK, HASH, Frontier
from esctl.log.segment import SCHEMA, leaf_hashes
from esctl.log.store_state import Commit, SegmentEntry
from esctl.storage.places import fetched

if TYPE_CHECKING:
    import duckdb

_AHEAD = 2
"""Segments read and hashed at once: as many as two cores keep busy."""

Positions = npt.NDArray[np.int64]


class SegmentRead(Struct, frozen=True):
    """A segment as it was read. `leaves` are empty where it could not be, or is not dense; `problem` says why."""

    entry: SegmentEntry
    table: pa.Table | None
    leaves: bytes
    problem: Finding | None


class Recomputed(Struct):
    """What the records of a store hash to."""

    roots: dict[int, bytes] = field(default_factory=dict)  # by size, at the heads that the commits tell of
    blocks: dict[int, bytes] = field(default_factory=dict)  # by number
    count: int = 0
    order: list[Finding] = field(default_factory=list)
    times: list[Finding] = field(default_factory=list)
    sources: SourceHashes = field(default_factory=SourceHashes)


def recompute(path: Path, segments: Sequence[SegmentEntry], commits: Sequence[Commit]) -> Recomputed:
    """Read all segments and hash their records. Works through damage: what can be read is hashed."""
    found = Recomputed()
    tree = _Tree(found, {commit.tree.size for commit in commits})
    found.sources.expect(commits)
    last_time = 0
    for read in _in_order(path, segments):
        if read.problem is not None:
            found.order.append(read.problem)
        if read.table is None:
            tree.skip_to(read.entry.last)
            continue
        found.count += read.table.num_rows
        last_time = _check_times(found, read, last_time)
        if read.leaves:
            tree.add(read.entry.first - 1, read.leaves)
            found.sources.add(read.table, read.entry.first)
        else:
            tree.skip_to(read.entry.last)
    return found


def _in_order(path: Path, segments: Sequence[SegmentEntry]) -> Iterator[SegmentRead]:
    connections: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()
    for _ in range(_AHEAD):
        connections.put(connect(threads=1))
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting: deque[Future[SegmentRead]] = deque()
        for entry in segments:
            waiting.append(pool.submit(_read, path, entry, connections))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read(path: Path, entry: SegmentEntry, connections: SimpleQueue[duckdb.DuckDBPyConnection]) -> SegmentRead:
    try:
        with pq.ParquetFile(fetched(path / "log" / entry.file), page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(SCHEMA):
                raise pa.ArrowInvalid("its columns are not those of a segment")
            table = file.read()
    except (OSError, pa.ArrowException, ValueError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return SegmentRead(entry, None, b"", _at(entry, entry.first, "changed", f"it cannot be read: {reason}"))
    problem = _order_problem(table["position"].to_numpy(), entry)
    if problem is not None:
        return SegmentRead(entry, table, b"", problem)
    connection = connections.get()
    try:
        return SegmentRead(entry, table, leaf_hashes(table, connection), None)
    finally:
        connections.put(connection)


def _order_problem(positions: Positions, entry: SegmentEntry) -> Finding | None:
    """Find where positions are not dense and ascending, and say what that looks like."""
    expected = np.arange(entry.first, entry.last + 1)
    if np.array_equal(positions, expected):
        return None
    common = min(len(positions), len(expected))
    differs = np.flatnonzero(positions[:common] != expected[:common])
    at = int(expected[differs[0]]) if len(differs) else entry.first + common
    if len(positions) < len(expected):
        return _at(entry, at, "removed", f"{len(expected) - len(positions)} records are missing")
    if len(positions) > len(expected):
        return _at(entry, at, "inserted", f"{len(positions) - len(expected)} records too many")
    if np.array_equal(np.sort(positions), expected):
        return _at(entry, at, "reordered", "its records are in another order")
    return _at(entry, at, "changed", "its positions are not those that follow")


def _at(entry: SegmentEntry, position: int, kind: str, message: str) -> Finding:
    return Finding(kind, message, f"log/{entry.file}", position, (position - 1) // BLOCK)  # type: ignore[arg-type]


def _check_times(found: Recomputed, read: SegmentRead, before: int) -> int:
    assert read.table is not None
    times = read.table["recorded_at"].cast(pa.int64()).to_numpy()
    if not len(times):
        return before
    back = np.flatnonzero(np.diff(times, prepend=before) < 0)
    entry = read.entry
    if len(back):
        found.times.append(_at(entry, entry.first + int(back[0]), "changed", "its time is before that of the last"))
    elif (times.min(), times.max()) != (entry.min_recorded_at, entry.max_recorded_at):
        found.times.append(_at(entry, entry.first, "changed", "its times are not those that were committed"))
    return int(times.max())


class _Tree:
    """Collects block roots and the roots at some sizes, over leaves that may have gaps."""

    def __init__(self, found: Recomputed, sizes: set[int]) -> None:
        self.found = found
        self.stops = sorted(sizes, reverse=True)
        self.base = 0  # where the frontier begins: 0, or a block after a gap
        self.frontier = Frontier()
        self.next = 0  # index of the next leaf

    def add(self, start: int, leaves: bytes) -> None:
        """Add the leaves from index `start` on; those before the next whole block are of no use after a gap."""
        skip = max(self.base + self.frontier.size - start, 0)
        at, stop = start + skip, start + len(leaves) // HASH
        while at < stop:
            while self.stops and self.stops[-1] <= at:
                self.stops.pop()
            until = min([stop, *self.stops[-1:]])
            self._extend(leaves[(at - start) * HASH : (until - start) * HASH], until)
            at = until

    def _extend(self, leaves: bytes, until: int) -> None:
        number = (self.base + self.frontier.size) // BLOCK
        self.frontier, blocks = self.frontier.extend(leaves)
        self.found.blocks.update(enumerate(blocks, number))
        if self.base == 0:
            self.found.roots[until] = self.frontier.root()

    def skip_to(self, index: int) -> None:
        """Go on after a gap, at the first whole block from `index` on."""
        self.base, self.frontier = -(-index // BLOCK) * BLOCK, Frontier()


def odd_places(found: Recomputed, commits: Sequence[Commit], segments: Sequence[SegmentEntry]) -> list[Finding]:
    """Find the blocks of records that do not hash to what was committed, each with the first position it may be.

    The heads of commits inside a block narrow that down.
    """
    committed = [block for entry in segments for block in entry.blocks]
    findings = []
    wrong = {
        commit.tree.size
        for commit in commits
        if found.roots.get(commit.tree.size, b"") not in (b"", commit.tree.root())
    }
    right = {size for size in found.roots if size not in wrong}
    for number, root in sorted(found.blocks.items()):
        if number < len(committed) and root != committed[number]:
            findings.append(_odd(number, right, segments))
    tail = len(committed) * BLOCK
    if not findings and wrong:
        findings.append(
            _odd(max(tail, max((size for size in right if size < min(wrong)), default=0)) // BLOCK, right, segments)
        )
    return findings


def _odd(number: int, right: set[int], segments: Sequence[SegmentEntry]) -> Finding:
    start, stop = number * BLOCK, (number + 1) * BLOCK
    first = max((size for size in right if start < size < stop), default=start) + 1
    entry = next((entry for entry in segments if entry.first <= first <= entry.last), None)
    file = f"log/{entry.file}" if entry is not None else ""
    return Finding("changed", "its records do not hash to what was committed", file, first, number)
