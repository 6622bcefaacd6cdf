"""types: which event types there are, when, and with which fields of which types."""

from __future__ import annotations

import json

from esctl.engine.duckdb import explained
from esctl.engine.quoting import identifier, literal
from esctl.index.scan import Read
from esctl.model import Answer, Column
from esctl.queries.scope import Scope

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
    rows = scope.view.relation(["type", "kind", "entity", "position", "time"], None, [VALID])
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
                   count(DISTINCT CASE WHEN entity IS NOT NULL THEN {{'k': kind, 'e': entity}} END) AS entities FROM ({rows}) GROUP BY type
        ) e LEFT JOIN {fields} f ON f.type IS NOT DISTINCT FROM e.type ORDER BY e.type NULLS LAST"""
    return Answer(scope.session, sql, COLUMNS, title="event types")


def field_types(scope: Scope) -> dict[str | None, dict[str, set[str]]]:
    """Give the payload fields of each event type with their JSON types."""
    found: dict[str | None, dict[str, set[str]]] = {}
    view = scope.view
    typed = [name for name in view.fields if view.columns_of((name,))]
    if typed:
        reads = {f"f{i}": Read((name,), "type") for i, name in enumerate(typed)}
        lists = ", ".join(f"list(DISTINCT {identifier(alias)})" for alias in reads)
        rows = view.relation(["type", "data"], reads, [VALID])
        with explained():
            for kind, *values in scope.connection.execute(
                f"SELECT type, {lists} FROM ({rows}) GROUP BY type"
            ).fetchall():
                for name, kinds in zip(typed, values, strict=True):
                    _add(found, kind, name, [k for k in kinds or () if k])
    untyped = [name for name in view.fields if name not in set(typed)]
    if untyped:
        rows = view.relation(["type"], {"j": Read((), "json")}, [VALID, "data IS NOT NULL"])
        names = ", ".join(literal(name) for name in untyped)
        pointer = "'/' || replace(replace(k, '~', '~0'), '/', '~1')"
        sql = f"""SELECT type, k, list(DISTINCT json_type(j, {pointer})) FROM (SELECT type, j, unnest(json_keys(j)) AS k FROM ({rows})
            WHERE json_type(j) = 'OBJECT') WHERE k IN ({names}) GROUP BY ALL"""
        with explained():
            for kind, name, kinds in scope.connection.execute(sql).fetchall():
                _add(found, kind, name, kinds)
    return found


_NAMES = {"UBIGINT": "number", "BIGINT": "number", "DOUBLE": "number", "HUGEINT": "number", "VARCHAR": "string"}


def _add(found: dict[str | None, dict[str, set[str]]], kind: str | None, name: str, kinds: list[str]) -> None:
    if kinds:
        found.setdefault(kind, {}).setdefault(name, set()).update(_NAMES.get(k, k.lower()) for k in kinds)


def _object(fields: dict[str, set[str]]) -> str:
    return json.dumps(
        {name: "|".join(sorted(kinds)) for name, kinds in sorted(fields.items())},
        ensure_ascii=False,
        separators=(",", ":"),
    )
