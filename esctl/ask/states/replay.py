"""replay: the state of each entity at a point in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Literal

from msgspec.structs import replace

from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.named_values import no_field
from esctl.ask.scope.own_times import own_time
from esctl.ask.scope.plans import complete_projection, plan_for
from esctl.ask.scope.scope import Claim, Scope, check_entities, claims, event_rows, run_fieldless_checks, unheard_notes
from esctl.ask.states.entity_in_pieces import cells_of_pieces
from esctl.ask.states.field_types import field_text, field_value
from esctl.ask.states.resume import Resumed, ready_rows, resume, states_of, unfit_notes
from esctl.ask.states.state_fields import WHOLE, StateField, States
from esctl.engine.duckdb import explained, single_row
from esctl.engine.exact_text import json_string, unmark_text_sql
from esctl.engine.quoting import identifier, literal
from esctl.index.scan import read_json
from esctl.model import Answer, AsOf, Column
from esctl.projection.cells import FieldPlan
from esctl.projection.compiler import Resolve
from esctl.projection.composed import total_shape
from esctl.projection.conversions import convert, declared_scale
from esctl.projection.expressions import Expression
from esctl.projection.fold import MOST_FIELDS, NotSetwiseError, Plan
from esctl.projection.partial import composed_sql
from esctl.projection.query_reads import digits_sql
from esctl.projection.spec import Projection
from esctl.projection.sql import field_column, states_sql
from esctl.projection.syntax import Path
from esctl.projection.values import NULL, WIDE, Shape, Value, from_json, number_from_json

ORDER = ("kind", "entity")
STATE = Column("state", "json")
COLUMNS = (
    Column("entity", "text"),
    Column("kind", "text"),
    STATE,
    Column("version", "integer"),
    Column("position", "integer"),
    Column("time", "time"),
)


def replay(scope: Scope, at: AsOf | None = None, where: str = "", *, deleted: bool = False) -> Answer:
    """Return one state per entity at `at`, optionally only those for which a predicate on the state holds."""
    check_entities(scope)
    check_order(scope)
    found = [_resumed_states(scope, claim, at, calculating=bool(where)) for claim in claims(scope)]
    parts = [part for part, _ in found]
    known = known_fields(parts)
    selected = [_select_states(scope, part, where, known, deleted=deleted) for part in parts]
    rows = " UNION ALL ".join(
        f"SELECT {state_row(part)} FROM ({sql})" for part, sql in zip(parts, selected, strict=True)
    )
    flat_sql, flat_columns = _flat_rows(parts, selected)
    order = f"ORDER BY {', '.join(ORDER)}"
    is_whole = _any_whole(parts)
    answer = Answer(
        scope.session, f"SELECT * FROM ({rows}) {order}", COLUMNS, f"{flat_sql} {order}", flat_columns,
        beside=() if is_whole else (STATE,), members=known if is_whole else frozenset(),
        notes=(*unheard_notes(scope), *unfit_notes(scope)), title="states", inner={STATE.name: known},
        order=ORDER,
    )  # fmt: skip
    part, whole = found[0]
    if len(found) > 1 or whole is None or where or deleted or scope.entities:
        return answer
    return replace(answer, ready=ready_rows(whole, state_row(part)))


def _resumed_states(scope: Scope, claim: Claim, at: AsOf | None, *, calculating: bool) -> tuple[States, Resumed | None]:
    """Fold one projection's entities up to a bound, from a snapshot if there is one that fits."""
    found = resume(scope, claim, at, calculating=calculating)
    if found is None:
        return states(scope, claim, at, calculating=calculating), None
    return States(states_of(found), state_fields(found.plan, found.events)), found


def resumed_states(scope: Scope, claim: Claim, position: int) -> States | None:
    """Fold one projection's entities from saved states; None if there are none that can be used.

    Only the entities with an event after `position` are sure to be among them.
    """
    found = resume(scope, claim, None, lines=False)
    if found is None:
        return None
    extent = found.snapshot.extent
    if found.changed and extent.until is None and extent.position <= position:
        found = replace(found, cells=found.changed)  # these have all events after it: the others need not be read
    return States(states_of(found), state_fields(found.plan, found.events))


def state_row(part: States) -> str:
    """Write the columns of the answer over those of a projection's states."""
    return f"entity, kind, {state_sql(part)} AS state, version, position, time"


def states(scope: Scope, claim: Claim, at: AsOf | None, *, calculating: bool = False) -> States:
    """Fold one projection's entities up to a bound. `calculating`: a predicate will use the fields."""
    try:
        if claim.projection.sql:
            from esctl.ask.states.sql_projection import relation_states

            return States(*scope.lookups.whole(scope.session, lambda: relation_states(scope, claim, at)))
        if claim.projection.python:
            raise NotSetwiseError
        plan = plan_for(scope, claim.projection, calculating=calculating)
        rows = event_rows(scope, plan.reads, [claim.condition], at)
        if cells := cells_of_pieces(scope, plan, rows, at):
            return States(composed_sql(plan, cells, rows.most_rows), state_fields(plan, rows.most_rows))
        run_fieldless_checks(scope, plan, rows)
        return States(states_sql(plan, rows), state_fields(plan, rows.most_rows))
    except NotSetwiseError:
        from esctl.ask.states.event_by_event import stream_states

        return streamed_states(scope, claim, stream_states(scope, claim, at), calculating=calculating)


