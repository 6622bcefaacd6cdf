"""Small change logs as the programs that write them show theirs, and the rows that the database then had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import effort
from tests.support.real_log_helpers import load, rows_of

LOGS = sorted((Path(__file__).parent / "told_changes").glob("*.json"))
FAST = LOGS if effort.ALL else LOGS[::4]


def as_text(log: dict[str, Any]) -> str:
    lines = log["lines"] if "lines" in log else map(json.dumps, log["records"])
    return "".join(f"{line}\n" for line in lines)


def like(rows: Any) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True, default=float) for row in rows)


@pytest.mark.parametrize("path", FAST, ids=[path.stem for path in FAST])
def test_a_log_replays_to_what_the_database_had(path: Path, tmp_path: Path) -> None:
    log = json.loads(path.read_text(encoding="utf-8"))
    file = tmp_path / log["file"]
    file.write_text(as_text(log), encoding="utf-8")
    store, told = load(tmp_path, [file])
    assert told.invalid == 0
    for point in log["states"]:
        bound = {} if point["at"] is None else {"at": point["at"]}
        found = [row["state"] for row in rows_of(store.replay(**bound))]
        assert like(found) == like(point["rows"]), point["at"]
