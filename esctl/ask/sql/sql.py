"""sql: a user's own SELECT over events, entities, types, and each projection at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.events.entities import entities
from esctl.ask.events.log import COLUMNS as LOG_COLUMNS
from esctl.ask.events.raw_fields import with_records
from esctl.ask.events.types import types
from esctl.ask.scope.bounds import known_conditions
from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.own_times import own_time, with_own_times
from esctl.ask.scope.scope import Claim, Scope, claim_of, unheard_notes
from esctl.ask.sql import numbers_as_text
from esctl.ask.sql.numbers_as_text import NumbersAsText
from esctl.ask.sql.state_columns import column_items, state_columns
from esctl.ask.sql.text_order import check_uses
from esctl.ask.states.folding import folding_each
from esctl.ask.states.history import history
from esctl.ask.states.payload_struct import alike, check_names, is_wide, number_fields, payload_struct
from esctl.ask.states.replay import replay, states
from esctl.ask.states.state_fields import StateField
from esctl.engine.allowlist import checked_select, is_source
from esctl.engine.duckdb import single_row
from esctl.engine.exact_text import unmark_json_sql
from esctl.engine.isolated import Limits, Sandbox
from esctl.engine.quoting import identifier, literal
from esctl.engine.statements import Node, Select
from esctl.errors import UsageError
from esctl.index.scan import OWN_TIME, Read
from esctl.model import Answer, AsOf
from esctl.projection.query_reads import RECORD, Reads, measure_shapes
from esctl.projection.row_changes.rules import adapt_projection, default_projection
from esctl.projection.spec import Projection
from esctl.timespec import HINT, parse_as_of

if TYPE_CHECKING:
    import duckdb

WHERE = "the query"
RELATIONS = ("events", "entities", "types")
EVERY_STATE = "states"
MERGE = "merge"
HISTORY = "_history"
UNORDERED = "note: without ORDER BY the order of the rows is not settled"
_MOST_POINTS = 50
_POINT_TYPES = ("VARCHAR", "TEXT", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")


class Call(Struct, frozen=True):
    """A projection called as a table function; `point` is its argument, None for none."""

    name: str
    point: str | None


class Compiled(Struct, frozen=True):
    """A query ready to be run: statements that make its relations, the SELECT, the files that these read.

    `points` are the points in time that its relations are at.
    """

    setup: tuple[str, ...]
    select: Select
    paths: tuple[str, ...]
    points: tuple[AsOf, ...]
    folds: bool  # it asks for states
    as_text: NumbersAsText
    left_out: tuple[str, ...]  # payload fields that `data` does not have, though the query reads all of it


def sql(scope: Scope, text: str, limits: Limits, sandbox: Sandbox) -> tuple[Answer, tuple[AsOf, ...]]:
    """Run a query in a process of its own; return the answer and the points in time that it names.

    Raises UsageError if it is not one SELECT over the relations or DuckDB refuses it; InputError if it exceeds its
    limits.
    """
    compiled = compile_query(scope, text)
    select = compiled.select
    result = sandbox.run(scope.session, compiled.setup, select.wrapped, compiled.paths, limits)
    several = single_row(scope.connection, f"SELECT count(*) > 1 FROM ({result.sql})")
    notes = numbers_as_text.notes(compiled.as_text) + (unheard_notes(scope) if compiled.folds else ())
    if compiled.left_out:
        listed = ", ".join(compiled.left_out[:5]) + (" and more" if len(compiled.left_out) > 5 else "")
        notes += (f"note: data is without {listed}, which differ only in case: payload has them",)
    notes += (UNORDERED,) if several == (True,) and not select.is_ordered else ()
    return Answer(scope.session, result.sql, result.columns, notes=notes, title="rows"), compiled.points


def compile_query(scope: Scope, text: str) -> Compiled:
    """Check a query and write the SQL of what it reads. Raises UsageError as `sql` does."""
    scope = replace(scope, view=replace(scope.view, folder=scope.view.folder.resolve()))
    named = _projections(scope)
    functions = [EVERY_STATE, *(f"{name}{suffix}" for name in named for suffix in ("", HISTORY))]
    select = checked_select(scope.connection, text, WHERE, RELATIONS, functions)
    calls = _calls(scope, select, functions, {f"{name}{HISTORY}" for name in named} - named.keys())
    points = {call: _point(scope, call) for call in calls if call.point is not None}
    stored = scope
    scope, *own = folding_each(stored, None, *points.values())  # what became of a row is not the same at each point
    scopes = dict(zip(points, own, strict=True))
    events, payload = _relations(stored, scope, select)
    if calls:
        check_order(scope)
    functions_made, fields = _functions({call: scopes.get(call, scope) for call in calls}, points)
    setup = [*events, *functions_made]
    as_text = NumbersAsText(numbers_as_text.lower(payload), numbers_as_text.lower(fields))
    check_uses(select, as_text)
    view = scope.view
    paths = [str(view.folder / file.file) for file in view.manifest.files]
    spooled = [str(path) for path in scope.session.folder.glob("*.parquet")]
    asked = tuple(dict.fromkeys(points.values()))
    left_out = _left_out(select, view.fields)
    return Compiled(tuple(setup), select, (*paths, *spooled), asked, bool(calls), as_text, left_out)


def _projections(scope: Scope) -> dict[str, Projection]:
    """Return the projections by the name they are called by, in lower case, as DuckDB ignores case."""
    named = {projection.name.lower(): projection for projection in scope.projections}
    every = {MERGE: default_projection(scope.view), **named}
    return {name: adapt_projection(projection, scope.view) for name, projection in every.items()}


def _calls(scope: Scope, select: Select, functions: Iterable[str], histories: Set[str]) -> list[Call]:
    """List the calls of our functions; `histories` are those that take no point in time.

    A projection's own name takes precedence over the history of another: `x_history` is a projection if one has that
    name.
    """
    known = set(functions)
    found: dict[Call, None] = {}
    for node in select.nodes():
        if is_source(node) and node["type"] == "TABLE_FUNCTION":
            function = node["function"]
            name = str(function["function_name"]).lower()
            if name in known:
                _check_name(scope, name)
                found[_call(scope.connection, name, function["arguments"], name in histories)] = None
    if len(found) > _MOST_POINTS:
        raise UsageError(f"{WHERE} asks for more than {_MOST_POINTS} points in time", "join with a history instead")
    return list(found)


def _check_name(scope: Scope, name: str) -> None:
    """Raise UsageError if a function's name, in lower case, may stand for more than one thing."""
    every = [projection.name for projection in scope.projections]
    alike = [each for each in every if each.lower() == name]
    alike = alike or [each for each in every if f"{each.lower()}{HISTORY}" == name]
    if name == EVERY_STATE and alike:
        hint = f"rename the projection, or ask with esctl replay -p {alike[0]}"
        raise UsageError(f"{name}() is all states, and a projection is called {alike[0]!r}", hint)
    if len(alike) > 1:
        raise UsageError(f"{name}() may be the projection {' or '.join(alike)}, as SQL ignores case", "rename one")


