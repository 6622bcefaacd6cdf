"""A difference is that of the two replays: whatever the projection, and whatever else became of the log between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import esctl, good, write_lines

RANK = "select entity, sum(data.x) as x, rank() over (order by sum(data.x) desc) as place from events group by entity"
FIRST = f"select entity, x from ({RANK}) where place = 1"

Differences = dict[tuple[str, str | None], tuple[Any, Any]]


def states(folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    return {row["entity"]: row["state"] for row in good("replay", *options, cwd=folder).rows}


def between(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> Differences:
    """Compare two replays."""
    fields = {(name, field) for side in (before, after) for name, state in side.items() for field in state}
    found = {(name, field): (before.get(name, {}).get(field), after.get(name, {}).get(field)) for name, field in fields}
    return {key: sides for key, sides in found.items() if sides[0] != sides[1]}


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


# --- logs of changes of rows -----------------------------------------------------------------------------------------

UNCHANGED = "__debezium_unavailable_value"
MOVED = (
    ("d", 30, 7, {"id": 7, "note": None}, None, {"__debezium.newkey": {"id": 9}}),
    ("c", 30, 9, None, {"id": 9, "note": UNCHANGED}, {"__debezium.oldkey": {"id": 7}}),
)
"""A row that gets another key, where it keeps the note that it had."""


def changes(folder: Path, *told: tuple[Any, ...]) -> Path:
    """Ingest changes of rows: (op, lsn, key, before, after, headers)."""
    (folder / "orders.jsonl").write_text("".join(_change(*one) + "\n" for one in told), encoding="utf-8")
    good("ingest", "orders.jsonl", "-q", cwd=folder)
    return folder


def _change(op: str, lsn: int, key: int | None, before: Any = None, after: Any = None, headers: Any = None) -> str:
    place = {"connector": "postgresql", "schema": "public", "table": "orders", "txId": lsn, "lsn": lsn}
    source = {**place, "sequence": json.dumps([str(lsn)] * 2), "ts_ms": 1709283600000 + lsn * 1000}
    value = {"before": before, "after": after, "source": source, "op": op, "ts_ms": source["ts_ms"] + 40}
    named = None if key is None else {"id": key}
    return json.dumps({"topic": "srv.public.orders", "key": named, "value": value, "headers": headers or {}})


def test_what_became_known_of_rows_includes_their_truncation(tmp_path: Path) -> None:
    made = [("c", 10, 7, None, {"id": 7, "total": 49}), ("c", 20, 8, None, {"id": 8, "total": 100})]
    folder = changes(tmp_path, *made, ("u", 30, 7, None, {"id": 7, "total": 25}), ("t", 50, None))
    rows = esctl("diff", "--known-at", "@3", "@4", "--exit-code", cwd=folder)
    assert rows.code == 1
    assert [(row["change"], row["before"], row["positions"]) for row in rows.rows] == [
        ("deleted", value, [4]) for value in (7, 25, 8, 100)
    ]
    assert rows.rows == good("diff", "@3", "@4", cwd=folder).rows
    assert good("diff", "--known-at", "@4", "@3", "--summary", cwd=folder).row["change"] == "created"


LATE = ("u", 20, 7, None, {"id": 7, "note": "other"})
GIFT = ("c", 10, 7, None, {"id": 7, "note": "gift"})
READ_AGAIN = ("r", 20, 7, None, {"id": 7, "note": "gift"})


def test_what_became_known_of_a_row_includes_what_another_inherits(tmp_path: Path) -> None:
    folder = changes(tmp_path, GIFT, *MOVED, LATE)
    name = "public.orders/9"
    assert differences(folder, "--known-at", "@3", "@4") == {(name, "note"): ("gift", "other")}


@pytest.mark.parametrize(
    "told", [(GIFT, READ_AGAIN), (GIFT, LATE, *MOVED), (GIFT, LATE, READ_AGAIN, *MOVED, ("t", 50, None))]
)
@pytest.mark.parametrize("engine", ["off", "local:2"])
def test_supposing_a_change_away_supposes_what_became_of_rows(
    tmp_path: Path, told: tuple[tuple[Any, ...], ...], engine: str
) -> None:
    folder = changes(tmp_path, *told)
    for position in range(1, len(told) + 1) if engine == "off" else (1,):
        without = ("--without", f"@{position}")
        expected = between(states(folder), states(folder, *without))
        assert differences(folder, "--what-if", *without, "--engine", engine) == expected, position


def test_a_bound_on_positions_leaves_out_what_came_late(tmp_path: Path) -> None:
    """The position 4 is an earlier change than those of the positions before it."""
    folder, name = changes(tmp_path, GIFT, *MOVED, LATE), "public.orders/9"
    bounds = {
        "@3": "gift",  # as --known-at @3
        "@4": "other",
        "seq:30": "other",
    }
    for at, note in bounds.items():
        assert states(folder, "--at", at) == {name: {"id": 9, "note": note}}
        (found,) = good("blame", name, "--field", "note", "--at", at, cwd=folder).rows
        assert found["value"] == note
    assert differences(folder, "@3", "@4") == {(name, "note"): ("gift", "other")}
    assert differences(folder, "@4", "@3", "--engine", "local:2") == {(name, "note"): ("other", "gift")}
    assert differences(folder, "--known-at", "@3", "@4", "--at", "@3") == {}
    (back,) = good("revert", name, "--to", "@3", cwd=folder).rows
    assert (back["op"], back["field"], back["value"]) == ("set", "note", "gift")


def test_a_truncation_does_not_end_what_came_late(tmp_path: Path) -> None:
    folder = changes(tmp_path, GIFT, ("t", 50, None), ("c", 20, 8, None, {"id": 8, "note": "late"}))
    assert [states(folder, "--at", at).keys() for at in ("@1", "@2", "@3")] == [{"public.orders/7"}, set(), set()]
    rows = good("audit", "public.orders/8", "--at", "@2", cwd=folder).rows
    assert rows == []
    assert [row["type"] for row in good("audit", "public.orders/8", "--at", "@3", cwd=folder).rows] == [
        "insert",
        "truncate",
    ]
