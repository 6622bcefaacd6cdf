"""States and trails of projections that are folded event by event, streamed through a temporary Parquet file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from copy import deepcopy
from datetime import UTC
from typing import Any

from msgspec import Struct

from esctl.ask.scope.plans import complete_projection, measured_paths
from esctl.ask.scope.scope import Claim, Scope, counted, event_rows
from esctl.ask.states.spool import BATCH, spool_rows
from esctl.engine.duckdb import explained, second_cursor
from esctl.errors import UsageError
from esctl.index.scan import EVENT_COLUMNS, Read
from esctl.model import AsOf
from esctl.projection.code import load_function
from esctl.projection.fold import declared_members, guard_sql, operand, set_json, truthy
from esctl.projection.json_values import differences, dumps, loads
from esctl.projection.query_reads import Reads, measure_shapes
from esctl.projection.spec import ADDITIVE, OBJECT_OPERATIONS, Operation, Projection
from esctl.projection.stepping import (
    Applied,
    Changing,
    State,
    Step,
    StepOperation,
    Stepped,
    rule_step,
    steps,
    with_checked_totals,
)
from esctl.projection.values import Value, element_json, json_text, naming_place

_FIXED = (
    "kind",
    "entity",
    "position",
    "time",
    "recorded_at",
    "role",
    "type",
    "actor",
    "id",
    "correlation",
    "causation",
)
_ENTITY, _EVENT, _KEY = slice(2), slice(2, 4), slice(len(_FIXED), len(_FIXED) + 2)
"""Where rows have the kind and name, the position and time, and the fold key."""


class _Source(Struct, frozen=True):
    sql: str  # sorted by kind, entity and fold key
    step: Step


def stream_states(scope: Scope, claim: Claim, at: AsOf | None) -> str:
    """Return the SQL of states: kind, entity, version, position, time, deleted, state."""
    import pyarrow as pa

    schema = pa.schema(
        [("kind", pa.string()), ("entity", pa.string()), ("version", pa.int64()), ("position", pa.int64()),
         ("time", pa.timestamp("us")), ("deleted", pa.bool_()), ("state", pa.string())]
    )  # fmt: skip
    source = _source(scope, claim, at)
    return spool_rows(scope, schema, lambda: _state_rows(_lives(scope, source)))[0]


def _state_rows(lives: Iterator[Stepped]) -> Iterator[tuple[Any, ...]]:
    last: Stepped | None = None
    for stepped in lives:
        if last is not None and last.row[_ENTITY] != stepped.row[_ENTITY]:
            yield _state_row(last)
        last = stepped
    if last is not None:
        yield _state_row(last)


def _state_row(stepped: Stepped) -> tuple[Any, ...]:
    row = stepped.row
    text = None if stepped.state is None else dumps(with_checked_totals(stepped.state))
    return (*row[_ENTITY], stepped.version, *row[_EVENT], stepped.state is None, text)


def stream_trail(
    scope: Scope,
    claim: Claim,
    at: AsOf | None,
    conditions: Sequence[str],
    fields: Sequence[str],
    also: AsOf | None = None,
) -> str:
    """Return the SQL of trails, with the columns of `trail.Trail`."""
    import pyarrow as pa

    text, instant = pa.string(), pa.timestamp("us")
    schema = pa.schema(
        [("kind", text), ("entity", text), ("key_s", text), ("key_n", text), ("version", pa.int64()),
         ("position", pa.int64()), ("time", instant), ("recorded_at", instant), ("role", text), ("type", text),
         ("actor", text), ("id", text), ("correlation", text), ("causation", text), ("changes", text),
         ("fields", pa.list_(text))]
    )  # fmt: skip
    source = _source(scope, Claim(claim.projection, " AND ".join([claim.condition, *conditions])), at, also)
    rows, _ = spool_rows(scope, schema, lambda: _trail_rows(_lives(scope, source), set(fields)))
    rest = "version, position, time, recorded_at, role, type, actor, id, correlation, causation, changes, fields"
    return f"SELECT kind, entity, {_key_sql(scope)} AS key, {rest} FROM ({rows})"


def stream_history(
    scope: Scope, claim: Claim, at: AsOf | None, conditions: Sequence[str], only: Set[str] | None = None
) -> tuple[str, frozenset[str]]:
    """Return the SQL of `history.history`, with one column `state` for all fields, and the names of all fields.

    `only`: the fields that `state` has; by default all, which takes space quadratic in the number of an entity's keys.
    """
    import pyarrow as pa

    text, instant = pa.string(), pa.timestamp("us")
    schema = pa.schema(
        [("kind", text), ("entity", text), ("key_s", text), ("key_n", text), ("version", pa.int64()),
         ("deleted", pa.bool_()), ("position", pa.int64()), ("time", instant), ("recorded_at", instant),
         ("role", text), ("type", text), ("actor", text), ("id", text), ("correlation", text), ("state", text)]
    )  # fmt: skip
    source = _source(scope, Claim(claim.projection, " AND ".join([claim.condition, *conditions])), at)
    names: set[str] = set()
    rows, had = spool_rows(scope, schema, lambda: _history_rows(_lives(scope, source), only, names), names)
    return f"SELECT {_key_sql(scope)} AS key, * EXCLUDE (key_s, key_n) FROM ({rows})", had


def _history_rows(lives: Iterator[Stepped], only: Set[str] | None, names: set[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a history, and add its fields to `names`."""
    for stepped in lives:
        row, state = stepped.row, stepped.state
        names.update(stepped.after)
        if state is not None and only is not None:
            state = {name: state[name] for name in only if name in state}
        text = None if state is None else dumps(with_checked_totals(state))
        yield (*row[_ENTITY], *row[_KEY], stepped.version, state is None, *row[_EVENT], *row[4:10], text)


