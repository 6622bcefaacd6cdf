"""replay: the state of each entity at a point in time."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.scope.scope import Claim, Scope, check_entities, check_order, claims, event_rows, hold_checks, plan_for
from esctl.ask.states.field_types import field_text, field_value
from esctl.ask.states.resume import Resumed, ready, resumed, states_of, unfit_notes
from esctl.engine.exact_text import json_string
from esctl.engine.quoting import identifier, literal
from esctl.errors import UsageError
from esctl.index.scan import read_json
from esctl.model import Answer, AsOf, Column
from esctl.projection.cells import FieldPlan
from esctl.projection.conversions import convert
from esctl.projection.expressions import Expression, Path, Resolve
from esctl.projection.fold import NeedsStreamError, Plan
from esctl.projection.sql import field_column, states_sql, total_shape
from esctl.projection.values import NULL, Shape, Value, from_json, number_from_json, to_boolean

COLUMNS = (
    Column("entity", "text"),
    Column("kind", "text"),
    Column("state", "json"),
    Column("version", "integer"),
    Column("position", "integer"),
    Column("time", "time"),
)


class StateField(Struct, frozen=True):
    """A field of states and its column of JSON text.

    `number`: its SQL type, if it is a number whenever it is set; else `static`: STRING, BOOLEAN or CONTAINER, if it is
    always that.
    """

    name: str
    column: str
    shape: Shape | None = None  # that holds its numbers
    number: str = ""
    static: str = ""


class States(Struct, frozen=True):
    """The states of one projection: SQL with kind, entity, version, position, time, deleted and a column per field."""

    sql: str
    fields: tuple[StateField, ...]

    @property
    def streamed(self) -> bool:
        """Say whether the fields are not known beforehand: the one column `state` holds them all."""
        return self.fields == STREAMED


STREAMED = (StateField("*", "state", static="CONTAINER"),)


def replay(scope: Scope, at: AsOf | None = None, where: str = "", *, deleted: bool = False) -> Answer:
    """Answer with one state per entity at `at`, optionally only those for which a predicate on the state holds."""
    check_entities(scope)
    check_order(scope)
    found = [_resumed_states(scope, claim, at, calculating=bool(where)) for claim in claims(scope)]
    parts = [part for part, _ in found]
    known = frozenset(field.name for part in parts for field in part.fields)
    selected = [_selected(part, where, known, deleted=deleted) for part in parts]
    rows = " UNION ALL ".join(
        f"SELECT {state_row(part)} FROM ({sql})" for part, sql in zip(parts, selected, strict=True)
    )
    flat_sql, flat_columns = _flat(parts, selected)
    order = "ORDER BY kind, entity"
    answer = Answer(
        scope.session, f"SELECT * FROM ({rows}) {order}", COLUMNS, f"{flat_sql} {order}", flat_columns,
        notes=unfit_notes(scope), title="states",
    )  # fmt: skip
    part, whole = found[0]
    if len(found) > 1 or whole is None or where or deleted or scope.entities:
        return answer
    return replace(answer, ready=ready(whole, state_row(part)))


def _resumed_states(scope: Scope, claim: Claim, at: AsOf | None, *, calculating: bool) -> tuple[States, Resumed | None]:
    """Fold one projection's entities up to a bound, from a snapshot where there is one that fits."""
    found = resumed(scope, claim, at, calculating=calculating)
    if found is None:
        return states(scope, claim, at, calculating=calculating), None
    return States(states_of(found), state_fields(found.plan, found.events)), found


def state_row(part: States) -> str:
    """Write the columns of the answer over those of a projection's states."""
    return f"entity, kind, {_state(part)} AS state, version, position, time"


def states(scope: Scope, claim: Claim, at: AsOf | None, *, calculating: bool = False) -> States:
    """Fold one projection's entities up to a bound. `calculating`: a predicate will be put to the fields."""
    try:
        if claim.projection.sql:
            from esctl.ask.states.sql_projection import relation_states

            return States(*relation_states(scope, claim, at))
        if claim.projection.python:
            raise NeedsStreamError
        plan = plan_for(scope, claim.projection, calculating=calculating)
        rows = event_rows(scope, plan.reads, [claim.condition], at)
        hold_checks(scope, plan, rows)
        return States(states_sql(plan, rows), state_fields(plan, rows.count))
    except NeedsStreamError:
        from esctl.ask.states.event_by_event import stream_states

        return States(stream_states(scope, claim, at), STREAMED)


