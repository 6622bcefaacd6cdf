"""Times that systems write where they have none are none, but for logs that reach so far back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli_harness import esctl, good

MODERN = [f"2024-03-0{day}T10:00:00Z" for day in range(1, 6)]
OLD = [f"1953-03-0{day}T10:00:00Z" for day in range(1, 6)]


def read(folder: Path, times: list[object], *options: str) -> dict[int, object]:
    """Return the time of each event by its position, or what is said of one that has none."""
    events = [{"id": f"e{n}", "type": "T", "time": time, "entity": f"a-{n % 2}"} for n, time in enumerate(times)]
    (folder / "a.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    good("ingest", "a.jsonl", *options, cwd=folder)
    told = {row["position"]: row["time"] for row in good("log", cwd=folder).rows}
    return told | {row["position"]: row["detail"] for row in esctl("doctor", "--undated", cwd=folder).rows}


@pytest.mark.parametrize("none", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", 0, "0", "0001-01-01 00:00:00"])
def test_a_time_that_stands_for_none_is_none(none: object, tmp_path: Path) -> None:
    times = [*MODERN, none] if isinstance(none, str) and "-" in none else [1_709_280_000 + n for n in range(5)] + [none]
    assert read(tmp_path, times)[6] == f'"{none}" stands for no time'


@pytest.mark.parametrize("first", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_a_log_that_reaches_back_has_such_times(first: str, tmp_path: Path) -> None:
    assert read(tmp_path, [*OLD, first])[6] == first


def test_numbers_that_count_from_nothing_begin_at_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, [0, 1, 2, 3, 5, 8], "--map", "time=time")[1] == "1970-01-01T00:00:00Z"
