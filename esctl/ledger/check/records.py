"""Hash every record again, in order: the tree, the order of positions, the times, the bytes of each source."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
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
from esctl.ledger.check.findings import Finding, Kind
from esctl.ledger.check.source_bytes import CheckedCursor, SourceHashes
from esctl.log.merkle import BLOCK, HASH, Frontier, Roots, subtree_roots
from esctl.log.segment import SCHEMA, leaf_hashes
from esctl.log.store_state import Commit, SegmentEntry
from esctl.storage.places import fetched_path

if TYPE_CHECKING:
    import duckdb

_AHEAD = 2
"""Segments read and hashed at once: enough to keep two cores busy."""

Positions = npt.NDArray[np.int64]


class Times(Struct, frozen=True):
    """The `recorded_at` of a segment, in microseconds; `back` is the first row earlier than the row before it."""

    first: int
    least: int
    most: int
    back: int | None


class SegmentRead(Struct, frozen=True):
    """The result of reading a segment. `roots` are None if it cannot be read or its positions are wrong: see `problem`.

    No subtree of `roots` reaches across a size that was asked for.
    """

    rows: int | None = None
    times: Times | None = None
    roots: Roots | None = None
    problem: Finding | None = None


class Recomputed(Struct):
    """What the records of a store hash to."""

    roots: dict[int, bytes] = field(default_factory=dict)  # by size, for the sizes that the commits have
    blocks: dict[int, bytes] = field(default_factory=dict)  # by number
    count: int = 0
    order: list[Finding] = field(default_factory=list)
    times: list[Finding] = field(default_factory=list)
    judged: list[CheckedCursor] = field(default_factory=list)  # the cursors of commits
    whole: int = 0  # all records up to this position could be read


def recompute(path: Path, segments: Sequence[SegmentEntry], commits: Sequence[Commit]) -> Recomputed:
    """Read all segments and hash their records. Works through damage: what can be read is hashed."""
    sources = SourceHashes()
    sources.expect(commits)
    sizes = sizes_of(commits)

    def reads() -> Iterator[SegmentRead]:
        for entry, (read, table) in zip(segments, _read_in_order(path, segments, sizes), strict=True):
            if table is not None and read.roots is not None:
                sources.add(table, entry.first)
            yield read

    found = put_together(segments, commits, reads())
    found.judged = sources.judged
    return found


def put_together(
    segments: Sequence[SegmentEntry], commits: Sequence[Commit], reads: Iterable[SegmentRead]
) -> Recomputed:
    """Return what the records hash to, from the result of reading each segment."""
    found = Recomputed()
    tree = _Tree(found, set(sizes_of(commits)))
    last_time = 0
    for entry, read in zip(segments, reads, strict=True):
        if read.problem is not None:
            found.order.append(read.problem)
        if read.rows is None:
            tree.skip_to(entry.last)
            continue
        found.count += read.rows
        last_time = _check_times(found, entry, read.times, last_time)
        if read.roots is None:
            tree.skip_to(entry.last)
            continue
        tree.add(entry.first - 1, read.roots)
        found.whole = entry.last if found.whole == entry.first - 1 else found.whole
    return found


def sizes_of(commits: Iterable[Commit]) -> list[int]:
    """Return the sizes that the log had, in ascending order."""
    return sorted({commit.tree.size for commit in commits})


def _read_in_order(
    path: Path, segments: Sequence[SegmentEntry], sizes: Sequence[int]
) -> Iterator[tuple[SegmentRead, pa.Table | None]]:
    connections: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()
    for _ in range(_AHEAD):
        connections.put(connect(threads=1))

    def read(entry: SegmentEntry) -> tuple[SegmentRead, pa.Table | None]:
        connection = connections.get()
        try:
            return read_segment(path, entry, sizes, connection)
        finally:
            connections.put(connection)

    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting: deque[Future[tuple[SegmentRead, pa.Table | None]]] = deque()
        for entry in segments:
            waiting.append(pool.submit(read, entry))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def read_segment(
    path: Path, entry: SegmentEntry, sizes: Sequence[int], connection: duckdb.DuckDBPyConnection
) -> tuple[SegmentRead, pa.Table | None]:
    """Read a segment and hash its records. `sizes`: the sizes of the log for which a root is asked."""
    table = open_segment(path, entry)
    if isinstance(table, str):
        return SegmentRead(problem=_segment_finding(entry, entry.first, "changed", f"it cannot be read: {table}")), None
    times = _read_times(table)
    problem = _order_problem(table["position"].to_numpy(), entry)
    if problem is not None:
        return SegmentRead(table.num_rows, times, problem=problem), table
    roots = subtree_roots(leaf_hashes(table, connection), entry.first - 1, sizes)
    return SegmentRead(table.num_rows, times, roots), table


def open_segment(path: Path, entry: SegmentEntry, columns: Sequence[str] | None = None) -> pa.Table | str:
    """Read a segment, or some of its columns; if that fails, return why."""
    try:
        with pq.ParquetFile(fetched_path(path / "log" / entry.file), page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(SCHEMA):
                raise pa.ArrowInvalid("its columns are not those of a segment")
            return file.read(columns)
    except (OSError, pa.ArrowException, ValueError, UnicodeDecodeError) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__


def _order_problem(positions: Positions, entry: SegmentEntry) -> Finding | None:
    """Return where positions are not those of the segment, and what seems to have happened; None if all are."""
    expected = np.arange(entry.first, entry.last + 1)
    if np.array_equal(positions, expected):
        return None
    common = min(len(positions), len(expected))
    differs = np.flatnonzero(positions[:common] != expected[:common])
    at = int(expected[differs[0]]) if len(differs) else entry.first + common
    if len(positions) < len(expected):
        return _segment_finding(entry, at, "removed", f"{len(expected) - len(positions)} records are missing")
    if len(positions) > len(expected):
        return _segment_finding(entry, at, "inserted", f"{len(positions) - len(expected)} records too many")
    if np.array_equal(np.sort(positions), expected):
        return _segment_finding(entry, at, "reordered", "its records are in another order")
    return _segment_finding(entry, at, "changed", "its positions are not those that follow")


def _segment_finding(entry: SegmentEntry, position: int, kind: Kind, message: str) -> Finding:
    return Finding(kind, message, f"log/{entry.file}", position, (position - 1) // BLOCK)


def _read_times(table: pa.Table) -> Times | None:
    times = table["recorded_at"].cast(pa.int64()).to_numpy()
    if not len(times):
        return None
    back = np.flatnonzero(np.diff(times) < 0)
    first = int(back[0]) + 1 if len(back) else None
    return Times(int(times[0]), int(times.min()), int(times.max()), first)


def _check_times(found: Recomputed, entry: SegmentEntry, times: Times | None, before: int) -> int:
    if times is None:
        return before
    back = 0 if times.first < before else times.back
    if back is not None:
        found.times.append(
            _segment_finding(entry, entry.first + back, "changed", "its time is before that of the last")
        )
    elif (times.least, times.most) != (entry.min_recorded_at, entry.max_recorded_at):
        found.times.append(
            _segment_finding(entry, entry.first, "changed", "its times are not those that were committed")
        )
    return times.most


class _Tree:
    """Collects block roots and the roots at some sizes, over leaves that may have gaps."""

    def __init__(self, found: Recomputed, sizes: set[int]) -> None:
        self.found = found
        self.sizes = sizes
        self.base = 0  # where the frontier begins: 0, or a block after a gap
        self.frontier = Frontier()

    def add(self, start: int, roots: Roots) -> None:
        """Add the subtrees from index `start` on; after a gap, those before the next whole block are skipped."""
        at = start
        if at > self.base + self.frontier.size:
            self.skip_to(at)
        for level, hashes in roots:
            skip = min(max(self.base + self.frontier.size - at, 0), len(hashes) // HASH << level)
            at += len(hashes) // HASH << level
            if left := hashes[(skip >> level) * HASH :]:
                self._extend(left, level, at)
        if self.base == 0:
            self.found.roots[at] = self.frontier.root()

    def _extend(self, hashes: bytes, level: int, until: int) -> None:
        number = (self.base + self.frontier.size) // BLOCK
        self.frontier, blocks = self.frontier.extend(hashes, level)
        self.found.blocks.update(enumerate(blocks, number))
        if self.base == 0 and until in self.sizes:
            self.found.roots[until] = self.frontier.root()

    def skip_to(self, index: int) -> None:
        """Go on after a gap, at the first whole block from `index` on."""
        self.base, self.frontier = -(-index // BLOCK) * BLOCK, Frontier()


def odd_places(found: Recomputed, commits: Sequence[Commit], segments: Sequence[SegmentEntry]) -> list[Finding]:
    """Find the blocks whose records do not hash to what was committed, each with the first position that may be wrong.

    The heads of commits inside a block narrow that position down.
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
            findings.append(_odd_block(number, right, segments))
    tail = len(committed) * BLOCK
    if not findings and wrong:
        findings.append(
            _odd_block(
                max(tail, max((size for size in right if size < min(wrong)), default=0)) // BLOCK, right, segments
            )
        )
    return findings


def _odd_block(number: int, right: set[int], segments: Sequence[SegmentEntry]) -> Finding:
    start, stop = number * BLOCK, (number + 1) * BLOCK
    first = max((size for size in right if start < size < stop), default=start) + 1
    entry = next((entry for entry in segments if entry.first <= first <= entry.last), None)
    file = f"log/{entry.file}" if entry is not None else ""
    return Finding("changed", "its records do not hash to what was committed", file, first, number)
