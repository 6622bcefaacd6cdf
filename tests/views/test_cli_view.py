"""What `esctl view` does, says, and refuses."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from esctl.log.lines import sealed, to_line
from tests.support.cli_harness import ESCTL, esctl, good, on_terminal, refused, surroundings

EVENT = '{{"id": {0}, "type": "Set", "time": "2024-01-01T00:00:00Z", "stream": "a-{1}", "data": {{"n": {0}.5}}}}\n'
CONFIG = '[projections.p.on."*"]\nset = { n = "data.n" }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "esctl.toml").write_text(CONFIG)
    append(tmp_path, 1)
    return tmp_path


def append(folder: Path, number: int) -> None:
    with (folder / "log.jsonl").open("a") as log:
        log.write(EVENT.format(number, number % 3))
    good("ingest", "log.jsonl", "-q", cwd=folder)


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql).fetchall()


def test_a_view_from_its_making_to_its_end(folder: Path) -> None:
    assert good("view", "create", "v", "-p", "p", "--to", "sqlite:v.db/t", cwd=folder).out == b""
    assert good("view", "list", "-f", "jsonl", cwd=folder).row == {
        "name": "v", "projection": "p", "to": "sqlite:v.db/t", "defined_in": "store"
    }  # fmt: skip
    append(folder, 2)
    status = good("view", "status", "-f", "jsonl", cwd=folder).row
    assert (status["position"], status["head"], status["state"]) == (1, 2, "behind")
    assert "went from position 1 to 2" in good("view", "refresh", cwd=folder).err
    assert "is at position 2 already" in good("view", "refresh", "v", cwd=folder).err
    assert good("view", "check", "v", cwd=folder).out == b""
    ask(folder / "v.db", "update t set n = '7' where entity = 'a-1'")
    ask(folder / "v.db", "insert into t (entity, kind) values ('x\x1b', 'x')")
    done = esctl("view", "check", "v", "-f", "jsonl", cwd=folder)
    assert done.code == 1
    assert [(row["entity"], row["difference"], row["field"], row["view"], row["log"]) for row in done.rows] == [
        ("a-1", "changed", "n", "7", "1.5"), ("x\x1b", "extra", None, None, None)
    ]  # fmt: skip
    good("view", "rebuild", "v", cwd=folder)
    good("view", "check", "v", cwd=folder)
    assert "--yes" in refused("view", "drop", "v", code=2, cwd=folder)[1]
    assert on_terminal("view", "drop", "v", cwd=folder, answer=b"n\n")[1] == 1
    good("view", "drop", "v", "--yes", cwd=folder)
    assert good("view", "list", "-f", "jsonl", cwd=folder).out == b""
    assert ask(folder / "v.db", "select name from sqlite_master where name = 't'") == []


def test_a_value_of_another_kind_is_shown_as_what_it_is(folder: Path) -> None:
    (folder / "esctl.toml").write_text('[projections.p.on."*"]\nset = { n = "data.n", t = "data.t", u = "data.u" }\n')
    told = {"id": 8, "type": "Set", "time": "2024-01-02T00:00:00Z", "stream": "a-1"}
    data = {"n": "xxhixx", "t": [1, {"a": 2.5, "b": "WIDE"}], "u": "\ue000y"}
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps({**told, "data": data}).replace('"WIDE"', "12345678901234567890.5") + "\n")
    good("ingest", "log.jsonl", "-q", cwd=folder)
    good("view", "create", "v", "-p", "p", "--to", "sqlite:v.db/t", cwd=folder)
    ((told_fields,),) = ask(folder / "v.db", "select fields from esctl_progress")
    fields = json.loads(told_fields)
    assert [(field["name"], field["kind"]) for field in fields] == [("n", "text"), ("t", "json"), ("u", "text")]
    fields[0]["kind"], fields[1]["kind"] = "number", "text"  # as if the states had had other values
    ask(folder / "v.db", f"update esctl_progress set fields = '{json.dumps(fields)}'")
    ask(folder / "v.db", "update t set u = 'z' where entity = 'a-1'")
    done = esctl("view", "check", "v", "-f", "jsonl", cwd=folder)
    assert {row["field"]: row["log"] for row in done.rows} == {
        "n": "xxhixx",
        "t": '[1,{"a":2.5,"b":12345678901234567890.5}]',
        "u": "\ue000y",
    }


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_an_undated_event_has_no_time_in_a_view(folder: Path, kind: str) -> None:
    undated = '{{"id": {0}, "type": "Set", "stream": "{1}", "data": {{"n": {0}}}}}\n'
    (folder / "esctl.toml").write_text(CONFIG + f'[views.v]\nprojection = "p"\nto = "{kind}:v.db/t"\n')
    for number, entity in ((5, "a-1"), (6, "b-1")):
        with (folder / "log.jsonl").open("a") as log:
            log.write(undated.format(number, entity))
        esctl("ingest", "log.jsonl", "-q", cwd=folder)
        good("view", "refresh", "v", cwd=folder)
    rows = good("replay", "-p", "p", "-f", "jsonl", cwd=folder).rows
    assert {row["entity"]: row["time"] for row in rows}["b-1"] is None
    if kind == "sqlite":
        found = dict(ask(folder / "v.db", "select entity, time from t"))
        assert found == {row["entity"]: row["time"] for row in rows}
    assert good("view", "check", "v", cwd=folder).out == b""
    if kind == "sqlite":
        ask(folder / "v.db", "update t set time = '0001-01-01T00:00:00Z' where entity = 'b-1'")
        done = esctl("view", "check", "v", "-f", "jsonl", cwd=folder)
        assert [(row["entity"], row["field"], row["log"]) for row in done.rows] == [("b-1", "time", None)]


def test_a_row_that_is_there_twice_is_found_and_mended(folder: Path) -> None:
    for number in (2, 3):
        append(folder, number)
    good("view", "create", "v", "-p", "p", "--to", "duckdb:v.db/t", cwd=folder)
    with duckdb.connect(folder / "v.db") as connection:
        connection.execute("insert into t select * from t where entity <> 'a-0'")
        connection.execute("update t set n = 7, position = 0 where rowid = 4")
        connection.execute("insert into t (entity, kind) values ('x', 'x'), ('x', 'x')")
    done = esctl("view", "check", "v", "-f", "jsonl", cwd=folder)
    found = [(row["entity"], row["difference"]) for row in done.rows]
    assert (done.code, found) == (1, [(name, "extra") for name in ("a-1", "a-2", "x", "x")])
    other = CONFIG.replace("n = ", 'm = "type", n = ')
    (folder / "esctl.toml").write_text(other)
    good("view", "refresh", "v", cwd=folder)
    good("view", "check", "v", cwd=folder)


def test_a_mending_takes_each_entity_once(folder: Path) -> None:
    config = '[projections.p.on."*"]\nset = { n = "data.n", t = "type" }\n'
    (folder / "esctl.toml").write_text(config)
    append(folder, 2)
    good("view", "create", "v", "-p", "p", "--to", "duckdb:v.db/t", cwd=folder)
    with duckdb.connect(folder / "v.db") as connection:
        connection.execute("insert into t select * from t")
    (folder / "esctl.toml").write_text(config.replace('"type"', '"id"'))  # the same column, with other values
    good("view", "refresh", "v", cwd=folder)
    good("view", "check", "v", cwd=folder)
    with duckdb.connect(folder / "v.db") as connection:
        assert connection.execute("select count(*) from t").fetchall() == [(2,)]


def test_rules_in_another_order_make_a_view_anew(folder: Path) -> None:
    other = '[projections.p.on."?*"]\nset = { n = "type" }\n'
    (folder / "esctl.toml").write_text(CONFIG + other)
    good("view", "create", "v", "-p", "p", "--to", "sqlite:v.db/t", cwd=folder)
    assert ask(folder / "v.db", "select n from t") == [("Set",)]
    (folder / "esctl.toml").write_text(other + CONFIG)
    assert "already" not in good("view", "refresh", "v", cwd=folder).err
    assert ask(folder / "v.db", "select n from t") == [("1.5",)]


def test_views_of_the_configuration(folder: Path) -> None:
    (folder / "esctl.toml").write_text(CONFIG + '[views.w]\nprojection = "p"\nto = "parquet:files"\n')
    (folder / "inner").mkdir()
    good("view", "refresh", cwd=folder / "inner")
    assert json.loads((folder / "files" / "manifest.json").read_text())["rows"] == 1
    assert "is defined in" in refused("view", "drop", "w", "--yes", code=2, cwd=folder)[0]
    assert "there is a view w" in refused("view", "create", "w", "--to", "sqlite:a/b", code=2, cwd=folder)[0]
    (folder / "esctl.toml").write_text(CONFIG + '[views.w]\nprojection = "p"\n')
    assert "views.w" in refused("view", "refresh", code=2, cwd=folder)[0]


@pytest.mark.parametrize("kind", ["sqlite:{}/t", "duckdb:{}/t", "parquet:{}"])
def test_only_plain_files_and_folders_are_written(folder: Path, kind: str) -> None:
    (folder / "mine").write_text("mine")
    (folder / "link").symlink_to(folder / "nothing")
    (folder / "led").symlink_to(folder / "mine")
    os.mkfifo(folder / "fifo")
    (folder / "mine.db").write_text("no database " * 1000)
    for name in ("link", "led", "fifo", "mine.db", "/dev/null", "nowhere/there"):
        code = 3 if name == "mine.db" and "parquet" not in kind else 2
        assert refused("view", "create", "v", "--to", kind.format(name), code=code, cwd=folder)
    assert not (folder / "nothing").exists()
    assert (folder / "mine").read_text() == "mine"
    assert good("view", "list", "-f", "jsonl", cwd=folder).out == b""
    assert {path.name for path in folder.iterdir()} >= {"mine", "link", "fifo"}
    assert not [path.name for path in folder.iterdir() if path.name.endswith((".wal", "-journal"))]


def test_a_table_of_others_is_not_taken(folder: Path) -> None:
    ask(folder / "v.db", "create table T (x)")
    message, _ = refused("view", "create", "v", "--to", "sqlite:v.db/t", code=2, cwd=folder)
    assert "no view" in message or "not a view" in message
    good("view", "create", "v", "--to", "sqlite:v.db/own", cwd=folder)
    assert refused("view", "create", "two", "--to", "sqlite:v.db/esctl_progress", code=2, cwd=folder)


def test_what_cannot_be_filled_is_not_kept(folder: Path) -> None:
    assert refused("view", "create", "v", "-p", "q", "--to", "sqlite:v.db/t", code=2, cwd=folder)
    assert refused("view", "create", "../v", "--to", "sqlite:v.db/t", code=2, cwd=folder)
    assert refused("view", "create", "v", "--to", "v.db", code=2, cwd=folder)
    assert refused("view", "refresh", "v", code=4, cwd=folder)
    assert not (folder / "v.db").exists()


def test_a_view_follows_the_log(folder: Path) -> None:
    good("view", "create", "v", "-p", "p", "--to", "sqlite:v.db/t", cwd=folder)
    process = subprocess.Popen(
        [*ESCTL, "view", "refresh", "--follow"], cwd=folder, env=surroundings(), stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert "position 1 already" in process.stderr.readline()
        append(folder, 2)
        for _ in range(600):
            if ask(folder / "v.db", "select position from esctl_progress") == [(2,)]:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert "went from position 1 to 2" in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


DEFINED = {"projection": "", "to": "sqlite:a.db/t", "base": "/"}


@pytest.mark.parametrize(
    "views",
    [
        {"t": {**DEFINED, "to": 1}},
        {"t": {**DEFINED, "to": None}},
        {"t": {**DEFINED, "projection": ["x"]}},
        {"t": {**DEFINED, "base": {}}},
        {"t": {**DEFINED, "base": "/\0"}},
        {"t": {**DEFINED, "base": "/\ud800"}},
        {"t": {**DEFINED, "to": "kafka://h/t", "key": 1}},
        {"t": {**DEFINED, "to": "kafka://h/t", "properties": []}},
        {"t": {**DEFINED, "to": "kafka://h/t", "property": []}},
        {"t": {**DEFINED, "to": "kafka://h/t", "property": {"a": 1}}},
        {"t": ["projection", "to", "base"]},
        {"t": None},
        {"not a name": DEFINED},
        [DEFINED],
        5,
    ],
)
@pytest.mark.parametrize("command", [["list"], ["refresh"], ["drop", "t"]])
def test_a_definition_of_wrong_types_is_damage(folder: Path, views: Any, command: list[str]) -> None:
    (folder / ".esctl" / "views.json").write_bytes(to_line(sealed({"views": views})))
    message, hint = refused("view", *command, code=3, cwd=folder)
    assert "views.json is not as it was written" in message
    assert hint == "remove it, and create the views anew"
