"""SQL that turns a value of any DuckDB type into one of the kinds that the columns of an answer have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from esctl.engine.exact_text import json_string, json_string_sql, mark_json_sql, nanoseconds_text, time_text
from esctl.engine.quoting import identifier, literal

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

Kind = Literal["text", "integer", "number", "boolean", "time", "json"]

DEEPEST = 20
"""Levels of a nested type down to which numbers are written with all their digits."""

_INTEGERS = ("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger")
_WIDE_INTEGERS = ("ubigint", "hugeint", "uhugeint")
_FLOATS = ("float", "double")
_TIMES = ("timestamp", "timestamp_s", "timestamp_ms", "timestamp with time zone")
_FINE_TIME = "timestamp_ns"
"""The times that DuckDB keeps finer than the kind "time", which has microseconds; they are written as text."""
_NESTED = ("list", "array", "struct", "map")


class Plain(Struct, frozen=True):
    """SQL for a value of a kind, with the type that `esctl.model.Answer` names for that kind."""

    kind: Kind
    sql: str


def plain_value(expr: str, kind: DuckDBPyType) -> Plain:
    """Return SQL for a value of any type as one that can be printed, exact where the kinds allow it."""
    name = kind.id
    if name == "boolean":
        return Plain("boolean", expr)
    if name in _INTEGERS:
        return Plain("integer", f"CAST({expr} AS BIGINT)")
    if name in _WIDE_INTEGERS:
        return Plain("number", f"CAST({expr} AS DECIMAL(38,0))")
    if name == "decimal":
        return Plain("number", expr)
    if name in _FLOATS:
        return Plain("number", f"CAST({expr} AS DOUBLE)")
    if name in _TIMES:
        return Plain("time", _utc(expr, name))
    if name in _NESTED or name == "bignum" or str(kind) == "JSON":
        return Plain("json", _json(expr, kind, 0))
    return Plain("text", _text(expr, name))


def _utc(expr: str, name: str) -> str:
    return f"timezone('UTC', {expr})" if name.endswith("zone") else f"CAST({expr} AS TIMESTAMP)"


def _text(expr: str, name: str) -> str:
    if name == _FINE_TIME:
        return nanoseconds_text(expr)
    return f"lower(hex({expr}))" if name == "blob" else f"CAST({expr} AS VARCHAR)"


def _json(expr: str, kind: DuckDBPyType, depth: int) -> str:
    """Write SQL for a value as JSON text in which numbers keep their digits; SQL NULL stays NULL."""
    name = kind.id
    if str(kind) == "JSON":
        return mark_json_sql(f"CAST({expr} AS VARCHAR)")
    if name in ("boolean", "decimal", "bignum", *_INTEGERS, *_WIDE_INTEGERS):
        return f"CAST({expr} AS VARCHAR)"
    if name in _FLOATS:
        return f"CASE WHEN isfinite({expr}) THEN CAST({expr} AS VARCHAR) END"
    if name in _TIMES:
        return f"'\"' || {time_text(_utc(expr, name))} || '\"'"
    if name not in _NESTED:
        return json_string_sql(_text(expr, name))
    if depth > DEEPEST:
        return f"CAST(to_json({expr}) AS VARCHAR)"
    return f"CASE WHEN {expr} IS NOT NULL THEN {_nested(expr, kind, depth)} END"


def _nested(expr: str, kind: DuckDBPyType, depth: int) -> str:
    item = f"x{depth}"
    children: list[tuple[str, Any]] = list(kind.children)
    parts = dict(children)
    if kind.id in ("list", "array"):
        inner = _or_null(_json(item, parts["child"], depth + 1))
        values = expr if kind.id == "list" else f"CAST({expr} AS {parts['child']}[])"
        return f"'[' || array_to_string(list_transform({values}, lambda {item}: {inner}), ',') || ']'"
    if kind.id == "map":
        key = json_string_sql(f"CAST({item}.key AS VARCHAR)")
        inner = f"{key} || ':' || {_or_null(_json(f'{item}.value', parts['value'], depth + 1))}"
        entries = f"list_transform(map_entries({expr}), lambda {item}: {inner})"
        return f"'{{' || array_to_string({entries}, ',') || '}}'"
    members = [
        f"{literal(json_string(name) + ':')} || {_or_null(_json(f'{expr}.{identifier(name)}', part, depth + 1))}"
        for name, part in children
    ]
    return "concat('{', " + ", ',', ".join(members) + ", '}')"


def _or_null(json: str) -> str:
    return f"coalesce({json}, 'null')"
