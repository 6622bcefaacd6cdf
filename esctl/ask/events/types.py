"""types: which event types there are, when, and with which fields of which types."""

from __future__ import annotations

from esctl.ask.scope.bounds import COUNT_ENTITIES, known_conditions
from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained
from esctl.engine.exact_text import is_number_mark_sql, json_string, members_sql, unmark_text_sql
from esctl.engine.quoting import identifier, literal
from esctl.index.files.payload_columns import PayloadColumn, listed_nulls
from esctl.index.pruning import Test
from esctl.index.scan import FIRST_DELIVERY, OWN_RANGE, IndexView
from esctl.model import Answer, Column

COLUMNS = (
    Column("type", "text"),
    Column("count", "integer"),
    Column("first", "time"),
    Column("last", "time"),
    Column("entities", "integer"),
    Column("fields", "json"),
)


def types(scope: Scope) -> Answer:
    """Return each event type; `fields` is an object of field name to JSON type, several joined by `|`."""
    rows = scope.view.relation(
        ["type", "kind", "entity", "position", "time", "undated"], None, _valid_conditions(scope)
    )
    listed = ", ".join(
        f"({literal(name)}, {literal(_object(fields))})"
        for name, fields in sorted(field_types(scope).items(), key=lambda item: item[0] or "")
    )
    fields = (
        f"(SELECT * FROM (VALUES {listed}) t(type, fields))"
        if listed
        else "(SELECT NULL::VARCHAR AS type, NULL::VARCHAR AS fields WHERE false)"
    )
    sql = f"""SELECT e.type AS type, count, first, last, entities, coalesce(f.fields, '{{}}') AS fields FROM (
            SELECT type, count(DISTINCT position) AS count, {OWN_RANGE},
                   {COUNT_ENTITIES} AS entities
            FROM ({rows}) GROUP BY type
        ) e LEFT JOIN {fields} f ON f.type IS NOT DISTINCT FROM e.type ORDER BY e.type NULLS LAST"""
    return Answer(scope.session, sql, COLUMNS, title="event types")


def _valid_conditions(scope: Scope) -> list[Test]:
    return [FIRST_DELIVERY, *known_conditions(scope.connection, scope.view, scope.known_at)]


def field_types(scope: Scope) -> dict[str | None, dict[str, set[str]]]:
    """Return the payload fields of each event type with their JSON types."""
    found: dict[str | None, dict[str, set[str]]] = {}
    for view, columns in scope.view.by_columns():
        _add_typed(found, scope, view, columns)
        if view.may_be_loose(()):
            with explained():
                listed = scope.connection.execute(_untyped_sql(view, _valid_conditions(scope))).fetchall()
            for kind, name, json_type in listed:
                _add(found, kind, name, json_type)
    return found


def _add_typed(
    found: dict[str | None, dict[str, set[str]]], scope: Scope, view: IndexView, columns: tuple[PayloadColumn, ...]
) -> None:
    """Add the fields in typed columns, counted by one scan however many there are."""
    rows = view.relation(
        ["type"], None, [*_valid_conditions(scope), "data IS NULL"], ", ".join(["nulls", *_names(columns)])
    )
    asked = [(column.field, json_type, test) for column in columns for json_type, test in _tests(column)]
    tests = "".join(f", {test}" for _, _, test in asked)
    with explained():
        counted = scope.connection.execute(f"SELECT type{tests} FROM ({rows}) GROUP BY type").fetchall()
        nulls = scope.connection.execute(
            f"SELECT DISTINCT type, nulls FROM ({rows}) WHERE nulls IS NOT NULL"
        ).fetchall()
    for kind, *answers in counted:
        for (name, json_type, _), is_there in zip(asked, answers, strict=True):
            if is_there:
                _add(found, kind, name, json_type)
    for kind, listed in nulls:
        for name in listed_nulls(listed):
            _add(found, kind, name, "NULL")


def _names(columns: tuple[PayloadColumn, ...]) -> list[str]:
    return [identifier(column.name) for column in columns]


def _tests(column: PayloadColumn) -> list[tuple[str, str]]:
    """Return each JSON type that a column's values may have, with SQL for whether any value has it."""
    name = identifier(column.name)
    if column.kind != "container":
        return [(column.json_kind, f"count({name}) > 0")]
    is_array = f"starts_with({name}, '[')"
    return [("ARRAY", f"bool_or({is_array})"), ("OBJECT", f"bool_or(NOT {is_array})")]


def _untyped_sql(view: IndexView, valid: list[Test]) -> str:
    """Select (type, field, JSON type) of payloads kept as text, parsing each once for all its fields."""
    rows = view.relation(["type"], None, [*valid, "data IS NOT NULL"], "data")
    members = f"SELECT type, unnest({members_sql('data')}) AS m FROM ({rows}) WHERE json_type(data) = 'OBJECT'"
    text = "json_extract_string(m.value, '$')"
    kind = "coalesce(json_type(m.value), 'NULL')"
    kinds = f"CASE WHEN {kind} = 'VARCHAR' AND {is_number_mark_sql(text)} THEN 'DOUBLE' ELSE {kind} END"
    return f"SELECT DISTINCT type, {unmark_text_sql('m.key')}, {kinds} FROM ({members})"


_NAMES = {"UBIGINT": "number", "BIGINT": "number", "DOUBLE": "number", "HUGEINT": "number", "VARCHAR": "string"}


def _add(found: dict[str | None, dict[str, set[str]]], kind: str | None, name: str, json_type: str) -> None:
    found.setdefault(kind, {}).setdefault(name, set()).add(_NAMES.get(json_type, json_type.lower()))


def _object(fields: dict[str, set[str]]) -> str:
    members = (f"{json_string(name)}:{json_string('|'.join(sorted(kinds)))}" for name, kinds in sorted(fields.items()))
    return "{" + ",".join(members) + "}"
