"""Projections in the user's own SQL: what a state says of the events it is made of."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli_harness import good, plain_event, write_lines

SUMS = '[projections.sums]\nsql = "select entity, sum(data.n) as total from events group by entity"\n'


def test_a_state_names_the_last_of_its_events_in_fold_order(tmp_path: Path) -> None:
    events = [plain_event(number, name) for number, name in ((1, "a-1"), (5, "a-1"), (3, "a-1"), (2, "a-2"))]
    write_lines(tmp_path / "a.jsonl", events)
    (tmp_path / "esctl.toml").write_text(SUMS, encoding="utf-8")
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    rows = good("replay", "-p", "sums", cwd=tmp_path).rows
    assert [(row["entity"], row["version"], row["position"], row["time"][11:16]) for row in rows] == [
        ("a-1", 3, 2, "00:05"),
        ("a-2", 1, 4, "00:02"),
    ]
