"""Open lists of pairs, in which OTLP keeps attributes and audit logs keep parameters, as objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esctl.engine.quoting import literal, text_list
from esctl.index.decode.rebuilt import Path, leads_there_sql, pointer_of, with_value_sql

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_TABLE = "esctl_pairs"
_NAMES = ("/key", "/name", "/Name", "/Key", "/@Name", "/#attributes/Name")
_VALUES = (
    "/value", "/Value", "/intValue", "/boolValue", "/multiValue", "/multiIntValue", "/messageValue",
    "/multiMessageValue", "/#text",
)  # fmt: skip
_WHOLE = r"^-?(?:0|[1-9][0-9]{0,17})$"
"""Integers that JSON text keeps exactly; OTLP writes them as strings."""


def open_pairs(connection: duckdb.DuckDBPyConnection, texts: pa.Array, path: Path) -> pa.Array:
    """Turn the lists at a path of judged records into objects; a list with a missing or repeated name stays a list."""
    import pyarrow as pa

    connection.register(_TABLE, pa.table({"row": pa.array(range(len(texts)), pa.int64()), "j": texts}))
    try:
        found = connection.sql(_sql(path)).to_arrow_table()["j"].cast(pa.large_string())
    finally:
        connection.unregister(_TABLE)
    return pa.concat_arrays(found.chunks) if found.num_chunks else pa.array([], pa.large_string())


def _sql(path: Path) -> str:
    place = literal(pointer_of(path))
    held = (
        f"CASE WHEN {leads_there_sql('j', path)} AND json_type(j, {place}) = 'ARRAY' THEN json_extract(j, {place}) END"
    )
    elements = "json_extract(h, '$[*]')"
    names = f"list_transform({elements}, lambda e: {_first(_NAMES, 'json_extract_string')})"
    values = f"list_transform({elements}, lambda e: {_value()})"
    joined = "list_transform(list_zip(k, v), lambda p: to_json(p[1])::VARCHAR || ':' || p[2])"
    is_named = "len(list_filter(k, lambda n: n IS NULL)) = 0 AND len(list_distinct(k)) = len(k)"
    value = f"'{{' || array_to_string({joined}, ',') || '}}'"
    return f"""
        SELECT CASE WHEN h IS NOT NULL AND {is_named} THEN {with_value_sql("j", path, "o")} ELSE j END AS j
        FROM (SELECT *, {value} AS o FROM (SELECT *, {names} AS k, {values} AS v FROM
             (SELECT "row", j, {held} AS h FROM {_TABLE})))
        ORDER BY "row\""""


def _first(places: tuple[str, ...], extract: str) -> str:
    return f"coalesce({', '.join(f'{extract}(e, {literal(place)})' for place in places)})"


def _value() -> str:
    """Write SQL for the JSON text of the value of a pair `e`, without its type in OTLP; null if there is none."""
    kinds = ("stringValue", "boolValue", "doubleValue", "bytesValue")
    plain = [f"json_extract(e, {literal('/value/' + kind)})::VARCHAR" for kind in kinds]
    number = "json_extract_string(e, '/value/intValue')"
    whole = f"CASE WHEN regexp_matches({number}, {literal(_WHOLE)}) THEN {number} ELSE to_json({number})::VARCHAR END"
    lists = "json_extract(e, '/value/arrayValue/values')::VARCHAR"
    typed = f"coalesce({', '.join([*plain, whole, lists])})"
    other = _first(_VALUES, "json_extract")
    is_typed = f"len(list_intersect(json_keys(e, '/value'), {text_list([*kinds, 'intValue', 'arrayValue'])})) = 1"
    of_type = f"CASE WHEN json_type(e, '/value') = 'OBJECT' AND {is_typed} THEN {typed} END"
    return f"coalesce({of_type}, {other}::VARCHAR, 'null')"
