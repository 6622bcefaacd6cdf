"""wal2json's changes: records of their own (format 2), or taken out of a transaction (format 1)."""

from __future__ import annotations

from typing import Any

from esctl.index.decode.rows import DELETE, INSERT, TRUNCATE, UPDATE
from esctl.index.decode.rows.change import OtherRecord, Row, RowChange, text_of, unmarked
from esctl.index.decode.rows.messages import opened

_TYPES = {"I": INSERT, "U": UPDATE, "D": DELETE, "T": TRUNCATE}
_KINDS = {"insert": "I", "update": "U", "delete": "D", "truncate": "T", "message": "M"}
_OTHER_RECORDS = {"B": "begin", "C": "commit", "M": "message"}


def read(record: Any) -> RowChange | OtherRecord | None:
    """Read a record as a change; None if it is not one of wal2json's."""
    record = _record_of_slot(record)
    if isinstance(record, dict) and text_of(record.get("kind")) in _KINDS and "action" not in record:
        record = _as_format_2(record)
    action = text_of(record.get("action")) if isinstance(record, dict) else ""
    if action in _OTHER_RECORDS:
        kept = {name: record[name] for name in ("prefix", "content") if name in record}
        return OtherRecord(_OTHER_RECORDS[action], record.get("timestamp"), _transaction(record), kept or None)
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


def _record_of_slot(record: Any) -> Any:
    """Return the record in a row of a slot's changes read by SQL, without the row's `lsn`: it is not a commit's."""
    if not isinstance(record, dict) or record.keys() != {"lsn", "xid", "data"}:
        return record
    held = opened(record["data"])
    return {"xid": record["xid"], **held} if isinstance(held, dict) else record


def _as_format_2(record: dict[str, Any]) -> dict[str, Any]:
    """Return a change of format 1 in format 2, with what its transaction says.

    Format 1 leaves columns that are null out of old keys.
    """
    around = record.get("wrapper")
    around = around if isinstance(around, dict) else {}
    found: dict[str, Any] = {
        "action": _KINDS[record["kind"]],
        "xid": around.get("xid"),
        "timestamp": around.get("timestamp"),
    }
    found |= {name: record[name] for name in ("schema", "table", "prefix", "content") if name in record}
    found["lsn"] = around.get("nextlsn")
    old = record.get("oldkeys")
    old = old if isinstance(old, dict) else {}
    found["columns"] = _pair_columns(record.get("columnnames"), record.get("columnvalues"))
    found["identity"] = _pair_columns(old.get("keynames"), old.get("keyvalues"))
    key = record.get("pk")
    if found["identity"] and not isinstance(key, dict):
        known = {each["name"] for each in found["identity"]}
        found["identity"] += [{"name": each["name"]} for each in found["columns"] if each["name"] not in known]
    if isinstance(key, dict):
        found["pk"] = _pair_columns(key.get("pknames"), key.get("pknames"))
    return found


def _pair_columns(names: Any, values: Any) -> list[dict[str, Any]]:
    if not isinstance(names, list) or not isinstance(values, list):
        return []
    return [{"name": name, "value": value} for name, value in zip(names, values, strict=False)]


def _columns(columns: Any) -> Row:
    if not isinstance(columns, list):
        return {}
    return {column["name"]: column.get("value") for column in columns if isinstance(column, dict) and "name" in column}


def _transaction(record: Any) -> str | None:
    found = unmarked(record.get("xid"))
    return None if found is None else str(found)