def _call(connection: duckdb.DuckDBPyConnection, name: str, arguments: Sequence[Node], is_history: bool) -> Call:
    if not arguments:
        return Call(name, None)
    text = _text(connection, arguments[0]["expression"])
    if is_history or len(arguments) > 1 or text is None or arguments[0]["name"]:
        takes = "nothing" if is_history else "one point in time, written out"
        called = name.removesuffix(HISTORY) if is_history else name
        called = called if called.isidentifier() else identifier(called)
        raise UsageError(f"{name}() takes {takes}", f"write it like {called}('2024-02-01')")
    return Call(name, text)


def _text(connection: duckdb.DuckDBPyConnection, expression: Node) -> str | None:
    """Return the text of a literal: 'now', or DATE '2024-02-01'; None if it is none that we can read.

    Of a cast it is as DuckDB writes the value, since the macro tells the calls apart by that text.
    """
    if expression["class"] != "CAST":
        value: Any = expression.get("literal") or {}
        return str(value["text"]) if value.get("kind") == "STRING" else None
    kind = str(expression["type_expr"].get("type_name", "")).upper()
    text = _text(connection, expression["child"]) if expression["child"]["class"] == "CONSTANT" else None
    if text is None or kind not in _POINT_TYPES:
        return None
    row = single_row(connection, f"SELECT CAST(TRY_CAST(?::VARCHAR AS {kind}) AS VARCHAR)", [text])
    return row[0] if row else None


