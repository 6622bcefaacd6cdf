"""JSON values in Python: reading and writing them with exact numbers, comparing and patching them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation
from typing import Any

from esctl.engine.exact_text import EXACT_DIGITS, json_string
from esctl.errors import UsageError
from esctl.index.decode.strict_json import PLAIN_DIGITS, canonical_number
from esctl.model import MARK
from esctl.projection.wide import MOST_EXACT_DIGITS


class Scaled(Decimal):
    """A number of a declared scale: its trailing zeros are written."""


class Total(Scaled):
    """An accumulated number, with the position of the first event in it and the type that it must fit."""

    first: int
    kind: str


EXACT = Context(prec=MOST_EXACT_DIGITS, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact])
"""The context in which numbers of states are added and scaled."""


def without_scale(value: Any) -> Any:
    """Return a number without its declared scale, and any other value as it is."""
    return Decimal(value) if isinstance(value, Scaled) else value


_DECODER = json.JSONDecoder(parse_float=Decimal)


def loads(text: str) -> Any:
    """Parse JSON text as the index keeps it: fractions as Decimal, marked numbers unmarked."""
    value = _DECODER.decode(text)
    return _unmark(value) if MARK in text else value


def _unmark(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(MARK):
        return value[1:] if value[1:2] == MARK else _parse_number(value[1:])
    if isinstance(value, list):
        return [_unmark(item) for item in value]
    if isinstance(value, dict):
        # A key is never a number, but one that begins with the mark is escaped like any string.
        return {key.removeprefix(MARK): _unmark(item) for key, item in value.items()}
    return value


def _parse_number(text: str) -> int | Decimal:
    number = Decimal(text)
    is_whole = number == number.to_integral_value() and abs(number.adjusted()) < PLAIN_DIGITS
    return int(number) if is_whole else number


def dumps(value: Any) -> str:
    """Write compact JSON text: numbers without trailing zeros (unless `Scaled`), strings that begin with MARK escaped.

    Raises UsageError for a value that JSON cannot hold.
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return json_string(value)
    if isinstance(value, int | float | Decimal):
        return _number_text(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_key_text(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(dumps(item) for item in value) + "]"
    raise UsageError(f"a state cannot hold a {type(value).__name__}", "use text, numbers, booleans, lists and objects")


def _key_text(key: Any) -> str:
    if not isinstance(key, str):  # written as text, it might be there twice
        raise UsageError(f"a state cannot hold an object with the key {key!r}", "use text for the keys of objects")
    return json_string(key)


def _number_text(value: float | Decimal) -> str:
    if isinstance(value, Scaled):
        text = format(value if value else abs(value), "f")
        return f'"{MARK}{text}"' if text.endswith("0") or len(text) > EXACT_DIGITS else text
    if type(value) is int and -_EXACT_WHOLE < value < _EXACT_WHOLE:
        return str(value)
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise UsageError(f"a state cannot hold {number}", "JSON has no such number")
    text = canonical_number(str(number).replace("E", "e"))
    # What DuckDB's JSON functions would round, or write with an exponent, is marked.
    exact = len(text.replace("-", "").replace(".", "")) <= EXACT_DIGITS and number.adjusted() >= -4
    return text if exact else f'"{MARK}{text}"'


_EXACT_WHOLE = 10**EXACT_DIGITS


def to_scale(value: Any, scale: int) -> Any:
    """Return a number with `scale` digits after the point; one with more, or any other value, as it is."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    try:
        number = Decimal(value).quantize(Decimal(1).scaleb(-scale), context=EXACT)
    except (Inexact, InvalidOperation):  # an error when it is checked against its type
        return value
    if not isinstance(value, Total):
        return Scaled(number)
    total = Total(number)
    total.first, total.kind = value.first, value.kind
    return total


def are_equal(a: Any, b: Any) -> bool:
    """Compare JSON values: numbers by value, objects by keys, booleans apart from numbers."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(are_equal(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(are_equal, a, b))
    return bool(a == b)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the fields that differ between two states; `before` or `after` is absent where the field was."""
    changes: list[dict[str, Any]] = []
    for field in dict.fromkeys([*before, *after]):
        if field in before and field in after and are_equal(before[field], after[field]):
            continue
        change: dict[str, Any] = {"field": field}
        if field in before:
            change["before"] = before[field]
        if field in after:
            change["after"] = after[field]
        changes.append(change)
    return changes
