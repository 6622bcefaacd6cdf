"""Give records what surrounded them in their document, as their member `wrapper`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from esctl.engine.arrow_lists import one_array
from esctl.engine.quoting import literal
from esctl.index.decode.merge_patch import merge_patch

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.model import Cursor

WRAPPER = "wrapper"
"""The name of the member, and of the record's header that it is made from."""


class Around(dict[str, Any]):
    """The member `wrapper` of a parsed record, if it was added and is not the record's own."""


_TABLE = "esctl_around"
_JUDGED = "esctl_around_judged"


def surround(
    connection: duckdb.DuckDBPyConnection, texts: pa.Array, marked: pa.Array, headers: pa.Array, cursor: Cursor
) -> tuple[pa.Array, pa.Array]:
    """Give judged records that are objects what surrounded them; return their texts and whether they have marks.

    If nested objects have members of one name, the innermost one counts. A record with a member `wrapper` keeps its
    own.
    """
    import pyarrow as pa

    from esctl.index.decode.exact_json import judge_records

    connection.register(_TABLE, pa.table({"h": headers}))
    try:
        value = f"list_filter(h, lambda e: e.name = {literal(WRAPPER)})[1].value"
        around = connection.sql(f"SELECT {value} AS w FROM {_TABLE}").to_arrow_table()["w"]
    finally:
        connection.unregister(_TABLE)
    judged = judge_records(one_array(around), cursor, connection)
    rows = pa.array(range(len(texts)), pa.int64())
    table = pa.table({"row": rows, "j": texts, "m": marked, "w": judged.text, "wm": judged.marked})
    connection.register(_JUDGED, table)
    try:
        found = connection.sql(_SQL).to_arrow_table()
    finally:
        connection.unregister(_JUDGED)
    return one_array(found["j"]).cast(pa.large_string()), one_array(found["m"])


_OWN_TYPE = f"json_type(j, {literal('/' + WRAPPER)})"
_MERGED = "list_reduce(list_prepend('{}'::JSON, json_extract(w, '$[*]')), lambda a, b: json_merge_patch(a, b))::VARCHAR"
_WITH_WRAPPER = (
    f"left(j, length(j) - 1) || CASE WHEN len(json_keys(j)) = 0 THEN '' ELSE ',' END "
    f"|| {literal(json.dumps(WRAPPER) + ':')} || {_MERGED} || '}}'"
)
_GETS_WRAPPER = f"coalesce(json_type(w) = 'ARRAY' AND json_type(j) = 'OBJECT' AND {_OWN_TYPE} IS NULL, false)"
_SQL = (
    f"SELECT CASE WHEN {_GETS_WRAPPER} THEN {_WITH_WRAPPER} ELSE j END AS j, "
    f"m OR ({_GETS_WRAPPER} AND coalesce(wm, false)) AS m "
    f'FROM {_JUDGED} ORDER BY "row"'
)


def surrounded(record: Any, headers: Sequence[dict[str, Any]] | None) -> Any:
    """Return a parsed record with what surrounded it, as `surround` does."""
    value = next((each["value"] for each in headers or () if each["name"] == WRAPPER), None)
    if value is None or not isinstance(record, dict) or WRAPPER in record:
        return record
    try:
        members: Any = reduce(merge_patch, json.loads(value), {})
    except (ValueError, RecursionError):
        return record
    return {**record, WRAPPER: Around(members)}


def around_of(record: Any) -> Around | None:
    """Return what surrounded a parsed record; None if nothing did."""
    found = record.get(WRAPPER) if isinstance(record, dict) else None
    return found if isinstance(found, Around) else None


def alone(record: Any) -> Any:
    """Return a parsed record without what surrounded it."""
    if around_of(record) is None:
        return record
    return {key: value for key, value in record.items() if key != WRAPPER}
