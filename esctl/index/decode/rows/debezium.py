"""Debezium's change events, of all its connectors; with their schemas or without."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from esctl.index.decode.rows.change import (
    DELETE,
    INSERT,
    READ,
    TRUNCATE,
    UPDATE,
    Beside,
    Row,
    RowChange,
    plain,
    text_of,
)
from esctl.index.decode.rows.connect_types import Convert, converted_row, struct_converters, variable_scale
from esctl.index.decode.rows.messages import Message, message_of

UNAVAILABLE = "__debezium_unavailable_value"
_BASE64 = base64.b64encode(UNAVAILABLE.encode()).decode()
_PLACEHOLDERS = (
    UNAVAILABLE,
    _BASE64,
    _BASE64.rstrip("=").translate(str.maketrans("+/", "-_")),
    UNAVAILABLE.encode().hex(),
    [UNAVAILABLE],
    list(UNAVAILABLE.encode()),
    {UNAVAILABLE: UNAVAILABLE},
)
"""What stands for a value that was not changed and so not logged, in a column of each type."""
_TYPES = {"c": INSERT, "u": UPDATE, "d": DELETE, "r": READ, "t": TRUNCATE}
_OLD_KEY, _NEW_KEY = "__debezium.oldkey", "__debezium.newkey"


def read(record: Any) -> RowChange | Beside | None:
    """Read a record as a change; None where it is none of Debezium's."""
    message = message_of(record)
    value, schema = unwrapped(message.value)
    if value is None:
        return Beside("tombstone") if message.dumped or schema is not None else None
    if not isinstance(value, dict):
        return None
    operation, source = value.get("op"), value.get("source")
    if isinstance(operation, str) and isinstance(source, dict):
        if operation == "m":
            return Beside("message", _time(value, source), data=value.get("message"))
        return _change(message, value, source, schema) if operation in _TYPES else None
    return _beside(value)


def unwrapped(value: Any) -> tuple[Any, Mapping[str, Any] | None]:
    """Return a value and its schema, where it comes with one."""
    if isinstance(value, dict) and "payload" in value and isinstance(value.get("schema"), dict) and len(value) == 2:
        return value["payload"], value["schema"]
    return value, None


def _beside(value: dict[str, Any]) -> Beside | None:
    status = value.get("status")
    if status in ("BEGIN", "END") and "id" in value:
        kept = {name: value[name] for name in ("event_count", "data_collections") if value.get(name) is not None}
        transaction = _transaction(value["id"])
        return Beside("begin" if status == "BEGIN" else "commit", plain(value.get("ts_ms")), transaction, kept or None)
    if "historyRecord" in value or ("source" in value and "tableChanges" in value):
        kept = {name: value[name] for name in ("databaseName", "schemaName", "ddl") if value.get(name) is not None}
        return Beside("schema change", plain(value.get("ts_ms")), data=kept or None)
    return Beside("heartbeat", plain(value["ts_ms"])) if set(value) == {"ts_ms"} else None


def _change(
    message: Message, value: dict[str, Any], source: dict[str, Any], schema: Mapping[str, Any] | None
) -> RowChange | None:
    kind = _TYPES[value["op"]]
    converters = _converters(schema)
    key, _ = unwrapped(message.key)
    names = tuple(key) if isinstance(key, dict) and key else None
    if names is None and message.dumped:
        names = ()  # a table without a key
    before, after = (_row(value.get(side), converters.get(side)) for side in ("before", "after"))
    if after is None and kind in (INSERT, UPDATE, READ):
        return None  # what a document became is not told
    row, partial = after or {}, False
    match = None
    if kind == DELETE:
        row, match = _deleted(before, key)
    elif after is not None:
        row = {name: item for name, item in after.items() if item not in _PLACEHOLDERS}
        partial = len(row) < len(after)
    return RowChange(
        kind,
        text_of(source.get("schema")) or text_of(source.get("db")),
        text_of(source.get("table")) or text_of(source.get("collection")),
        row,
        partial,
        names,
        named=key if isinstance(key, dict) else None,
        old=_old(message, before) if kind in (INSERT, UPDATE) else None,
        match=match,
        order=_order(source),
        time=_time(value, source),
        transaction=_transaction_of(value, source),
    )


