"""replay: the state of each entity at a point in time."""

from __future__ import annotations

import json
from dataclasses import dataclass

from esctl.engine.quoting import identifier, literal
from esctl.model import Answer, AsOf, Column
from esctl.projection.expressions import Expression, Path
from esctl.projection.fold import NeedsStreamError, Plan
from esctl.projection.sql import field_column, states_sql
from esctl.projection.values import Shape, Value, from_json, to_boolean
from esctl.projection.spec import Projection
from esctl.queries.scope import Claim, Scope, check_entities, check_order, claims, event_rows, plan_for
from esctl.errors import UsageError

COLUMNS = (
    Column("entity", "text"),
    Column("kind", "text"),
    Column("state", "json"),
    Column("version", "integer"),
    Column("position", "integer"),
    Column("time", "time"),
)


@dataclass(frozen=True, slots=True)
class States:
    """The states one projection gives: SQL with kind, entity, version, position, time, deleted and a column per field."""

    sql: str
    fields: tuple[tuple[str, str, Shape | None], ...]  # (field, column, shape of its numbers if it is always a number)


def replay(scope: Scope, at: AsOf | None = None, where: str = "", *, deleted: bool = False) -> Answer:
    """Answer with one state per entity at `at`, optionally only those for which a predicate on the state holds."""
    check_entities(scope)
    check_order(scope)
    parts = [states(scope, claim, at) for claim in claims(scope)]
    known = frozenset(name for part in parts for name, _, _ in part.fields)
    selected = [_selected(part, where, known, deleted=deleted) for part in parts]
    rows = " UNION ALL ".join(f"SELECT entity, kind, {_state(part)} AS state, version, position, time FROM ({sql})" for part, sql in zip(parts, selected, strict=True))
    flat_sql, flat_columns = _flat(parts, selected)
    order = "ORDER BY kind, entity"
    return Answer(scope.session, f"SELECT * FROM ({rows}) {order}", COLUMNS, f"{flat_sql} {order}", flat_columns, title="states")


def states(scope: Scope, claim: Claim, at: AsOf | None) -> States:
    """Fold one projection's entities up to a bound."""
    try:
        if claim.projection.sql:
            from esctl.projection.relation import relation_states

            return States(*relation_states(scope, claim, at))
        if claim.projection.python:
            raise NeedsStreamError
        plan = plan_for(scope, claim.projection)
        rows = event_rows(scope, plan.reads, [claim.condition], at)
        return States(states_sql(plan, rows), _fields(plan))
    except NeedsStreamError:
        from esctl.queries.stream import stream_states

        return States(*stream_states(scope, claim, at))


def _fields(plan: Plan) -> tuple[tuple[str, str, Shape | None], ...]:
    return tuple((field.name, field_column(i), field.shape) for i, field in enumerate(plan.fields))


def _selected(part: States, where: str, known: frozenset[str], *, deleted: bool) -> str:
    tests = [] if deleted else ["NOT deleted"]
    if where:
        tests.append(predicate(where, part, known))
    return f"SELECT * FROM ({part.sql})" + (f" WHERE {' AND '.join(tests)}" if tests else "")


def predicate(where: str, part: States, known: frozenset[str]) -> str:
    """Compile a predicate on the state: names are its fields, and entity, kind, version, position, time.

    A field that only other projections have (`known`) is missing here; one that none has raises UsageError.
    """
    by_name = {name: (column, shape) for name, column, shape in part.fields}

    def resolve(path: Path) -> Value:
        names = tuple(path[1:]) if path[0] == "state" and len(path) > 1 and "state" not in by_name else tuple(path)
        head = str(names[0])
        if head in by_name:
            column, shape = by_name[head]
            inner = column if len(names) == 1 else _member(column, names[1:])
            return from_json(inner, ".".join(str(name) for name in path), shape)
        if len(names) == 1 and head in ("entity", "kind"):
            return Value(head, "text")
        if len(names) == 1 and head in ("version", "position"):
            return Value(f"CAST({head} AS DECIMAL(19,0))", "number", Shape(19, 0))
        if len(names) == 1 and head == "time":
            return Value("time", "time")
        if "*" in by_name:
            return from_json(_member("state", names), head)
        if head in known or "*" in known:
            return from_json("CAST(NULL AS VARCHAR)", head)
        raise UsageError(f"the state has no field {head!r}", f"fields are: {', '.join(sorted(known)) or 'none'}")

    return to_boolean(Expression(where, "--where").compile(resolve)).sql


def _member(column: str, names: Path) -> str:
    from esctl.index.mapping import json_pointer

    return f"CAST(json_extract({column}, {literal(json_pointer(names))}) AS VARCHAR)"


def _state(part: States) -> str:
    if len(part.fields) == 1 and part.fields[0][0] == "*":
        return "CASE WHEN NOT deleted THEN state END"
    members = [
        f"CASE WHEN {column} IS NOT NULL THEN {literal(json.dumps(name, ensure_ascii=False) + ':')} || {column} END"
        for name, column, _ in part.fields
    ]
    body = f"concat_ws(',', {', '.join(members)})" if members else "''"
    return f"CASE WHEN NOT deleted THEN '{{' || {body} || '}}' END"


def _flat(parts: list[States], selected: list[str]) -> tuple[str, tuple[Column, ...]]:
    kinds: dict[str, Column] = {}
    for part in parts:
        for name, _, _ in part.fields:
            kinds.setdefault(name, Column(f"state.{name}", "text"))
    selects = []
    for part, sql in zip(parts, selected, strict=True):
        own = {name: column for name, column, _ in part.fields}
        items = [f"{_flat_value(own.get(name), part)} AS {identifier(column.name)}" for name, column in kinds.items()]
        selects.append(f"SELECT entity, kind, {', '.join([*items, ''])}version, position, time FROM ({sql})")
    columns = (*COLUMNS[:2], *kinds.values(), *COLUMNS[3:])
    return f"SELECT * FROM ({' UNION ALL '.join(selects)})", columns


def _flat_value(column: str | None, part: States) -> str:
    if column is None:
        return "CAST(NULL AS VARCHAR)"
    from esctl.index.scan import read_json

    return read_json(column, (), "text", marked=True)


