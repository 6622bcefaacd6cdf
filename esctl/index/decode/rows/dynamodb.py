"""Changes of DynamoDB's items: from its streams, as functions get them, through Kinesis, or from exports."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from esctl.index.decode.rows import DELETE, INSERT, UPDATE
from esctl.index.decode.rows.change import Origin, Row, RowChange, number, text_of, unmarked
from esctl.index.decode.rows.messages import opened

_TYPES = {"INSERT": INSERT, "MODIFY": UPDATE, "REMOVE": DELETE}


def read(record: Any) -> RowChange | None:
    """Read a record as a change; None if it is not one of DynamoDB's."""
    told = _unwrap_kinesis(_as_stream_record(record))
    change = told.get("dynamodb") if isinstance(told, dict) else None
    kind = _TYPES.get(text_of(told.get("eventName"))) if isinstance(told, dict) else None
    if kind is None or not isinstance(change, dict) or not isinstance(change.get("Keys"), dict):
        return None
    key = item(change["Keys"])
    image = change.get("NewImage")
    row = item(image) if isinstance(image, dict) and kind != DELETE else key
    user = told.get("userIdentity")
    created = _creation_time(change)
    sequence = unmarked(change.get("SequenceNumber"))
    return RowChange(
        kind,
        "",
        _table(told),
        row,
        # Only the new image says what an item became.
        kind != DELETE and not isinstance(image, dict),
        tuple(sorted(key)),  # objects have no order
        named=key,
        order=(int(sequence),) if str(sequence).isdigit() else () if created is None else (created,),
        time=created,
        id=text_of(told.get("eventID")) or None,
        actor=text_of(user.get("principalId")) or None if isinstance(user, dict) else None,
        origin=_origin(told),
    )


def item(attributes: Mapping[str, Any]) -> Row:
    """Return an item from its typed attributes. Raises ValueError or KeyError for values without a known type."""
    return {name: _value(typed) for name, typed in attributes.items()}


def _value(typed: Any) -> Any:
    if not isinstance(typed, dict) or len(typed) != 1:
        raise ValueError("no typed value")
    ((kind, value),) = typed.items()
    return _READ[kind](value)


def _number(text: Any) -> Any:
    try:
        return number(Decimal(str(unmarked(text))))
    except InvalidOperation as error:
        raise ValueError(text) from error


def _list(values: Any) -> list[Any]:
    return [_value(value) for value in values]


def _same(value: Any) -> Any:
    return value


_READ: Mapping[str, Callable[[Any], Any]] = {
    "S": _same,
    "N": _number,
    "B": _same,  # base64
    "SS": _same,
    "NS": lambda values: [_number(value) for value in values],
    "BS": _same,
    "M": item,
    "L": _list,
    "BOOL": _same,
    "NULL": lambda _: None,
}


def _unwrap_kinesis(record: Any) -> Any:
    """Return the change in a record of Kinesis, as a function gets it or as read from a shard."""
    if not isinstance(record, dict) or "dynamodb" in record:
        return record
    inner = record.get("kinesis")
    text = inner.get("data") if isinstance(inner, dict) else record.get("Data")
    if not isinstance(text, str):
        return text
    try:
        return opened(base64.b64decode(text, validate=True).decode())
    except (binascii.Error, UnicodeError):
        return opened(text)


def _as_stream_record(told: Any) -> Any:
    """Return a record of an incremental export as one of a stream, with its time and images; any other stays."""
    written = told.get("Metadata") if isinstance(told, dict) else None
    if not isinstance(written, dict) or "Keys" not in told:
        return told
    at = written.get("WriteTimestampMicros")
    at = unmarked(at.get("N") if isinstance(at, dict) else at)
    images = {name: told[name] for name in ("Keys", "NewImage", "OldImage") if name in told}
    name = "REMOVE" if "NewImage" not in told else "MODIFY" if "OldImage" in told else "INSERT"
    return {"eventName": name, "dynamodb": {**images, "ApproximateCreationDateTime": int(at)}}


def _origin(told: Mapping[str, Any]) -> Origin:
    """Return the account and the region of a table."""
    parts = text_of(told.get("eventSourceARN")).split(":")
    account, region = (parts[4], parts[3]) if len(parts) > 5 else ("", "")
    return account, text_of(told.get("awsRegion")) or region


def _table(told: Mapping[str, Any]) -> str:
    name = text_of(told.get("tableName"))
    parts = text_of(told.get("eventSourceARN")).split("/")  # arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL
    return name or (parts[1] if len(parts) > 1 else "item")


def _instant(text: str) -> int | None:
    """Read a time as AWS's command line writes it, in microseconds; None if it is not one, or has no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round(at.timestamp() * 1_000_000) if at.tzinfo is not None else None


_PER_SECOND = {"MILLISECOND": 1000, "MICROSECOND": 1}


def _creation_time(change: Mapping[str, Any]) -> int | None:
    """Return when a change was made, in microseconds, from seconds or in the precision of Kinesis; None if unknown."""
    told = unmarked(change.get("ApproximateCreationDateTime"))
    if isinstance(told, str):
        return _instant(told)
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    precision = change.get("ApproximateCreationDateTimePrecision")
    guessed = 1_000_000 if told < 10**11 else 1000 if told < 10**14 else 1
    return int(Decimal(str(told)) * _PER_SECOND.get(text_of(precision), guessed))
