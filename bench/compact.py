"""Measure a log of many small commits, before and after `esctl compact`: `python bench/compact.py [COMMITS]`.

Commits of 5,000 events each (default 200), then replay of all entities. Processor time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from generate import generate
from measure import processor_time_of_children

import esctl.intake.intake
from esctl.api import Store
from esctl.intake.batch import ingest
from esctl.intake.intake import IngestOptions
from esctl.maintain.compact import compact
from esctl.sources.files.finding import expand
from esctl.sources.files.reading import SourceOptions, file_readers

HERE = Path(__file__).parent
EVENTS = 5_000


def time_replay(store: Path) -> tuple[float, bytes]:
    """Replay all entities in another process; return its processor time and its output."""
    command = [sys.executable, "-m", "esctl", "--store", str(store), "--config", str(HERE / "esctl.toml"), "-q"]
    before = processor_time_of_children()
    done = subprocess.run(
        [*command, "replay"],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )
    return processor_time_of_children() - before, done.stdout


def measure(folder: Path, commits: int) -> None:
    """Print the time of commits, replays and compaction, and the files and bytes before and after."""
    log = folder / "log.jsonl"
    with log.open("wb") as file:
        generate(commits * EVENTS * 1000 // 1001, file)
    esctl.intake.intake.COMMIT_ROWS = EVENTS
    store = Store.create(folder / "store", HERE / "esctl.toml", erasable=False)
    options = IngestOptions(SourceOptions(batch_rows=EVENTS))
    started, marks = time.process_time(), []
    ingest(
        store.path, file_readers(expand([str(log)]), options.source), options, store.updater,
        lambda read, records: marks.append(time.process_time()), store.connection,
    )  # fmt: skip
    quarter = len(marks) // 4
    parts = [marks[quarter] - started, marks[-1] - marks[-1 - quarter]]
    print(f"{len(marks)} commits of {EVENTS:,}: {time.process_time() - started:.1f} s, ", end="")
    print(f"of which the first quarter {parts[0]:.1f} s, the last {parts[1]:.1f} s")
    log.unlink()
    first, answer = min(time_replay(store.path) for _ in range(3))
    started = time.process_time()
    done = compact(store.path, store.updater())
    spent = time.process_time() - started
    for part in done:
        print(f"{part.part}: {part.files_before} files, {part.bytes_before / 1e6:.1f} MB -> ", end="")
        print(f"{part.files_after} files, {part.bytes_after / 1e6:.1f} MB")
    again, same = min(time_replay(store.path) for _ in range(3))
    print(f"compact {spent:.1f} s; replay before {first:.2f} s, after {again:.2f} s; same answer: {answer == same}")


if __name__ == "__main__":
    work = Path(tempfile.mkdtemp(prefix="esctl-compact-"))
    try:
        measure(work, int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    finally:
        shutil.rmtree(work)
