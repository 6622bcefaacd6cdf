"""A difference is that of the two replays: whatever the projection, and whatever else became of the log between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import esctl, good, write_lines

RANK = "select entity, sum(data.x) as x, rank() over (order by sum(data.x) desc) as place from events group by entity"
FIRST = f"select entity, x from ({RANK}) where place = 1"

Differences = dict[tuple[str, str | None], tuple[Any, Any]]


def states(folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    return {row["entity"]: row["state"] for row in good("replay", *options, cwd=folder).rows}


def differences(folder: Path, *options: str) -> Differences:
    rows = good("diff", *options, cwd=folder).rows
    return {(row["entity"], row["field"]): (row["before"], row["after"]) for row in rows}


# --- projections that are queries or code ----------------------------------------------------------------------------


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    (tmp_path / "esctl.toml").write_text(
        f'[projections.rank]\nsql = "{RANK}"\n[projections.first]\nsql = "{FIRST}"\n', encoding="utf-8"
    )
    given = [("a-1", 10), ("a-2", 5), ("a-2", 2), ("a-2", 9)]
    events = [
        {"id": str(n), "type": "T", "time": f"2024-01-01T00:00:0{n}Z", "entity": entity, "data": {"x": x}}
        for n, (entity, x) in enumerate(given, 1)
    ]
    good("ingest", write_lines(tmp_path / "a.jsonl", events).name, "-q", cwd=tmp_path)
    return tmp_path


def test_a_query_may_say_something_else_of_an_entity_without_events(scores: Path) -> None:
    expected = {("a-1", "place"): (1, 2), ("a-2", "place"): (2, 1), ("a-2", "x"): (7, 16)}
    assert differences(scores, "@3", "@4", "-p", "rank") == expected
    assert differences(scores, "@3", "@4", "-p", "rank", "--engine", "local:2") == expected
    found = esctl("diff", "@3", "@4", "-p", "rank", "a-1", "--exit-code", cwd=scores)
    assert (found.code, found.row["field"], found.row["positions"]) == (1, "place", [])


def test_what_a_query_says_of_an_entity_does_not_depend_on_which_are_asked_for(scores: Path) -> None:
    assert states(scores, "-p", "rank", "--at", "@3", "a-2") == {"a-2": {"x": 7, "place": 2}}


def test_what_a_query_says_of_an_entity_is_reverted_even_if_it_has_no_events(scores: Path) -> None:
    (place,) = good("revert", "a-1", "--to", "@3", "-p", "rank", cwd=scores).rows
    assert (place["op"], place["field"], place["value"], place["undoes"]) == ("set", "place", 1, [])
    rows = good("revert", "a-*", "--to", "@3", "-p", "first", cwd=scores).rows
    assert [(row["entity"], row["op"], row["undoes"]) for row in rows] == [
        ("a-1", "create", []),
        ("a-1", "set", []),
        ("a-2", "delete", [4]),
    ]


def test_a_function_of_the_same_name_in_another_folder_is_another_rule(tmp_path: Path) -> None:
    for folder, factor in ((tmp_path, 1), (tmp_path / "other", 100), (tmp_path / "same", 1)):
        folder.mkdir(exist_ok=True)
        (folder / "esctl.toml").write_text('[projections.p]\npython = "rules:fold"\n', encoding="utf-8")
        code = f"def fold(state, event):\n    return {{'x': {factor} * event['data']['x']}}\n"
        (folder / "rules.py").write_text(code, encoding="utf-8")
    one = {"id": "1", "type": "T", "time": "2024-01-01T00:00:00Z", "entity": "a-1", "data": {"x": 2}}
    good("ingest", write_lines(tmp_path / "a.jsonl", [one]).name, "-q", cwd=tmp_path)
    other, same = (("--what-if", "--projection-file", f"{name}/esctl.toml") for name in ("other", "same"))
    assert differences(tmp_path, *other) == {("a-1", "x"): (2, 200)}
    assert differences(tmp_path, *same) == {}
    (gone,) = good("diff", *same, "--without", "@1", cwd=tmp_path).rows
    assert (gone["change"], gone["positions"]) == ("deleted", [1])


def test_a_summary_has_the_notes_of_the_list(scores: Path) -> None:
    found = good("diff", "@0", "@4", "b-*", "--summary", cwd=scores)
    assert found.rows == []
    assert "b-*" in found.err
