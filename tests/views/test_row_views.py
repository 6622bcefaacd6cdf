"""Views, messages and bundles of a database's change log, where one change concerns rows that it does not name."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.cli_harness import esctl, good


def change(action: str, number: int, **more: Any) -> str:
    at = f"2024-03-01 10:00:{number:02}+00"
    told = {"action": action, "timestamp": at, "lsn": f"0/{number:X}", "schema": "public", "table": "t", **more}
    return json.dumps(told) + "\n"


def insert(number: int, key: int) -> str:
    columns = [{"name": "id", "type": "integer", "value": key}, {"name": "s", "type": "text", "value": "x"}]
    return change("I", number, columns=columns, pk=[{"name": "id", "type": "integer"}])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jsonl").write_text(insert(1, 1) + insert(2, 2))
    (tmp_path / "b.jsonl").write_text(change("T", 3) + insert(4, 3))
    good("ingest", "a.jsonl", cwd=tmp_path)
    return tmp_path


@pytest.mark.parametrize("target", ["duckdb:x.db/t", "sqlite:x.db/t", "parquet:x"])
def test_a_truncate_takes_rows_out_of_a_view(folder: Path, target: str) -> None:
    good("view", "create", "v", "--to", target, cwd=folder)
    good("ingest", "b.jsonl", cwd=folder)
    assert esctl("view", "status", cwd=folder).rows[0]["state"] == "behind"
    good("view", "refresh", "v", cwd=folder)
    assert entities(folder, target) == ["public.t/3"]
    assert good("view", "check", "v", cwd=folder).code == 0
    good("view", "create", "w", "--to", target.replace("x", "y"), cwd=folder)
    assert entities(folder, target.replace("x", "y")) == ["public.t/3"]


def entities(folder: Path, target: str) -> list[str]:
    """Read the entities of a target as any other program would."""
    kind, _, place = target.partition(":")
    path = folder / place.removesuffix("/t")
    if kind == "sqlite":
        with closing(sqlite3.connect(path)) as made:
            return [entity for (entity,) in made.execute("SELECT entity FROM t ORDER BY 1")]
    with closing(duckdb.connect()) as reader:
        if kind == "duckdb":
            reader.execute(f"ATTACH '{path}' AS x (READ_ONLY)")
        rows = "x.t" if kind == "duckdb" else f"read_parquet('{path}/*.parquet')"
        return [entity for (entity,) in reader.execute(f"SELECT entity FROM {rows} ORDER BY 1").fetchall()]


def test_a_bundle_has_the_states_of_replay_and_does_not_vouch_for_them_alone(folder: Path) -> None:
    user = {"XDG_CONFIG_HOME": str(folder / "user")}
    good("ingest", "b.jsonl", cwd=folder)
    good("key", "new", "me", cwd=folder, **user)
    good("checkpoint", cwd=folder, **user)
    good("bundle", "*", "-o", "evidence.zip", cwd=folder, **user)
    with zipfile.ZipFile(folder / "evidence.zip") as archive:
        states = next(archive.read(name) for name in archive.namelist() if name.startswith("states"))
    there = [row["entity"] for row in map(json.loads, states.splitlines()) if row["state"] is not None]
    assert there == ["public.t/3"]
    done = esctl("verify-bundle", "evidence.zip", "-f", "jsonl", cwd=folder, **user)
    assert b"not replayed: its states are rows" in done.out
    assert b'"changed"' not in done.out


def test_what_is_emitted_are_the_states_of_replay(folder: Path) -> None:
    good("ingest", "b.jsonl", cwd=folder)
    replayed = [row["entity"] for row in good("replay", cwd=folder).rows]
    assert replayed == ["public.t/3"]
    assert [row["key"] for row in good("emit", "states", cwd=folder).rows] == replayed
