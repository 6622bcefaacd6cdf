"""States of `sql =` projections: any single SELECT over the relation `events`, already bounded."""

from __future__ import annotations

from msgspec.structs import replace

from esctl.ask.scope.bounds import entity_conditions
from esctl.ask.scope.scope import Claim, Scope, event_rows
from esctl.ask.states.payload_struct import check_names, number_fields, payload_struct
from esctl.ask.states.state_fields import StateField
from esctl.engine.allowlist import checked_select
from esctl.engine.duckdb import explained
from esctl.engine.exact_text import json_string_sql, mark_json_sql, time_text
from esctl.engine.quoting import identifier
from esctl.errors import UsageError
from esctl.index.scan import EVENT_COLUMNS, OWN_TIME
from esctl.model import AsOf
from esctl.projection.query_reads import Reads, measure_shapes
from esctl.projection.values import INTEGER, WIDE, Shape, Value, json_text

OWN = ("entity", "kind", "version", "position", "time")


def relation_states(scope: Scope, claim: Claim, at: AsOf | None) -> tuple[str, tuple[StateField, ...]]:
    """Return the SQL of states and their fields: the query's columns other than the entity's own."""
    where = f"projections.{claim.projection.name}.sql"
    select = checked_select(scope.connection, claim.projection.sql, where, ("events",))
    check_names(select, scope.view.fields, where, 'a projection of rules does: set = {{ x = "data.{}" }}')
    reads = Reads(scope.view, measure_shapes(scope.connection, scope.view, number_fields(scope.view)))
    data = payload_struct(reads, scope.view.fields)
    # What a query says of an entity may depend on others than those asked for.
    read = [*EVENT_COLUMNS, "undated", "invalid"]
    rows = event_rows(replace(scope, entities=()), reads, [claim.condition], at, read)
    listed = ", ".join(OWN_TIME if name == "time" else name for name in EVENT_COLUMNS)
    events = f"SELECT {listed}, {data} AS data, key FROM ({rows.sql})"
    query = f"SELECT * FROM (WITH events AS ({events}) {select.wrapped})"
    with explained():
        described = scope.connection.execute(f"DESCRIBE {query}").fetchall()
    columns = {name: kind for name, kind, *_ in described}
    if "entity" not in columns:
        raise UsageError(f"{where}: the query gives no column entity", "select entity, ... from events group by entity")
    kind, same_kind = ("s.kind", " AND s.kind = l.kind") if "kind" in columns else ("l.kind", "")
    named = [name for name in columns if name not in OWN]
    items = [f"{_json(f's.{identifier(name)}', columns[name])} AS field{i}" for i, name in enumerate(named)]
    last = f"""SELECT kind, entity, count(DISTINCT position) AS version,
        arg_max(position, key) AS position, arg_max(time, key) AS time
        FROM ({rows.sql}) GROUP BY kind, entity"""
    selected = [
        f"{kind} AS kind",
        "s.entity AS entity",
        "l.version",
        "l.position",
        "l.time",
        "false AS deleted",
        *items,
    ]
    sql = f"SELECT {', '.join(selected)} FROM ({query}) s JOIN ({last}) l ON s.entity = l.entity{same_kind}"
    sql = f"SELECT * FROM ({sql}) WHERE {entity_conditions(scope.entities).sql}"
    return sql, tuple(
        StateField(name, f"field{i}", _shape(columns[name]), *_typed(columns[name])) for i, name in enumerate(named)
    )


def _shape(kind: str) -> Shape:
    """Return the most digits that a column's numbers can have."""
    if kind.startswith("DECIMAL"):
        precision, scale = (int(part) for part in kind[len("DECIMAL(") :].rstrip(")").split(","))
        return Shape(precision - scale, scale)
    return INTEGER if kind in ("BIGINT", "INTEGER") else WIDE


def _typed(kind: str) -> tuple[str, str]:
    """Return the SQL type of a column of numbers, and the JSON type of a column of other values; each may be empty."""
    if kind.startswith("DECIMAL") or kind in ("BIGINT", "INTEGER", "HUGEINT", "DOUBLE"):
        return kind, ""
    return "", {"BOOLEAN": "BOOLEAN", "VARCHAR": "STRING", "JSON": "CONTAINER"}.get(kind, "")


def _json(column: str, kind: str) -> str:
    if kind == "VARCHAR":
        return json_string_sql(column)
    if kind == "JSON":
        return mark_json_sql(f"CAST({column} AS VARCHAR)")
    if kind.startswith("TIMESTAMP"):
        return f"'\"' || {time_text(f'CAST({column} AS TIMESTAMP)')} || '\"'"
    if kind in ("DOUBLE", "FLOAT"):
        return json_text(Value(column, "number", Shape(-1, 0)))
    if kind.startswith("DECIMAL"):
        scale = int(kind.partition(",")[2].rstrip(")"))
        return json_text(Value(column, "number", Shape(38 - scale, scale)))
    return f"CAST(to_json({column}) AS VARCHAR)"
