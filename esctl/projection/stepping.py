"""Fold event by event in Python: for `python =` projections and for rules that no set-wise fold can follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from esctl.errors import UsageError
from esctl.projection.jsontext import loads
from esctl.projection.values import NUMBER_TEXT

Row = tuple[Any, ...]
State = dict[str, Any]

DELETED = None
"""The state of an entity that does not exist."""


@dataclass(frozen=True, slots=True)
class StepOperation:
    """One operation: its name and field, and the columns of a row with its guard and its value's JSON text."""

    name: str
    field: str
    guard: int
    value: int
    numeric: bool  # the field is declared a number: text is converted


def rule_step(operations: Sequence[StepOperation], position: int) -> Callable[[State | None, Row], State | None]:
    """Give the step of a rule projection; `position` is the column with the event's position."""

    def step(state: State | None, row: Row) -> State | None:
        after: State = dict(state or {})
        dead = False
        for operation in operations:
            if not row[operation.guard]:
                continue
            if operation.name == "delete":
                dead = True
            elif operation.name == "unset":
                after.pop(operation.field, None)
            elif row[operation.value] is not None:
                after = _apply(after, operation, loads(row[operation.value]), row[position])
        return DELETED if dead else after

    return step


def _apply(state: State, operation: StepOperation, value: Any, position: int) -> State:
    name, field = operation.name, operation.field
    if name == "set":
        state[field] = value
    elif name in ("add", "subtract", "count", "min", "max"):
        if value is not None:
            state[field] = _accumulated(state, operation, value, position)
    elif name in ("append", "remove"):
        if not isinstance(state.get(field, []), list):
            raise _wrong(
                position,
                f"{field} is no list to {name} to" if name == "append" else f"{field} is no list to remove from",
            )
        old = state.get(field, [])
        state[field] = [*old, value] if name == "append" else [item for item in old if not same(item, value)]
    elif value is not None:
        if not isinstance(value, dict):
            raise _wrong(position, f"{name} takes an object")
        if name == "merge_patch":
            patched: State = merge_patch(state, value)
            return patched
        return dict(value) if name == "replace" else {**state, **value}
    return state


def _accumulated(state: State, operation: StepOperation, value: Any, position: int) -> Any:
    name, field = operation.name, operation.field
    if name in ("min", "max") and isinstance(value, str) and not operation.numeric:
        better = min if name == "min" else max
        return better(state[field], value) if field in state else value
    number = _number(value)
    if number is None:
        raise _wrong(position, f"{value!r} is no number")
    if field not in state:
        return -number if name == "subtract" else number
    old = state[field]
    if isinstance(old, bool) or not isinstance(old, int | Decimal):
        raise _wrong(position, f"{field} is no number to add to: {old!r}")
    if name == "min":
        return min(old, number)
    if name == "max":
        return max(old, number)
    return _sum(old, -number if name == "subtract" else number)


def _sum(a: int | Decimal, b: int | Decimal) -> int | Decimal:
    import decimal

    with decimal.localcontext() as context:
        context.prec = 10_000
        return a + b


def _number(value: Any) -> int | Decimal | None:
    import re

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


def _wrong(position: int, message: str) -> UsageError:
    return UsageError(f"event @{position}: {message}")


@dataclass(frozen=True, slots=True)
class Stepped:
    """One step of an entity's life. `before` is empty at the start of an incarnation; `after` None when deleted."""

    row: Row
    version: int
    before: State
    after: State | None


def steps(
    rows: Iterator[Row],
    step: Callable[[State | None, Row], State | None],
    entity: Callable[[Row], Any],
    event: Callable[[Row], Any],
) -> Iterator[Stepped]:
    """Fold rows that are sorted by entity and fold key."""
    current, state, version, last = object(), DELETED, 0, object()
    for row in rows:
        name = entity(row)
        if name != current:
            current, state, version, last = name, DELETED, 0, object()
        version += event(row) != last
        last = event(row)
        before: State = state or {}
        state = step(state, row)
        yield Stepped(row, version, before, state)


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
