"""Messages of a broker as records: an object of the key, the headers, and the value as `payload`.

So a topic is read like a dump of it. A CloudEvent whose attributes are in headers (binary mode) is written as one that
has them in its value (structured mode).
"""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

from esctl.engine.arrow_lists import one_array
from esctl.engine.quoting import literal
from esctl.model import MARK, Cursor

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.index.decode.exact_json import Judged

PAYLOAD = "payload"
PARTS = ("key", "header", "topic", "partition", "offset", "timestamp", PAYLOAD)
"""The parts of a message that a path may name."""
_TABLE, _KEYS = "esctl_messages", "esctl_keys"
EVENT = "ce_specversion"
_JSON = Cursor(format="jsonl")
COLUMNS = ("key", "headers", "source_time", "offset", "source", "raw")
"""The columns of log rows that messages are made from."""


def messages(connection: duckdb.DuckDBPyConnection, judged: Judged, rows: pa.Table, parts: Set[str]) -> Judged:
    """Return judged values as messages, with only the parts that are asked for.

    `rows` are the log rows of the values, with COLUMNS. A record without bytes has the payload null, an empty one "".
    """
    import numpy as np
    import pyarrow as pa

    from esctl.index.decode.exact_json import Judged

    table = pa.table(
        {
            "row": pa.array(np.arange(len(judged.text), dtype=np.int64)),
            "j": judged.text, "m": judged.marked, "why": judged.invalid,
            **{name: rows[name] for name in COLUMNS},
        }
    )  # fmt: skip
    table, keyed = _with_opened_keys(connection, table) if "key" in parts else (table, False)
    evented = any_event(table["headers"])
    headed = evented or ("header" in parts and table["headers"].null_count < table.num_rows)
    if not headed:
        table = table.drop_columns(["headers"])
    connection.register(_TABLE, table)
    try:
        found = connection.sql(_sql(parts, headed, keyed, evented)).to_arrow_table()
    finally:
        connection.unregister(_TABLE)
    return Judged(one_array(found["j"]).cast(pa.large_string()), one_array(found["why"]), one_array(found["m"]))


def any_event(headers: pa.ChunkedArray) -> bool:
    """Return whether some headers are those of a CloudEvent."""
    import pyarrow.compute as pc

    if headers.null_count == len(headers):
        return False
    return bool(pc.any(pc.equal(pc.list_flatten(one_array(headers)).field("name"), EVENT)).as_py())


