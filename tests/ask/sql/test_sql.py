"""Free SQL gives what the other questions give: states at any time, their history, events, each value exact."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import strategies as st

from esctl.ask.sql.sql import compile_query
from esctl.ask.states import replay
from esctl.engine.duckdb import explained
from esctl.engine.sandbox import Request, open_locked
from esctl.errors import UsageError
from esctl.projection import fold
from tests.ask.states.test_engine_reference import hold
from tests.reference import MISSING, Reference, same
from tests.reference.values import rfc3339, to_text
from tests.support import effort
from tests.support.drawn_values import EXACT_NUMBERS, HOUR, INSTANTS, JANUARY, Log
from tests.support.engine_harness import Engine, engine, micros
from tests.support.strategies import logs

FIXED = ("entity", "kind", "version", "position", "time")
EVENT = ("position", "type", "role", "actor", "id", "correlation", "recorded_at")


def ask(made: Engine, query: str, known_at: int | None = None) -> list[dict[str, Any]]:
    """Run a query as the child process does, in this one."""
    compiled = compile_query(made.scope(known_at), query)
    with explained():
        connection = open_locked(Request(compiled.setup, "", compiled.paths, 1 << 30, 60, None))
        found = connection.sql(compiled.select.wrapped)
        names, types = found.columns, [str(kind) for kind in found.types]
        rows = found.fetchall()
    assert len(set(names)) == len(names)
    return [
        {name: json.loads(v, parse_float=Decimal) if t == "JSON" and v is not None else v
         for name, v, t in zip(names, row, types, strict=True)}
        for row in rows
    ]  # fmt: skip


def written(bounds: Mapping[str, Any]) -> str | None:
    """Write a drawn bound as the argument of a projection; None for one that has no such form."""
    match next(iter(bounds.items()), ("", None)):
        case ("", _) | ("known_at", _):
            return ""
        case ("at", at):
            return f"'{rfc3339(at)}'"
        case ("position", number):
            return f"'@{number}'"
        case ("version", number):
            return f"'version:{number}'"
        case ("sequence", value):
            return f"'seq:{value}'"
    return None


def agrees(value: Any, column: Any) -> bool:
    """Say whether a column holds a field's value: as itself, else as its text."""
    if value is MISSING or value is None or column is None:
        return column is None and value in (MISSING, None)
    if isinstance(column, str) and not isinstance(value, str):
        if isinstance(value, (dict, list)):
            return same(json.loads(column, parse_float=Decimal), value)
        return column == to_text(value)
    return same(column, value)


def fields_of(row: Mapping[str, Any], state: Mapping[str, Any], fixed: tuple[str, ...]) -> list[str]:
    """List what is wrong in a row's fields; columns whose names are taken are named after the state."""
    taken = {name.lower() for name in fixed}
    if row.keys() == {*fixed, "state"}:
        return [] if same(row["state"], state) else [f"{row['state']} is not {state}"]
    own = {name: row[name] for name in row if name.lower() not in taken}
    columns = {name: own.get(name, row.get(f"state.{name}")) for name in state}
    return [f"{name}: {columns[name]!r} is not {v!r}" for name, v in state.items() if not agrees(v, columns[name])]


def states_differ(made: Engine, bounds: Mapping[str, Any], seen: Counter[str]) -> list[str]:
    argument = written(bounds)
    if argument is None:
        return []
    try:
        wanted = {key: state for key, state in made.replay(bounds).items() if state.state is not None}
    except UsageError:
        seen["error"] += 1
        with pytest.raises(UsageError):
            ask(made, f"from {'p' if made.projection else 'merge'}({argument})", bounds.get("known_at"))
        return []
    name = "p" if made.projection else "merge"
    rows = {(row["kind"], row["entity"]): row for row in ask(made, f"from {name}({argument})", bounds.get("known_at"))}
    if rows.keys() != wanted.keys():
        return [f"{rows.keys()} are not {wanted.keys()}"]
    found = []
    undated = {row["position"] for row in ask(made, "select position from events where undated is not null")}
    for key, row in rows.items():
        state = wanted[key]
        seen.update(type(value).__name__ for value in row.values())
        time = None if row["time"] is None else micros(row["time"])
        own = None if state.position in undated else state.time
        if (row["version"], row["position"], time) != (state.version, state.position, own):
            found.append(f"{key}: {row} is not {state}")
        found += fields_of(row, state.state, FIXED)
    return found


