"""What a user's SELECT may do: read some relations, and call functions that look only at their arguments."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from esctl.engine.statements import Node, Select, parse_select
from esctl.errors import UsageError

if TYPE_CHECKING:
    import duckdb

QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
SOURCES = frozenset(
    {"BASE_TABLE", "TABLE_FUNCTION", "JOIN", "SUBQUERY", "EMPTY", "EXPRESSION_LIST", "PIVOT", "SHOW_REF"}
)
TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree"})
"""DuckDB's table functions that read only their arguments."""

FORBIDDEN = (
    "read_", "query", "getenv", "glob", "sniff_", "parquet_", "duckdb_", "pragma_", "current_setting", "which_secret",
    "getvariable", "sql_auto", "json_execute", "json_serialize", "json_deserialize", "from_substrait", "write_", "pg_",
    "sleep", "nextval", "currval", "current_query", "in_search_path", "icu_calendar",
)  # fmt: skip
"""Prefixes of functions that look at the process, its files or its settings."""


def checked_select(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    where: str,
    relations: Collection[str],
    functions: Collection[str] = (),
) -> Select:
    """Check that a text is one SELECT over some relations and table functions, and return it parsed.

    DuckDB's own parser says what is in it, so that the check and DuckDB cannot differ. Raises UsageError naming
    `where`.
    """
    select = parse_select(connection, text, where)
    nodes = list(select.nodes())
    own = {entry["key"].lower() for node in nodes for entry in (node.get("cte_map") or {}).get("map", ())}
    # If no table has a name, as outside the scope of a CTE, DuckDB reads a file of that name.
    known = {*relations, *(name for name in own if name.isidentifier())}
    for node in nodes:
        kind = str(node.get("type"))
        if "modifiers" in node and kind not in QUERIES:
            raise UsageError(f"{where} does more than select", "it may only read")
        if is_source(node):
            _check_source(node, kind, where, known, relations, functions)
        if node.get("class") == "PARAMETER":
            raise UsageError(f"{where} has a parameter", "write the value itself")
        name = str(node.get("function_name", "")).lower()
        if name.startswith(FORBIDDEN) and name not in functions:
            raise UsageError(f"{where} calls {name}", "files, settings and the process are out of reach")
    return select


def is_source(node: Node) -> bool:
    """Return whether a node is a source in a FROM clause."""
    return "sample" in node and "class" not in node and "modifiers" not in node


def _check_source(
    node: Node,
    kind: str,
    where: str,
    known: Collection[str],
    relations: Collection[str],
    functions: Collection[str],
) -> None:
    if kind not in SOURCES or (kind == "SHOW_REF" and node["query"] is None):
        raise UsageError(f"{where} asks DuckDB about itself", f"the relations are: {', '.join(sorted(relations))}")
    if kind == "BASE_TABLE":
        name = ".".join(node["qualified_name"]["path"])
        if name.lower() not in known:
            hint = _relations_hint(relations, functions)
            if name.lower() in functions:
                hint = f"states are at a time: write {name}() for now, or {name}('2024-02-01')"
            raise UsageError(f"{where} reads {name[:60]!r}", hint)
    if kind == "TABLE_FUNCTION":
        name = ".".join(node["function"]["qualified_name"]["path"])
        if name.lower() not in {*TABLE_FUNCTIONS, *functions}:
            raise UsageError(f"{where} reads {name[:60]!r}()", _relations_hint(relations, functions))


def _relations_hint(relations: Collection[str], functions: Collection[str]) -> str:
    known = {*functions}
    own = [name for name in functions if name.removesuffix("_history") not in known - {name}]
    tables = ", ".join([*relations, *(f"{name}()" for name in own)])
    return f"the only table is {tables}" if len(relations) == 1 and not functions else f"there are: {tables}"
