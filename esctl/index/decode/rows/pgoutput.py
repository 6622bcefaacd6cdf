"""Changes of PostgreSQL's tables as esctl reads them from the server itself (see sources/postgres/records.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esctl.index.decode.rows import DELETE, INSERT, READ, TRUNCATE, UPDATE
from esctl.index.decode.rows.change import OtherRecord, Row, RowChange, text_of

_TYPES = {"I": INSERT, "U": UPDATE, "D": DELETE, "T": TRUNCATE, "S": READ}
_OTHER_RECORDS = {"M": "message", "R": "schema change"}
_KEPT = {
    "M": ("prefix", "content", "hex", "transactional"),
    "R": ("schema", "table", "key", "identity", "replica_identity", "columns"),
}


def read(record: Any) -> RowChange | OtherRecord | None:
    """Read a record as a change; None if it is not one."""
    action = text_of(record.get("action")) if isinstance(record, dict) else ""
    lsn = text_of(record.get("lsn")) if action else ""
    if not lsn or (action != "M" and not isinstance(record.get("relation"), int)):
        return None
    xid = record.get("xid")
    transaction = None if xid is None else str(xid)
    if action in _OTHER_RECORDS:
        kept = {name: record[name] for name in _KEPT[action] if name in record}
        return OtherRecord(_OTHER_RECORDS[action], record.get("time"), transaction, kept)
    if action not in _TYPES:
        return None
    old, row = _row(record.get("old")), _row(record.get("row")) or {}
    key = tuple(record["key"])
    return RowChange(
        _TYPES[action],
        text_of(record.get("schema")),
        text_of(record.get("table")),
        (old or {}) if action == "D" else row,
        bool(record.get("unchanged")),
        key,
        old=old if action == "U" else None,
        match=_match(record, old, row, key),
        order=(lsn,),
        time=record.get("time"),
        transaction=transaction,
    )


def _row(value: Any) -> Row | None:
    return value if isinstance(value, dict) else None


def _match(record: Mapping[str, Any], old: Row | None, row: Row, key: tuple[str, ...]) -> Row | None:
    """Return the values that identify the row if its replica identity is another index than its key; else None."""
    names = record.get("identity")
    if not isinstance(names, list) or record["action"] not in "UD":
        return None
    values = row if old is None else old
    return {name: values.get(name) for name in names}
