"""What an expression tree gives for one event. NULL is None; only a bare path can give MISSING."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any

from .expressions import NUMERIC, PREDICATES, TEXTUAL, TIME_COLUMNS, Call, Case, Cast, Column, List, Literal, Node, Path
from .expressions import Struct as StructNode
from .mapping import Event, follow
from .times import read_time
from .values import (
    EXACT,
    MISSING,
    Instant,
    Number,
    UnreadableError,
    convert,
    is_number,
    same,
    to_boolean,
    to_number,
    to_text,
)

LOGIC = frozenset(["and", "or", "not", "is null", "in", "between", "like", "=", "<>", "<", "<=", ">", ">="])
ARITHMETIC = frozenset(["+", "-", "*", "/", "%", "negative"])


def evaluate(node: Node, event: Event) -> Any:
    """Give the value as a state carries it: JSON values as they are, times as text."""
    value = _raw(node, event)
    if isinstance(value, Instant):
        return to_text(value)
    return Decimal(repr(value)) if isinstance(value, float) else value


def truth(node: Node, event: Event) -> bool | None:
    """Give the value in a boolean context."""
    return to_boolean(_raw(node, event))


def number(node: Node, event: Event) -> Number | None:
    """Give the value in a number context."""
    return to_number(_raw(node, event))


def kind_of(node: Node) -> str:
    """Give the kind a node has by itself: number, text, boolean, time, null, or json (a path, a struct, a list)."""
    if isinstance(node, Literal):
        return {Decimal: "number", str: "text", bool: "boolean"}.get(type(node.value), "null")
    if isinstance(node, Column):
        return "time" if node.name in TIME_COLUMNS else "number" if node.name == "position" else "text"
    if isinstance(node, Case):
        return joint([*(value for _, value in node.branches), node.otherwise])
    if isinstance(node, Cast):
        return {"varchar": "text", "text": "text", "boolean": "boolean"}.get(node.type.lower(), "number")
    if not isinstance(node, Call):
        return "json"
    if node.name in ARITHMETIC or node.name in NUMERIC:
        return "number"
    if node.name == "||" or node.name in TEXTUAL:
        return "text"
    return "boolean" if node.name in LOGIC or node.name in PREDICATES else joint(node.args)


def joint(nodes: Iterable[Node]) -> str:
    """Give the kind in which values stand side by side: the first here that any of them has."""
    kinds = {kind_of(node) for node in nodes}
    return next((kind for kind in ("number", "time", "boolean", "text", "json") if kind in kinds), "null")


def _read(value: Any, kind: str) -> Any:
    if value is None or value is MISSING:
        return None
    if kind == "time":
        return value if isinstance(value, Instant) else _time(to_text(value) or "")
    return {"number": to_number, "text": to_text, "boolean": to_boolean}.get(kind, lambda same_value: same_value)(value)


def _time(text: str) -> Instant:
    try:
        return Instant(read_time(text))
    except ValueError as problem:
        raise UnreadableError(str(problem)) from problem


def _raw(node: Node, event: Event) -> Any:
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Path):
        return MISSING if event.data is MISSING else follow(event.data, node.parts)
    if isinstance(node, Column):
        return _column(node.name, event)
    if isinstance(node, Case):
        chosen = next((value for condition, value in node.branches if truth(condition, event)), node.otherwise)
        return _read(_raw(chosen, event), kind_of(node))
    if isinstance(node, Cast):
        return _cast(node, event)
    if isinstance(node, StructNode):
        return {key: _inner(item, event) for key, item in node.items}
    if isinstance(node, List):
        return [_inner(item, event) for item in node.items]
    return _call(node, event)


def _inner(node: Node, event: Event) -> Any:
    value = evaluate(node, event)
    return None if value is MISSING else value


def _column(name: str, event: Event) -> Any:
    if name in TIME_COLUMNS:
        return None if name == "time" and event.undated else Instant(getattr(event, name))
    if name == "sequence":
        return None if event.sequence is None else ",".join(to_text(part) or "" for part in event.sequence)
    return (event.role or None) if name == "role" else getattr(event, name)


def _cast(node: Cast, event: Event) -> Any:
    value = _raw(node.value, event)
    try:
        return None if value is MISSING else convert(value, node.type)
    except UnreadableError:
        if node.lenient:
            return None
        raise


def _call(node: Call, event: Event) -> Any:
    name, args = node.name, node.args
    if name in ("and", "or"):
        return _logic(name, args, event)
    if name == "not":
        value = truth(args[0], event)
        return None if value is None else not value
    if name == "is null":
        return _raw(args[0], event) in (None, MISSING)
    if name in ARITHMETIC or name in NUMERIC - {"length"}:
        return _arithmetic(name, [number(arg, event) for arg in args])
    if name in ("coalesce", "nullif", "greatest", "least"):
        return _choose(node, event)
    if name == "concat":
        return "".join(to_text(_raw(arg, event)) or "" for arg in args)
    if name in TEXTUAL or name in PREDICATES or name in ("||", "like", "length"):
        return _textual(node, event)
    return _compare(name, args, event)


def _logic(name: str, args: tuple[Node, ...], event: Event) -> bool | None:
    """Combine in three-valued logic, left to right: what settles it hides what comes after."""
    settles = name == "or"
    unknown = False
    for arg in args:
        value = truth(arg, event)
        if value is settles:
            return settles
        unknown |= value is None
    return None if unknown else not settles


def _arithmetic(name: str, values: list[Number | None]) -> Number | None:
    if any(value is None for value in values):
        return None
    if any(isinstance(value, float) for value in values) or name == "/":
        return _inexact(name, [float(value) for value in values if value is not None])
    x, *rest = [Decimal(value) for value in values if value is not None]
    with localcontext(EXACT):
        if name in ("+", "-", "*", "%"):
            return _exact(name, x, rest[0])
        if name in ("negative", "abs"):
            return -x if name == "negative" or x < 0 else x
    rounding = {"floor": ROUND_FLOOR, "ceil": ROUND_CEILING, "round": ROUND_HALF_UP}[name]
    digits = int(rest[0]) if rest else 0
    return x.quantize(Decimal(1).scaleb(-digits), rounding, Context(prec=EXACT.prec))


def _exact(name: str, x: Decimal, y: Decimal) -> Decimal | None:
    if name == "%":
        return None if y == 0 else x % y  # the sign of the dividend, as in SQL
    return x + y if name == "+" else x - y if name == "-" else x * y


def _inexact(name: str, values: list[float]) -> float | None:
    x, *rest = values
    if name in ("/", "%"):
        return None if rest[0] == 0 else x / rest[0] if name == "/" else x - rest[0] * int(x / rest[0])
    if name in ("+", "-", "*"):
        return x + rest[0] if name == "+" else x - rest[0] if name == "-" else x * rest[0]
    if name in ("negative", "abs"):
        return -x if name == "negative" else abs(x)
    exact = _arithmetic(name, [Decimal(repr(x)), *(Decimal(int(value)) for value in rest)])
    return None if exact is None else float(exact)


def _choose(node: Call, event: Event) -> Any:
    kind = kind_of(node)
    if node.name == "coalesce":
        return next((v for arg in node.args if (v := _read(_raw(arg, event), kind)) is not None), None)
    values = [_read(_raw(arg, event), kind) for arg in node.args]
    if node.name == "nullif":
        equal = _ordered("=", values[0], values[1], kind)
        return None if equal else values[0]
    best = None
    for value in values:  # NULLs do not take part
        if value is not None and (best is None or _ordered(">" if node.name == "greatest" else "<", value, best, kind)):
            best = value
    return best


def _compare(name: str, args: tuple[Node, ...], event: Event) -> bool | None:
    if name == "between":
        low = _compare(">=", (args[0], args[1]), event)
        high = _compare("<=", (args[0], args[2]), event)
        return False if low is False or high is False else None if low is None or high is None else True
    if name == "in":
        answers = [_compare("=", (args[0], item), event) for item in args[1:]]
        return True if True in answers else None if None in answers else False
    kind = joint(args)
    x, y = (_read(_raw(arg, event), kind) for arg in args)
    return _ordered(name, x, y, kind)


def _ordered(name: str, x: Any, y: Any, kind: str) -> bool | None:
    """Compare two values of a kind; two JSON values by number if both are numbers, else as text."""
    if x is None or y is None:
        return None
    if kind == "json" and not (is_number(x) and is_number(y)):
        x, y = to_text(x), to_text(y)
    if name in ("=", "<>"):
        return same(x, y) is (name == "=")
    return bool(x < y if name == "<" else x <= y if name == "<=" else x > y if name == ">" else x >= y)


def _textual(node: Call, event: Event) -> Any:
    if node.name == "substr":
        return _substr(to_text(_raw(node.args[0], event)), [number(arg, event) for arg in node.args[1:]])
    texts = [to_text(_raw(arg, event)) for arg in node.args]
    if any(text is None for text in texts):
        return None
    x, *rest = [text for text in texts if text is not None]
    match node.name:
        case "length":
            return len(x)
        case "||":
            return x + rest[0]
        case "lower" | "upper":
            return "".join(_simple_case(char, node.name) for char in x)
        case "trim":
            return x.strip(" ")
        case "replace":
            return x.replace(rest[0], rest[1]) if rest[0] else x
        case _:
            return _matches(node.name, x, rest[0])


def _matches(name: str, text: str, wanted: str) -> bool:
    if name == "like":
        return _like(text, wanted)
    if name == "contains":
        return wanted in text
    return text.startswith(wanted) if name == "starts_with" else text.endswith(wanted)


def _simple_case(char: str, name: str) -> str:
    changed = char.lower() if name == "lower" else char.upper()
    return changed if len(changed) == 1 else char


def _like(text: str, pattern: str) -> bool:
    wild = {"%": ".*", "_": "."}
    return re.fullmatch("".join(wild.get(char) or re.escape(char) for char in pattern), text, re.DOTALL) is not None


def _substr(text: str | None, numbers: list[Number | None]) -> str | None:
    if text is None or any(value is None for value in numbers):
        return None
    start, *length = [int(value) for value in numbers if value is not None]
    first = start - 1 if start > 0 else len(text) + start if start < 0 else -1
    last = first + length[0] if length else len(text)
    return text[max(first, 0) : max(last, 0)]