@pytest.mark.parametrize("number", effort.numbers(2))
def test_a_projection_gives_the_states_that_replay_gives(number: int) -> None:
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        with engine(log) as made:
            for bounds in log.bounds[-2:]:
                assert not states_differ(made, bounds, seen)

    hold(check, 17, 900 + number)
    assert {"Decimal", "str"} <= seen.keys()


@pytest.mark.parametrize("most", [500, -1])
def test_streamed_states_are_one_column_where_they_have_too_many(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(fold, "MOST_FIELDS", -1)
    monkeypatch.setattr(replay, "MOST_FIELDS", most)
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        with engine(log) as made:
            assert not states_differ(made, log.bounds[-1], seen)

    hold(check, 8, 910)
    assert bool(seen["dict"]) is (most < 0)


def by_time() -> st.SearchStrategy[Log]:
    return logs().filter(lambda log: log.mapping["order"] == "time")


def test_the_row_of_a_history_that_is_valid_at_a_time_is_the_state_then() -> None:
    asked: Counter[str] = Counter()

    def check(log: Log) -> None:
        with engine(log) as made:
            name = "p" if made.projection else "merge"
            try:
                made.replay({})
                history = ask(made, f"from {name}_history()")
            except UsageError:
                return
            for instant in INSTANTS:
                wanted = {key: state for key, state in made.replay({"at": instant}).items() if state.state is not None}
                moment = datetime.fromisoformat(rfc3339(instant)).replace(tzinfo=None)
                valid = [
                    row for row in history
                    if row["valid_from"] <= moment and (row["valid_to"] is None or moment < row["valid_to"])
                ]  # fmt: skip
                rows = {(row["kind"], row["entity"]): row for row in valid if not row["deleted"]}
                assert len({(row["kind"], row["entity"]) for row in valid}) == len(valid)
                assert rows.keys() == wanted.keys()
                for key, row in rows.items():
                    asked["rows"] += 1
                    assert (row["version"], row["position"]) == (wanted[key].version, wanted[key].position)
                    assert not fields_of(row, wanted[key].state, (*FIXED, *EVENT, "valid_from", "valid_to", "deleted"))

    hold(check, 15, 920, by_time())
    assert asked["rows"] > effort.share(30), asked


def test_a_sum_over_events_loses_no_digit() -> None:
    numbers = [n for n in EXACT_NUMBERS if not isinstance(n, Decimal) or n.as_tuple().exponent > -9]

    def check(amounts: list[Any]) -> None:
        records = tuple(
            {"id": f"e{i}", "type": "A", "stream": "x-1", "time": "2024-01-01T00:00:00Z", "data": {"amount": n}}
            for i, n in enumerate(amounts)
        )
        mapping = {"id": "id", "type": "type", "entity": "stream", "time": "time", "data": "data"}
        times = tuple(JANUARY + HOUR for _ in records)
        log = Log(records, mapping, None, ({},), (len(records),), times)
        with engine(log) as made:
            (row,) = ask(made, "select sum(data.amount) as total, count(data.amount) as n from events")
        total = Decimal(0)
        for amount in amounts:
            total = Context(prec=99).add(total, Decimal(amount))
        assert row == {"total": total, "n": len(amounts)}

    for size in (1, 3, len(numbers)):
        for start in range(0, len(numbers), size):
            check(numbers[start : start + size])


def test_every_record_is_among_the_events() -> None:
    def check(log: Log) -> None:
        reference = Reference(log.projection, log.mapping)
        reference.events(log.records, log.recorded_at)
        homed = [row for row in reference.rows if row.invalid is None and row.entity is not None]
        wanted = Counter((row.position, row.role or "", row.entity) for row in homed)
        with engine(log) as made:
            rows = ask(made, "select * from events")
        placed = [row for row in rows if row["invalid"] is None and row["entity"] is not None]
        given = Counter((row["position"], row["role"] or "", row["entity"]) for row in placed)
        assert given == wanted
        assert {row["position"] for row in rows} == {row.position for row in reference.rows}
        by_position = {row.position: row for row in reference.rows}
        for row in rows:
            event = by_position[row["position"]]
            assert (row["invalid"] is None) == (event.invalid is None)
            if event.invalid is None:
                assert row["payload"] is None if event.data in (MISSING, None) else same(row["payload"], event.data)
            if event.invalid is None and isinstance(event.data, dict) and row["data"] is not None:
                spelled = Counter(name.lower() for name in event.data)
                for name, value in event.data.items():
                    if spelled[name.lower()] == 1 and name in row["data"]:
                        column = row["data"][name]
                        if isinstance(value, (dict, list)) and isinstance(column, str):
                            column = json.loads(column, parse_float=Decimal)
                        assert agrees(value, column), (name, value, column)

    hold(check, 20, 930)


def small(**data: Any) -> Log:
    record = {"id": "e1", "type": "A", "stream": "x-1", "time": "2024-01-01T00:00:00Z", "data": data}
    mapping = {"id": "id", "type": "type", "entity": "stream", "time": "time", "data": "data"}
    return Log((record,), mapping, None, ({},), (1,), (JANUARY,))


def test_only_fields_that_a_query_names_are_worked_out() -> None:
    with engine(small(amount=1, note="x")) as made:

        def columns(query: str) -> str:
            return compile_query(made.scope(), query).setup[0]

        assert "'note'" not in columns("select sum(data.amount) from events e")
        for query in (
            "select * from events", "select data from events", "select e from events e", "from events",
            "select data.nosuch from events", "select e.data['amount'] from events e", "describe events",
        ):  # fmt: skip
            assert "'note'" in columns(query), query


def test_names_that_are_taken_are_the_states_own() -> None:
    with engine(small(version=7, Version=8, entity="e", state={"a": 1})) as made:
        (row,) = ask(made, "from merge()")
    assert row["version"] == 1
    assert row["entity"] == "x-1"
    assert row["state.entity"] == "e"
    assert row["state"] == {"a": 1}
    assert {row["state.Version"], row["state.version_2"]} == {7, 8}


def test_points_of_one_query_are_told_apart() -> None:
    records = tuple(
        {"id": f"e{i}", "type": "A", "stream": "x-1", "time": f"2024-01-0{i}T00:00:00Z", "data": {"n": i}}
        for i in (1, 2, 3)
    )
    log = replace(small(), records=records, batches=(3,), recorded_at=(JANUARY,) * 3)
    with engine(log) as made:
        rows = ask(
            made,
            "select a.n, b.n as n2, c.n as n3, d.n as n4 from merge('2024-01-01') a, merge('2024-01-02') b, "
            "merge(date '2024-01-03') c, merge() d",
        )
    assert rows == [{"n": 1, "n2": 2, "n3": 3, "n4": 3}]


def test_what_was_known_bounds_events_and_states() -> None:
    records = tuple(
        {"id": f"e{i}", "type": "A", "stream": "x-1", "time": "2024-01-01T00:00:00Z", "data": {"n": i}} for i in (1, 2)
    )
    log = replace(small(), records=records, batches=(1, 1), recorded_at=(JANUARY, JANUARY + HOUR))
    with engine(log) as made:
        query = "select (select count(*) from events) as events, n from merge()"
        assert ask(made, query, JANUARY) == [{"events": 1, "n": 1}]
        assert ask(made, query) == [{"events": 2, "n": 2}]
