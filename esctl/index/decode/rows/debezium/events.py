"""Debezium's change events, of all its connectors, with their schemas or without."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from esctl.index.decode.rows import DELETE, INSERT, READ, TRUNCATE, UPDATE
from esctl.index.decode.rows.change import OtherRecord, Row, RowChange, is_default, text_of, unmarked
from esctl.index.decode.rows.debezium.cells import written_cells
from esctl.index.decode.rows.debezium.connect_types import Convert, converted_row, struct_converters, variable_scale
from esctl.index.decode.rows.debezium.envelopes import as_value
from esctl.index.decode.rows.debezium.places import (
    order_of,
    origin_of,
    server_of,
    time_of,
    transaction_name,
    transaction_of,
)
from esctl.index.decode.rows.documents import columns_alone, document, oplog_patch, patch, plain_value
from esctl.index.decode.rows.messages import Message, exact, message_of, unwrapped

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
"""The placeholders of a value that was not changed and so not logged, in columns of each type."""
_TYPES = {"c": INSERT, "i": INSERT, "u": UPDATE, "d": DELETE, "r": READ, "t": TRUNCATE}
_OLD_KEY = "__debezium.oldkey"


def read(record: Any) -> RowChange | OtherRecord | None:
    """Read a record as a change; None if it is not one of Debezium's."""
    message = message_of(record)
    value, schema = unwrapped(message.value)
    if value is None:
        return OtherRecord("tombstone", message.time) if message.dumped or schema is not None else None
    if not isinstance(value, dict):
        return None
    value = as_value(value)
    operation, source = value.get("op"), value.get("source")
    if isinstance(operation, str) and isinstance(source, dict):
        if operation == "m":
            return OtherRecord("message", time_of(value, source), transaction_of(value, source), value.get("message"))
        return _change(message, value, source, schema) if operation in _TYPES else None
    return _other_record(value)


def is_unavailable(value: Any) -> bool:
    """Return whether a value is the placeholder of one that was not changed and so not logged."""
    return value in _PLACEHOLDERS


def _other_record(value: dict[str, Any]) -> OtherRecord | RowChange | None:
    status = value.get("status")
    if status in ("BEGIN", "END") and "id" in value:
        kept = {name: value[name] for name in ("event_count", "data_collections") if value.get(name) is not None}
        transaction = transaction_name(value["id"])
        return OtherRecord(
            "begin" if status == "BEGIN" else "commit", unmarked(value.get("ts_ms")), transaction, kept or None
        )
    if (dropped := _read_drop(value)) is not None:
        return dropped
    if "historyRecord" in value or ("source" in value and "tableChanges" in value):
        kept = {name: value[name] for name in ("databaseName", "schemaName", "ddl") if value.get(name) is not None}
        return OtherRecord("schema change", unmarked(value.get("ts_ms")), data=kept or None)
    return OtherRecord("heartbeat", unmarked(value["ts_ms"])) if set(value) == {"ts_ms"} else None


def _read_drop(value: Mapping[str, Any]) -> RowChange | None:
    """Read a record that a table was dropped, which ends all its rows; None if it says anything else."""
    changes, source = value.get("tableChanges"), value.get("source")
    only = changes[0] if isinstance(changes, list) and len(changes) == 1 else None
    if not isinstance(only, dict) or only.get("type") != "DROP" or not isinstance(source, dict):
        return None
    names = text_of(only.get("id")).replace('"', "").split(".")
    schema = names[-2] if len(names) > 1 else ""
    order, time = order_of(source), time_of(value, source)
    return RowChange(TRUNCATE, schema, names[-1], order=order, time=time, origin=origin_of(source))


def _change(
    message: Message, value: dict[str, Any], source: dict[str, Any], schema: Mapping[str, Any] | None
) -> RowChange | None:
    kind = _TYPES[value["op"]]
    has_cells = "keyspace" in source
    if kind == READ and has_cells:
        kind = DELETE  # of a range of rows, which are not listed
    converters = _converters(schema)
    is_document = source.get("collection") is not None
    key = _key(message, converters.get("before"), is_document, has_cells)
    names = tuple(key) if isinstance(key, dict) and key else None
    if names is None and message.dumped and message.key is None:
        names = ()  # a table without a key
    of_after = converters.get("after")
    before = _row_image(value.get("before"), converters.get("before"), is_document)
    after = _row_image(value.get("after"), of_after, is_document)
    cells = written_cells(value.get("after")) if has_cells else None
    held = source.get("connector") in _WHOLE_BEFORE
    told = _row_state(value, kind, before, after, key, held=held) if cells is None else _state_of_cells(cells, of_after)
    if told is None:
        return None
    return RowChange(
        kind,
        text_of(source.get("schema")) or text_of(source.get("db")) or text_of(source.get("keyspace")),
        text_of(source.get("table")) or text_of(source.get("collection")),
        told.row,
        told.partial,
        tuple(told.row) if names is None and told.cells and kind == DELETE else names,
        named=key if isinstance(key, dict) else None,
        old=_old_key(message, before) if kind in (INSERT, UPDATE) and not told.cells else None,
        match=_HEIR if kind == INSERT and told.is_heir and _OLD_KEY not in message.headers else told.match,
        order=order_of(source),
        time=time_of(value, source),
        transaction=transaction_of(value, source),
        actor=text_of(source.get("user_name")) or None,  # Oracle gives it
        patched=told.patched,
        server=server_of(source),
        origin=origin_of(source),
    )