def _point(scope: Scope, call: Call) -> AsOf:
    try:
        return parse_as_of(call.point or "", f"{call.name}()", tz=scope.tz)
    except UsageError as error:
        raise UsageError(error.message, f"write {HINT}") from None


def _relations(stored: Scope, scope: Scope, select: Select) -> tuple[list[str], list[str]]:
    """Write the relations that the query names; return also the payload fields whose numbers are text in them.

    `stored`: the scope as the commands `entities` and `types` have it, without what became of rows.
    """
    read = _tables(select)
    made, as_text = dict[str, str](), list[str]()
    if "events" in read:
        made["events"], as_text = _events(scope, select)
    if "entities" in read:
        made["entities"] = entities(stored).sql
    if "types" in read:
        made["types"] = _with_json(types(stored).sql, "fields")
    return [f"CREATE VIEW {name} AS {rows}" for name, rows in made.items()], as_text


def _tables(select: Select) -> set[str]:
    """Return the names of the tables that a query reads, in lower case."""
    tables = (node for node in select.nodes() if is_source(node) and node["type"] == "BASE_TABLE")
    return {str(node["table_name"]).lower() for node in tables}


def _left_out(select: Select, fields: Sequence[str]) -> tuple[str, ...]:
    """List the payload fields that a query would read but for another whose name differs only in case."""
    skipped = alike(fields)
    if not skipped or "events" not in _tables(select):
        return ()
    return tuple(name for name in mentioned_fields(select, fields) if name.lower() in skipped)


def _with_json(rows: str, column: str) -> str:
    return f"SELECT * REPLACE (CAST({unmark_json_sql(column)} AS JSON) AS {column}) FROM ({rows})"


def _events(scope: Scope, select: Select) -> tuple[str, list[str]]:
    """Write all events, whatever became of them: a row per event and entity that it concerns.

    Return also the payload fields whose numbers are text in them.
    """
    view = scope.view
    check_names(select, view.fields, WHERE, "write payload->>'{}'")
    fields = mentioned_fields(select, view.fields)
    measured = [path for path in number_fields(view) if path[0] in fields]
    reads = Reads(view, measure_shapes(scope.connection, view, measured))
    data = payload_struct(reads, fields)
    payload = unmark_json_sql(reads.alias(Read((), "json")))
    names = [column.name for column in LOG_COLUMNS if column.name != "data"] + ["conflict", "undated"]
    known = known_conditions(scope.connection, view, scope.known_at)
    rows = view.relation(names, reads.by_alias(), known)
    raw = _names_raw(select)
    rows = with_records(scope, rows, known) if raw else rows
    record = f", CAST({unmark_json_sql(RECORD)} AS JSON) AS raw" if raw else ""
    listed = ", ".join(OWN_TIME if name == "time" else identifier(name) for name in names)
    as_text = [path[0] for path in measured if is_wide(reads.payload(path))]
    return f"SELECT {listed}, {data} AS data, CAST({payload} AS JSON) AS payload{record} FROM ({rows})", as_text


def _names_raw(select: Select) -> bool:
    """Return whether a query names `raw`, the records as received: they are read from the log, and not part of `*`."""
    return any("raw" in (part.lower() for part in node.get("column_names", ())) for node in select.nodes())


