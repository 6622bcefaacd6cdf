"""Documents of MongoDB: their extended JSON as plain values, and updates of parts of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from esctl.index.decode.rows import PATHS, SET, TRUNCATED, UNSET
from esctl.index.decode.rows.change import Row, number, unmarked
from esctl.index.decode.rows.messages import opened
from esctl.index.decode.rows.times import instant_text

_ARRAYS = re.compile(r"trun[ct]+atedArrays\Z")  # Debezium 1 misspells it


def document(value: Any) -> Row | None:
    """Return a document with plain values, from an object or its JSON text; None for anything else."""
    found = opened(value)
    return plain_value(found) if isinstance(found, dict) else None


def plain_value(value: Any) -> Any:
    """Return a value of extended JSON (canonical or relaxed) as plain JSON; what has no plain form stays."""
    if isinstance(value, list):
        return [plain_value(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name in _PLAIN and (found := _PLAIN[name](inner)) is not None:
            return found
    return {name: plain_value(inner) for name, inner in value.items()}


def timestamp(value: Any) -> tuple[int, int] | None:
    """Return the seconds and the ordinal of a timestamp of the oplog; None for anything else."""
    told = value.get("$timestamp") if isinstance(value, dict) else None
    seconds, ordinal = (unmarked(told.get(name)) for name in "ti") if isinstance(told, dict) else (None, None)
    return (seconds, ordinal) if isinstance(seconds, int) and isinstance(ordinal, int) else None


def patch(description: Any) -> Row | None:
    """Return an update of parts of a document as a row with the members SET, UNSET, TRUNCATED and PATHS, if not empty.

    None if it does not describe an update.
    """
    if not isinstance(description, dict) or "updatedFields" not in description:
        return None
    fields = document(description.get("updatedFields")) or {}
    removed = [name for name in description.get("removedFields") or () if isinstance(name, str)]
    lengths = next((value for name, value in description.items() if _ARRAYS.match(name)), None) or ()
    arrays = {each["field"]: plain_value(each.get("newSize", each.get("size"))) for each in lengths}
    paths = description.get("disambiguatedPaths")
    told: dict[str, Any] = {SET: fields, UNSET: removed, TRUNCATED: arrays}
    told[PATHS] = paths if isinstance(paths, dict) else {}
    return {name: value for name, value in told.items() if value}


def oplog_patch(value: Any) -> tuple[Row | None, Row | None]:
    """Return the document that an oplog entry leaves, or the update of its parts; two Nones for anything else."""
    told = document(value)
    if told is None or not any(name.startswith("$") for name in told):
        return told, None
    found = {SET: told.get(SET) or {}, UNSET: [*(told.get(UNSET) or ())]}
    return None, {name: part for name, part in found.items() if part}


def columns_alone(told: Row) -> Row | None:
    """Return the columns that an update sets; None if it does more, or reaches into values."""
    if told.keys() - {SET} or any("." in name for name in told.get(SET, ())):
        return None
    found: Row = told.get(SET, {})
    return found


def _integer(value: Any) -> Any:
    return _decimal(value) if isinstance(value, str) and re.fullmatch(r"-?\d+", value) else None


def _decimal(value: Any) -> Any:
    try:
        return number(Decimal(value)) if isinstance(value, str) else None
    except InvalidOperation:
        return None


def _instant(value: Any) -> Any:
    if isinstance(value, str):
        return value
    millis = unmarked(plain_value(value))
    if not isinstance(millis, int) or isinstance(millis, bool):
        return None
    seconds, rest = divmod(millis, 1000)
    return f"{instant_text(seconds, 1)}.{rest:03d}Z" if rest else f"{instant_text(seconds, 1)}Z"


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else None


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "$oid": _text,
    "$uuid": _text,
    "$symbol": _text,
    "$numberInt": _integer,
    "$numberLong": _integer,
    "$numberDouble": _decimal,
    "$numberDecimal": _decimal,
    "$date": _instant,
}
