"""Fold event by event in Python: for `python =` projections and for rules that no set-wise fold can follow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Context, Decimal
from itertools import groupby
from typing import Any

from msgspec import Struct

from esctl.engine.exact_text import unmark
from esctl.errors import UsageError
from esctl.projection.jsontext import dumps, loads
from esctl.projection.values import NUMBER_TEXT

Row = tuple[Any, ...]
State = dict[str, Any]


class StepOperation(Struct, frozen=True):
    """One operation: its name and field, and the columns of a row with its guard and its value's JSON text."""

    name: str
    field: str
    guard: int
    value: int


class Applied(Struct, frozen=True):
    """What one row of an event did: the state after it, the fields its operations concerned, whether it deletes.

    `resets`: the fields that were set (True) or removed (False) whatever they were before, last.
    """

    state: State
    touched: frozenset[str]
    resets: Mapping[str, bool]
    deletes: bool


Step = Callable[[State, Row], Applied]


def rule_step(operations: Sequence[StepOperation], types: Mapping[str, str], position: int) -> Step:
    """Give the step of a rule projection; `position` is the column with the event's position."""

    def step(state: State, row: Row) -> Applied:
        after: State = dict(state)
        touched: set[str] = set()
        resets: dict[str, bool] = {}
        deletes = False
        for operation in operations:
            if not row[operation.guard]:
                continue
            if operation.name == "delete":
                deletes = True
            elif operation.name == "unset":
                touched |= {operation.field} & after.keys()
                resets[operation.field] = False
                after.pop(operation.field, None)
            elif row[operation.value] is not None:
                try:
                    value = loads(row[operation.value])
                    resets |= _resets(after, operation, value)
                    after = _apply(after, operation, value, types, touched)
                except ValueError as error:
                    raise UsageError(f"event @{row[position]}: {error}") from None
        return Applied(after, frozenset(touched), resets, deletes)

    return step


def _resets(state: State, operation: StepOperation, value: Any) -> dict[str, bool]:
    """Say which fields an operation sets (True) or removes (False); a patch of an object in an object does neither."""
    if operation.name == "set":
        return {operation.field: True}
    if operation.name not in ("merge", "merge_patch", "replace") or not isinstance(value, dict):
        return {}
    if operation.name == "merge_patch":
        deep = {key for key, item in value.items() if isinstance(item, dict) and isinstance(state.get(key), dict)}
        return {key: item is not None for key, item in value.items() if key not in deep}
    gone = dict.fromkeys(state, False) if operation.name == "replace" else {}
    return gone | dict.fromkeys(value, True)


def _apply(state: State, operation: StepOperation, value: Any, types: Mapping[str, str], touched: set[str]) -> State:
    name, field = operation.name, operation.field
    if name in ("merge", "merge_patch", "replace"):
        return _apply_object(name, state, value, types, touched)
    if name == "set":
        state[field] = value
    elif name in ("append", "remove"):
        old = state.get(field, [])
        if not isinstance(old, list):
            raise ValueError(f"{field} is no list to {name} {'to' if name == 'append' else 'from'}")
        state[field] = [*old, value] if name == "append" else [item for item in old if not same(item, value)]
    elif value is None:
        return state
    else:
        state[field] = _accumulated(state, operation, value, types.get(field, ""))
    touched.add(field)
    return state


def _apply_object(name: str, state: State, value: Any, types: Mapping[str, str], touched: set[str]) -> State:
    if value is None:
        return state
    if not isinstance(value, dict):
        raise ValueError(f"{name} takes an object")
    if name == "merge_patch":
        after = merge_patch(state, value)
        new = {field for field in value if field in state or field in after}
    else:
        after = dict(value) if name == "replace" else {**state, **value}
        new = set(value) | (set(state) if name == "replace" else set())
    for field in new & types.keys() & after.keys():
        after[field] = declared(after[field], types[field])
    touched |= new
    result: State = after
    return result


