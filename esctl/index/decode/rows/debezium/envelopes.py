"""Debezium's change events in other forms than its own: as CloudEvents, and as Avro's console prints them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIX = "iodebezium"
_NAMES = {
    "tsms": "ts_ms", "tsus": "ts_us", "tsns": "ts_ns", "txid": "txId", "serverid": "server_id",
    "changelsn": "change_lsn", "commitlsn": "commit_lsn", "eventserialno": "event_serial_no",
    "commitscn": "commit_scn", "replicaset": "rs",
}  # fmt: skip
"""The names of CloudEvents attributes in Debezium's `source`; others keep their names."""
_NUMBERS = ("lsn", "pos", "row", "ord", "ts_ms", "ts_us", "ts_ns", "server_id", "event_serial_no")
_UNIONS = frozenset({"string", "int", "long", "float", "double", "boolean", "bytes", "array", "map"})


def as_value(value: dict[str, Any]) -> dict[str, Any]:
    """Return an event in Debezium's own form; any other value stays."""
    if f"{_PREFIX}op" in value:
        return _of_cloudevent(value)
    return without_unions(value) if any(map(_is_tagged, (value.get("before"), value.get("after")))) else value


def _of_cloudevent(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    data = data.get("payload", data) if isinstance(data, dict) else {}
    bare = {name.removeprefix(_PREFIX): told for name, told in event.items() if name.startswith(_PREFIX)}
    source = {_NAMES.get(name, name): told for name, told in bare.items() if name != "op"}
    for name in _NUMBERS:
        told = source.get(name)
        if isinstance(told, str) and told.isascii() and told.isdigit():
            source[name] = int(told)
    return {"before": data.get("before"), "after": data.get("after"), "op": bare["op"], "source": source}


def _is_tagged(row: Any) -> bool:
    """Return whether a row is under the name of its type, as in Avro's JSON of unions."""
    return isinstance(row, dict) and len(row) == 1 and next(iter(row)).endswith(".Value")


def without_unions(value: Any) -> Any:
    """Return a value of Avro's JSON without the type names of unions."""
    if isinstance(value, list):
        return [without_unions(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name in _UNIONS or "." in name:
            return without_unions(inner)
    return {name: without_unions(inner) for name, inner in value.items()}
