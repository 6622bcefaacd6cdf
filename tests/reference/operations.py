"""What each operation does to a state: (state before, event) -> what is touched."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

from .evaluation import evaluate, number
from .mapping import Event
from .rules import WHOLE, Operation
from .values import EXACT, MISSING, Number, UnreadableError, convert, describe, is_number, same

Fields = dict[str, Any]


def apply(operation: Operation, state: Fields, event: Event, types: Mapping[str, str]) -> set[str]:
    """Change the state in place and give the fields it touched: empty where the event brings nothing to do."""
    name, field = operation.name, operation.field
    if name == "unset":
        return {field} if state.pop(field, MISSING) is not MISSING else set()
    if operation.value is None:
        return set()
    if name in WHOLE:
        if operation.lenient and not isinstance(evaluate(operation.value, event), dict):
            return set()
        return _whole(name, evaluate(operation.value, event), state, types)
    value = _operand(operation, event)
    if value is MISSING:
        return set()
    after = value if name == "set" else _accumulate(name, state.get(field, MISSING), value, types.get(field))
    is_list = name in ("append", "remove")  # of which a declared type says nothing
    state[field] = convert(after, types[field]) if field in types and not is_list else after
    return {field}


def _operand(operation: Operation, event: Event) -> Any:
    """Give what the operation works with, MISSING where there is nothing to do."""
    assert operation.value is not None
    value = evaluate(operation.value, event)
    if value is MISSING:
        return MISSING
    match operation.name:
        case "count":
            return MISSING if value is None or value is False else 1
        case "add" | "subtract" | "min" | "max":
            read = number(operation.value, event)
            return MISSING if read is None else read
        case _:
            return value


def _accumulate(name: str, before: Any, value: Any, declared: str | None) -> Any:
    if name in ("append", "remove"):
        items = [] if before is MISSING else before
        if not isinstance(items, list):
            raise UnreadableError(f"{describe(items)} is not a list to {name}", "list", items)
        return [*items, value] if name == "append" else [item for item in items if not same(item, value)]
    operand = value if declared is None else convert(value, declared)
    if before is MISSING:
        return operand if name in ("min", "max") else _sum(name, 0, operand)
    if not is_number(before):
        raise UnreadableError(f"cannot {name} onto {describe(before)}", "sum", before)
    if name in ("min", "max"):
        smaller = operand < before
        return operand if smaller is (name == "min") else before
    return _sum(name, before, operand)


def _sum(name: str, before: Number, operand: Number) -> Decimal:
    with localcontext(EXACT):
        x, y = Decimal(before), Decimal(operand)
        return x - y if name == "subtract" else x + y


def _whole(name: str, value: Any, state: Fields, types: Mapping[str, str]) -> set[str]:
    if value is None or value is MISSING:
        return set()
    if not isinstance(value, dict):
        raise UnreadableError(f"{name} needs an object, not {describe(value)}", "object", value)
    before = set(state)
    touched = set(value)
    if name == "merge_patch":
        after = merge_patch(state, value)
        touched = {field for field in touched if field in before or field in after}
    else:
        after = {**state, **value} if name == "merge" else dict(value)
        touched = touched if name == "merge" else touched | before
    converted = {
        field: convert(item, types[field]) if field in types and field in touched else item
        for field, item in after.items()
    }
    state.clear()
    state.update(converted)
    return touched


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396, section 2) and give the result; neither argument changes."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result
