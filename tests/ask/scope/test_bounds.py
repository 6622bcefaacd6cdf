"""Bounds that name an event: its own entities up to it in their order, all others up to its time."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli_harness import good, plain_event, write_lines


def test_events_of_the_same_time_in_other_entities_count_as_the_time_says(tmp_path: Path) -> None:
    at_once = {"time": "2024-01-02T00:00:00Z"}
    events = [plain_event(number, name) | at_once for number, name in enumerate(("a-1", "a-2", "b-1"))]
    write_lines(tmp_path / "a.jsonl", [*events, plain_event(3, "a-1"), plain_event(4, "a-2")])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)

    def states(*bound: str) -> dict[str, int]:
        return {row["entity"]: row["state"]["n"] for row in good("replay", *bound, cwd=tmp_path).rows}

    assert states("--at", "id:evt-0") == {"a-1": 0, "a-2": 1, "b-1": 2}
    assert states("--before", "id:evt-0") == {}
    assert states("--at", "id:evt-3") == {"a-1": 3, "a-2": 1, "b-1": 2}
    assert states("--before", "id:evt-3") == {"a-1": 0, "a-2": 1, "b-1": 2}
