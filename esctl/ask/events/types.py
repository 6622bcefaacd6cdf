"""types: which event types there are, when, and with which fields of which types."""

from __future__ import annotations

from esctl.ask.scope.bounds import known_conditions
from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained
from esctl.engine.exact_text import is_number_mark_sql, json_string
from esctl.engine.quoting import identifier, literal, text_list
from esctl.index.envelope.mapping import json_pointer
from esctl.index.scan import IndexView, Read
from esctl.model import MARK, Answer, Column

COLUMNS = (
    Column("type", "text"),
    Column("count", "integer"),
    Column("first", "time"),
    Column("last", "time"),
    Column("entities", "integer"),
    Column("fields", "json"),
)
VALID = "duplicate_of IS NULL AND invalid IS NULL"


def types(scope: Scope) -> Answer:
    """Answer with each event type; `fields` is an object of field name to JSON type, several joined by `|`."""
    rows = scope.view.relation(["type", "kind", "entity", "position", "time"], None, _valid(scope))
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
            SELECT type, count(DISTINCT position) AS count, min(time) AS first, max(time) AS last,
                   count(DISTINCT CASE WHEN entity IS NOT NULL THEN {{'k': kind, 'e': entity}} END) AS entities
            FROM ({rows}) GROUP BY type
        ) e LEFT JOIN {fields} f ON f.type IS NOT DISTINCT FROM e.type ORDER BY e.type NULLS LAST"""
    return Answer(scope.session, sql, COLUMNS, title="event types")


def _valid(scope: Scope) -> list[str]:
    return [VALID, *known_conditions(scope.connection, scope.view, scope.known_at)]


def field_types(scope: Scope) -> dict[str | None, dict[str, set[str]]]:
    """Give the payload fields of each event type with their JSON types."""
    found: dict[str | None, dict[str, set[str]]] = {}
    view = scope.view
    if typed := [name for name in view.fields if view.columns_of((name,))]:
        reads = {f"f{i}": Read((name,), "type") for i, name in enumerate(typed)}
        lists = ", ".join(f"list(DISTINCT {identifier(alias)})" for alias in reads)
        rows = view.relation(["type"], reads, [*_valid(scope), "data IS NULL"])
        with explained():
            grouped = scope.connection.execute(f"SELECT type, {lists} FROM ({rows}) GROUP BY type").fetchall()
        for kind, *values in grouped:
            for name, kinds in zip(typed, values, strict=True):
                _add(found, kind, name, [k for k in kinds or () if k])
    if view.may_be_loose(()) and view.fields:
        with explained():
            listed = scope.connection.execute(_untyped_sql(view, _valid(scope))).fetchall()
        for kind, number, json_type in listed:
            _add(found, kind, view.fields[number], [json_type])
    return found


def _untyped_sql(view: IndexView, valid: list[str]) -> str:
    """Select (type, number of the field, JSON type) of payloads kept as text, parsing each once for all fields."""
    pointers = text_list([json_pointer((name,)) for name in view.fields])
    rows = view.relation(["type"], {"j": Read((), "json")}, [*valid, "data IS NOT NULL"])
    texts = f"CASE WHEN contains(j, {literal(MARK)}) THEN json_extract_string(j, {pointers}) ELSE [] END"
    pairs = f"""list_transform(list_zip(json_type(j, {pointers}), {texts}),
        lambda p: {{'t': p[1], 'v': p[2]}})"""
    kind = f"CASE WHEN x.t = 'VARCHAR' AND {is_number_mark_sql('x.v')} THEN 'DOUBLE' ELSE x.t END"
    kinds = f"list_transform({pairs}, lambda x: {kind})"
    unnested = f"SELECT type, unnest(range({len(view.fields)})) AS number, unnest({kinds}) AS kind FROM ({rows})"
    return f"SELECT DISTINCT type, number, kind FROM ({unnested}) WHERE kind IS NOT NULL"


_NAMES = {"UBIGINT": "number", "BIGINT": "number", "DOUBLE": "number", "HUGEINT": "number", "VARCHAR": "string"}


def _add(found: dict[str | None, dict[str, set[str]]], kind: str | None, name: str, kinds: list[str]) -> None:
    if kinds:
        found.setdefault(kind, {}).setdefault(name, set()).update(_NAMES.get(k, k.lower()) for k in kinds)


def _object(fields: dict[str, set[str]]) -> str:
    members = (f"{json_string(name)}:{json_string('|'.join(sorted(kinds)))}" for name, kinds in sorted(fields.items()))
    return "{" + ",".join(members) + "}"
