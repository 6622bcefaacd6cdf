"""Measure views of a log, made anew and refreshed after 1,000 entities had an event: `python bench/views.py [EVENTS]`.

Processor time of whole commands, and of the smallest one (`view list`) to compare with. Views are made anew from the
states that an ingest saved, and from the log alone; the shares of refreshes are of the latter. If PostgreSQL is
installed, its own work is not counted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generate import accounts_of, generate
from measure import processor_time_of_children

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
FILES = ("duckdb:view.db/accounts", "sqlite:view.sqlite/accounts", "parquet:view")
TOUCHED = 1000


def time_command(folder: Path, *arguments: str) -> float:
    """Run a command; return its processor time in seconds."""
    command = [sys.executable, "-m", "esctl", "--config", str(HERE / "esctl.toml"), "-q", *arguments]
    before = processor_time_of_children()
    # Compiled once, as in an installed esctl.
    env = {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, env=env)
    return processor_time_of_children() - before


def touch(log: Path, accounts: int, kind: str) -> None:
    """Append an event of every so many accounts: with a time after all others (newest), or before most (late)."""
    time = {"newest": "2034-01-01T12:00:00Z", "late": "2024-01-01T12:00:00Z"}[kind]
    with log.open("a") as file:
        for number in range(TOUCHED):
            account = f"account-{number * accounts // TOUCHED + 1}"
            event = {"id": f"{kind}-{number}", "type": "MoneyDeposited", "time": time, "actor": "a"}
            file.write(json.dumps({**event, "data": {"account": account, "amount": 1.25}}) + "\n")


@contextmanager
def targets() -> Iterator[tuple[str, ...]]:
    """Yield the targets of views, with a table of PostgreSQL if it is installed."""
    from tests.support.postgres import USER, server, why_not

    if why_not():
        print(f"no PostgreSQL: {why_not()}")
        yield FILES
        return
    with server() as host:
        yield (*FILES, f"postgres://{USER}@/postgres/public.accounts{host}")


def measure(folder: Path, events: int, targets: tuple[str, ...]) -> None:
    """Print what each view takes, made anew and refreshed."""
    log = folder / "log.jsonl"
    with log.open("wb") as file:
        generate(events, file)
    time_command(folder, "ingest", "log.jsonl")
    for target in targets:
        time_command(folder, "view", "create", target.partition(":")[0], "-p", "account", "--to", target)
    refreshed: dict[str, dict[str, float]] = {target: {} for target in targets}
    for kind in ("newest", "late"):
        touch(log, accounts_of(events), kind)
        time_command(folder, "ingest", "log.jsonl")
        time_command(folder, "replay", "account-1")  # brings the index up to date
        for target, found in refreshed.items():
            found[kind] = time_command(folder, "view", "refresh", target.partition(":")[0])
    print(f"{'view list':<10} {time_command(folder, 'view', 'list'):8.2f} s")
    names = [target.partition(":")[0] for target in targets]
    saved = [time_command(folder, "view", "rebuild", name) for name in names]
    shutil.rmtree(folder / ".esctl" / "snapshots", ignore_errors=True)
    folded = [time_command(folder, "view", "rebuild", name) for name in names]
    for name, found, quick, anew in zip(names, refreshed.values(), saved, folded, strict=True):
        shares = "  ".join(f"{kind} {seconds:6.2f} s {seconds / anew:5.2f}" for kind, seconds in found.items())
        print(f"{name:<10} {anew:8.2f} s from the log  {quick:8.2f} s from saved states  {shares}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, targets() as found:
        measure(Path(name), int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, found)