def known_fields(parts: Sequence[States]) -> frozenset[str]:
    """Return the names of the fields that any projection has."""
    return frozenset[str]().union(*(part.known for part in parts))


def streamed_states(
    scope: Scope,
    claim: Claim,
    sql: str,
    *,
    calculating: bool,
    only: Set[str] | None = None,
    names: frozenset[str] | None = None,
) -> States:
    """Return states that were folded event by event, with their fields: by a plan, else by what the states have.

    `only`: words that include all the fields that will be asked for. `names`: the fields that the states have.
    """
    projection = claim.projection
    try:
        if projection.python:
            raise NotSetwiseError
        plan = plan_for(scope, projection, calculating=calculating, stepped=True)
    except NotSetwiseError:
        had = scope.lookups.once(lambda: _list_names(scope, sql)) if names is None else names
        return _states_by_values(scope, projection, sql, only, had)
    fields = state_fields(plan, scope.view.manifest.rows)
    asked = (field for field in fields if only is None or field.name in only)
    own_fields = tuple(replace(field, column=_member(field.name)) for field in asked)
    return States(sql, own_fields, streamed=True, names=frozenset(field.name for field in fields if only is not None))


def _list_names(scope: Scope, sql: str) -> frozenset[str]:
    listed = f"SELECT DISTINCT unnest(json_keys(state)) AS k FROM ({sql})"
    with explained():
        rows = scope.connection.execute(f"SELECT {unmark_text_sql('k')} FROM ({listed})").fetchall()
    return frozenset(name for (name,) in rows)


def _states_by_values(
    scope: Scope, projection: Projection, sql: str, only: Set[str] | None, had: frozenset[str]
) -> States:
    projection = complete_projection(scope, projection)
    operations = [operation for rule in projection.rules for operation in rule.operations]
    names = dict.fromkeys([*sorted(had), *(one.field for one in operations if one.field)])
    whole = [one for one in operations if not one.field and one.value is not None and one.value.path == ("data",)]
    if whole:
        left_out = frozenset.intersection(*(one.without for one in whole))
        names |= dict.fromkeys(name for name in scope.view.fields if name not in left_out)
    listed = [name for name in names if only is None or name in only]
    measured: tuple[StateField, ...] = ()
    if only is not None or len(names) <= MOST_FIELDS:
        measured = scope.lookups.once(lambda: tuple(_measure_fields(scope, sql, listed)))
    in_one = WHOLE if len(names) > MOST_FIELDS else ()
    apart = names if in_one or only is not None else ()
    return States(sql, (*in_one, *measured), streamed=True, names=frozenset(apart))


def _measure_fields(scope: Scope, sql: str, names: Sequence[str]) -> Iterator[StateField]:
    """Find the types and digits of the values that fields have in the states."""
    if not names:
        return
    items = []
    for name in names:
        kind, text = (read_json("state", (name,), form, marked=True) for form in ("type", "text"))
        items.append(f"list(DISTINCT nullif({kind}, 'NULL')), {digits_sql(text)}")
    with explained():
        row = single_row(scope.connection, f"SELECT {', '.join(items)} FROM ({sql})") or ()
    for i, name in enumerate(names):
        kinds, whole, scale = row[3 * i : 3 * i + 3]
        found = {"CONTAINER" if kind in ("OBJECT", "ARRAY") else kind for kind in kinds or () if kind is not None}
        static = next(iter(found)) if len(found) == 1 else ""
        shape = Shape(max(whole or 1, 1), max(scale or 0, 0)).or_wide
        number = shape.sql_type if static == "NUMBER" and not shape.is_wide else ""
        yield StateField(name, _member(name), shape, number, static)


def _member(name: str) -> str:
    return read_json("state", (name,), "json", marked=True)


def state_fields(plan: Plan, events: int) -> tuple[StateField, ...]:
    """List a plan's fields, each with a type that is sure to hold its numbers over `events` events."""
    return tuple(
        StateField(
            field.name,
            field_column(i),
            _value_shape(field, events),
            _number_type(field, events),
            "NUMBER" if field.number else field.static,
            bool(field.number) and declared_scale(field.declared) is not None,
        )
        for i, field in enumerate(plan.fields)
    )


def _value_shape(field: FieldPlan, events: int) -> Shape | None:
    """Return the digits of a field's numbers, of which a total has more than the numbers that were added."""
    if field.number and field.declared:
        return convert(NULL, field.declared).shape
    return _shape_of(field, events) if field.family == "sum" else field.shape


