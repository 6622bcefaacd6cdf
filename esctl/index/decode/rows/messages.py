"""Messages of a broker as tools dump them: one object with topic, key, value and headers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from esctl.index.decode.rows.change import SAFE_DIGITS, number, unmarked
from esctl.model import MARK

_VALUES = ("value", "payload")
_MESSAGE_MEMBERS = {"topic", "partition", "offset", "key", "header", "headers"}


class Message(Struct, frozen=True):
    """One message; `value` is None for a tombstone. `dumped`: the record described a message, not a bare value."""

    value: Any
    key: Any = None
    headers: Mapping[str, Any] = {}
    topic: str = ""
    time: Any = None
    dumped: bool = False


def message_of(record: Any) -> Message:
    """Return the message that a record describes; any other record is taken as the value of a message."""
    if not isinstance(record, dict):
        return Message(record)
    name = next((name for name in _VALUES if name in record), None)
    is_pair = len(record) == 2 and "key" in record
    if name is None or (len(_MESSAGE_MEMBERS & record.keys()) < 2 and not is_pair) or "op" in record:
        return Message(record)
    value, topic = opened(record[name]), record.get("topic")
    if (inner := message_of(value)).dumped:
        return inner
    return Message(
        value,
        opened(record.get("key")),
        _headers(record.get("headers", record.get("header"))),
        topic if isinstance(topic, str) else "",
        unmarked(record.get("timestamp", record.get("ts"))),
        dumped=True,
    )


def unwrapped(value: Any) -> tuple[Any, Mapping[str, Any] | None]:
    """Return a value and its schema; the schema is None if it comes without one."""
    if isinstance(value, dict) and "payload" in value and isinstance(value.get("schema"), dict) and len(value) == 2:
        return value["payload"], value["schema"]
    return value, None


def opened(value: Any) -> Any:
    """Return the JSON object or array that a text holds, with exact numbers; any other value stays."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return exact(value)
        except ValueError:
            return value
    return value


_MAY_LOSE = re.compile(rf"[0-9.]{{{SAFE_DIGITS + 1}}}|[0-9][eE]|0\.000|{MARK}")
"""Matches texts with numbers that a DOUBLE may not keep, or strings that look like marked numbers."""


def exact(text: str) -> Any:
    """Parse a JSON text as judged records are: numbers that a DOUBLE would not keep are marked. Raises ValueError."""
    if not _MAY_LOSE.search(text):
        return msgspec.json.decode(text)
    try:
        found = json.loads(text, parse_float=_read_number, parse_int=_read_number, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return _mark_strings(found)


class _Exact(str):
    """A number that is marked."""


def _read_number(text: str) -> Any:
    found = number(Decimal(text))
    return _Exact(found) if isinstance(found, str) else found


def _refuse_constant(text: str) -> Any:
    raise ValueError(text)


def _mark_strings(value: Any) -> Any:
    if isinstance(value, _Exact):
        return str(value)
    if isinstance(value, str):
        return MARK + value if value.startswith(MARK) else value
    if isinstance(value, list):
        return [_mark_strings(each) for each in value]
    if isinstance(value, dict):
        return {name: _mark_strings(each) for name, each in value.items()}
    return value


def _headers(headers: Any) -> Mapping[str, Any]:
    """Return headers by name, from an object, a list of names and values in turn, or a list of pairs."""
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
