"""Ingest a log that is never on disk and ask it a few questions: `python bench/scale.py N FOLDER [-o TABLE]`.

bench/generate.py writes N events into a pipe, at the other end of which is `esctl ingest -`. The store stays in FOLDER.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from jobs import HERE, ONE, Ground
from measure import ROOT, Run, size, time_command


def time_piped(events: int, esctl: list[str]) -> Run:
    """Generate events into `esctl ingest -`; seconds and memory are those of esctl. Raises SystemExit if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    source = subprocess.Popen([sys.executable, str(HERE / "generate.py"), str(events)], stdout=subprocess.PIPE)
    sink = subprocess.Popen([*esctl, "ingest", "-"], stdin=source.stdout, stdout=subprocess.DEVNULL, env=environment)
    assert source.stdout is not None
    source.stdout.close()
    _, status, usage = os.wait4(sink.pid, 0)
    if status or source.wait():
        raise SystemExit("the ingest failed")
    return Run(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    """Ingest, ask, and print a table as each line becomes known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", type=int, metavar="N")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("-o", "--output", type=Path, metavar="TABLE")
    given = parser.parse_args()
    ground, store = Ground(given.events), given.folder / "store"
    given.folder.mkdir(parents=True, exist_ok=True)
    esctl = [sys.executable, "-m", "esctl", "--store", str(store), "--config", str(HERE / "esctl.toml"), "-q"]
    out, middle = ["-o", str(given.folder / "answer.jsonl")], ground.instant(0.5)
    lines = ["| job | wall s | CPU s | MiB |", "|---|---:|---:|---:|"]

    def note(name: str, run: Run) -> None:
        lines.append(f"| {name} | {run.seconds:,.2f} | {run.processor:,.2f} | {run.memory:,.0f} |")
        print(lines[-1], flush=True)

    note("ingest, from a pipe", time_piped(given.events, esctl))
    for name, words in (
        ("replay one, the first time", ["replay", ONE, "--at", middle]),
        ("replay one", ["replay", ONE, "--at", middle]), ("audit one", ["audit", ONE]),
        ("replay all, at the middle", ["replay", "--at", middle]),
        ("replay all, now", ["replay"]), ("verify", ["verify"]),
    ):  # fmt: skip
        note(name, time_command([*esctl, *words, *out]))
    lines += ["", f"The store takes {size(store) / 1e9:,.2f} GB, its log {size(store / 'log') / 1e9:,.2f} GB."]
    print(lines[-1])
    if given.output:
        given.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
