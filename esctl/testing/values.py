"""Compare the values of a state with those that a test expects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

Difference = tuple[str, Any, Any]


def differences(state: Mapping[str, Any], expected: Mapping[str, Any], *, exact: bool) -> list[Difference]:
    """List the fields that differ from what is expected: name, actual value, expected value."""
    names = dict.fromkeys([*expected, *(state if exact else ())])
    return [
        (name, state.get(name), expected.get(name)) for name in names if not same(state.get(name), expected.get(name))
    ]


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same in JSON: numbers by their value, lists in order, objects whole."""
    if _is_number(one) and _is_number(other):
        return _number(one) == _number(other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if _is_list(one) and _is_list(other):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def value_text(value: Any) -> str:
    """Return a value for a message: as JSON, or `missing` if it is None."""
    return "missing" if value is None else as_json(value)


def as_json(value: Any) -> str:
    """Return a value as JSON; decimals keep their digits. Raises TypeError for values that JSON cannot hold."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        members = (f"{json.dumps(str(key), ensure_ascii=False)}: {as_json(each)}" for key, each in value.items())
        return "{" + ", ".join(members) + "}"
    if _is_list(value):
        return "[" + ", ".join(map(as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _number(value: int | float | Decimal) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
