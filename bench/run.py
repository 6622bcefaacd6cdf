"""Run each job with esctl and with two peers side by side: `python bench/run.py N [REPEATS]`.

Interleaved; medians of wall time, ratios to DuckDB SQL written by hand, peak memory, bytes on disk. All must give the
same answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from generate import generate

HERE = Path(__file__).parent
WORK = HERE.parent / "build" / "bench"
ONE = "account-7"


@dataclass(frozen=True)
class Run:
    """One process: seconds of wall time and peak resident memory in MiB."""

    seconds: float
    memory: float


def timed(command: Sequence[str]) -> Run:
    """Run a command to its end. Raises SystemExit if it fails."""
    started = time.perf_counter()
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    child = os.posix_spawn(command[0], list(command), environment, file_actions=silent)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(time.perf_counter() - started, usage.ru_maxrss * unit / 2**20)


def contestants(log: Path, middle: str, later: str) -> dict[str, dict[str, list[str]]]:
    """Give each job's command for each contestant."""
    esctl = [sys.executable, "-m", "esctl", "--store", str(WORK / "store"), "--config", str(HERE / "esctl.toml"), "-q"]
    by_hand, script = [sys.executable, str(HERE / "peers/by_hand.py")], [sys.executable, str(HERE / "peers/script.py")]
    parquet, out = (
        str(WORK / "log.parquet"),
        {name: str(WORK / f"{name}.jsonl") for name in ("esctl", "by_hand", "script")},
    )
    arguments = {"replay": [middle], "replay_one": [middle, ONE], "diff": [middle, later], "audit_one": [ONE]}
    arguments["blame"] = [middle]
    ours = {
        "replay": ["replay", "--at", middle],
        "replay_one": ["replay", ONE, "--at", middle],
        "diff": ["diff", middle, later],
        "audit_one": ["audit", ONE],
        "blame": ["blame", "--entities", "*", "--at", middle],
    }
    jobs = {
        "ingest": {
            "esctl": [*esctl, "ingest", str(log), "-o", out["esctl"]],
            "by_hand": [*by_hand, "ingest", str(log), parquet, out["by_hand"]],
        }
    }
    for job, given in arguments.items():
        jobs[job] = {
            "esctl": [*esctl, *ours[job], "-o", out["esctl"]],
            "by_hand": [*by_hand, job, str(log), parquet, out["by_hand"], *given],
        }
        if job != "blame":
            jobs[job]["script"] = [*script, job, str(log), out["script"], *given]
    jobs["--help"] = {
        "esctl": [sys.executable, "-m", "esctl", "--help"],
        "by_hand": [sys.executable, "-c", "import duckdb"],
    }
    return jobs


def digest(job: str, name: str) -> str:
    """Digest an answer in another process: a child's peak memory counts that of the process it was spawned from."""
    command = [sys.executable, __file__, "--digest", job, name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def answer(job: str, name: str) -> list[tuple[object, ...]]:
    """Read what a contestant answered, in one shape for all."""
    rows = []
    with open(WORK / f"{name}.jsonl", encoding="utf-8") as file:
        for text in file:
            row = json.loads(text, parse_float=Decimal)
            state = row.get("state", row)
            if job == "blame":
                value = Decimal(row["value"]).normalize() if row["field"] == "balance" else row["value"]
                rows.append((row["entity"], row["field"], value, row["contributions"], row["id"]))
            elif job in ("replay", "replay_one"):
                balance = state.get("balance")
                rows.append(
                    (
                        row["entity"],
                        state.get("owner"),
                        state.get("address"),
                        None if balance is None else Decimal(balance).normalize(),
                    )
                )
            else:
                rows.append((row.get("entity"), row["field"]) if job == "diff" else (row["id"],))
    return sorted(rows, key=repr)


def compare(log: Path, repeats: int, middle: str, later: str, show: Callable[[str], None]) -> None:
    """Run all jobs and show the table."""
    show(f"{'job':<12}{'esctl s':>9}{'by hand s':>11}{'script s':>10}{'ratio':>7}{'MiB':>7}")
    for job, commands in contestants(log, middle, later).items():
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, command in commands.items():
                if job == "ingest" and name == "esctl":
                    shutil.rmtree(WORK / "store", ignore_errors=True)
                runs[name].append(timed(command))
        if job not in ("ingest", "--help") and len({digest(job, name) for name in commands}) > 1:
            raise SystemExit(f"{job}: the contestants answer differently")
        median = {name: statistics.median(run.seconds for run in found) for name, found in runs.items()}
        ours, theirs = median["esctl"], median["by_hand"]
        script = f"{median['script']:>10.2f}" if "script" in median else " " * 10
        memory = max(run.memory for run in runs["esctl"])
        show(f"{job:<12}{ours:>9.2f}{theirs:>11.2f}{script}{ours / theirs:>7.2f}{memory:>7.0f}")
    sizes = {
        name: sum(f.stat().st_size for f in Path(WORK / name).rglob("*") if f.is_file())
        for name in ("store/log", "store/index")
    }
    total = sum(sizes.values())
    share = total / log.stat().st_size
    show(f"bytes: log {sizes['store/log']:,}, index {sizes['store/index']:,}, together {share:.2f} of the JSON Lines")


def compare_questions(count: int, repeats: int, show: Callable[[str], None]) -> None:
    """Run the questions over all states beside a full replay of the same store, and show them as ratios to it."""
    esctl = [sys.executable, "-m", "esctl", "--store", str(WORK / "store"), "--config", str(HERE / "esctl.toml"), "-q"]
    steps = {"15m": 900, "1h": 3600, "4h": 14_400, "1d": 86_400, "1w": 604_800, "1mo": 2_592_000, "1y": 31_536_000}
    step = next(name for name, seconds in steps.items() if count * 0.4 / seconds <= 30)
    jobs = {
        "replay": ["replay"],
        "blame": ["blame", "--entities", "*"],
        "when": ["when", "balance < -900"],
        "series": ["series", "sum(balance)", "--every", step],
    }
    runs: dict[str, list[Run]] = {job: [] for job in jobs}
    for _ in range(repeats):
        for job, words in jobs.items():
            runs[job].append(timed([*esctl, *words, "-o", str(WORK / f"all-{job}.jsonl")]))
    median = {job: statistics.median(run.seconds for run in found) for job, found in runs.items()}
    show(f"{'of all':<12}{'esctl s':>9}{'replays':>9}{'MiB':>7}")
    for job, found in runs.items():
        ratio, memory = median[job] / median["replay"], max(run.memory for run in found)
        show(f"{job:<12}{median[job]:>9.2f}{ratio:>9.2f}{memory:>7.0f}")


def main() -> None:
    """Generate the log and run the comparison."""
    if sys.argv[1:2] == ["--digest"]:
        print(hashlib.sha256(repr(answer(*sys.argv[2:4])).encode()).hexdigest())
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    WORK.mkdir(parents=True, exist_ok=True)
    log = WORK / f"bank-{count}.jsonl"
    if not log.exists():
        generate(count, log)
    points = [_instant(count * share) for share in (0.5, 0.6)]
    compare(log, repeats, points[0], points[1], print)
    compare_questions(count, repeats, print)


def _instant(number: float) -> str:
    from datetime import UTC, datetime, timedelta

    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=400 * int(number))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


if __name__ == "__main__":
    main()
