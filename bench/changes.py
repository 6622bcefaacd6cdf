"""Compare the replay of a change log's tables with plain merges of as many events with the same values.

    python bench/changes.py [CHANGES]

Both logs are of three tables: rows are inserted, updated (every tenth update leaves a value out, as unchanged TOAST),
deleted, get new keys (one change in two hundred), are read again, and the smallest table is truncated now and then.
The plain log has each change as one event whose payload is merged, without deletions.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import processor_time_of_children

TABLES = ("orders", "customers", "scratch")
UNAVAILABLE = "__debezium_unavailable_value"
RUNS = 3
Row = dict[str, Any]


def changes(count: int) -> Iterator[tuple[str, str, int, Row | None, int | None]]:
    """Yield operation, table, key, row and old key of `count` changes."""
    drawn = random.Random(7)
    live: dict[str, list[int]] = {table: [] for table in TABLES}
    fresh = 0
    for number in range(count):
        table = TABLES[number % 20 // 10 if number % 50 else 2]
        keys = live[table]
        kind = drawn.random()
        if table == "scratch" and number % 100_000 == 0:
            keys.clear()
            yield "t", table, 0, None, None
        elif len(keys) < 50 or kind < 0.3:
            fresh += 1
            keys.append(fresh)
            yield "c", table, fresh, _row(drawn, fresh), None
        elif kind < 0.305:
            fresh += 1
            at = drawn.randrange(len(keys))
            old, keys[at] = keys[at], fresh
            yield "c", table, fresh, {**_row(drawn, fresh), "note": UNAVAILABLE}, old
        elif kind < 0.35:
            yield "d", table, keys.pop(drawn.randrange(len(keys))), None, None
        else:
            key = drawn.choice(keys)
            row = _row(drawn, key)
            yield "u", table, key, {**row, "note": UNAVAILABLE} if kind < 0.42 else row, None


def _row(drawn: random.Random, key: int) -> Row:
    status = drawn.choice(("new", "paid", "packed", "shipped"))
    return {
        "id": key,
        "status": status,
        "total": drawn.randrange(10**6) / 100,
        "note": f"note {drawn.randrange(10**6)}",
    }


def write(folder: Path, count: int) -> None:
    """Write both logs."""
    with (folder / "changes.jsonl").open("w") as log, (folder / "plain.jsonl").open("w") as plain:
        for number, (op, table, key, row, old) in enumerate(changes(count)):
            at = 1_700_000_000_000 + number * 50
            source = {
                "connector": "postgresql",
                "schema": "public",
                "table": table,
                "lsn": 1000 + number * 8,
                "ts_ms": at,
            }
            value = {"before": None, "after": row, "source": source, "op": op, "ts_ms": at + 40}
            headers = {} if old is None else {"__debezium.oldkey": {"id": old}}
            named = None if op == "t" else {"id": key}
            log.write(
                json.dumps({"topic": f"s.public.{table}", "key": named, "value": value, "headers": headers}) + "\n"
            )
            event = {"id": f"e{number}", "type": op, "time": at, "sequence": number, "entity": f"{table}/{key}"}
            plain.write(json.dumps({**event, "data": row or {"id": key}}) + "\n")


def time_replay(folder: Path, name: str) -> float:
    """Return the processor time, in seconds, of the cheapest of RUNS replays from the first event to Parquet."""
    words = [sys.executable, "-m", "esctl", "--store", str(folder / name), "-q"]
    subprocess.run([*words, "ingest", str(folder / f"{name}.jsonl")], check=True, stdout=subprocess.DEVNULL)
    best = float("inf")
    for run in range(RUNS):
        shutil.rmtree(folder / name / "snapshots", ignore_errors=True)
        before = processor_time_of_children()
        out = folder / f"{name}-{run}.parquet"
        subprocess.run([*words, "replay", "-o", str(out)], check=True, stdout=subprocess.DEVNULL)
        best = min(best, processor_time_of_children() - before)
    return best


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    folder = Path(tempfile.mkdtemp(prefix="esctl-changes-"))
    try:
        write(folder, count)
        plain, rows = time_replay(folder, "plain"), time_replay(folder, "changes")
        print(f"{count} changes: tables {rows:.2f} s, plain merges {plain:.2f} s: {rows / plain:.2f} times as long")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
