"""Run a process and measure it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Run:
    """One process: seconds of wall time, seconds of processor time, peak resident memory in MiB."""

    seconds: float
    processor: float
    memory: float


def processor_time_of_children() -> float:
    """Return the seconds of processor time of all processes that this one has run to their end."""
    times = os.times()
    return times.children_user + times.children_system


def time_command(command: Sequence[str]) -> Run:
    """Run a command to its end and measure it. Raises SystemExit if it fails."""
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    # With compiled modules, as an installed esctl has them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "bench")])
    started = time.perf_counter()
    child = os.posix_spawn(command[0], list(command), environment, file_actions=silent)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 2**20)


def warm_cache(*places: Path) -> None:
    """Read files into the page cache, so that no contestant pays for what the one before pushed out."""
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*.parquet"):
            with path.open("rb") as file:
                while file.read(1 << 24):
                    pass


def size(place: Path) -> int:
    """Return the size in bytes of a file, or of all files below a folder."""
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files if path.exists())
