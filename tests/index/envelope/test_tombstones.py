"""Messages without a payload: they delete the entity of their key, and are told from empty ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.ask.states.test_fold_cells import log_of, second
from tests.support.cases import case
from tests.support.cli_harness import esctl, good
from tests.support.engine_harness import disagreements, engine

TOMBSTONE = "(tombstone)"


def kcat(number: int, value: Any) -> str:
    text = json.dumps(value) if isinstance(value, dict) else value
    base = {"topic": "t", "partition": 0, "offset": number, "tstype": "create", "ts": 1709283600000 + 1000 * number}
    return json.dumps({**base, "key": f"c-{number % 3}", "payload": text})


def exported(number: int, value: Any) -> str:
    return json.dumps({"topic": "t", "key": f"c-{number % 3}", "value": value, "headers": {"h": "1"}, "offset": number})


def bare(number: int, value: Any) -> str:
    return json.dumps({"key": f"c-{number % 3}", "value": value})


def console(number: int, value: Any) -> str:
    return f"c-{number % 3}\t{json.dumps(value)}"


def carried(number: int, value: Any) -> str:
    event = value and {
        "id": f"e{number}", "aggregateId": f"c-{number % 3}", "type": "Changed", "data": value,
        "time": f"2024-03-01T09:00:0{number}Z",
    }  # fmt: skip
    return kcat(number, event)


def ingested(folder: Path, write: Callable[[int, Any], str], without: Any = None, name: str = "a.jsonl") -> None:
    lines = [write(n, without if n == 7 else {"n": n, "name": f"N{n}"}) for n in range(9)]
    (folder / name).write_text("\n".join(lines) + "\n")
    good("ingest", name, cwd=folder)


@pytest.mark.parametrize("write", [kcat, exported, bare, console, carried])
def test_one_deletes_the_entity_of_its_key(write: Callable[[int, Any], str], tmp_path: Path) -> None:
    ingested(tmp_path, write)
    assert {row["entity"]: row["state"] for row in good("replay", cwd=tmp_path).rows} == {
        "c-0": {"n": 6, "name": "N6"}, "c-2": {"n": 8, "name": "N8"},
    }  # fmt: skip
    assert good("replay", "c-1", "--at", "@7", cwd=tmp_path).rows[0]["state"] == {"n": 4, "name": "N4"}
    (last,) = good("audit", "c-1", "--type", TOMBSTONE, cwd=tmp_path).rows
    assert last["changes"] == [{"field": "n", "before": 4}, {"field": "name", "before": "N4"}]
    assert {row["change"] for row in good("diff", "@7", "@9", "c-1", cwd=tmp_path).rows} == {"deleted"}


def test_it_is_found_in_files_of_any_name(tmp_path: Path) -> None:
    ingested(tmp_path, console, name="dump.txt")
    assert [row["entity"] for row in good("replay", cwd=tmp_path).rows] == ["c-0", "c-2"]


@pytest.mark.parametrize("write", [kcat, exported])
def test_an_empty_payload_is_none(write: Callable[[int, Any], str], tmp_path: Path) -> None:
    ingested(tmp_path, write, without="")
    done = good("replay", cwd=tmp_path)
    assert {row["entity"]: row["state"]["n"] for row in done.rows} == {"c-0": 6, "c-1": 4, "c-2": 8}
    assert "1 payload that is not an object in scope" in done.err


def test_one_beyond_the_sample_deletes(tmp_path: Path) -> None:
    lines = [kcat(n, {"n": n}) for n in range(1200)] + [kcat(1200, None)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["entity"] for row in good("replay", cwd=tmp_path).rows] == ["c-1", "c-2"]


def test_kcat_json(tmp_path: Path) -> None:
    names = case("01", tmp_path)
    good("ingest", *names, cwd=tmp_path)
    before = good("replay", "cust-1", "--at", "@2", cwd=tmp_path).rows
    assert [row["state"] for row in before] == [{"name": "N1", "limit": 250}]
    rows = good("log", cwd=tmp_path).rows
    assert [row["type"] for row in rows] == ["CustomerRegistered", "LimitRaised", TOMBSTONE, "CustomerRegistered"]
    assert [row["entity"] for row in good("replay", cwd=tmp_path).rows] == ["cust-2"]


def test_rules_delete_if_they_say_so(tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text('[projections.p.on.t]\nset = { n = "data.n" }\n')
    ingested(tmp_path, kcat)
    assert "c-1" in [row["entity"] for row in good("replay", cwd=tmp_path).rows]
    assert [row["type"] for row in esctl("doctor", "--unhandled", cwd=tmp_path).rows] == [TOMBSTONE]
    with (tmp_path / "esctl.toml").open("a") as file:
        file.write(f'[projections.p.on."{TOMBSTONE}"]\ndelete = true\n')
    assert [row["entity"] for row in good("replay", cwd=tmp_path).rows] == ["c-0", "c-2"]


def test_a_configuration_to_start_from_deletes_them_too(tmp_path: Path) -> None:
    ingested(tmp_path, kcat)
    before = good("replay", cwd=tmp_path).rows
    good("init", cwd=tmp_path)
    good("reindex", cwd=tmp_path)
    assert good("replay", cwd=tmp_path).rows == before


def test_a_mapping_says_where_it_shows(tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text('[mapping]\nentity = "k"\ndata = "v.after"\ntombstone = ["v", "w"]\n')
    lines = [{"k": "a", "v": {"after": {"n": 1}}}, {"k": "b", "v": {"after": None}}, {"k": "a", "v": None}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["entity"] for row in good("replay", cwd=tmp_path).rows] == ["b"]
    (tmp_path / "esctl.toml").write_text('[mapping]\nentity = "k"\ndata = "v.after"\n')
    good("reindex", "--map", "tombstone=v", cwd=tmp_path)
    assert [row["entity"] for row in good("replay", cwd=tmp_path).rows] == ["b"]


def test_what_comes_after_it_is_a_new_life() -> None:
    log = log_of(
        None, ("T", {"a": 1, "b": 2}), ("T", None), ("T", {"c": 3}), ("T", None, "thing-2"), ("T", {"d": 1}, "thing-3"),
        bounds=({}, {"at": second(2)}, {"position": 3}, {"version": 2}),
    )  # fmt: skip
    log = replace(log, mapping={**log.mapping, "tombstone": "data"})
    with engine(log, eager=True) as made:
        assert not disagreements(log, made)
        states = {entity: row.state for (_, entity), row in made.replay({}).items()}
    assert states == {"thing-1": {"c": 3}, "thing-2": None, "thing-3": {"d": 1}}
