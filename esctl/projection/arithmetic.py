"""Arithmetic on typed SQL numbers: in a DECIMAL that holds every result, else with sort keys (see `wide.py`)."""

from __future__ import annotations

from collections.abc import Callable

from esctl.projection import wide
from esctl.projection.conversions import as_double
from esctl.projection.values import FLOATING, INTEGER, WIDE, Shape, Value, as_shape


def calculated(operator: str, left: Value, right: Value, beyond: Callable[[], str]) -> Value:
    """Return the result of `+`, `-`, `*` or `%`. `beyond` writes the SQL for a result with too many digits."""
    a, b = left.shape or INTEGER, right.shape or INTEGER
    if a.is_float or b.is_float:
        return Value(f"({as_double(left)} {operator} {as_double(right)})", "number", FLOATING)
    shape = _result_shape(operator, a, b)
    if shape.is_wide:
        return Value(_calculate_wide(operator, as_shape(left, WIDE), as_shape(right, WIDE), beyond()), "number", WIDE)
    if operator == "*":
        sql = f"(CAST({left.sql} AS {a.sql_type}) * CAST({right.sql} AS {b.sql_type}))"
    else:
        divisor = as_shape(right, shape)
        sql = f"({as_shape(left, shape)} {operator} {f'nullif({divisor}, 0)' if operator == '%' else divisor})"
    return Value(sql, "number", shape)


def _result_shape(operator: str, a: Shape, b: Shape) -> Shape:
    joined = a.join(b)
    if joined.is_wide:
        return WIDE
    if operator == "*":
        return Shape(a.whole + b.whole, a.scale + b.scale).or_wide
    return Shape(joined.whole + (operator != "%"), joined.scale).or_wide


def _calculate_wide(operator: str, left: str, right: str, beyond: str) -> str:
    """Write the result of an operation on two sort keys."""
    if operator == "-":
        return wide.added(left, wide.negated(right), beyond)
    return {"+": wide.added, "*": wide.multiplied, "%": wide.remainder}[operator](left, right, beyond)


def divided(left: Value, right: Value) -> Value:
    """Return the quotient of two numbers as a DOUBLE; NULL where the divisor is 0."""
    return Value(f"({as_double(left)} / nullif({as_double(right)}, 0))", "number", FLOATING)


def negated(number: Value) -> Value:
    """Return a number with the other sign."""
    if number.shape is not None and number.shape.is_wide:
        return Value(wide.negated(number.sql), "number", number.shape)
    return Value(f"(-{number.sql})", "number", number.shape)


def absolute(number: Value) -> Value:
    """Return a number without its sign."""
    if number.shape is not None and number.shape.is_wide:
        return Value(wide.absolute(number.sql), "number", WIDE)
    return Value(f"abs({number.sql})", "number", number.shape)


def rounded(number: Value, places: int) -> Value:
    """Round a number, half away from zero, to `places` digits after the point."""
    places = min(places, wide.MOST_EXACT_DIGITS)
    shape = number.shape or INTEGER
    if shape.is_wide:
        return Value(wide.rounded(number.sql, places), "number", WIDE)
    if shape.is_float:
        return Value(f"round({number.sql}, {places})", "number", FLOATING)
    places = min(places, shape.scale)
    narrow = Shape(shape.whole + (places < shape.scale), places)
    if narrow.or_wide.is_wide:
        return Value(wide.rounded(as_shape(number, WIDE), places), "number", WIDE)
    return Value(f"CAST(round({number.sql}, {places}) AS {narrow.sql_type})", "number", narrow)


def to_whole(function: str, number: Value) -> Value:
    """Round a number down (`floor`) or up (`ceil`) to a whole one."""
    shape = number.shape or INTEGER
    if shape.is_float:
        return Value(f"{function}({number.sql})", "number", FLOATING)
    narrow = Shape(shape.whole + (shape.scale > 0), 0)
    if shape.is_wide or narrow.or_wide.is_wide:
        return Value(wide.to_whole(as_shape(number, WIDE), up=function == "ceil"), "number", WIDE)
    return Value(f"CAST({function}({number.sql}) AS {narrow.sql_type})", "number", narrow)
