"""wal2json's changes: a record each (format 2), or the element of a transaction (format 1)."""

from __future__ import annotations

from typing import Any

from esctl.index.decode.rows.change import DELETE, INSERT, TRUNCATE, UPDATE, Beside, Row, RowChange, plain, text_of

_TYPES = {"I": INSERT, "U": UPDATE, "D": DELETE, "T": TRUNCATE}
_BESIDE = {"B": "begin", "C": "commit", "M": "message"}


def read(record: Any) -> RowChange | Beside | None:
    """Read a record of format 2 as a change; None where it is none."""
    action = text_of(record.get("action")) if isinstance(record, dict) else ""
    if action in _BESIDE:
        kept = {name: record[name] for name in ("prefix", "content") if name in record}
        return Beside(_BESIDE[action], record.get("timestamp"), _transaction(record), kept or None)
    if action not in _TYPES or not isinstance(record.get("table"), str):
        return None
    kind = _TYPES[action]
    identity, row = _columns(record.get("identity")), _columns(record.get("columns"))
    primary = record.get("pk")
    names = tuple(_columns(primary)) if isinstance(primary, list) else None
    row = identity if kind == DELETE else row
    lsn = text_of(record.get("lsn"))
    return RowChange(
        kind,
        text_of(record.get("schema")),
        record["table"],
        row,
        kind == UPDATE,
        names,
        old=identity if kind == UPDATE and identity else None,
        match=identity or None,
        order=(lsn,) if lsn else (),
        time=record.get("timestamp"),
        transaction=_transaction(record),
    )


def _columns(columns: Any) -> Row:
    if not isinstance(columns, list):
        return {}
    return {column["name"]: column.get("value") for column in columns if isinstance(column, dict) and "name" in column}


def _transaction(record: Any) -> str | None:
    found = plain(record.get("xid"))
    return None if found is None else str(found)