def _number_type(field: FieldPlan, events: int) -> str:
    """Return the SQL type of a field's numbers; empty if it has other values, or no type holds them."""
    if not field.number:
        return ""
    shape = _shape_of(field, events)
    return field.declared or ("" if shape.is_wide else shape.sql_type)


def _shape_of(field: FieldPlan, events: int) -> Shape:
    try:
        return total_shape(field, events)
    except NotSetwiseError:
        return WIDE


def _select_states(scope: Scope, part: States, where: str, known: frozenset[str], *, deleted: bool) -> str:
    tests = [] if deleted else ["NOT deleted"]
    tests += [predicate(scope, where, part, known)] if where else []
    return f"SELECT * FROM ({part.sql})" + (f" WHERE {' AND '.join(tests)}" if tests else "")


def predicate(scope: Scope, where: str, part: States, known: frozenset[str], option: str = "--where") -> str:
    """Compile a predicate on the state to SQL. Raises UsageError, naming `option`, for an invalid one."""
    return Expression(where, option).condition(state_names(scope, part, known)).sql


def state_names(scope: Scope, part: States, known: frozenset[str]) -> Resolve:
    """Return the values of names in an expression on the state: its fields, and entity, kind, version, position, time.

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
            return Value(own_time(scope, "time", "position"), "time")
        if head in part.names:
            return from_json(read_json("state", names, "json", marked=True), head)
        if head in known:
            return from_json("CAST(NULL AS VARCHAR)", head)
        raise no_field(head, known)

    return resolve


def _field_value(field: StateField, inner: Path, label: str) -> Value:
    if inner:
        return from_json(read_json(field.column, inner, "json", marked=True), label)
    if field.number and field.shape is not None and not (field.shape.is_float or field.shape.is_wide):
        return number_from_json(field.column, label, field.shape)
    return from_json(field.column, label, field.shape)


def state_sql(part: States) -> str:
    """Write the whole state of a row as JSON text, NULL if it is deleted."""
    if part.streamed:
        return "CASE WHEN NOT deleted THEN state END"
    members = [
        f"CASE WHEN {field.column} IS NOT NULL THEN {literal(json_string(field.name) + ':')} || {field.column} END"
        for field in part.fields
    ]
    body = f"concat_ws(',', {', '.join(members)})" if members else "''"
    return f"CASE WHEN NOT deleted THEN '{{' || {body} || '}}' END"


def _flat_rows(parts: list[States], selected: list[str]) -> tuple[str, tuple[Column, ...]]:
    """Write the states with a column per field: return the SQL, with the whole state last, and its other columns."""
    names = dict.fromkeys(field.name for part in parts for field in part.fields)
    own = [_flat_fields(part, names) for part in parts]
    columns = {name: _flat_column(name, [fields[name] for fields in own if name in fields]) for name in names}
    selects = []
    for part, fields, sql in zip(parts, own, selected, strict=True):
        items = [
            f"{_flat_value(part, fields.get(name), column)} AS {identifier(column.name)}"
            for name, column in columns.items()
        ]
        beside = "" if _any_whole(parts) else f", {state_sql(part)} AS state"
        selects.append(f"SELECT entity, kind, {', '.join([*items, ''])}version, position, time{beside} FROM ({sql})")
    return f"SELECT * FROM ({' UNION ALL '.join(selects)})", (*COLUMNS[:2], *columns.values(), *COLUMNS[3:])


def _any_whole(parts: Sequence[States]) -> bool:
    """Return whether the flat rows have the whole state as one column, as some part has too many fields."""
    return any(WHOLE[0] in part.fields for part in parts)


def _flat_fields(part: States, names: Iterable[str]) -> dict[str, StateField]:
    """Return a part's fields by name; if they are too many to be listed, also those in `names` that it has."""
    listed = {field.name: field for field in part.fields}
    return {name: StateField(name, _member(name)) for name in names if name in part.names} | listed


def _flat_name(field: str) -> str:
    return "state" if field == "*" else f"state.{field}"


def _flat_column(name: str, fields: list[StateField]) -> Column:
    kind = _flat_kind(fields)
    return Column(_flat_name(name), kind, kind == "number" and all(field.scaled for field in fields))


def _flat_kind(fields: list[StateField]) -> Literal["json", "number", "text", "value"]:
    if fields[0] in WHOLE:
        return "json"
    if all(field.number == fields[0].number != "" for field in fields):
        return "number"
    return "text" if all(field.static == "STRING" for field in fields) else "value"


def _flat_value(part: States, field: StateField | None, column: Column) -> str:
    if column.kind == "json":
        return state_sql(part)
    if field is None:
        return "NULL"
    if column.kind == "value":
        return field.column
    return field_value(field) if column.kind == "number" else field_text(field)