class _RowState(Struct, frozen=True):
    """What a change says of its row; `cells`: `row` has just the columns that were written, from cells."""

    row: Row = {}
    partial: bool = False
    patched: bool = False
    cells: bool = False
    match: Row | None = None

    @property
    def is_heir(self) -> bool:
        """Return whether a new row leaves values out, because it had them under another key."""
        return self.partial and not self.cells


_HEIR: Row = {}
"""The `match` of a new row that leaves values out: empty, as the row that had them ended right before."""


def _state_of_cells(cells: Row, converters: Mapping[str, Convert] | None) -> _RowState:
    return _RowState(_convert_row(cells, converters), partial=True, cells=True)


_WHOLE_BEFORE = ("mysql", "mariadb", "sqlserver", "oracle", "db2", "informix")
"""Connectors that give all of a deleted row, so that a key of 0 is not invented."""


def _row_state(
    value: Mapping[str, Any], kind: str, before: Row | None, after: Row | None, key: Any, *, held: bool
) -> _RowState | None:
    """Return what a change says of its row; None if it does not say what became of the row."""
    if kind == DELETE:
        row, match = _identify_deleted(before, key)
        return _RowState(row, match=None if held else match)
    if after is not None:
        row = {name: item for name, item in after.items() if item not in _PLACEHOLDERS}
        return _RowState(row, partial=len(row) < len(after))
    if kind == TRUNCATE:
        return _RowState()
    changed = patch(value.get("updateDescription"))
    if changed is None and value.get("patch") is not None:  # of versions before 1.8
        whole, changed = oplog_patch(value["patch"])
        if whole is not None:
            return _RowState(whole)
    columns = None if changed is None else columns_alone(changed)
    if columns is not None:
        return _RowState(columns, partial=True)
    return None if changed is None else _RowState(changed, patched=True)


def _key(message: Message, of_row: Mapping[str, Convert] | None, is_document: bool, has_cells: bool) -> Any:
    """Return the key of a message; for a document its `_id`, which is given as JSON text."""
    key, schema = unwrapped(message.key)
    if is_document and isinstance(key, dict) and key.keys() == {"id"}:
        return {"_id": _document_id(key["id"])}
    if not isinstance(key, dict):
        return key
    cells = written_cells(key) if has_cells else None
    converters = struct_converters(schema) if schema else of_row
    return _convert_row(key if cells is None else cells, converters) if cells or converters else key


def _document_id(told: Any) -> Any:
    try:
        return plain_value(exact(told) if isinstance(told, str) else told)
    except ValueError:
        return told


def _identify_deleted(before: Row | None, key: Any) -> tuple[Row, Row | None]:
    """Return what is known of a deleted row, and the values that identify it if its key is not known, else None.

    Under the default replica identity `before` holds invented values, so a row that has a key is known by that alone.
    If the key is invented too, the other values identify the row.
    """
    held = {name: value for name, value in (before or {}).items() if value is not None}
    if not isinstance(key, dict) or not key:
        return dict(before or {}), None
    told = {name: value for name, value in held.items() if not is_default(value) and name not in key}
    if told and all(is_default(value) for value in key.values()):
        return key, told
    return key, None


def _old_key(message: Message, before: Row | None) -> Row | None:
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
    encoded = msgspec.msgpack.encode(sides)
    converters = _SCHEMAS.get(encoded)
    if converters is None:
        if len(_SCHEMAS) >= _MOST_SCHEMAS:
            _SCHEMAS.clear()
        found = [struct_converters(side) if isinstance(side, dict) else {} for side in sides]
        converters = _SCHEMAS[encoded] = dict(zip(("before", "after"), found, strict=True))
    return converters


def _row_image(row: Any, converters: Mapping[str, Convert] | None, is_document: bool) -> Row | None:
    if is_document or isinstance(row, str):
        return document(row)
    return _convert_row(row, converters) if isinstance(row, dict) else None


def _convert_row(row: dict[str, Any] | Row, converters: Mapping[str, Convert] | None) -> Row:
    return converted_row(row, converters) if converters is not None else _with_scaled_numbers(row)


def _with_scaled_numbers(row: Row) -> Row:
    """Return a row without a schema, with the numbers read that carry their own scale."""
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
