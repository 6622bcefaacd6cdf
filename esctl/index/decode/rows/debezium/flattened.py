"""Debezium's change events as its transform ExtractNewRecordState flattens them: the row, with fields of the event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from esctl.index.decode.rows import DELETE, INSERT, READ, TRUNCATE, UNNAMED, UPDATE
from esctl.index.decode.rows.change import OtherRecord, Row, RowChange, unmarked
from esctl.index.decode.rows.debezium.connect_types import converted_row, struct_converters
from esctl.index.decode.rows.debezium.events import is_unavailable
from esctl.index.decode.rows.debezium.places import order_of, origin_of, time_of, transaction_of
from esctl.index.decode.rows.messages import Message, message_of, unwrapped

_PREFIX, _OF_SOURCE = "__", "source_"
_MARKS = ("op", "deleted")
_FIELDS = frozenset({
    *_MARKS, "table", "collection", "schema", "db", "keyspace", "connector", "name", "version", "snapshot", "sequence",
    "ts_ms", "ts_us", "ts_ns", "txId", "lsn", "xmin", "server_id", "gtid", "file", "pos", "row", "thread", "query",
    "scn", "commit_scn", "commit_lsn", "change_lsn", "event_serial_no", "ord", "rs", "transaction_id",
})  # fmt: skip
"""The fields of an event, and of its source, that may be added to a row."""
_TYPES = {"c": INSERT, "u": UPDATE, "d": DELETE, "r": READ, "t": TRUNCATE}


def read(record: Any) -> RowChange | OtherRecord | None:
    """Read a record as a change; None if it is not a flattened event."""
    message = message_of(record)
    value, schema = unwrapped(message.value)
    if value is None:
        return _read_tombstone(message) if message.dumped else None
    if not isinstance(value, dict):
        return None
    told = {**_event_fields(message.headers), **_event_fields(value)}
    if not any(name in told for name in _MARKS) and not _is_keyed_row(message, value):
        return None
    row = {name: item for name, item in value.items() if _field_name(name) is None}
    row = converted_row(row, struct_converters(schema)) if schema else row
    kept = {name: item for name, item in row.items() if not is_unavailable(item)}
    kind = _kind(told)
    if kind is None:
        return None
    key = _key(message)
    schema_name, table = _table(message, told)
    return RowChange(
        kind,
        schema_name,
        table,
        _identify_deleted(row, key) if kind == DELETE else kept,
        len(kept) < len(row),
        tuple(key) if key else None,
        named=key,
        # Tombstones have no place in the database's log, so messages are in the order of their topic.
        order=() if message.dumped else order_of(told),
        time=time_of(told, told),
        transaction=transaction_of({}, told),
        origin=_origin(message, told),
    )


_TOPIC = re.compile(r"[^.]+\.[^.]+\.[^.]+\Z|[^.]+\.[^.]+\.[^.]+\.[^.]+\Z")
"""Topics as Debezium names them: server, database or schema or both, and table."""
_OF_EVENTS = {"type", "event", "event_type", "eventType", "specversion"}


def _is_keyed_row(message: Message, value: Row) -> bool:
    """Return whether a message without fields of its event is still a row of a table, as it has all of its key."""
    key, _ = unwrapped(message.key)
    if not isinstance(key, dict) or not key or not _TOPIC.match(message.topic) or _OF_EVENTS & value.keys():
        return False
    return all(name in value and value[name] == item for name, item in key.items())


def _read_tombstone(message: Message) -> RowChange | OtherRecord:
    """Read a tombstone, which may be all that is left of the deletion of a row."""
    key = _key(message)
    if not key:
        return OtherRecord("tombstone", message.time)
    told = _event_fields(message.headers)
    (schema, table), origin = _table(message, told), _origin(message, told)
    return RowChange(DELETE, schema, table, key, key=tuple(key), named=key, time=message.time, origin=origin)


def _key(message: Message) -> Row | None:
    key, schema = unwrapped(message.key)
    if not isinstance(key, dict) or not key:
        return None
    return converted_row(key, struct_converters(schema)) if schema else key


def _field_name(name: str) -> str | None:
    """Return the event's name for a field that was added to a row; None for a column."""
    bare = name.removeprefix(_PREFIX)
    bare = bare.removeprefix(_OF_SOURCE) if bare != name else ""
    return bare if bare in _FIELDS else None


def _event_fields(members: Mapping[str, Any]) -> dict[str, Any]:
    found = ((_field_name(name), unmarked(value)) for name, value in members.items())
    return {name: value for name, value in found if name is not None and value is not None}


def _kind(told: Mapping[str, Any]) -> str | None:
    if str(told.get("deleted", "")).lower() == "true":
        return DELETE
    return _TYPES.get(str(told.get("op", "u")))


def _table(message: Message, told: Mapping[str, Any]) -> tuple[str, str]:
    """Return the schema (or database) and the table, from added fields, else from the topic."""
    parts = message.topic.split(".")
    table = told.get("table") or told.get("collection") or parts[-1] or UNNAMED
    schema = told.get("schema") or told.get("db") or told.get("keyspace")
    return str(schema or (parts[-2] if len(parts) > 1 else "")), str(table)


def _origin(message: Message, told: Mapping[str, Any]) -> tuple[str, str]:
    """Return the server and the database, from added fields, else from the topic."""
    parts = message.topic.split(".")
    server, database = origin_of(told)
    return server or (parts[0] if len(parts) > 2 else ""), database or (parts[1] if len(parts) > 3 else "")


def _identify_deleted(row: Row, key: Row | None) -> Row:
    """Return what identifies a deleted row: its key, else the columns that are not null."""
    return key or {name: value for name, value in row.items() if value is not None}
