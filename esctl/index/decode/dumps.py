"""Read the headers of messages dumped by tools, a list or a text, into a member `header` by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esctl.engine.arrow_lists import one_array
from esctl.engine.quoting import literal
from esctl.index.decode.messages import EVENT
from esctl.model import Cursor

if TYPE_CHECKING:
    import duckdb

    from esctl.index.decode.exact_json import Judged

_JSON = Cursor(format="jsonl")
_TABLE = "esctl_dumps"
_BESIDE = ("key", "topic", "partition", "offset", "tstype", "ts", "timestamp")
_PAIR = r"([A-Za-z0-9_.\-]+):([^,]*(?:,[^,:]*)*)(?:,|$)"
"""A header as the console prints it; a comma ends its value only if a name and a colon follow."""


def with_headers(connection: duckdb.DuckDBPyConnection, judged: Judged) -> Judged:
    """Give dumped messages their headers by name, and turn CloudEvents in binary mode into structured mode."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from esctl.index.decode.exact_json import Judged, judge

    rows = pa.array(np.arange(len(judged.text), dtype=np.int64))
    connection.register(_TABLE, pa.table({"row": rows, "j": judged.text}))
    try:
        values = one_array(connection.sql(_VALUES_SQL).to_arrow_table()["v"])
    finally:
        connection.unregister(_TABLE)
    inner = judge(values.cast(pa.large_binary()), _JSON, connection)
    connection.register(_TABLE, pa.table({"row": rows, "j": judged.text, "v": inner.text}))
    try:
        texts = one_array(connection.sql(_SQL).to_arrow_table()["j"])
    finally:
        connection.unregister(_TABLE)
    return Judged(texts.cast(pa.large_string()), judged.invalid, pc.or_(judged.marked, inner.marked))


def _raw(name: str) -> str:
    return f"json_extract(j, '/{name}')::VARCHAR"


_LISTED = """list_transform(range(1, len(l) + 1, 2), lambda i: {'name': l[i], 'value': l[i + 1]})"""
_NAMES = f"regexp_extract_all(s, {literal(_PAIR)}, 1)"
_VALUES = f"regexp_extract_all(s, {literal(_PAIR)}, 2)"
_TOLD = f"list_transform(list_zip({_NAMES}, {_VALUES}), lambda p: {{'name': p[1], 'value': p[2]}})"
_NAMED = "list_transform({0}, lambda h: h.name)"


def _members(headers: str) -> str:
    last = f"list_filter({headers}, lambda h, i: NOT list_contains({_NAMED.format(headers)}[i + 1:], h.name))"
    value = "coalesce(to_json(h.value)::VARCHAR, 'null')"
    return f"array_to_string(list_transform({last}, lambda h: to_json(h.name)::VARCHAR || ':' || {value}), ',')"


_OWN = (
    "list_transform(list_filter(hs, lambda h: starts_with(h.name, 'ce_')), "
    "lambda h: {'name': h.name[4:], 'value': h.value})"
)
_KIND = (
    "coalesce(',\"datacontenttype\":' || "
    "to_json(list_filter(hs, lambda h: lower(h.name) = 'content-type')[-1].value)::VARCHAR, '')"
)
_DATA = f"CASE WHEN json_type(j, '/payload') = 'NULL' THEN '' ELSE ',\"data\":' || coalesce(v, {_raw('payload')}) END"
_ENVELOPE = f"'{{' || {_members(_OWN)} || {_KIND} || {_DATA} || '}}'"
_OTHERS = " || ".join(f"coalesce(',\"{name}\":' || {_raw(name)}, '')" for name in _BESIDE)
_HEADER = f"'{{\"header\":{{' || {_members('hs')} || '}}'"
_IS_LIST = (
    "json_type(j, '/headers') = 'ARRAY' AND len(list_filter(json_extract(j, '$.headers[*]'), "
    "lambda e: json_type(e) NOT IN ('VARCHAR', 'NULL'))) = 0"
)
_IS_EVENT = f"len(list_filter(hs, lambda h: h.name = {literal(EVENT)})) > 0 AND json_type(j, '/payload') IS NOT NULL"
_VALUES_SQL = f"""
    SELECT CASE WHEN contains(j, {literal(EVENT)}) AND json_type(j, '/payload') = 'VARCHAR'
                THEN json_extract_string(j, '/payload') END AS v
    FROM {_TABLE} ORDER BY "row\""""
"""The payloads of CloudEvents that are texts, as kcat writes them."""
_SQL = f"""
    WITH told AS (
        SELECT "row", j, v, CASE WHEN {_IS_LIST} THEN json_extract_string(j, '$.headers[*]') END AS l,
               CASE json_type(j, '/headers') WHEN 'VARCHAR' THEN json_extract_string(j, '/headers') END AS s
        FROM {_TABLE}),
    listed AS (
        SELECT "row", j, v, CASE WHEN l IS NOT NULL THEN {_LISTED} WHEN s IS NOT NULL THEN {_TOLD} END AS hs FROM told)
    SELECT CASE WHEN hs IS NULL THEN j
                WHEN {_IS_EVENT} THEN {_HEADER} || {_OTHERS} || ',"payload":' || {_ENVELOPE} || '}}'
                WHEN json_type(j, '/header') IS NULL THEN {_HEADER} || ',' || substr(ltrim(j), 2)
                ELSE j END AS j
    FROM listed ORDER BY "row\""""