def declared(value: Any, kind: str) -> Any:
    """Convert a value to a declared type. Raises ValueError for lost digits, overflow or another kind of value."""
    name = kind.strip().lower()
    if value is None or isinstance(value, list):
        return value
    if name in ("varchar", "text"):
        return value if isinstance(value, str) else unmark(dumps(value))
    if name == "boolean":
        if not isinstance(value, bool):
            raise ValueError(f"{dumps(value)[:60]} is neither true nor false")
        return value
    decimal = re.fullmatch(r"(?:decimal|numeric)\(\s*(\d+)\s*,\s*(\d+)\s*\)", name)
    if not decimal and name not in _BITS:
        return value
    number = _number(value)
    if number is None:
        raise ValueError(f"{dumps(value)[:60]} is no number")
    scaled = Decimal(number).scaleb(int(decimal[2]) if decimal else 0, _EXACT)
    fits = scaled.copy_abs() < 10 ** int(decimal[1]) if decimal else -(2 ** _BITS[name]) <= scaled < 2 ** _BITS[name]
    if scaled != scaled.to_integral_value() or not fits:
        raise ValueError(f"{dumps(value)[:60]} does not fit {name}")
    return number


_BITS = {"int": 31, "integer": 31, "bigint": 63, "hugeint": 127}
_EXACT = Context(prec=10_000)


def _accumulated(state: State, operation: StepOperation, value: Any, kind: str) -> Any:
    name, field = operation.name, operation.field
    if name in ("min", "max") and isinstance(value, str) and _number(value) is None:
        better = min if name == "min" else max
        old = state.get(field, value)
        if not isinstance(old, str):
            raise ValueError(f"{field} is no text: {dumps(old)[:60]}")
        return better(old, value)
    number = _number(declared(value, kind))
    if number is None:
        raise ValueError(f"{dumps(value)[:60]} is no number")
    if field not in state:
        return declared(_negated(number) if name == "subtract" else number, kind)
    old = state[field]
    if isinstance(old, bool) or not isinstance(old, int | Decimal):
        raise ValueError(f"{field} is no number to add to: {dumps(old)[:60]}")
    if name in ("min", "max"):
        return (min if name == "min" else max)(old, number)
    return declared(_sum(old, _negated(number) if name == "subtract" else number), kind)


def _negated(number: int | Decimal) -> int | Decimal:
    # Unary minus would round to the 28 digits of Python's default context.
    return number.copy_negate() if isinstance(number, Decimal) else -number


def _sum(a: int | Decimal, b: int | Decimal) -> int | Decimal:
    return a + b if isinstance(a, int) and isinstance(b, int) else _EXACT.add(Decimal(a), Decimal(b))


def _number(value: Any) -> int | Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return value
    if isinstance(value, str) and re.fullmatch(NUMBER_TEXT.strip("^$"), value):
        return Decimal(value)
    return None


def same(a: Any, b: Any) -> bool:
    """Compare JSON values: numbers by value, objects by keys, booleans apart from numbers."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a merge patch (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


class Stepped(Struct, frozen=True):
    """One event of an entity. `before` is empty at the start of an incarnation; `after` None when deleted.

    `row` is the event's first row: the one of its first role; `parts` are all of them and what each did.
    """

    row: Row
    version: int
    before: State
    after: State | None
    touched: frozenset[str]
    parts: tuple[tuple[Row, Applied], ...]


def steps(
    rows: Iterator[Row], step: Step, entity: Callable[[Row], Any], event: Callable[[Row], Any]
) -> Iterator[Stepped]:
    """Fold rows that are sorted by entity and fold key; a deletion takes effect at the end of its event."""
    for _, life in groupby(rows, key=entity):
        state: State | None = None
        for version, (_, group) in enumerate(groupby(life, key=event), start=1):
            before = after = state or {}
            parts: list[tuple[Row, Applied]] = []
            for row in group:
                applied = step(after, row)
                after = applied.state
                parts.append((row, applied))
            deletes = any(applied.deletes for _, applied in parts)
            touched = frozenset[str]().union(*(applied.touched for _, applied in parts), after if deletes else ())
            state = None if deletes else after
            yield Stepped(parts[0][0], version, before, state, touched, tuple(parts))


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the changes between two states; the key of a side is absent where the field was."""
    changes: list[dict[str, Any]] = []
    for field in dict.fromkeys([*before, *after]):
        if field in before and field in after and same(before[field], after[field]):
            continue
        change: dict[str, Any] = {"field": field}
        if field in before:
            change["before"] = before[field]
        if field in after:
            change["after"] = after[field]
        changes.append(change)
    return changes
