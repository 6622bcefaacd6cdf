"""States of `sql =` projections: any single SELECT over the relation `events`, already bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from esctl.engine.duckdb import explained
from esctl.engine.exact_text import json_string_sql
from esctl.engine.quoting import identifier, literal
from esctl.errors import UsageError
from esctl.index.scan import EVENT_COLUMNS
from esctl.model import AsOf
from esctl.projection.reads import Reads, measure
from esctl.projection.values import Shape, Value, json_text, time_text
from esctl.queries.scope import Claim, Scope, event_rows

if TYPE_CHECKING:
    from esctl.queries.replay import StateField

OWN = ("entity", "kind", "version", "position", "time")
FORBIDDEN = (
    "read_",
    "query",
    "getenv",
    "glob",
    "sniff_",
    "parquet_",
    "duckdb_",
    "pragma_",
    "current_setting",
    "which_secret",
    "getvariable",
    "sql_auto",
    "json_execute",
    "json_serialize",
    "from_substrait",
)


def relation_states(scope: Scope, claim: Claim, at: AsOf | None) -> tuple[str, tuple[StateField, ...]]:
    """Give the SQL of states and their fields: the query's columns other than the entity's own."""
    from esctl.queries.replay import StateField

    where = f"projections.{claim.projection.name}.sql"
    text = check_select(claim.projection.sql, where)
    fields = scope.view.fields
    reads = Reads(scope.view, measure(scope.connection, scope.view, [(name,) for name in fields]))
    data = _struct(reads, fields)
    rows = event_rows(scope, reads, [claim.condition], at, EVENT_COLUMNS)
    events = f"SELECT {', '.join(EVENT_COLUMNS)}, {data} AS data, key FROM ({rows.sql})"
    query = f"SELECT * FROM (WITH events AS ({events}) SELECT * FROM (\n{text}\n))"
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
    return sql, tuple(StateField(name, f"field{i}", Shape(28, 10)) for i, name in enumerate(named))


def check_select(text: str, where: str) -> str:
    """Let one SELECT over `events` through and nothing else. Raises UsageError naming `where`."""
    import sqlglot
    from sqlglot import exp

    try:
        trees = sqlglot.parse(text, read="duckdb")
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise UsageError(f"{where} is no SQL query", str(error).splitlines()[0][:200]) from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise UsageError(f"{where} is not one SELECT", "select entity, ... from events group by entity")
    tree: Any = trees[0]
    # DuckDB reads a file of a table's name where no table has it, as outside the scope of a CTE.
    ctes = (cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE))
    names = {"events", *(name for name in ctes if name.isidentifier())}
    for node in tree.walk():
        if isinstance(
            node,
            exp.Insert
            | exp.Update
            | exp.Delete
            | exp.Create
            | exp.Drop
            | exp.Command
            | exp.Copy
            | exp.Attach
            | exp.Pragma
            | exp.Set
            | exp.Into,
        ):
            raise UsageError(f"{where} does more than select", "a projection only reads")
        if isinstance(node, exp.Table) and (
            not isinstance(node.this, exp.Identifier) or node.db or node.name.lower() not in names
        ):
            raise UsageError(f"{where} reads {node.sql('duckdb')[:60]!r}", "the only table is events")
        if isinstance(node, exp.Func) and _function_name(node).startswith(FORBIDDEN):
            raise UsageError(
                f"{where} calls {_function_name(node)}", "files and settings are out of reach of a projection"
            )
    return text.strip().rstrip(";")


def _function_name(node: Any) -> str:
    from sqlglot import exp

    return str(node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()


def _struct(reads: Reads, fields: tuple[str, ...]) -> str:
    items: list[str] = []
    seen: set[str] = set()
    for name in fields:
        if name.lower() not in seen and name:
            seen.add(name.lower())
            items.append(f"{literal(name)}: {_typed(reads.payload((name,)))}")
    return f"{{{', '.join(items)}}}" if items else "NULL"


def _typed(value: Value) -> str:
    if value.static == "NUMBER" and value.shape is not None and value.shape.fits:
        return value.number
    return f"({value.text} = 'true')" if value.static == "BOOLEAN" else value.text


def _json(column: str, kind: str) -> str:
    if kind == "VARCHAR":
        return json_string_sql(column)
    if kind.startswith("TIMESTAMP"):
        return f"'\"' || {time_text(f'CAST({column} AS TIMESTAMP)')} || '\"'"
    if kind in ("DOUBLE", "FLOAT"):
        return json_text(Value(column, "number", Shape(-1, 0)))
    if kind.startswith("DECIMAL"):
        scale = int(kind.partition(",")[2].rstrip(")"))
        return json_text(Value(column, "number", Shape(38 - scale, scale)))
    return f"CAST(to_json({column}) AS VARCHAR)"
