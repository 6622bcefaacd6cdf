"""esctl sql as it is called: formats, exit codes, values of every type, bounds, limits."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from esctl import Store
from esctl.errors import UsageError
from tests.support.cli_harness import esctl, good, ingest_samples, on_terminal, plain_event, refused, write_lines


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ingest_samples(tmp_path_factory.mktemp("sql"))


def test_a_projection_at_a_time_is_what_replay_gives(store: Path) -> None:
    done = good("sql", "select entity, balance from account('2024-02-01') order by entity", cwd=store)
    states = good("replay", "-p", "account", "--at", "2024-02-01", cwd=store).rows
    assert done.rows == [{"entity": row["entity"], "balance": row["state"]["balance"]} for row in states]
    assert done.err.startswith("at 2024-02-01T23:59:59.999999Z, position 7164\n")


def test_fields_have_their_types_in_a_nested_object_too(store: Path) -> None:
    types = "typeof(id) as id, typeof(total) as total, typeof(status) as status"
    row = good("sql", f'select {types} from "order"() limit 1', cwd=store).row
    assert row["id"].startswith("DECIMAL")
    assert row["total"].startswith("DECIMAL")
    assert row["status"] == "VARCHAR"


def test_a_condition_can_reckon_with_merged_fields(tmp_path: Path) -> None:
    write_lines(tmp_path / "events.jsonl", [plain_event(i, f"x-{i}", n=100 * i + 0.5) for i in (1, 2)])
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    assert [row["entity"] for row in good("replay", "--where", "n > 150", cwd=tmp_path).rows] == ["x-2"]


def test_relations_are_those_of_the_commands(store: Path) -> None:
    for name in ("entities", "types"):
        assert good("sql", f"from {name}", cwd=store).rows == good(name, cwd=store).rows
    (row,) = good("sql", "select count(distinct position) as n from events", cwd=store).rows
    assert row == {"n": 7164}
    states = good("sql", "from states('@3000') order by kind, entity", cwd=store).rows
    assert states == good("replay", "--at", "@3000", cwd=store).rows


def test_values_of_every_type_can_be_printed(store: Path) -> None:
    query = """select 1::utinyint as a, 18446744073709551615::ubigint as b,
        1000000000000000000000000000000::hugeint as c,
        5::bignum as d, 1.50::decimal(9,2) as e, 0.1::double as f, 'nan'::double as g, true as h, 'x' as i,
        '\\xab'::blob as j, '101'::bit as k, date '2024-01-02' as l, time '10:00' as m,
        timestamp '2024-01-02 03:04:05.6' as n, timestamptz '2024-01-02 03:04:05+02' as o,
        interval '1 day 2 hours' as p, 'b'::enum('a', 'b') as q,
        [1.50::decimal(9,2), null] as r, {'x': [{'y': 'q"'}], 'z': 12345678901234567890.25::decimal(30,2)} as s,
        map {'k': 1} as t, [1, 2]::int[2] as u, null as v, '{"n": 12345678901234567890.5}'::json as w,
        '6b9c3a3e-6d0b-4b1e-8e1e-2f1f6f6f6f6f'::uuid as x, timestamp '2024-01-02' as y, 'inf'::timestamp as z"""
    done = good("sql", query, cwd=store)
    assert '"z":12345678901234567890.25' in done.text
    assert '"w":{"n": 12345678901234567890.5}' in done.text or '"w":{"n":12345678901234567890.5}' in done.text
    row = done.row
    del row["s"], row["w"]
    assert row == {
        "a": 1, "b": 18446744073709551615, "c": 10**30, "d": 5, "e": 1.5, "f": 0.1, "g": None, "h": True, "i": "x",
        "j": "ab", "k": "101", "l": "2024-01-02", "m": "10:00:00", "n": "2024-01-02T03:04:05.600000Z",
        "o": "2024-01-02T01:04:05Z", "p": "1 day 02:00:00", "q": "b", "r": [1.5, None], "t": {"k": 1}, "u": [1, 2],
        "v": None, "x": "6b9c3a3e-6d0b-4b1e-8e1e-2f1f6f6f6f6f", "y": "2024-01-02T00:00:00Z", "z": "infinity",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "tsv", "markdown", "parquet", "arrow", "table"])
def test_every_format_holds_the_rows(store: Path, kind: str) -> None:
    query = "select entity, balance as b, disputed from account() order by entity limit 2"
    done = good("sql", query, "-f", kind, cwd=store)
    assert b"account-001" in done.out
    assert b"account-002" in done.out


def test_amounts_stay_decimals_in_parquet(store: Path) -> None:
    good("sql", "select sum(data.amount) as total from events", "-o", "total.parquet", cwd=store)
    assert str(pq.read_table(store / "total.parquet").schema.field("total").type) == "decimal128(38, 2)"


def test_the_order_of_rows_is_said_to_be_open_where_it_is(store: Path) -> None:
    note = "note: without ORDER BY the order of the rows is not settled"
    assert note in good("sql", "from entities", cwd=store).err
    for query in ("from entities order by all", "select count(*) from entities"):
        assert note not in good("sql", query, cwd=store).err
    assert good("sql", "from entities", "-q", cwd=store).err == ""


def test_a_query_can_come_from_stdin(store: Path) -> None:
    assert good("sql", "-", cwd=store, stdin=b"select 1 as n -- one\n").row == {"n": 1}


def test_times_keep_their_nanoseconds_and_infinity(store: Path) -> None:
    values = {
        "timestamp 'infinity'": "infinity",
        "timestamp '-infinity'": "-infinity",
        "timestamptz 'infinity'": "infinity",
        "date 'infinity'": "infinity",
        "timestamp_ns 'infinity'": "infinity",
        "timestamp_ns '2024-01-01 00:00:07.123456789'": "2024-01-01T00:00:07.123456789Z",
        "timestamp_ns '1950-01-01 00:00:07.000000001'": "1950-01-01T00:00:07.000000001Z",
        "timestamp_ns '1950-01-01 00:00:07.123456'": "1950-01-01T00:00:07.123456Z",
        "timestamp_ns '2024-01-01 00:00:07'": "2024-01-01T00:00:07Z",
        "timestamp '2024-01-01 00:00:07.5'": "2024-01-01T00:00:07.500000Z",
        "null::timestamp": None,
        "null::timestamp_ns": None,
    }
    columns = ", ".join(f"{sql} as c{i}, [{sql}] as l{i}" for i, sql in enumerate(values))
    row = good("sql", f"select {columns}", cwd=store).row
    assert [row[f"c{i}"] for i in range(len(values))] == list(values.values())
    assert [row[f"l{i}"] for i in range(len(values))] == [[value] for value in values.values()]
    line = good("sql", "select timestamp 'infinity' as a, timestamp_ns '2024-01-01 00:00:00.000000001' as b",
                "-f", "csv", "-q", cwd=store).text  # fmt: skip
    assert line.splitlines()[1] == "infinity,2024-01-01T00:00:00.000000001Z"


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e10", "-inf", "0"])
def test_no_query_is_given_a_time_that_no_timer_has(store: Path, seconds: str) -> None:
    message, _ = refused("sql", "select 1", f"--timeout={seconds}", code=2, cwd=store)
    assert "--timeout" in message
    with Store.open(store / ".esctl") as opened, pytest.raises(UsageError, match="is no time to wait"):
        opened.sql("select 1", timeout=float(seconds))


@pytest.mark.parametrize("size", ["8000000TiB", "9000000TiB", "999999999999TiB"])
def test_memory_that_no_machine_has_is_refused(store: Path, size: str) -> None:
    for command in (["sql", "select 1"], ["replay"]):
        message, _ = refused(*command, "--memory-limit", size, code=2, cwd=store)
        assert message == f"--memory-limit '{size}' is more than any machine has"
    assert good("sql", "select 1 as n", "--memory-limit", "900TiB", cwd=store).row == {"n": 1}


def test_limits(store: Path) -> None:
    assert len(good("sql", "from entities order by all", "--limit", "3", cwd=store).rows) == 3
    endless = "select count(*) from range(1000000000000) a, range(9) b where a.range % 7 = b.range"
    message, hint = refused("sql", endless, "--timeout", "1", code=3, cwd=store)
    assert "did not finish in 1 seconds" in message
    assert "--timeout" in hint
    message, hint = refused(
        "sql", "select list(x) from range(10000000000) t(x)", "--memory-limit", "100MB", code=3, cwd=store
    )
    assert "memory" in message
    assert "--memory-limit" in hint


@pytest.mark.parametrize(
    ("query", "told", "hinted"),
    [
        ("select nosuch from events", 'Referenced column "nosuch"', "Candidate bindings"),
        ("select data.amuont from events", 'key "amuont"', '"amount"'),
        ("from acount()", "'acount'()", "account()"),
        ("from eventz", "'eventz'", "events"),
        ("selec 1", "syntax error", "SELECT"),
        ("from account('someday')", "someday", "2h ago"),
        ("from account_history('now')", "takes nothing", "account("),
        ("from account(1)", "one point in time", "2024-02-01"),
        ("select 'x'::int", "Could not convert", ""),
    ],
)
def test_a_wrong_query_is_told_in_two_lines(store: Path, query: str, told: str, hinted: str) -> None:
    message, hint = refused("sql", query, code=2, cwd=store)
    assert told in message
    assert hinted in hint


@pytest.mark.parametrize(
    ("point", "as_text"),
    [
        ("DATE '2024-2-1'", "'2024-02-01'"),
        ("cast('2024-02-01' as date)", "'2024-02-01'"),
        ("TIMESTAMP '2024-02-01T00:00:00'", "'2024-02-01 00:00:00'"),
        ("'2024-02-01'::TIMESTAMP", "'2024-02-01 00:00:00'"),
        ("TIMESTAMP '2024-02-01 10:00:00.50'", "'2024-02-01 10:00:00.5'"),
        ("TIMESTAMPTZ '2024-02-01 02:00:00+02'", "'2024-02-01T00:00:00Z'"),
        ("'2024-02-01'::varchar", "'2024-02-01'"),
    ],
)
def test_a_point_can_have_a_type(store: Path, point: str, as_text: str) -> None:
    query = "select count(*) as n, max(position) as last from account({})"
    done = good("sql", query.format(point), cwd=store)
    assert done.rows == good("sql", query.format(as_text), cwd=store).rows
    assert done.row["n"] > 0


@pytest.mark.parametrize("point", ["'2024-02-01'::date::timestamp", "'12:00'::time", "date '2024-02-31'", "1::date"])
def test_a_point_of_another_type_is_refused(store: Path, point: str) -> None:
    assert "takes one point in time" in refused("sql", f"from account({point})", code=2, cwd=store)[0]


def test_a_basis_is_said_and_held(store: Path) -> None:
    done = good("sql", "select count(*) as n from events", "--basis", cwd=store)
    basis = next(line for line in done.err.splitlines() if line.startswith("{"))
    assert json.loads(basis)["position"] == 7164
    (store / "basis.json").write_text(basis, encoding="utf-8")
    held = good("sql", "select count(*) as n from events", "--basis-from", "basis.json", cwd=store)
    assert held.rows == done.rows


def test_a_store_by_a_relative_path_and_one_that_is_read_only(store: Path, tmp_path: Path) -> None:
    done = good("sql", "select count(*) as n from merge()", "--store", f"{store.name}/.esctl", cwd=store.parent)
    assert done.row["n"] > 300


def test_streamed_and_sql_projections(tmp_path: Path) -> None:
    write_lines(tmp_path / "events.jsonl", [plain_event(i, n=i, deep={"k": [1.5, i]}) for i in range(4)])
    (tmp_path / "rules.py").write_text("def fold(state, event):\n    return {**state, 'n': event['data']['n']}\n")
    (tmp_path / "esctl.toml").write_text(
        '[projections.py]\npython = "rules:fold"\n'
        '[projections.sums]\nsql = "select entity, sum(data.n) as total, max(data.deep) deep from events group by 1"\n'
        '[projections.patch.on."*"]\nmerge_patch = "data"\n'
    )
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    assert good("sql", "select n from py('@3')", cwd=tmp_path).row == {"n": 2}
    assert good("sql", "select n, deep from patch()", cwd=tmp_path).row == {"n": 3, "deep": {"k": [1.5, 3]}}
    assert len(good("sql", "from py_history()", cwd=tmp_path).rows) == 4
    row = good("sql", "select total, typeof(total) as type, deep from sums()", cwd=tmp_path).row
    assert row == {"total": 6, "type": "HUGEINT", "deep": {"k": [1.5, 3]}}
    assert "states, not their history" in refused("sql", "from sums_history()", code=2, cwd=tmp_path)[0]


def test_a_projection_that_is_called_a_history_has_points_in_time(tmp_path: Path) -> None:
    write_lines(tmp_path / "events.jsonl", [plain_event(i, n=i) for i in range(4)])
    rules = "".join(
        f'[projections.{name}.on."*"]\nset = {{ {name} = "data.n" }}\n' for name in ("x_history", "y_history")
    )
    (tmp_path / "esctl.toml").write_text(f'{rules}[projections.y.on."*"]\nmerge = "data"\n')
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    assert good("sql", "select x_history as n from x_history('@3')", cwd=tmp_path).row == {"n": 2}
    assert good("sql", "select x_history as n from x_history()", cwd=tmp_path).row == {"n": 3}
    assert len(good("sql", "from x_history_history()", cwd=tmp_path).rows) == 4
    assert good("sql", "select y_history as n from y_history('@3')", cwd=tmp_path).row == {"n": 2}
    assert good("replay", "-p", "x_history", "--at", "@3", cwd=tmp_path).row["state"] == {"x_history": 2}
    assert "takes nothing" in refused("sql", "from x_history_history('@3')", code=2, cwd=tmp_path)[0]
    assert "x_history()" in refused("sql", "from no_such()", code=2, cwd=tmp_path)[1]


def test_a_name_that_may_be_two_projections_is_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "events.jsonl", [plain_event(i, n=i) for i in range(4)])
    names = ("Acct", "acct", "states", "other")
    (tmp_path / "esctl.toml").write_text(
        "".join(f'[projections.{name}.on."*"]\nset = {{ {name} = "data.n" }}\n' for name in names)
    )
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    for call in ("acct()", "ACCT('@3')", "Acct_history()"):
        message, hint = refused("sql", f"from {call}", code=2, cwd=tmp_path)
        assert "may be the projection Acct or acct" in message
        assert "rename" in hint
    message, hint = refused("sql", "from states()", code=2, cwd=tmp_path)
    assert "a projection is called 'states'" in message
    assert "replay -p states" in hint
    assert good("sql", "select other from other('@3')", cwd=tmp_path).row == {"other": 2}
    assert good("sql", "select states from states_history() where position = 3", cwd=tmp_path).row == {"states": 2}
    assert good("sql", "select n from merge()", cwd=tmp_path).row == {"n": 3}


def test_fields_that_differ_only_in_case_are_not_taken_for_each_other(tmp_path: Path) -> None:
    write_lines(tmp_path / "events.jsonl", [plain_event(1, amount=1, Amount=2, other=3)])
    (tmp_path / "esctl.toml").write_text(
        '[projections.p]\nsql = "select entity, sum(data.amount) as n from events group by 1"\n'
        '[projections.q]\nsql = "select entity, sum(data.other) as n from events group by 1"\n'
    )
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    for written in ("data.amount", 'data."Amount"', "events.data.AMOUNT", "data['amount']"):
        message, hint = refused("sql", f"select {written} from events", code=2, cwd=tmp_path)
        assert "does not tell Amount and amount apart" in message
        assert "payload->>" in hint
    told = refused("replay", "-p", "p", code=2, cwd=tmp_path)
    assert "projections.p.sql asks for data.amount" in told[0]
    assert 'set = { x = "data.amount" }' in told[1]
    assert good("replay", "-p", "q", cwd=tmp_path).row["state"] == {"n": 3}
    each = "select payload->>'amount' as a, payload->>'Amount' as b, data.other as c from events"
    done = good("sql", each, cwd=tmp_path)
    assert done.row == {"a": "1", "b": "2", "c": 3}
    assert "data is without" not in done.err
    assert "data is without" not in good("sql", "select count(*) as n from events", cwd=tmp_path).err
    whole = good("sql", "select data from events", cwd=tmp_path)
    assert whole.row == {"data": {"other": 3}}
    assert "note: data is without Amount, amount, which differ only in case" in whole.err


def test_an_error_about_an_event_is_told_as_elsewhere(tmp_path: Path) -> None:
    write_lines(tmp_path / "events.jsonl", [plain_event(1, n="abc")])
    (tmp_path / "esctl.toml").write_text('[projections.p.on."*"]\nadd = { n = "data.n" }\n')
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    message, _ = refused("sql", "from p()", code=2, cwd=tmp_path)
    assert "event @1" in message


def test_an_empty_store_has_empty_relations(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("")
    esctl("ingest", "events.jsonl", cwd=tmp_path)
    assert good("sql", "select count(*) as n from events, entities, types", cwd=tmp_path).row == {"n": 0}


def test_a_terminal_shows_a_table(store: Path) -> None:
    shown, code = on_terminal("sql", "select 1 as one", cwd=store)
    assert code == 0
    assert "one" in shown
    assert "1 row" in shown