def stream_touches(scope: Scope, claim: Claim, at: AsOf | None, fields: Sequence[str] = ()) -> str:
    """Return the SQL of all operations on fields: kind, entity, key, field, value, resets, dead, in each incarnation.

    `value` is the field's JSON text after the row of the event, NULL if that removed it; `resets`: it was set (true) or
    removed (false), whatever it was before, else NULL. A row without a field marks where an incarnation begins or, if
    it is `dead`, ends.
    `fields`: only these; empty: all.
    """
    import pyarrow as pa

    text = pa.string()
    schema = pa.schema(
        [("kind", text), ("entity", text), ("key_s", text), ("key_n", text), ("field", text), ("value", text),
         ("resets", pa.bool_()), ("dead", pa.bool_())]
    )  # fmt: skip
    source = _source(scope, claim, at)
    rows, _ = spool_rows(scope, schema, lambda: _touch_rows(_lives(scope, source), set(fields)))
    return f"SELECT {_key_sql(scope)} AS key, * EXCLUDE (key_s, key_n) FROM ({rows})"


def _touch_rows(lives: Iterator[Stepped], fields: set[str]) -> Iterator[tuple[Any, ...]]:
    last: Stepped | None = None
    for stepped in lives:
        if stepped.state is None:
            row = next(row for row, applied in reversed(stepped.parts) if applied.deletes)
            yield (*row[_ENTITY], *row[_KEY], None, None, None, True)
        else:
            if last is None or last.state is None or last.row[_ENTITY] != stepped.row[_ENTITY]:
                yield (*stepped.row[_ENTITY], *stepped.row[_KEY], None, None, None, False)
            for row, applied in stepped.parts:
                for name in applied.touched if not fields else applied.touched & fields:
                    value = dumps(applied.values[name]) if name in applied.values else None
                    yield (*row[_ENTITY], *row[_KEY], name, value, applied.resets.get(name), False)
        last = stepped


def _key_sql(scope: Scope) -> str:
    return "{'s': key_s, 'n': CAST(key_n AS HUGEINT)}" if scope.view.has_struct_keys else "CAST(key_n AS HUGEINT)"


def _trail_rows(lives: Iterator[Stepped], fields: set[str]) -> Iterator[tuple[Any, ...]]:
    for stepped in lives:
        row = stepped.row
        before, after = _pick_fields(stepped.before, fields), with_checked_totals(_pick_fields(stepped.after, fields))
        changes = differences(before, after)
        names = sorted(stepped.touched & fields if fields else stepped.touched)
        yield (*row[_ENTITY], *row[_KEY], stepped.version, *row[_EVENT], *row[4 : len(_FIXED)], dumps(changes), names)


def _pick_fields(state: State, fields: Set[str]) -> State:
    """Return some fields of a state; all if none are named."""
    return {name: state[name] for name in state if name in fields} if fields else state


def _lives(scope: Scope, source: _Source) -> Iterator[Stepped]:
    cursor = second_cursor(scope.connection)
    with explained():
        cursor.execute(source.sql)

    def rows() -> Iterator[tuple[Any, ...]]:
        while True:
            with explained():
                batch = cursor.fetchmany(BATCH)
            if not batch:
                return
            yield from batch

    return steps(rows(), source.step, lambda row: row[_ENTITY], lambda row: row[2])


def _source(scope: Scope, claim: Claim, at: AsOf | None, also: AsOf | None = None) -> _Source:
    made = _python_source if claim.projection.python else _rule_source
    return made(scope, claim, at, also)


def _fixed_columns(scope: Scope) -> list[str]:
    key = ["key.s", "CAST(key.n AS VARCHAR)"] if scope.view.has_struct_keys else ["NULL", "CAST(key AS VARCHAR)"]
    return [*_FIXED, *key]


