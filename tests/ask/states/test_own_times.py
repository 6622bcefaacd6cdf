"""Undated events: where they are folded is not their time, in expressions as little as in answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_harness import good, plain_event, write_lines

RULES = """
def fold(state, event):
    return {"t": event["time"] and event["time"].strftime("%FT%TZ")}
"""
CONFIG = """
[projections.rules.on."*"]
set = { t = "time" }
[projections.code]
python = "rules:fold"
[projections.query]
sql = "select entity, any_value(time) as t, count(*) as n from events group by entity"
"""
DATED, UNDATED = "2024-01-02T00:01:00Z", "time is null"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undated")
    (folder / "rules.py").write_text(RULES)
    (folder / "esctl.toml").write_text(CONFIG)
    events = [plain_event(number, f"thing-{number}") for number in range(3)]
    write_lines(folder / "a.jsonl", [events[0] | {"time": "soon"}, events[1], events[2] | {"time": "later"}])
    good("ingest", "a.jsonl", "-q", "--map", "time=time", cwd=folder)
    return folder


@pytest.mark.parametrize("projection", ["rules", "code", "query"])
def test_a_projection_gets_no_time_for_an_event_that_has_none(store: Path, projection: str) -> None:
    rows = good("replay", "-p", projection, "-q", cwd=store).rows
    assert [row["state"].get("t") for row in rows] == [None, DATED, None]
    assert [row["time"] for row in rows] == [None, DATED, None]
    (row,) = good("replay", "-p", projection, "-q", "--at", "2023-12-31", cwd=store).rows
    assert row["entity"] == "thing-0"  # it is folded at the very beginning


@pytest.mark.parametrize("projection", ["rules", "code", "query"])
def test_a_condition_on_the_time_is_one_on_what_is_shown(store: Path, projection: str) -> None:
    asked = ["replay", "-p", projection, "-q", "--where"]
    assert [row["entity"] for row in good(*asked, UNDATED, cwd=store).rows] == ["thing-0", "thing-2"]
    assert [row["entity"] for row in good(*asked, "time < '2025-01-01'", cwd=store).rows] == ["thing-1"]


def test_all_that_have_conditions_agree(store: Path) -> None:
    asked = ["-p", "rules", "-q"]
    for more in ([], ["--each-event"]):
        rows = good("when", UNDATED, *asked, *more, cwd=store).rows
        assert [(row["entity"], row["start"]) for row in rows] == [("thing-0", None), ("thing-2", None)]
    (row,) = good("series", f"count(*) filter ({UNDATED})", *asked, cwd=store).rows
    assert row["value"] == 2
    for query in ("select entity, time from rules() order by 1", "select entity, time from states() order by 1"):
        assert [row["time"] for row in good("sql", query, "-q", cwd=store).rows] == [None, DATED, None]
    assert [row["position"] for row in good("log", "--where", UNDATED, "-q", cwd=store).rows] == [1, 3]
    rows = good("replay", "--without", UNDATED, *asked, cwd=store).rows
    assert [row["entity"] for row in rows] == ["thing-1"]


def test_a_record_that_is_no_event_has_no_time_either(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "1", "type": "A", "stream": "a-1", "time": "2024-01-02"}\n{]\n')
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    shown = good("log", "-q", cwd=tmp_path).rows
    assert [row["time"] is None for row in shown] == [False, True]
    assert [row["position"] for row in good("log", "--where", UNDATED, "-q", cwd=tmp_path).rows] == [2]
