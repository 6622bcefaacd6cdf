"""Payloads that are no objects, and events that belong to a store rather than to what is stored in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cases import case
from tests.support.cli_harness import esctl, good

PAYLOADS: list[Any] = ["0@order-1", 5, [1, 2], True]


def keep(folder: Path, odd: Any, count: int = 6) -> None:
    records = [
        {"id": f"e{i}", "type": "T", "time": f"2024-03-0{i + 1}T00:00:00Z", "stream": f"s-{i % 2}", "data": {"n": i}}
        for i in range(count)
    ]
    records[3]["data"] = odd
    records[4]["data"] = None
    (folder / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    good("ingest", "a.jsonl", "--map", "data=data", "--map", "entity=stream", cwd=folder)


@pytest.mark.parametrize("odd", PAYLOADS)
def test_one_is_a_finding_and_no_error_of_others(odd: Any, tmp_path: Path) -> None:
    keep(tmp_path, odd)
    done = good("replay", cwd=tmp_path)
    assert {row["entity"]: row["state"] for row in done.rows} == {"s-0": {"n": 2}, "s-1": {"n": 5}}
    assert "note: 1 payload that is not an object in scope: esctl doctor --payloads" in done.err
    (found,) = esctl("doctor", "--payloads", cwd=tmp_path).rows
    assert (found["position"], found["entity"]) == (4, "s-1")
    assert "note" not in good("replay", "s-0", cwd=tmp_path).err
    assert "1 payload that is not an object" in good("replay", "s-1", cwd=tmp_path).err


def test_it_is_passed_over_where_states_are_stepped(tmp_path: Path) -> None:
    records = [{"stream": "s-1", "data": {f"f{i}-{n}": n for n in range(400)}} for i in range(8)]
    records += [{"stream": "s-1", "data": "x"}, {"stream": "s-2", "data": {"n": 1}}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    good("ingest", "a.jsonl", "--map", "entity=stream", "--map", "data=data", cwd=tmp_path)
    assert [len(row["state"]) for row in good("replay", cwd=tmp_path).rows] == [3200, 1]


@pytest.mark.parametrize("operation", ["merge", "merge_patch", "replace"])
def test_rules_of_ones_own_pass_over_it_as_the_default_ones_do(operation: str, tmp_path: Path) -> None:
    keep(tmp_path, "0@order-1")
    (tmp_path / "esctl.toml").write_text(f'[projections.p.on."*"]\n{operation} = "data"\ncount = "events"\n')
    done = good("replay", cwd=tmp_path)
    expected = {"s-0": {"n": 2, "events": 3}, "s-1": {"n": 5, "events": 3}}
    states = {row["entity"]: row["state"] for row in done.rows}
    if operation == "replace":
        assert {name: state["n"] for name, state in states.items()} == {"s-0": 2, "s-1": 5}
    else:
        assert states == expected
    assert "note: 1 payload that is not an object in scope: esctl doctor --payloads" in done.err
    assert "payload" not in good("replay", "s-0", cwd=tmp_path).err
    assert "1 payload that is not an object" in good("audit", "s-1", cwd=tmp_path).err


@pytest.mark.parametrize("odd", PAYLOADS)
def test_every_question_is_answered(odd: Any, tmp_path: Path) -> None:
    keep(tmp_path, odd)
    for asked in (
        ["diff", "2024-03-02", "2024-03-06"], ["audit"], ["when", "data.n = 5"], ["blame", "s-1"], ["log"],
        ["series", "count()", "--every", "1d"], ["sql", "select count(*) from states"], ["entities"],
    ):  # fmt: skip
        done = esctl(*asked, cwd=tmp_path)
        assert "takes an object" not in done.err, asked


def test_there_is_no_finding_where_all_are_objects(tmp_path: Path) -> None:
    keep(tmp_path, {"n": "text"})
    assert "payload" not in good("replay", cwd=tmp_path).err
    assert esctl("doctor", "--payloads", cwd=tmp_path).rows == []


def test_links_and_system_events_of_kurrentdb_are_left_out_and_counted(tmp_path: Path) -> None:
    names = case("09", tmp_path)
    assert "4 events of no entity are ignored, as the mapping says" in esctl("ingest", *names, cwd=tmp_path).err
    (row,) = good("replay", cwd=tmp_path).rows
    assert (row["entity"], row["state"]) == ("order-1", {"paid": 10, "total": 10})
    assert len(good("log", "--ignored", cwd=tmp_path).rows) == 4


def test_types_are_ignored_as_the_mapping_says(tmp_path: Path) -> None:
    records = [{"id": i, "type": name, "stream": "s-1", "data": {"n": i}} for i, name in enumerate(["A", "sys.x", "B"])]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "esctl.toml").write_text('[mapping]\nignore_types = ["sys.*", "C"]\nignore = "type = \'D\'"\n')
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["position"] for row in good("log", "--ignored", cwd=tmp_path).rows] == [2]
    assert good("replay", cwd=tmp_path).rows[0]["version"] == 2
