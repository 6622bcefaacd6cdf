"""Maxwell's changes of MySQL's tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from esctl.index.decode.rows import DELETE, INSERT, READ, TRUNCATE, UPDATE
from esctl.index.decode.rows.change import OtherRecord, RowChange, text_of, unmarked
from esctl.index.decode.rows.messages import message_of

_TYPES = {"insert": INSERT, "update": UPDATE, "delete": DELETE, "bootstrap-insert": READ}
_OTHER_RECORDS = re.compile(r"(?:bootstrap-(?:start|complete)|(?:table|database)-(?:create|alter|drop))\Z")
_POSITION = re.compile(r"\D*(\d+):(\d+)\Z")


def read(record: Any) -> RowChange | OtherRecord | None:
    """Read a record as a change; None if it is not one of Maxwell's."""
    record = message_of(record).value
    if not isinstance(record, dict) or not isinstance(record.get("database"), str):
        return None
    kind, row, old = text_of(record.get("type")), record.get("data"), record.get("old")
    if kind == "table-drop" and isinstance(record.get("table"), str):
        return RowChange(
            TRUNCATE, record["database"], record["table"], order=_order(record), time=unmarked(record.get("ts"))
        )
    if _OTHER_RECORDS.match(kind):
        kept = {name: record[name] for name in ("database", "table", "sql") if record.get(name) is not None}
        return OtherRecord("schema change", unmarked(record.get("ts")), data=kept)
    if kind not in _TYPES or not isinstance(record.get("table"), str) or not isinstance(row, dict):
        return None
    names = record.get("primary_key_columns")
    transaction = unmarked(record.get("xid"))
    return RowChange(
        _TYPES[kind],
        record["database"],
        record["table"],
        row,
        key=tuple(names) if isinstance(names, list) and names else None,
        old=old if kind == "update" and isinstance(old, dict) else None,
        order=_order(record),
        time=unmarked(record.get("ts")),
        transaction=None if transaction is None else str(transaction),
        tells_changed=True,
    )


def _order(record: Mapping[str, Any]) -> tuple[int | str | None, ...]:
    """Return the file, position and row offset in MySQL's binary log; () if they are not given."""
    found = _POSITION.search(text_of(record.get("position")))
    offset = unmarked(record.get("xoffset")) or 0
    return (int(found[1]), int(found[2]), offset) if found else ()