def _deleted(before: Row | None, key: Any) -> tuple[Row, Row | None]:
    """Return what is known of a row that was deleted, and what names it where its key is not told.

    `before` holds inventions under the default replica identity, so only the key is taken from it. If the key is an
    invention itself, the row is named by what is left.
    """
    held = {name: value for name, value in (before or {}).items() if value is not None}
    if not isinstance(key, dict) or not key:
        return dict(before or {}), None
    told = {name: value for name, value in held.items() if not _invented(value) and name not in key}
    if told and all(_invented(value) for value in key.values()):
        return key, told
    return key, None


def _invented(value: Any) -> bool:
    return value in (0, False, "") if not isinstance(value, list | dict) else not value


def _old(message: Message, before: Row | None) -> Row | None:
    old = message.headers.get(_OLD_KEY)
    told = unwrapped(old)[0]
    return told if isinstance(told, dict) else before


_SCHEMAS: dict[bytes, dict[str, dict[str, Convert]]] = {}
_MOST_SCHEMAS = 1000


def _converters(schema: Mapping[str, Any] | None) -> Mapping[str, dict[str, Convert]]:
    if schema is None:
        return {}
    named = {field.get("field"): field for field in schema.get("fields", ()) if isinstance(field, dict)}
    sides = [named.get("before"), named.get("after")]
    known = msgspec.msgpack.encode(sides)
    if known not in _SCHEMAS:
        if len(_SCHEMAS) >= _MOST_SCHEMAS:
            _SCHEMAS.clear()
        found = [struct_converters(side) if isinstance(side, dict) else {} for side in sides]
        _SCHEMAS[known] = dict(zip(("before", "after"), found, strict=True))
    return _SCHEMAS[known]


def _row(row: Any, converters: Mapping[str, Convert] | None) -> Row | None:
    if isinstance(row, str):
        row = _document(row)
    if not isinstance(row, dict):
        return None
    return converted_row(row, converters or {}) if converters is not None else _scaled(row)


def _document(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _scaled(row: dict[str, Any]) -> Row:
    """Return a row without a schema, where numbers that carry their scale can be read all the same."""
    if not any(isinstance(value, dict) and value.keys() == {"scale", "value"} for value in row.values()):
        return row
    found = dict(row)
    for name, value in row.items():
        if isinstance(value, dict) and value.keys() == {"scale", "value"}:
            try:
                found[name] = variable_scale(value)
            except (ValueError, TypeError):
                continue
    return found


def _time(value: Mapping[str, Any], source: Mapping[str, Any]) -> Any:
    for holder in (source, value):
        for name in ("ts_ns", "ts_us", "ts_ms"):
            if (found := plain(holder.get(name))) is not None and (found or name != "ts_ms"):
                return found
    return None


def _transaction_of(value: Mapping[str, Any], source: Mapping[str, Any]) -> str | None:
    for name in ("txId", "gtid", "scn"):
        if (found := plain(source.get(name))) is not None:
            return str(found)
    told = value.get("transaction")
    return _transaction(told.get("id")) if isinstance(told, dict) else None


def _transaction(told: Any) -> str | None:
    # PostgreSQL's is txid:lsn of the record, which differs within one transaction.
    return None if told is None else re.sub(r"\A(\d+):\d+\Z", r"\1", str(plain(told)))


def _order(source: Mapping[str, Any]) -> tuple[int | str | None, ...]:
    """Return where in the database's own log a change stands: by when its transaction was committed, then by arrival.

    Within one place of it, the order is that of arrival.
    """
    if source.get("lsn") is not None or isinstance(source.get("sequence"), str):
        return (_committed(source),)
    if source.get("file"):
        found = re.search(r"(\d+)\Z", str(source["file"]))
        name = int(found[1]) if found else str(source["file"])
        return (name, plain(source.get("pos")), plain(source.get("row")) or 0)
    if source.get("commit_lsn") is not None:
        return (text_of(source["commit_lsn"]), text_of(source.get("change_lsn")), plain(source.get("event_serial_no")))
    for name in ("commit_scn", "scn"):
        if source.get(name) is not None:
            number = plain(source[name])
            return (int(number) if str(number).isdigit() else number,)
    if source.get("ord") is not None:
        return (plain(source.get("ts_ms")), plain(source["ord"]))
    return ()


def _committed(source: Mapping[str, Any]) -> int | None:
    """Return PostgreSQL's log position of the last commit that the connector had read, or else of the record."""
    told = source.get("sequence")
    try:
        parts = msgspec.json.decode(told) if isinstance(told, str) else []
        numbers = [int(part) for part in parts if part is not None]
    except (msgspec.DecodeError, ValueError, TypeError):
        numbers = []
    lsn = plain(source.get("lsn"))
    return numbers[0] if numbers else lsn if isinstance(lsn, int) else None
