"""Read the headers of messages dumped by tools, a list or a text, into a member `header` by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esctl.engine.arrow_lists import one_array
from esctl.engine.quoting import literal
from esctl.index.decode.messages import EVENT, content_type_sql, has_event_sql, members_sql, structured_sql
from esctl.model import Cursor

if TYPE_CHECKING:
    import duckdb

    from esctl.index.decode.exact_json import Judged

_JSON = Cursor(format="jsonl")
_TABLE = "esctl_dumps"
_MEMBERS = ("key", "topic", "partition", "offset", "tstype", "ts", "timestamp")
_PAIR = r"([A-Za-z0-9_.\-]+):([^,]*(?:,[^,:]*)*)(?:,|$)"
"""A header as the console prints it; a comma ends its value only if a name and a colon follow."""


def with_headers(connection: duckdb.DuckDBPyConnection, judged: Judged) -> Judged:
    """Give dumped messages their headers by name, and turn CloudEvents in binary mode into structured mode."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from esctl.index.decode.exact_json import Judged, judge_records

    rows = pa.array(np.arange(len(judged.text), dtype=np.int64))
    connection.register(_TABLE, pa.table({"row": rows, "j": judged.text}))
    try:
        values = one_array(connection.sql(_VALUES_SQL).to_arrow_table()["v"])
    finally:
        connection.unregister(_TABLE)
    inner = judge_records(values.cast(pa.large_binary()), _JSON, connection)
    connection.register(_TABLE, pa.table({"row": rows, "j": judged.text, "v": inner.text}))
    try:
        texts = one_array(connection.sql(_SQL).to_arrow_table()["j"])
    finally:
        connection.unregister(_TABLE)
    return Judged(texts.cast(pa.large_string()), judged.invalid, pc.or_(judged.marked, inner.marked))


def _raw(name: str) -> str:
    return f"json_extract(j, '/{name}')::VARCHAR"


_HEADERS_OF_LIST = """list_transform(range(1, len(l) + 1, 2), lambda i: {'name': l[i], 'value': l[i + 1]})"""
_NAMES = f"regexp_extract_all(s, {literal(_PAIR)}, 1)"
_VALUES = f"regexp_extract_all(s, {literal(_PAIR)}, 2)"
_HEADERS_OF_TEXT = f"list_transform(list_zip({_NAMES}, {_VALUES}), lambda p: {{'name': p[1], 'value': p[2]}})"
_VALUE = "coalesce(to_json(h.value)::VARCHAR, 'null')"
_DATA = f"CASE WHEN json_type(j, '/payload') = 'NULL' THEN '' ELSE ',\"data\":' || coalesce(v, {_raw('payload')}) END"
_ENVELOPE = structured_sql("hs", _VALUE, content_type_sql("hs"), _DATA)
_OTHERS = " || ".join(f"coalesce(',\"{name}\":' || {_raw(name)}, '')" for name in _MEMBERS)
_HEADER = f"'{{\"header\":{{' || {members_sql('hs', _VALUE)} || '}}'"
_IS_LIST = (
    "json_type(j, '/headers') = 'ARRAY' AND len(list_filter(json_extract(j, '$.headers[*]'), "
    "lambda e: json_type(e) NOT IN ('VARCHAR', 'NULL'))) = 0"
)
_IS_EVENT = f"{has_event_sql('hs')} AND json_type(j, '/payload') IS NOT NULL"
_VALUES_SQL = f"""
    SELECT CASE WHEN contains(j, {literal(EVENT)}) AND json_type(j, '/payload') = 'VARCHAR'
                THEN json_extract_string(j, '/payload') END AS v
    FROM {_TABLE} ORDER BY "row\""""
"""The payloads of CloudEvents that are texts, as kcat writes them."""
_SQL = f"""
    WITH dumped AS (
        SELECT "row", j, v, CASE WHEN {_IS_LIST} THEN json_extract_string(j, '$.headers[*]') END AS l,
               CASE json_type(j, '/headers') WHEN 'VARCHAR' THEN json_extract_string(j, '/headers') END AS s
        FROM {_TABLE}),
    with_headers AS (
        SELECT "row", j, v,
               CASE WHEN l IS NOT NULL THEN {_HEADERS_OF_LIST} WHEN s IS NOT NULL THEN {_HEADERS_OF_TEXT} END AS hs
        FROM dumped)
    SELECT CASE WHEN hs IS NULL THEN j
                WHEN {_IS_EVENT} THEN {_HEADER} || {_OTHERS} || ',"payload":' || {_ENVELOPE} || '}}'
                WHEN json_type(j, '/header') IS NULL THEN {_HEADER} || ',' || substr(ltrim(j), 2)
                ELSE j END AS j
    FROM with_headers ORDER BY "row\""""