def state_fields(plan: Plan, events: int) -> tuple[StateField, ...]:
    """List a plan's fields, each with the type that its numbers surely fit over so many events."""
    return tuple(
        StateField(
            field.name,
            field_column(i),
            _value_shape(field, events),
            (field.declared or total_shape(field, events).sql_type) if field.number else "",
            field.static,
        )
        for i, field in enumerate(plan.fields)
    )


def _value_shape(field: FieldPlan, events: int) -> Shape | None:
    """Give the digits of a field's numbers, which for a total are more than those of what was added."""
    if field.number and field.declared:
        return convert(NULL, field.declared).shape
    return total_shape(field, events) if field.family == "sum" else field.shape


def _selected(part: States, where: str, known: frozenset[str], *, deleted: bool) -> str:
    tests = [] if deleted else ["NOT deleted"]
    if where:
        tests.append(predicate(where, part, known))
    return f"SELECT * FROM ({part.sql})" + (f" WHERE {' AND '.join(tests)}" if tests else "")


def predicate(where: str, part: States, known: frozenset[str], option: str = "--where") -> str:
    """Compile a predicate on the state to SQL. Raises UsageError, naming `option`, for one that is none."""
    return to_boolean(Expression(where, option).compile(state_names(part, known))).sql


def state_names(part: States, known: frozenset[str]) -> Resolve:
    """Give the values of names in an expression on the state: its fields, and entity, kind, version, position, time.

    A field that only other projections have (`known`) is missing here; one that none has raises UsageError.
    """
    by_name = {field.name: field for field in part.fields}

    def resolve(path: Path) -> Value:
        names = tuple(path[1:]) if path[0] == "state" and len(path) > 1 and "state" not in by_name else tuple(path)
        head = str(names[0])
        if head in by_name:
            return _field_value(by_name[head], names[1:], ".".join(str(name) for name in path))
        if len(names) == 1 and head in ("entity", "kind"):
            return Value(head, "text")
        if len(names) == 1 and head in ("version", "position"):
            return Value(f"CAST({head} AS DECIMAL(19,0))", "number", Shape(19, 0))
        if len(names) == 1 and head == "time":
            return Value("time", "time")
        if part.streamed:
            return from_json(read_json("state", names, "json", marked=True), head)
        if head in known or "*" in known:
            return from_json("CAST(NULL AS VARCHAR)", head)
        raise UsageError(f"the state has no field {head!r}", f"fields are: {', '.join(sorted(known)) or 'none'}")

    return resolve


def _field_value(field: StateField, inner: Path, label: str) -> Value:
    if inner:
        return from_json(read_json(field.column, inner, "json", marked=True), label, field.shape)
    if field.number and field.shape is not None and field.shape.fits:
        return number_from_json(field.column, label, field.shape)
    return from_json(field.column, label, field.shape)


def _state(part: States) -> str:
    if part.streamed:
        return "CASE WHEN NOT deleted THEN state END"
    members = [
        f"CASE WHEN {field.column} IS NOT NULL THEN {literal(json_string(field.name) + ':')} || {field.column} END"
        for field in part.fields
    ]
    body = f"concat_ws(',', {', '.join(members)})" if members else "''"
    return f"CASE WHEN NOT deleted THEN '{{' || {body} || '}}' END"


def _flat(parts: list[States], selected: list[str]) -> tuple[str, tuple[Column, ...]]:
    kinds: dict[str, list[StateField]] = {}
    for part in parts:
        for field in part.fields:
            kinds.setdefault(field.name, []).append(field)
    columns = {name: Column(_flat_name(name), _flat_kind(fields)) for name, fields in kinds.items()}
    selects = []
    for part, sql in zip(parts, selected, strict=True):
        own = {field.name: field for field in part.fields}
        items = [
            f"{_flat_value(own.get(name), column)} AS {identifier(column.name)}" for name, column in columns.items()
        ]
        selects.append(f"SELECT entity, kind, {', '.join([*items, ''])}version, position, time FROM ({sql})")
    return f"SELECT * FROM ({' UNION ALL '.join(selects)})", (*COLUMNS[:2], *columns.values(), *COLUMNS[3:])


def _flat_name(field: str) -> str:
    return "state" if field == "*" else f"state.{field}"


def _flat_kind(fields: list[StateField]) -> Literal["json", "number", "text"]:
    if fields[0].name == "*":
        return "json"
    return "number" if all(field.number == fields[0].number != "" for field in fields) else "text"


def _flat_value(field: StateField | None, column: Column) -> str:
    if field is None:
        return "NULL"
    if column.kind == "json":
        return f"CASE WHEN NOT deleted THEN {field.column} END"
    return field_value(field) if column.kind == "number" else field_text(field)
