"""Measure `ingest --follow` while queries run: `python bench/follow.py [RATE] [SECONDS] [EVERY]`.

A writer appends RATE events a second (default 50,000, for 60 seconds) to a file that is followed. Every EVERY seconds
(default 5; 0: never) one entity or all states are replayed, in turn. Twice a second, the written events that are not
committed yet are counted.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from generate import generate

HERE = Path(__file__).parent
SLICE = 0.05
"""Seconds between two writes."""


def write(lines: list[bytes], path: Path, rate: int, written: list[int]) -> None:
    """Append lines at a rate; `written[0]` counts them."""
    size, started = int(rate * SLICE), time.monotonic()
    with path.open("ab", buffering=0) as file:
        for number, start in enumerate(range(0, len(lines), size)):
            time.sleep(max(0.0, started + number * SLICE - time.monotonic()))
            file.write(b"".join(lines[start : start + size]))
            written[0] = min(start + size, len(lines))


def head(store: Path) -> int:
    """Return the last committed position; 0 if there is no commit."""
    from esctl.log.commits import open_log

    return open_log(store).read().head if (store / "commits").exists() else 0


def peak(pid: int) -> int:
    """Return the peak memory of a process in MiB; unlike `ru_maxrss`, without that of the process that started it."""
    told = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2]
    return int(told.split()[0]) // 1024


def measure(folder: Path, rate: int, seconds: int, every: int) -> None:
    """Print how far behind the commits are, and what the queries took."""
    with (folder / "all.jsonl").open("wb") as file:
        generate(rate * seconds, file)
    lines = (folder / "all.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "all.jsonl").unlink()
    log, store, written = folder / "app.log", folder / "store", [0]
    log.touch()
    esctl = [sys.executable, "-m", "esctl", "--store", str(store), "--config", str(HERE / "esctl.toml"), "-q"]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    follower = subprocess.Popen([*esctl, "ingest", "--follow", str(log)], env=environment, stdout=subprocess.DEVNULL)
    time.sleep(3)  # it starts
    writer = threading.Thread(target=write, args=(lines, log, rate, written))
    writer.start()
    behind, asked, queries = list[int](), time.monotonic(), list[tuple[str, float]]()
    started = time.monotonic()
    while writer.is_alive():
        time.sleep(0.5)
        behind.append(written[0] - head(store))
        if every and time.monotonic() - asked > every and head(store):
            asked = time.monotonic()
            question = ["replay", "account-7"] if len(queries) % 2 else ["replay", "-o", str(folder / "states.jsonl")]
            subprocess.run([*esctl, *question], env=environment, check=True, stdout=subprocess.DEVNULL)
            queries.append((question[1], time.monotonic() - asked))
    wrote = time.monotonic() - started
    while head(store) < len(lines):
        time.sleep(0.05)
    caught_up = time.monotonic() - started - wrote
    most = peak(follower.pid)
    follower.send_signal(signal.SIGTERM)
    _, status, usage = os.wait4(follower.pid, 0)
    spent = usage.ru_utime + usage.ru_stime
    print(f"{len(lines):,} events in {wrote:.0f} s ({len(lines) / wrote:,.0f}/s); exit {status}")
    print(
        f"behind: median {statistics.median(behind) / rate:.1f} s, worst {max(behind) / rate:.1f} s of events; ", end=""
    )
    print(f"all committed {caught_up:.1f} s after the last write")
    print(f"follower: {spent:.0f} s of processor time, {most} MiB")
    for name in sorted({name for name, _ in queries}):
        took = [each for asked, each in queries if asked == name]
        print(f"replay {name}: {len(took)} times, median {statistics.median(took):.2f} s, worst {max(took):.2f} s")


if __name__ == "__main__":
    work = Path(tempfile.mkdtemp(prefix="esctl-follow-"))
    try:
        given = [int(text) for text in sys.argv[1:]]
        measure(work, *(given + [50_000, 60, 5][len(given) :]))
    finally:
        shutil.rmtree(work)
