"""Messages of a broker as tools dump them: one object with topic, key, value and headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

_VALUES = ("value", "payload")
_BESIDE = {"topic", "partition", "offset", "key", "headers"}


class Message(Struct, frozen=True):
    """One message; `value` is None for a tombstone. `dumped`: the record described a message, not a bare value."""

    value: Any
    key: Any = None
    headers: Mapping[str, Any] = {}
    topic: str = ""
    dumped: bool = False


def message_of(record: Any) -> Message:
    """Return the message that a record tells of; a record that tells of none is the value of one."""
    if not isinstance(record, dict):
        return Message(record)
    name = next((name for name in _VALUES if name in record), None)
    if name is None or len(_BESIDE & record.keys()) < 2 or "op" in record:
        return Message(record)
    topic = record.get("topic")
    return Message(
        opened(record[name]),
        opened(record.get("key")),
        _headers(record.get("headers")),
        topic if isinstance(topic, str) else "",
        dumped=True,
    )


def opened(value: Any) -> Any:
    """Return the JSON value that a text holds; what is none stays."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _headers(headers: Any) -> Mapping[str, Any]:
    """Return headers by name: of an object, of a list of names and values in turn, or of pairs."""
    if isinstance(headers, dict):
        return {name: opened(value) for name, value in headers.items()}
    if not isinstance(headers, list):
        return {}
    if all(each is None or isinstance(each, str) for each in headers):
        return {name: opened(value) for name, value in zip(headers[::2], headers[1::2], strict=False)}
    found = {}
    for each in headers:
        if isinstance(each, dict) and "key" in each:
            found[each["key"]] = opened(each.get("value"))
        elif isinstance(each, dict):
            found |= {name: opened(value) for name, value in each.items()}
        elif isinstance(each, list) and len(each) == 2:
            found[each[0]] = opened(each[1])
    return found