def _sort_rows(scope: Scope, items: Sequence[str], rows: str) -> str:
    return f"SELECT {', '.join([*_fixed_columns(scope), *items])} FROM ({rows}) ORDER BY kind, entity, key"


def _rule_source(scope: Scope, claim: Claim, at: AsOf | None, also: AsOf | None) -> _Source:
    projection = complete_projection(scope, claim.projection)
    paths, tests = measured_paths(scope.view, projection), counted(scope)
    shapes = scope.lookups.once(lambda: measure_shapes(scope.connection, scope.view, paths, tests))
    reads = Reads(scope.view, shapes, lenient=True)
    items: list[str] = []
    operations: list[StepOperation] = []
    base = len(_fixed_columns(scope))
    declared = dict(projection.types)
    for rule in projection.rules:
        guard = guard_sql(rule, reads)
        for operation in rule.operations:
            with naming_place(operation.value.where if operation.value else rule.where):
                value = _operation_value(operation, reads, declared.get(operation.field, ""))
                members = _declared_members(projection, reads, operation)
            place = base + len(items)
            columns = tuple((name, place + 2 + i) for i, name in enumerate(members))
            label, lenient = _label(operation), operation.lenient
            operations.append(
                StepOperation(
                    operation.name, operation.field, place, place + 1, label, columns, lenient, operation.without
                )
            )
            items.append(guard)
            items += [f"CASE WHEN {guard} THEN {sql} END" for sql in (value, *members.values())]
    rows = event_rows(scope, reads, [claim.condition], at, _FIXED, also)
    return _Source(_sort_rows(scope, items, rows.sql), rule_step(operations, declared, 2))


def _label(operation: Operation) -> str:
    """Name an operation's value as a set-wise fold does in errors."""
    path = operation.value.path if operation.value is not None else None
    return ".".join(str(part) for part in path) if path is not None else "the value"


def _declared_members(projection: Projection, reads: Reads, operation: Operation) -> dict[str, str]:
    """Write the members with a declared type of an object that is merged, as JSON text."""
    if operation.name not in OBJECT_OPERATIONS or operation.value is None:
        return {}
    types = dict(projection.types)
    found = declared_members(projection, reads, operation.value)
    return {name: set_json(value, types[name], bare=value.type == "dynamic") for name, value in found.items()}


def _operation_value(operation: Operation, reads: Reads, kind: str) -> str:
    """Write an operation's value as JSON text; NULL if there is nothing to do."""
    expression, name = operation.value, operation.name
    if expression is None:
        return "CAST(NULL AS VARCHAR)"
    value: Value = expression.compile(reads.resolve)
    if name == "count":
        return f"CASE WHEN {truthy(value)} THEN '1' END"
    if name in ("min", "max", *ADDITIVE):
        return element_json(operand(operation, value, kind), missing="NULL")
    bare = expression.path is not None and value.type == "dynamic"
    if name == "set":
        return set_json(value, kind, bare=bare)
    text = json_text(value)
    return text if bare else f"coalesce({text}, 'null')"


def _python_source(scope: Scope, claim: Claim, at: AsOf | None, also: AsOf | None) -> _Source:
    fold = load_function(claim.projection, scope.config)
    where = f"projections.{claim.projection.name}.python"
    reads = Reads(scope.view, {})
    data = reads.alias(Read((), "json"))
    rows = event_rows(scope, reads, [claim.condition], at, [*_FIXED, *EVENT_COLUMNS, "undated"], also)
    place = len(_fixed_columns(scope))

    def step(changing: Changing, row: tuple[Any, ...]) -> Applied:
        event = dict(zip(_FIXED, row, strict=False))
        for clock in ("time", "recorded_at"):
            event[clock] = event[clock].replace(tzinfo=UTC)
        if row[place + 2] is not None:  # it is folded at a time that is not its own
            event["time"] = None
        event["sequence"] = row[place]
        event["data"] = None if row[place + 1] is None else loads(row[place + 1])
        try:
            # A fold may change what it is given in place; the state before it is still to be compared with.
            after = fold(deepcopy(dict(changing.state)), event)
        except (Exception, SystemExit) as error:
            raise UsageError(
                f"{where} failed at event @{row[2]}: {type(error).__name__}: {error}", "see it whole with --debug"
            ) from error
        if after is not None and not isinstance(after, dict):
            raise UsageError(f"{where} gave a {type(after).__name__}", "give a dict, or None to delete")
        state = after or {}
        if wrong := [name for name in state if not isinstance(name, str)]:
            raise UsageError(f"{where} gave the field {wrong[0]!r} at event @{row[2]}", "names of fields are text")
        changed = changing.become(state)
        values = {name: state[name] for name in changed if name in state}
        return Applied(frozenset(changed), values, {name: name in state for name in changed}, after is None)

    return _Source(_sort_rows(scope, ["sequence", data, "undated"], rows.sql), step)
