"""A table that is worked on, its change log by each program, and what the log replays to: the table, row by row."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import effort
from tests.support.cli_harness import esctl, good
from tests.support.connector_logs import CONNECTORS, document
from tests.support.row_logs import DIALECTS, Model, Work, work
from tests.support.stream_logs import STREAMS

WRITERS = {**DIALECTS, **CONNECTORS, **STREAMS}
PRESETS = dict.fromkeys(CONNECTORS.keys() - {"debezium_flat"}, "debezium") | {"mongodb_streams": "mongodb"}
"""The preset of each writer that is not its name."""
SHOWN = {"mongodb": document, "mongodb_streams": document}
"""How a writer's rows are made, where they are not those of the table."""


def replayed(folder: Path, *options: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in good("replay", *options, cwd=folder).rows:
        state = dict(row["state"])
        copies = state.pop("_copies", 1)
        found[json.dumps(state, sort_keys=True)] += copies
    return found


def expected(rows: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(row, sort_keys=True) for row in rows)


@pytest.mark.parametrize("dialect", sorted(CONNECTORS.keys() - {"mongodb", "cassandra", "debezium_flat"}))
def test_a_key_of_zero_is_one(dialect: str, tmp_path: Path) -> None:
    """It stands in place of a key that PostgreSQL's replica identity leaves out, and elsewhere for itself."""
    model = Model()
    done = [Work("insert", 0, 0, None, "x"), Work("rekey", 0, 1, None, None), Work("insert", 0, 0, None, "x")]
    lines = [line for each in done for line in WRITERS[dialect](model, each)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    good("ingest", "a.jsonl", "--preset", "debezium", cwd=tmp_path)
    assert len(model.rows()) == 2
    assert replayed(tmp_path) == expected(model.rows())


def test_a_row_that_moves_keeps_its_place_within_a_microsecond(tmp_path: Path) -> None:
    """The row comes to a key right after that was deleted, in the same microsecond but not in the same nanosecond."""

    def change(nanos: int, op: str, before: Any, after: Any) -> str:
        source = {"connector": "postgresql", "db": "d", "schema": "s", "table": "t", "lsn": 100 + nanos, "txId": 1}
        return json.dumps(
            {"before": before, "after": after, "op": op, "ts_ns": 10**18, "source": {**source, "ts_ns": 10**18 + nanos}}
        )

    lines = [
        change(0, "c", None, {"id": 2, "v": "x"}),
        change(1, "c", None, {"id": 1, "v": "a"}),
        change(2, "d", {"id": 2, "v": None}, None),
        change(5, "u", {"id": 1, "v": None}, {"id": 2, "v": "__debezium_unavailable_value"}),
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    good("ingest", "a.jsonl", "--preset", "debezium", "--map", "order=time", "--map", "row_keys.d.s.t=id", cwd=tmp_path)
    assert replayed(tmp_path) == expected([{"id": 2, "v": "a"}])


@pytest.mark.parametrize("dialect", WRITERS)
@settings(max_examples=effort.examples(12, 2), suppress_health_check=list(HealthCheck), deadline=None)
@given(done=st.lists(work(), min_size=1, max_size=25))
def test_a_log_replays_to_the_table(dialect: str, tmp_path_factory: Any, done: list[Work]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    model = Model()
    lines: list[str] = []
    states = []
    for each in done:
        lines += WRITERS[dialect](model, each)
        states.append((len(lines), [SHOWN.get(dialect, dict)(row) for row in model.rows()]))
    if not lines:
        return
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    good("ingest", "a.jsonl", "--preset", PRESETS.get(dialect, dialect), cwd=folder)
    for at, rows in {states[len(states) // 2][0]: states[len(states) // 2], states[-1][0]: states[-1]}.values():
        if at:
            assert replayed(folder, "--at", f"@{at}") == expected(rows)


VALUES = st.integers(0, 2)
KEYLESS = st.lists(
    st.tuples(st.sampled_from(["c", "c", "c", "d", "u", "u", "t"]), VALUES, VALUES, st.integers(1, 3)),
    min_size=1,
    max_size=25,
)
Rows = list[tuple[dict[str, Any] | None, dict[str, Any] | None]]
"""Of each row that a statement changes: before and after."""


def keyless(op: str, lsn: int, before: Any, after: Any) -> str:
    """Write a change of a table without a key, whose replica identity is the whole row."""
    source = {"connector": "postgresql", "schema": "public", "table": "k", "lsn": lsn, "ts_ms": 1_700_000_000_000 + lsn}
    value = {"before": before, "after": after, "source": source, "op": op, "ts_ms": 1}
    return json.dumps({"topic": "s.public.k", "key": None, "value": value, "headers": {}})


def _debezium(op: str, lsn: int, rows: Rows) -> list[str]:
    return [keyless(op, lsn + i, *row) for i, row in enumerate(rows or [(None, None)])]


NAMES = {"c": "insert", "u": "update", "d": "delete", "t": "truncate"}


def _was(before: Any, after: Any) -> dict[str, Any]:
    """Return what MySQL's log says was changed."""
    return {name: value for name, value in before.items() if value != after[name]}


def _maxwell(op: str, lsn: int, rows: Rows) -> list[str]:
    """Write records as Maxwell does where it is not told to tell keys."""
    told = {"database": "shop", "table": "k", "type": NAMES[op], "ts": 1_700_000_000, "xid": lsn}
    if op == "t":
        return [json.dumps({**told, "type": "table-drop"})]
    each = (
        {**told, "data": after or before} | ({"old": _was(before, after)} if op == "u" else {})
        for before, after in rows
    )
    return [json.dumps(record) for record in each]


def _canal(op: str, lsn: int, rows: Rows) -> list[str]:
    """Write one message of all the rows."""
    told = {"database": "shop", "table": "k", "type": NAMES[op].upper(), "isDdl": op == "t", "pkNames": None}
    told |= {"mysqlType": {"v": "int", "w": "int"}, "es": 1_700_000_000_000 + lsn, "id": lsn, "data": None, "old": None}
    if op != "t":
        told["data"] = [after or before for before, after in rows]
    if op == "u":
        told["old"] = [_was(before, after) for before, after in rows]
    return [json.dumps(told)]


KEYLESS_WRITERS = {"debezium": _debezium, "maxwell": _maxwell, "canal": _canal}


@pytest.mark.parametrize("dialect", KEYLESS_WRITERS)
@settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
@given(done=KEYLESS)
def test_rows_without_a_key_are_counted(
    dialect: str, tmp_path_factory: Any, done: list[tuple[str, int, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("keyless")
    held: Counter[int] = Counter()
    lines: list[str] = []
    for op, one, other, most in done:
        times = min(most, held[one]) if op in "du" else most
        if op == "t":
            held.clear()
        elif not times:
            continue
        if op in "du":
            held[one] -= times
        if op in "cu":
            held[one if op == "c" else other] += times
        before, after = ({"v": value, "w": value % 2} for value in (one, one if op == "c" else other))
        row = (before if op in "du" else None, after if op in "cu" else None)
        lines += KEYLESS_WRITERS[dialect](op, 10 * len(lines) + 9, [] if op == "t" else [row] * times)
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    if not lines:
        return
    good("ingest", "a.jsonl", "--preset", dialect, cwd=folder)
    assert replayed(folder) == expected([{"v": value, "w": value % 2} for value in held.elements()])


@pytest.mark.parametrize("named", ["id", "nr"])
def test_what_an_update_changed_is_not_taken_for_the_key(named: str, tmp_path: Path) -> None:
    def record(kind: str, number: int, balance: int, **more: Any) -> str:
        told = {"database": "shop", "table": "acc", "type": kind, "ts": 1_700_000_000}
        return json.dumps({**told, "data": {named: number, "owner": "a", "balance": balance}, **more})

    old = {"balance": 5}
    lines = [record("insert", 1, 5), record("insert", 2, 5), *(record("update", n, 7 + n, old=old) for n in (1, 2))]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, record("delete", 2, 9)]) + "\n")
    said = good("ingest", "a.jsonl", cwd=tmp_path).err
    key = "id" if named == "id" else "all columns"
    assert f"row_keys     shop.acc: {key}  (no record tells the key; to say one: --map row_keys.TABLE=COLUMN)" in said
    assert replayed(tmp_path, "--at", "@2") == expected([{named: n, "owner": "a", "balance": 5} for n in (1, 2)])
    good("reindex", "--map", f"row_keys.shop.acc={named}", cwd=tmp_path)
    assert [row["entity"] for row in good("replay", cwd=tmp_path).rows] == ["shop.acc/1"]
    assert [row["position"] for row in good("audit", "shop.acc/1", cwd=tmp_path).rows] == [1, 3]


def test_rows_without_a_key_are_the_same_in_any_order_of_columns(tmp_path: Path) -> None:
    told = {"database": "shop", "table": "k", "type": "INSERT", "isDdl": False, "pkNames": None, "old": None, "ts": 1}
    rows = [{"v": "1", "w": "2"}, {"w": "2", "v": "1"}, {"w": "4", "v": "3"}]
    lines = [json.dumps({**told, "es": 1_700_000_000_000, "mysqlType": {}, "data": rows})]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    good("ingest", "a.jsonl", "--preset", "canal", cwd=tmp_path)
    assert replayed(tmp_path) == expected([{"v": "1", "w": "2"}] * 2 + [{"v": "3", "w": "4"}])


def _bare(op: str, lsn: int, before: Any, after: Any) -> str:
    """Write a change as Debezium does without keys, of a table that is not named by `id`."""
    source = {"connector": "postgresql", "name": "srv", "db": "shop", "schema": "public", "table": "acc", "lsn": lsn}
    return json.dumps({"before": before, "after": after, "source": source, "op": op, "ts_ms": 1_700_000_000_000 + lsn})


@pytest.mark.parametrize(
    "configured", [None, 'preset = "debezium"\n', 'preset = "debezium"\nrow_keys = { acc = "nr" }\n']
)
def test_a_key_that_nothing_tells_is_asked_for(configured: str | None, tmp_path: Path) -> None:
    rows = [{"nr": n, "owner": "a", "balance": b} for n, b in ((1, 5), (2, 5), (1, 7))]
    lines = [_bare(op, 9 + at, None, row) for at, (op, row) in enumerate(zip("ccu", rows, strict=True))]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    if configured:
        (tmp_path / "esctl.toml").write_text(f"[mapping]\n{configured}\n")
    done = esctl("ingest", "a.jsonl", cwd=tmp_path)
    if configured is None or "row_keys" not in configured:
        told = "nothing says which row of srv.shop.public.acc an update is of: the columns of its key are open"
        assert (done.code, told in done.err) == (2, True)
        assert "hint: say which: esctl reindex --map row_keys.srv.shop.public.acc=nr\n" in done.err
        done = esctl("reindex", "--map", "row_keys.public.acc=nr", cwd=tmp_path)
    assert done.code == 0, done.err
    assert replayed(tmp_path) == expected(rows[1:])


def test_a_row_of_which_copies_are_left_stays(tmp_path: Path) -> None:
    row = {"v": 1}
    done = [("c", None, row), ("c", None, row), ("c", None, row), ("d", row, None)]
    lines = [keyless(op, 9 + at, before, after) for at, (op, before, after) in enumerate(done)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    good("ingest", "a.jsonl", "--preset", "debezium", cwd=tmp_path)
    assert replayed(tmp_path) == expected([row, row])


def test_nothing_is_said_where_nothing_is_wrong(tmp_path: Path) -> None:
    model, lines = Model(), []
    for each in (Work("insert", 1, 1, 1, "x"), Work("delete", 1, 1, None, None), Work("insert", 2, 2, 1, "y")):
        lines += DIALECTS["debezium"](model, each)
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    done = esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert (done.code, "note:" in done.err, "warning:" in done.err) == (0, False, False), done.err
    found = good("doctor", cwd=tmp_path)
    assert [row["check"] for row in found.rows if row["count"]] == []
    replay = esctl("replay", cwd=tmp_path)
    assert "note:" not in replay.err
    shown = good("log", "--ignored", cwd=tmp_path).rows
    assert [(row["type"], row["time"]) for row in shown] == [("tombstone", None)]


def test_a_projection_without_rules_folds_rows_as_rows(tmp_path: Path) -> None:
    model, lines = Model(), []
    for each in (Work("insert", 1, 1, 1, "x"), Work("delete", 1, 1, None, None), Work("insert", 2, 2, 1, "y")):
        lines += DIALECTS["debezium"](model, each)
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "esctl.toml").write_text('[projections.own]\nentities = "*"\n')
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert replayed(tmp_path) == replayed(tmp_path, "-p", "own") == expected(model.rows())
    assert good("sql", "select count(*) as n from own()", cwd=tmp_path).row == {"n": len(model.rows())}


def test_rows_that_triggers_keep_end_and_are_truncated(tmp_path: Path) -> None:
    told = {"schema_name": "public", "table_name": "t", "session_user_name": "app", "row_data": None}
    changes: list[dict[str, Any]] = [
        {"action": "I", "row_data": {"id": "1", "n": "1"}},
        {"action": "I", "row_data": {"id": "2", "n": "1"}},
        {"action": "U", "row_data": {"id": "2", "n": "1"}, "changed_fields": {"n": "2"}},
        {"action": "D", "row_data": {"id": "1", "n": "1"}},
        {"action": "T"},
        {"action": "I", "row_data": {"id": "3", "n": "1"}},
    ]
    with (tmp_path / "a.jsonl").open("w") as file:
        for number, change in enumerate(changes, 1):
            time = f"2024-03-01 10:00:0{number}+00"
            file.write(json.dumps({**told, "event_id": number, "action_tstamp_tx": time, **change}) + "\n")
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert replayed(tmp_path, "--at", "@3") == expected([{"id": "1", "n": "1"}, {"id": "2", "n": "2"}])
    assert replayed(tmp_path, "--at", "@4") == expected([{"id": "2", "n": "2"}])
    assert replayed(tmp_path, "--at", "@5") == Counter()
    assert replayed(tmp_path) == expected([{"id": "3", "n": "1"}])


def _told(folder: Path, *records: dict[str, Any]) -> Counter[str]:
    """Read records as a followed PostgreSQL database gives them, of one table, and replay them."""
    around = {"relation": 7, "schema": "public", "table": "t", "time": "2024-01-01T00:00:00Z"}
    lines = [json.dumps({**around, "lsn": f"0/{i + 16:X}", **each}) for i, each in enumerate(records)]
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    good("ingest", "a.jsonl", "--preset", "pgoutput", cwd=folder)
    return replayed(folder)


def test_a_change_to_the_very_row_that_it_was_leaves_its_copies(tmp_path: Path) -> None:
    row: dict[str, Any] = {"a": 1, "b": None}
    insert = {"action": "I", "key": [], "row": row}
    update = {"action": "U", "key": [], "row": row, "old": row}
    assert _told(tmp_path, insert, insert, update) == expected([row, row])


def test_values_that_named_a_row_once_may_name_another(tmp_path: Path) -> None:
    how = {"key": ["id"], "identity": ["code"]}
    assert _told(
        tmp_path,
        {"action": "I", **how, "row": {"id": 1, "code": "x"}},
        {"action": "U", **how, "row": {"id": 1, "code": "y"}, "old": {"code": "x"}},
        {"action": "I", **how, "row": {"id": 2, "code": "x"}},
        {"action": "D", **how, "old": {"code": "z"}},
        {"action": "U", **how, "row": {"id": 3, "code": "x"}},
    ) == expected([{"id": 1, "code": "y"}, {"id": 3, "code": "x"}])


def test_new_keys_inherit_what_was_not_changed(tmp_path: Path) -> None:
    """Many tables of few keys, each of which is taken, left, ended and begun again."""
    drawn, lines = random.Random(5), list[str]()
    tables: list[dict[int, dict[str, Any]]] = [{} for _ in range(60)]
    for lsn in range(1, 2_401):
        number = drawn.randrange(60)
        held = tables[number]
        key, new, unchanged = drawn.choice([*held, 0]), drawn.randrange(1, 6), drawn.randrange(3) > 0
        row: dict[str, Any] = {"id": new, "n": lsn, "note": f"note {lsn}"}
        op = drawn.choice("dumm") if key else "c"
        if op in "cm" and new in held:
            op = "t" if drawn.randrange(20) == 0 else "u"
            key = new
        row["id"] = key if op == "u" else new
        lines.append(keyed(number, op, lsn, row, key, unchanged=unchanged and op in "um"))
        before = held.pop(key, row)
        if op == "t":
            held.clear()
        elif op != "d":
            held[row["id"]] = row | ({"note": before["note"]} if unchanged else {})
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    good("ingest", "a.jsonl", "--preset", "debezium", cwd=tmp_path)
    assert replayed(tmp_path) == expected([row for held in tables for row in held.values()])


def test_a_new_key_inherits_over_many_changes_what_none_of_them_told(tmp_path: Path) -> None:
    """Of each table a row is changed some times, gets another key, and its old key is begun and left once more."""
    lines, left = list[str](), list[dict[str, Any]]()

    def told(table: int, op: str, key: int, new: int, *, note: str = "") -> dict[str, Any]:
        row = {"id": new, "n": len(lines), "note": note}
        lines.append(keyed(table, op, len(lines) + 1, row, key, unchanged=not note))
        return row

    for table in range(12):
        first = told(table, "c", 1, 1, note=f"first of {table}")
        for _ in range(table):
            told(table, "u", 1, 1)
        left.append(told(table, "m", 1, 2) | {"note": first["note"]})
        second = told(table, "c", 1, 1, note=f"second of {table}")
        left.append(told(table, "m", 1, 3) | {"note": second["note"]})
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    good("ingest", "a.jsonl", "--preset", "debezium", cwd=tmp_path)
    assert replayed(tmp_path) == expected(left)


def keyed(table: int, op: str, lsn: int, row: dict[str, Any], key: int, *, unchanged: bool) -> str:
    """Write a change of a row with a key as Debezium does; `m`: it gets another one than `key`."""
    source = {
        "connector": "postgresql",
        "schema": "public",
        "table": f"t{table}",
        "lsn": lsn,
        "ts_ms": 1_700_000_000_000,
    }
    after = None if op in "dt" else row | ({"note": "__debezium_unavailable_value"} if unchanged else {})
    value = {"before": None, "after": after, "source": source, "op": "c" if op == "m" else op, "ts_ms": 1}
    headers = {"__debezium.oldkey": {"id": key}} if op == "m" else {}
    named = None if op == "t" else {"id": key if op == "d" else row["id"]}
    return json.dumps({"topic": f"s.public.t{table}", "key": named, "value": value, "headers": headers})
