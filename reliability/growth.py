"""Measure what opening a store of any size costs for a question about one entity, without making its records.

    python -m reliability.growth 1_000_000_000 10_000_000_000

Only what opening reads is made: the commits after the newest summary, the summary with its parts, and the manifest of
the index with its parts. All other commits are empty files; there are no segments and no index files.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from esctl.api import Store
from esctl.engine.quoting import literal
from esctl.index.files.groups import RowGroup
from esctl.index.files.levels import in_levels
from esctl.index.files.manifest import IndexFile, Manifest, write_manifest
from esctl.index.files.payload_columns import PayloadColumn
from esctl.index.pruning import Predicate, Reach
from esctl.log.commit_json import commit_to_json
from esctl.log.commits import CommitLog, create_store
from esctl.log.lines import to_line
from esctl.log.merkle import BLOCK, Frontier
from esctl.log.ranges import ByteRange, Checked
from esctl.log.segments import SegmentEntry
from esctl.log.store_state import Commit, StoreState, commit_name

COMMIT = 240_000
"""Records of a commit: 48 MB, at 200 bytes each."""
MERGED = 8 * COMMIT
"""Rows of an index file as ingests leave it."""
COMPACTED = 8_000_000
"""Rows of an index file after `esctl compact`."""
ROWS, GROUP_BYTES = 65_536, 2_000_000
ENTITIES = 10**9
TAIL = 5
"""Commits after the newest summary."""
_AT = 1_700_000_000_000_000
_FIELDS = ("amount", "currency", "by", "account", "note", "channel", "reference", "balance")


class Figures(Struct, frozen=True):
    """What opening a store took. `bytes` were read from files; `memory` is the peak of what Python held."""

    events: int
    seconds: float
    bytes: int
    memory: int
    groups: int  # row groups of the index in which the entity may be, of `files` files
    files: int
    kept: int  # bytes of summaries, manifest and parts


class _PartsOnly(Checked):
    """Checks the parts of a manifest against their digests, and only counts the index files, which do not exist."""

    def __init__(self) -> None:
        super().__init__()
        self.groups = self.files = 0

    def require_all(self, parts: Sequence[tuple[Path, int, Sequence[ByteRange]]], hint: str) -> None:
        """Check the files that are parts of a manifest; count the index files and their row groups."""
        super().require_all([part for part in parts if part[0].suffix == ".groups"], hint)
        index = [part for part in parts if part[0].suffix == ".parquet"]
        self.files += len(index)
        self.groups += sum(len(ranges) - 1 for _, _, ranges in index)


def make(path: Path, events: int, *, compacted: bool = False) -> None:
    """Make what opening a store of `events` events reads."""
    rng = random.Random(events)
    log = create_store(path)
    _commits(log, events // COMMIT * COMMIT, rng)
    store = Store.open(path)
    store.index_folder.mkdir(parents=True)
    (store.index_folder / "readers").touch()
    manifest, waiting = Manifest(), list[IndexFile]()
    for file in _index_files(store.store_state.head, COMPACTED if compacted else MERGED, rng):
        waiting.append(file)
        if sum(len(each.groups) for each in waiting) > 2 * ROWS // 128:
            manifest = in_levels(store.index_folder, replace(manifest, files=(*manifest.files, *waiting)))
            waiting.clear()
    write_manifest(
        store.index_folder, replace(manifest, files=(*manifest.files, *waiting), head=store.store_state.head)
    )


def _commits(log: CommitLog, head: int, rng: random.Random) -> None:
    """Make the commits of a log: most as empty files and a summary of them, and the few after it."""
    count = head // COMMIT
    summed = count - TAIL
    for seq in range(1, summed):
        (log.folder / commit_name(seq)).touch()
    segments = tuple(_segment(number, rng) for number in range(summed))
    tree = _tree(summed * COMMIT, rng)
    commit = Commit(summed, "append", _AT, rng.randbytes(32).hex(), tree, segments[-1:])
    data = to_line(commit_to_json(commit))
    (log.folder / commit_name(summed)).write_bytes(data)
    empty = log.read(0)
    state = replace(empty, seq=summed, at=_AT, commit_sha256=sha256(data).hexdigest(), tree=tree, segments=segments)
    log.keep_head(state)
    for number in range(summed, count):
        state = _append_commit(log, state, _segment(number, rng), rng)


def _append_commit(log: CommitLog, state: StoreState, segment: SegmentEntry, rng: random.Random) -> StoreState:
    tree = _tree(segment.last, rng)
    return log.append(state, Commit(state.seq + 1, "append", state.at + 1, state.commit_sha256, tree, (segment,)))


def _tree(size: int, rng: random.Random) -> Frontier:
    return Frontier(size, tuple(rng.randbytes(32) for _ in range(size.bit_count())))


def _segment(number: int, rng: random.Random) -> SegmentEntry:
    first, last = number * COMMIT + 1, (number + 1) * COMMIT
    ranges = tuple(
        ByteRange(at * 1_000_000, 1_000_000, rng.randbytes(32).hex()) for at in range(-(-COMMIT // ROWS) + 1)
    )
    blocks = tuple(rng.randbytes(32) for _ in range(last // BLOCK - (first - 1) // BLOCK))
    name = f"{first:020d}-{last:020d}.{rng.randbytes(4).hex()}.parquet"
    return SegmentEntry(name, len(ranges) * 1_000_000, rng.randbytes(32).hex(), first, last, _AT, _AT, ranges, blocks)


def _index_files(head: int, rows: int, rng: random.Random) -> Iterator[IndexFile]:
    columns = tuple(PayloadColumn(name, "string") for name in _FIELDS)
    for first in range(1, head + 1, rows):
        last = min(first + rows - 1, head)
        groups = _groups(-(-(last - first + 1) // ROWS), rng)
        end = groups[-1].range.offset + GROUP_BYTES
        yield IndexFile(
            file=f"{first:020d}-{last:020d}.{rng.randbytes(4).hex()}.parquet", bytes=end + 9000, groups=groups,
            footer=ByteRange(end, 9000, rng.randbytes(32).hex()), rows=last - first + 1, events=last - first + 1,
            first=first, last=last, min_time=_AT + first, max_time=_AT + last, columns=columns, untyped=0,
            orderings=("time",), sequence_key="none", unsequenced=0, roles=False, twice=False, duplicates=0,
            conflicts=0, invalid=0, homeless=0, erased=0, undated=0, ties=False,
            fields=tuple((name, ("STRING",)) for name in _FIELDS), loose=(),
        )  # fmt: skip


def _groups(count: int, rng: random.Random) -> tuple[RowGroup, ...]:
    cuts = [at * ENTITIES // count for at in range(count + 1)]
    parts = (ByteRange(at * GROUP_BYTES, GROUP_BYTES, rng.randbytes(32).hex()) for at in range(count))
    return tuple(
        RowGroup(part, _name(low), _name(high - 1)) for part, low, high in zip(parts, cuts, cuts[1:], strict=False)
    )


def _name(number: int) -> str:
    return f"account-{number:012d}"


def measure_opening(path: Path, events: int = 0) -> Figures:
    """Open a store as a question about one entity does, short of reading index files; return what that took."""
    entity = _name(ENTITIES * 2 // 7)
    one = Predicate(f"entity = {literal(entity)}", Reach(entities=(entity,)))
    checked, before, begun = _PartsOnly(), _read_by_now(), time.perf_counter()
    with Store.open(path) as store:
        replace(store.view, checked=checked).relation(["entity", "time", "position"], where=[one])
    seconds, read = time.perf_counter() - begun, _read_by_now() - before
    tracemalloc.start()
    with Store.open(path) as store:
        replace(store.view, checked=_PartsOnly()).relation(["entity", "time", "position"], where=[one])
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    kept = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Figures(events, seconds, read, memory, checked.groups, checked.files, kept)


def _read_by_now() -> int:
    """Return how many bytes this process has read from files."""
    return int(Path("/proc/self/io").read_text().split()[1])


def main(arguments: Sequence[str]) -> None:
    """Print what opening stores of the given sizes takes."""
    print("| events | index files of | opening | read | memory | row groups to read | kept |")
    print("| -- | -- | -- | -- | -- | -- | -- |")
    for text in arguments or ("1_000_000_000", "10_000_000_000"):
        for compacted in (False, True):
            folder = Path(tempfile.mkdtemp(prefix="esctl-growth-"))
            try:
                make(folder / ".esctl", int(text), compacted=compacted)
                measure_opening(folder / ".esctl")  # so that everything is imported
                figures = measure_opening(folder / ".esctl", int(text))
                print(_row(figures, COMPACTED if compacted else MERGED), flush=True)
            finally:
                shutil.rmtree(folder)


def _row(figures: Figures, rows: int) -> str:
    sizes = (f"{size / 1e6:.1f} MB" for size in (figures.bytes, figures.memory))
    places = f"{figures.groups:,} in {figures.files:,} files"
    cells = (
        f"{figures.events:,}",
        f"{rows:,} rows",
        f"{figures.seconds:.2f} s",
        *sizes,
        places,
        f"{figures.kept / 1e6:.0f} MB",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(sys.argv[1:])
