"""Changes as AWS DMS sends them to streams and topics: rows, with metadata that says what was done to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esctl.index.decode.rows import DELETE, INSERT, READ, TRUNCATE, UPDATE
from esctl.index.decode.rows.change import OtherRecord, RowChange, text_of, unmarked
from esctl.index.decode.rows.messages import message_of

_TYPES = {"load": READ, "insert": INSERT, "update": UPDATE, "delete": DELETE}
_OTHER_RECORDS = {"begin-transaction": "begin", "commit-transaction": "commit"}
_ENDS = ("drop-table", "truncate-table")


def read(record: Any) -> RowChange | OtherRecord | None:
    """Read a record as a change; None if it is not one of DMS."""
    record = message_of(record).value
    metadata = record.get("metadata") if isinstance(record, dict) else None
    if not isinstance(metadata, dict) or not {"record-type", "operation"} <= metadata.keys():
        return None
    operation, time = text_of(metadata["operation"]), metadata.get("commit-timestamp") or metadata.get("timestamp")
    schema, table = text_of(metadata.get("schema-name")), text_of(metadata.get("table-name"))
    transaction = unmarked(metadata.get("transaction-id"))
    transaction = None if transaction is None else str(transaction)
    if operation in _ENDS and table:
        return RowChange(TRUNCATE, schema, table, time=time, transaction=transaction)
    row, before = record.get("data"), record.get("before-image", record.get("before"))
    if operation not in _TYPES or not table or not isinstance(row, dict):
        return OtherRecord(
            _OTHER_RECORDS.get(operation, "schema change"), time, transaction, _metadata_members(metadata) or None
        )
    kind = _TYPES[operation]
    old = before if kind == UPDATE and isinstance(before, dict) else None
    return RowChange(kind, schema, table, row, old=old, time=time, transaction=transaction)


def _metadata_members(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: metadata[name] for name in ("operation", "schema-name", "table-name") if metadata.get(name)}
