"""Time what the ledger does with a store, such as bench/run.py leaves: `python bench/ledger.py STORE [REPEATS]`.

Medians of wall seconds and means of processor seconds of whole processes, peak memory, and the budget if there is one
(10M records on 2 cores). Keys and the head last seen are kept in a temporary folder; the checkpoint that is signed is
removed again.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from run import time_command

BUDGETS = {"verify": 2.0, "verify --full": 30.0, "prove @middle": 1.0, "prove @last": 1.0, "prove by id": 1.0}


def jobs(folder: Path, head: int, middle: int, found: dict[str, str]) -> dict[str, list[str]]:
    """Return each job's arguments. `found`: the event in the middle of the log."""
    proof, event, bundle = (str(folder / name) for name in ("proof", "event", "bundle.zip"))
    return {
        "verify": ["verify"],
        "verify --full": ["verify", "--full"],
        "prove @last": ["prove", f"@{head}", "-o", proof],
        "prove by id": ["prove", found["id"], "-o", proof],
        "show": ["show", f"@{middle}", "--raw", "-o", event],
        "prove @middle": ["prove", f"@{middle}", "-o", proof],
        "verify-proof": ["verify-proof", proof, "--event", event],
        "bundle": ["bundle", found["entity"], "-o", bundle],
        "verify-bundle": ["verify-bundle", bundle],
    }


def main() -> None:
    """Sign the store's head, and run the jobs."""
    from esctl.log.commits import open_log

    store = Path(sys.argv[1])
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    head = open_log(store).read().head
    with tempfile.TemporaryDirectory(prefix="esctl-bench-") as name:
        folder = Path(name)
        os.environ |= {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}
        config = str(Path(__file__).parent / "esctl.toml")
        esctl = [sys.executable, "-m", "esctl", "--store", str(store), "--config", config, "-q"]
        time_command([*esctl, "key", "new", "bench"])
        before = set((store / "checkpoints").glob("*"))
        try:
            time_command([*esctl, "checkpoint"])
            middle = head // 2
            shown = subprocess.run([*esctl, "show", f"@{middle}", "-f", "jsonl"], check=True, capture_output=True)
            found = json.loads(shown.stdout.splitlines()[0])
            print(f"{head:,} records\n{'job':<14}{'wall s':>8}{'cpu s':>8}{'MiB':>7}{'budget':>8}")
            for job, words in jobs(folder, head, middle, found).items():
                show(job, [*esctl, *words], repeats)
        finally:
            for path in set((store / "checkpoints").glob("*")) - before:
                path.unlink()


def show(job: str, command: list[str], repeats: int) -> None:
    """Run a job `repeats` times, and print its line."""
    runs = [time_command(command) for _ in range(repeats)]
    cpu = statistics.mean(run.processor for run in runs)
    wall, memory = statistics.median(run.seconds for run in runs), max(run.memory for run in runs)
    budget = f"{BUDGETS[job]:>8.1f}" if job in BUDGETS else ""
    print(f"{job:<14}{wall:>8.2f}{cpu:>8.2f}{memory:>7.0f}{budget}", flush=True)


if __name__ == "__main__":
    main()
