"""Changes of MongoDB's documents from its change streams, written as extended JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esctl.index.decode.rows import DELETE, INSERT, TRUNCATE, UPDATE
from esctl.index.decode.rows.change import OtherRecord, RowChange, text_of, unmarked
from esctl.index.decode.rows.documents import columns_alone, document, patch, plain_value, timestamp
from esctl.index.decode.rows.messages import message_of, opened, unwrapped

_TYPES = {"insert": INSERT, "update": UPDATE, "replace": UPDATE, "delete": DELETE, "drop": TRUNCATE}
_OTHER_RECORDS = frozenset({
    "create", "createIndexes", "dropIndexes", "modify", "rename", "dropDatabase", "invalidate", "shardCollection",
    "reshardCollection", "refineCollectionShardKey",
})  # fmt: skip


def read(record: Any) -> RowChange | OtherRecord | None:
    """Read a record as a change; None if it is not one of a change stream."""
    record = opened(unwrapped(message_of(record).value)[0])
    space = record.get("ns") if isinstance(record, dict) else None
    if not isinstance(space, dict):
        return None
    operation = text_of(record.get("operationType"))
    if operation in _OTHER_RECORDS:
        return _other_record(record, operation)
    kind, collection = _TYPES.get(operation), text_of(space.get("coll"))
    if kind is None or not collection:
        return None
    key = document(record.get("documentKey")) or {}
    if "_id" in key:
        key = {"_id": key["_id"]}  # in a sharded collection, it has the shard key too
    whole = document(record.get("fullDocument")) if kind in (INSERT, UPDATE) else None
    changed = None
    if whole is None and kind in (INSERT, UPDATE):
        changed = patch(record.get("updateDescription"))
        if changed is None:
            return None  # what the document became is not known
    columns = columns_alone(changed) if changed is not None else None
    return RowChange(
        kind,
        text_of(space.get("db")),
        collection,
        whole or columns or changed or key,
        columns is not None,
        tuple(key) or None,
        named=key,
        order=timestamp(record.get("clusterTime")) or (),
        time=_time(record),
        transaction=_transaction(record),
        id=_token(record.get("_id")),
        patched=changed is not None and columns is None,
    )


def _other_record(record: Mapping[str, Any], operation: str) -> OtherRecord:
    kept = {name: record[name] for name in ("ns", "to") if record.get(name) is not None}
    return OtherRecord("schema change", _time(record), data={"operation": operation, **kept})


def _time(record: Mapping[str, Any]) -> Any:
    wall = unmarked(plain_value(record.get("wallTime")))
    if wall is not None and not isinstance(wall, dict):
        return wall
    told = timestamp(record.get("clusterTime"))
    return told[0] if told is not None else None


def _transaction(record: Mapping[str, Any]) -> str | None:
    session, numbered = record.get("lsid"), unmarked(plain_value(record.get("txnNumber")))
    if not isinstance(session, dict) or numbered is None:
        return None
    name = plain_value(session.get("id"))
    binary = name.get("$binary") if isinstance(name, dict) else None
    name = binary.get("base64") if isinstance(binary, dict) else name
    return f"{name}:{numbered}" if isinstance(name, str) else None


def _token(told: Any) -> str | None:
    return text_of(told.get("_data")) or None if isinstance(told, dict) else None