def _with_opened_keys(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> tuple[pa.Table, bool]:
    """Add keys that are JSON objects or arrays as judged text, with marks; return whether there are any."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from esctl.index.decode.exact_json import judge_records

    keys = one_array(table["key"])
    first = pc.binary_slice(keys, 0, 1)
    is_opened = pc.fill_null(pc.is_in(first, value_set=pa.array([b"{", b"["], keys.type)), False)
    if not pc.any(is_opened).as_py():
        return table, False
    judged = judge_records(pc.if_else(is_opened, keys, pa.scalar(None, keys.type)), _JSON, connection)
    return table.append_column("kj", judged.text).append_column("km", judged.marked), True


def _sql(parts: Set[str], headed: bool, keyed: bool, evented: bool) -> str:
    value = "CASE WHEN raw IS NULL THEN 'null' WHEN octet_length(raw) = 0 THEN '\"\"' ELSE j END"
    whole, marks, members = value, ["m"], []
    if evented:
        whole = f"CASE WHEN {_IS_EVENT} THEN {_event(value)} ELSE {value} END"
    if "key" in parts:
        members.append(f"'\"key\":' || {_key(keyed)}")
        marks += [_is_marked("key"), *(["coalesce(km, false)"] if keyed else [])]
    if headed:
        marks.append(_any_marked())
        if "header" in parts:
            members.append(f"'\"header\":{{' || coalesce({members_sql('headers', _VALUE)}, '') || '}}'")
    members += [f"'\"{name}\":' || {sql}" for name, sql in _OTHERS.items() if name in parts]
    text = " || ',' || ".join([*members, f"'\"{PAYLOAD}\":' || ({whole})"])
    known = f"octet_length(raw) = 0 OR why IS NULL OR {_is_other(evented)}"
    return (
        f"SELECT CASE WHEN {known} THEN '{{' || {text} || '}}' END AS j, {' OR '.join(marks)} AS m, "
        f'CASE WHEN {known} THEN NULL ELSE why END AS why FROM {_TABLE} ORDER BY "row"'
    )


def _key(keyed: bool) -> str:
    plain = f"CASE WHEN \"key\" IS NULL THEN 'null' ELSE {_string('key')} END"
    return f"coalesce(kj, {plain})" if keyed else plain


def _string(blob: str) -> str:
    """Write SQL for bytes as a JSON string: their text if it is UTF-8, else base64."""
    text = f"try(decode({_name(blob)}))"
    marked = f"CASE WHEN starts_with({text}, {literal(MARK)}) THEN {literal(MARK)} || {text} ELSE {text} END"
    return f"to_json(coalesce({marked}, to_base64({_name(blob)})))::VARCHAR"


def _name(blob: str) -> str:
    return blob if "." in blob else f'"{blob}"'


def _is_marked(blob: str) -> str:
    return f"coalesce(starts_with(try(decode({_name(blob)})), {literal(MARK)}), false)"


def _any_marked() -> str:
    """Write SQL for whether any header begins with the mark, by its three bytes, which no other character has."""
    mark = "".join(f"\\x{byte:02X}" for byte in MARK.encode())
    each = f'lambda h: starts_with(h."value"::VARCHAR, {literal(mark)})'
    return f"coalesce(list_bool_or(list_transform(headers, {each})), false)"


def members_sql(headers: str, value: str) -> str:
    """Write SQL for headers as members of a JSON object; of several with one name, the last.

    `value` is SQL for the value of a header `h` as JSON text.
    """
    names = f"list_transform({headers}, lambda h: h.name)"
    last = f"list_filter({headers}, lambda h, i: NOT list_contains({names}[i + 1:], h.name))"
    return f"array_to_string(list_transform({last}, lambda h: to_json(h.name)::VARCHAR || ':' || {value}), ',')"


def has_event_sql(headers: str) -> str:
    """Write SQL for whether headers are those of a CloudEvent."""
    return f"len(list_filter({headers}, lambda h: h.name = {literal(EVENT)})) > 0"


def content_type_sql(headers: str) -> str:
    """Write SQL for the value of the header that says of which type the content is."""
    return f"list_filter({headers}, lambda h: lower(h.name) = 'content-type')[-1].\"value\""


def structured_sql(headers: str, value: str, content_type: str, data: str) -> str:
    """Write SQL that turns a CloudEvent in binary mode into structured mode.

    `value` is that of `members_sql`, `content_type` SQL for text, and `data` SQL for the members of the data.
    """
    own = f"list_filter({headers}, lambda h: starts_with(h.name, 'ce_'))"
    named = f"list_transform({own}, lambda h: {{'name': h.name[4:], 'value': h.\"value\"}})"
    kind = f"coalesce(',\"datacontenttype\":' || to_json({content_type})::VARCHAR, '')"
    return f"'{{' || {members_sql(named, value)} || {kind} || {data} || '}}'"


_VALUE = f"CASE WHEN h.\"value\" IS NULL THEN 'null' ELSE {_string('h.value')} END"
_IS_EVENT = has_event_sql("headers")
_CONTENT_TYPE = f"try(decode({content_type_sql('headers')}))"


def _event(value: str) -> str:
    """Write SQL for a CloudEvent in structured mode, by its headers; `value` is SQL for its value as JSON text."""
    other = (
        "coalesce(',\"data\":' || to_json(try(decode(raw)))::VARCHAR, ',\"data_base64\":\"' || to_base64(raw) || '\"')"
    )
    data = f"CASE WHEN raw IS NULL THEN '' WHEN j IS NOT NULL THEN ',\"data\":' || ({value}) ELSE {other} END"
    return structured_sql("headers", _VALUE, _CONTENT_TYPE, data)


def _is_other(evented: bool) -> str:
    """Write SQL for whether a record is a CloudEvent whose content type is not JSON."""
    if not evented:
        return "false"
    is_json = f"contains(lower({_CONTENT_TYPE}), 'json')"
    return f"coalesce({_IS_EVENT} AND {_CONTENT_TYPE} IS NOT NULL AND NOT {is_json}, false)"


_PLACE = "regexp_extract(source, '/([^/]+)/([0-9]+)(?:#[0-9]+)?$', {})"
_OTHERS = {
    "topic": f"to_json({_PLACE.format(1)})::VARCHAR",
    "partition": f"coalesce(nullif({_PLACE.format(2)}, ''), '0')",
    "offset": '"offset"::VARCHAR',
    "timestamp": "coalesce(epoch_ms(source_time)::VARCHAR, 'null')",
}
