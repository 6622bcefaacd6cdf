"""Canal's flat messages of MySQL's changes, each of one row or of several; TiCDC writes them too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from esctl.index.decode.rows import DELETE, INSERT, TRUNCATE, UPDATE
from esctl.index.decode.rows.change import OtherRecord, Row, RowChange, number, text_of, unmarked
from esctl.index.decode.rows.messages import message_of

_TYPES = {"INSERT": INSERT, "UPDATE": UPDATE, "DELETE": DELETE, "TRUNCATE": TRUNCATE, "ERASE": TRUNCATE}
"""ERASE drops a table."""
_MARKER = "TIDB_WATERMARK"
_NUMBERS = re.compile(
    r"(?:(?:tiny|small|medium|big)?int|integer|year|decimal|numeric|float|double|real)\b(?!.*zerofill)", re.IGNORECASE
)


def read(record: Any) -> RowChange | OtherRecord | None:
    """Read a record as a change; None if it is not one of Canal's."""
    value = message_of(record).value
    if not isinstance(value, dict) or not {"database", "table", "type", "isDdl"} <= value.keys():
        return None
    kind, time = text_of(value.get("type")), unmarked(value.get("es")) or unmarked(value.get("ts"))
    if kind == _MARKER or (value["isDdl"] is True and _TYPES.get(kind) != TRUNCATE) or kind not in _TYPES:
        kept = {name: value[name] for name in ("database", "table", "sql") if value.get(name)}
        return OtherRecord("heartbeat" if kind == _MARKER else "schema change", time, data=kept or None)
    rows, old = _rows(value.get("data")), _rows(value.get("old"))
    if _TYPES[kind] != TRUNCATE and not rows:
        return None
    types = value.get("mysqlType")
    types = types if isinstance(types, dict) else {}
    rows = [_typed(row, types) for row in rows]
    olds: list[Row | None] = [_typed(row, types) for row in old] if kind == "UPDATE" else []
    olds += [None] * (len(rows) - len(olds))
    names = value.get("pkNames")
    return RowChange(
        _TYPES[kind],
        text_of(value.get("database")),
        text_of(value.get("table")),
        rows[0] if rows else {},
        # An empty or null `pkNames` means no key; without the member, the key is unknown.
        key=tuple(names) if isinstance(names, list) else () if "pkNames" in value else None,
        old=olds[0] if olds else None,
        order=_order(value),
        time=time,
        transaction=text_of(value.get("gtid")) or None,
        others=tuple(zip(rows[1:], olds[1:], strict=False)),
        tells_changed=True,
    )


def _rows(told: Any) -> list[Row]:
    return [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []


def _typed(row: Row, types: Mapping[str, Any]) -> Row:
    """Return a row with its numbers, which Canal writes as text, as numbers."""
    return {name: _value(value, text_of(types.get(name))) for name, value in row.items()}


def _value(value: Any, kind: str) -> Any:
    if not isinstance(value, str) or not _NUMBERS.match(kind):
        return value
    try:
        return number(Decimal(value))
    except InvalidOperation:
        return value


def _order(value: Mapping[str, Any]) -> tuple[int | str | None, ...]:
    tidb = value.get("_tidb")
    at = unmarked(tidb.get("commitTs")) if isinstance(tidb, dict) else None
    return (at,) if isinstance(at, int) else ()