def mentioned_fields(select: Select, fields: Sequence[str]) -> tuple[str, ...]:
    """List the payload fields that a query may read: all of them, unless every mention of `data` names a known one.

    DuckDB computes a STRUCT whole, whichever part of it is asked for.
    """
    known = {name.lower() for name in fields}
    names: set[str] = set()
    whole = {"data", "events"}
    nodes = list(select.nodes())
    for node in nodes:
        if is_source(node):
            whole.add(str(node.get("alias", "")).lower())
            if node["type"] in ("PIVOT", "SHOW_REF") or node.get("column_name_alias"):
                return tuple(fields)
    for node in nodes:
        if node.get("class") in ("STAR", "POSITIONAL_REFERENCE"):
            return tuple(fields)
        parts = [part.lower() for part in node.get("column_names", ())]
        if parts and parts[-1] in whole:
            return tuple(fields)
        if "data" in parts[:-1]:
            names.add(parts[parts.index("data") + 1])
    return tuple(name for name in fields if name.lower() in names) if names <= known else tuple(fields)


def _functions(scopes: Mapping[Call, Scope], points: Mapping[Call, AsOf]) -> tuple[list[str], list[str]]:
    """Write the table functions that the query calls: a view for each call, and macros that choose among them.

    `scopes`: what each call is asked of. Return also the columns of states whose numbers are text in them.
    """
    statements: list[str] = []
    as_text: list[str] = []
    branches: dict[str, list[tuple[Call, str]]] = {}
    for number, (call, scope) in enumerate(scopes.items()):
        view = identifier(f"esctl call {number}")
        rows, fields = _called(scope, call.name, points.get(call))
        as_text += [name for name, field in fields.items() if field.is_number_as_text]
        statements.append(f"CREATE VIEW {view} AS {rows}")
        branches.setdefault(call.name, []).append((call, view))
    for name, made in branches.items():
        statements.append(f"CREATE MACRO {identifier(name)} {', '.join(_overloads(made))}")
    return statements, as_text


def _overloads(made: Sequence[tuple[Call, str]]) -> list[str]:
    bare = [f"() AS TABLE (SELECT * FROM {view})" for call, view in made if call.point is None]
    chosen = [
        f"SELECT * FROM {view} WHERE CAST(esctl_point AS VARCHAR) = {literal(call.point)}"
        for call, view in made
        if call.point is not None
    ]
    return bare + ([f"(esctl_point) AS TABLE ({' UNION ALL '.join(chosen)})"] if chosen else [])


def _called(scope: Scope, name: str, at: AsOf | None) -> tuple[str, dict[str, StateField]]:
    """Write the rows of a table function; return also the fields that are columns of it, by their names there."""
    named = _projections(scope)
    if name == EVERY_STATE:
        return _with_json(with_own_times(scope, replay(scope, at)).sql, "state"), {}
    if name in named:
        return _states(scope, claim_of(named[name]), at)
    return _history(scope, claim_of(named[name.removesuffix(HISTORY)]))


def _states(scope: Scope, claim: Claim, at: AsOf | None) -> tuple[str, dict[str, StateField]]:
    part = states(scope, claim, at, calculating=True)
    fixed = ("version", "position", "time")
    fields = state_columns(part.fields, ("entity", "kind", *fixed))
    own = ("version", "position", f"{own_time(scope, 'time', 'position')} AS time")
    items = ["entity", "kind", *column_items(fields), *own]
    return f"SELECT {', '.join(items)} FROM ({part.sql}) WHERE NOT deleted", fields


def _history(scope: Scope, claim: Claim) -> tuple[str, dict[str, StateField]]:
    part = history(scope, claim, None, calculating=True)
    end = "lead(time) OVER (PARTITION BY kind, entity ORDER BY key) AS valid_to"
    first = ("entity", "kind", "version", "valid_from", "valid_to", "deleted")
    last = ("position", "type", "role", "actor", "id", "correlation", "recorded_at")
    fields = state_columns(part.fields, (*first, *last))
    items = [*first[:3], "time AS valid_from", end, "deleted", *column_items(fields), *last]
    return f"SELECT {', '.join(items)} FROM ({part.sql})", fields
