"""Measure what finding duplicates costs per commit as ids grow: `python bench/ids.py [MILLIONS...]` (default 10 100).

The runs are made directly, as an ingest in commits of half a million would have left them. Then the ids of commits of
several sizes are looked up, and one commit adds its own. Processor time; for a lookup, the median of three with new
ids.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from esctl.engine.duckdb import connect
from esctl.index.files.manifest import IdRun, Manifest
from esctl.index.seen_ids.run_file import Hashes, OpenRun, Positions, RunKey, merge_runs, write_run
from esctl.index.seen_ids.runs import IdRuns, IdsBefore

CHUNK = 500_000
COMMITS = (1_000, 5_000, 50_000, CHUNK)
PIECE = 1 << 20


def make_run(folder: Path, first: int, count: int, seed: int) -> IdRun:
    """Write a run of random hashes, sorted piece by piece, as each piece has its own share of their range."""

    def pieces() -> Iterator[tuple[Hashes, Positions]]:
        random = np.random.default_rng(seed)
        parts = -(-count // PIECE)
        for part in range(parts):
            size = min(PIECE, count - part * PIECE)
            width = 2**64 // parts
            hashes = np.sort(random.integers(0, width, size, np.uint64, endpoint=False)) + np.uint64(part * width)
            yield hashes, random.integers(first, first + count, size)

    return write_run(folder, RunKey(ids.made_by(), first, first + count - 1), pieces(), count)


def cpu(job: object, *arguments: object) -> float:
    """Return the seconds of processor time that a call takes."""
    started = time.process_time()
    job(*arguments)  # type: ignore[operator]
    return time.process_time() - started


def measure(millions: int) -> None:
    """Print what lookups cost among `millions` million ids."""
    folder = Path(tempfile.mkdtemp(prefix="esctl-ids-"))
    try:
        left, first, runs = millions * 1_000_000, 1, list[IdRun]()
        size = CHUNK
        while size * 4 <= left:
            size *= 4
        while left:
            while size > left:
                size = size // 4 if size > CHUNK else left
            runs.append(make_run(folder, first, size, len(runs)))
            first, left = first + size, left - size
        before = IdsBefore(ids, folder, Manifest(), tuple(runs))
        on_disk = sum(run.bytes for run in runs) / first
        random = np.random.default_rng(7)
        started = cpu(before.find, np.sort(random.integers(0, 2**64 - 1, CHUNK, np.uint64)))
        print(f"{millions} M ids in {len(runs)} runs, {on_disk:.1f} bytes an id")
        print(f"  the first commit of a process, which checks what it reads: {started * 1000:.0f} ms")
        for count in COMMITS:
            needles = [np.sort(random.integers(0, 2**64 - 1, count, np.uint64)) for _ in range(3)]
            found = statistics.median(cpu(before.find, some) for some in needles)
            print(f"  {count:>7,} events: {found * 1000:.1f} ms")
        some = np.sort(random.integers(0, 2**64 - 1, CHUNK, np.uint64))
        key, positions = RunKey("", first, first + CHUNK - 1), np.arange(first, first + CHUNK)
        added = cpu(write_run, folder, key, [(some, positions)], CHUNK)
        several = [OpenRun(folder, make_run(folder, 1, CHUNK * 4, seed)) for seed in range(4)]
        merged = cpu(merge_runs, folder, several) / (16 * CHUNK)
        print(f"  adding {CHUNK:,}: {added * 1000:.0f} ms; merging: {merged * 1e9:.0f} ns an id")
    finally:
        shutil.rmtree(folder)


ids = IdRuns(connect())
if __name__ == "__main__":
    for given in sys.argv[1:] or ("10", "100"):
        measure(int(given))
