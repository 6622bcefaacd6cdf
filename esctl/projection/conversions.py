"""Comparing values of two types, giving several values one type, converting to declared types."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from esctl.engine.duckdb import EVENT_ERROR
from esctl.engine.exact_text import EXACT_DIGITS
from esctl.engine.once import once
from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.projection import wide
from esctl.projection.values import (
    FLOATING,
    INTEGER,
    INTEGER_BITS,
    MOST_DIGITS,
    QUOTIENT_SCALE,
    WIDE,
    Shape,
    Value,
    as_shape,
    decimal_digits,
    event_error,
    from_json,
    json_text,
    number_digits,
    to_boolean,
    to_number,
    to_text,
)


def number_literal(text: str) -> Value:
    """Read a number literal exactly. Raises UsageError for an exponent beyond 18 digits."""
    from decimal import Decimal, DecimalException

    try:
        number = Decimal(text)
    except DecimalException:
        raise UsageError(f"the number {text[:50]} has an exponent of over 18 digits") from None
    if abs(number.adjusted()) > MOST_DIGITS:
        return Value(wide.number_key(literal(str(number))), "number", WIDE)
    plain = format(number, "f")
    whole, _, fraction = plain.lstrip("-").partition(".")
    shape = Shape(max(len(whole.lstrip("0")), 1), len(fraction)).or_wide
    sql = wide.number_key(literal(plain)) if shape.is_wide else f"CAST({literal(plain)} AS {shape.sql_type})"
    return Value(sql, "number", shape)


def compare(operator: str, left: Value, right: Value) -> str:
    """Write a comparison in the stronger of two types (number, time, boolean, text); of two paths, row by row."""
    types = {left.type, right.type}
    if "number" in types:
        return f"({_compare_numbers(operator, left, right)})"
    if "time" in types:
        return f"({to_time(left).sql} {operator} {to_time(right).sql})"
    if "boolean" in types:
        return f"({to_boolean(left).sql} {operator} {to_boolean(right).sql})"
    if left.type == right.type == "dynamic":
        if left.static and right.static and "NUMBER" not in (left.static, right.static):
            return f"({left.text} {operator} {right.text})"
        both_numbers = f"({left.json_type} = 'NUMBER' AND {right.json_type} = 'NUMBER')"
        numbers = _compare_numbers(operator, left, right)
        return f"(CASE WHEN {both_numbers} THEN {numbers} ELSE {left.text} {operator} {right.text} END)"
    return f"({to_text(left).sql} {operator} {to_text(right).sql})"


def _compare_numbers(operator: str, left: Value, right: Value) -> str:
    """Write a comparison by value; the type that DuckDB finds for two DECIMALs might not hold both."""
    one, two = to_number(left), to_number(right)
    if (one.shape or INTEGER).join(two.shape or INTEGER).is_wide:
        return f"{as_shape(one, WIDE)} {operator} {as_shape(two, WIDE)}"
    return f"{one.sql} {operator} {two.sql}"


def to_time(value: Value) -> Value:
    """Read a value as an instant; a text may have any form that logs use."""
    from esctl.index.decode.times.sql import time_sql

    if value.type == "time":
        return value
    text = to_text(value).sql
    time = time_sql(text)
    if value.type == "null":
        return Value(time, "time")
    wrong = event_error("{} is not a time", f"CAST(to_json(left({text}, 60)) AS VARCHAR)")
    checked = once(time, lambda time: f"CASE WHEN {time} IS NULL AND {text} IS NOT NULL THEN {wrong} ELSE {time} END")
    return Value(checked, "time")


def nullable(value: Value) -> str:
    """Return SQL that is NULL where the value is missing or JSON null."""
    return f"CASE WHEN {value.json_type} <> 'NULL' THEN {value.sql} END" if value.type == "dynamic" else value.sql


def unify(values: Sequence[Value], prefer: str = "") -> list[Value]:
    """Return the values in one type: the first of number, time, boolean, text that any has, else `prefer`.

    Without either, values that are all dynamic stay so, and others become JSON.
    """
    types = {value.type for value in values} - {"null"}
    kind = next((kind for kind in ("number", "time", "boolean", "text") if kind in types), prefer)
    if kind == "number":
        numbers = [to_number(value) for value in values]
        shape = numbers[0].shape or INTEGER
        for number in numbers[1:]:
            shape = shape.join(number.shape or INTEGER)
        return [Value(as_shape(number, shape), "number", shape) for number in numbers]
    if kind:
        return [{"time": to_time, "boolean": to_boolean, "text": to_text}[kind](value) for value in values]
    if types == {"dynamic"}:
        return [_null_as_missing(value) for value in values]
    return [Value(json_text(value), "json") for value in values]


def _null_as_missing(value: Value) -> Value:
    """Return a path's value in which JSON null is the same as missing."""
    if value.type == "null":
        none = "CAST(NULL AS VARCHAR)"
        return Value(none, "dynamic", Shape(1, 0), none, none, f"CAST(NULL AS {Shape(1, 0).sql_type})", "", "null")
    kind = f"nullif({value.json_type}, 'NULL')"
    return replace(value, sql=nullable(value), json_type=kind)


def choose_unified(values: Sequence[Value], combine: Callable[[Sequence[str]], str]) -> Value:
    """Return one of several unified values; `combine` writes the choice from the SQL of each."""
    first = values[0]
    if first.type == "json":
        return from_json(f"({combine([value.sql for value in values])})", "the expression")
    if first.type != "dynamic":
        return Value(f"({combine([value.sql for value in values])})", first.type, first.shape)
    shape = first.shape or INTEGER
    for value in values[1:]:
        shape = shape.join(value.shape or INTEGER)
    forms = [combine([getattr(value, form) for value in values]) for form in ("sql", "text", "json_type")]
    text, json_type = forms[1:]
    number = combine([as_shape(Value(value.number, "number", value.shape), shape) for value in values])
    return Value(f"({forms[0]})", "dynamic", shape, text, json_type, number, label="the expression")


def declared_scale(sql_type: str) -> Shape | None:
    """Return the shape of a declared decimal type with digits after the point; None for any other type."""
    precision, scale = decimal_digits(sql_type) or (0, 0)
    return Shape(precision - scale, scale) if scale else None


def convert(value: Value, sql_type: str, *, lenient: bool = False) -> Value:
    """Convert to a declared type; a value that would lose digits raises an error naming its event (`lenient`: NULL)."""
    name = sql_type.upper().replace(" ", "")
    digits = decimal_digits(name)
    if digits or name in ("BIGINT", "INT", "INTEGER", "HUGEINT", "DECIMAL"):
        precision, scale = digits or (MOST_DIGITS if name == "HUGEINT" else 19, 0)
        if not 0 <= scale <= precision <= MOST_DIGITS:
            raise UsageError(f"{sql_type} is not a decimal type that can be held")
        return _to_decimal(value, Shape(precision - scale, scale), name.lower(), lenient=lenient)
    if name == "DOUBLE":
        return _to_double(value, lenient=lenient)
    if name in ("VARCHAR", "TEXT", "STRING"):
        return to_text(value)
    if name in ("BOOLEAN", "BOOL"):
        return to_boolean(value)
    if name.startswith("TIMESTAMP"):
        return to_time(value)
    raise UsageError(f"unknown type {sql_type!r}", "one of: decimal(p,s), bigint, double, varchar, boolean, timestamp")


def as_double(number: Value) -> str:
    """Write a number as the nearest DOUBLE; one with more than EXACT_DIGITS is converted from its text."""
    shape = number.shape or INTEGER
    if _fits_double(shape):
        return f"CAST({number.sql} AS DOUBLE)"
    if not shape.is_wide:
        return f"CAST({number_digits(number.sql, shape)} AS DOUBLE)"

    def checked(digits: str) -> str:
        wrong = event_error("{} is beyond what a double holds", digits)
        kept = f"isfinite(CAST({digits} AS DOUBLE)) AND (CAST({digits} AS DOUBLE) <> 0 OR {digits} = '0')"
        return f"CASE WHEN {kept} THEN CAST({digits} AS DOUBLE) WHEN {digits} IS NOT NULL THEN {wrong} END"

    return once(number_digits(number.sql, shape), checked)


def _fits_double(shape: Shape) -> bool:
    """Return whether a DOUBLE keeps all digits of the numbers of a shape."""
    return shape.is_float or (not shape.is_wide and shape.whole + shape.scale <= EXACT_DIGITS)


def _to_double(value: Value, *, lenient: bool) -> Value:
    number = to_number(value, lenient=lenient)
    shape = number.shape or INTEGER

    def same(number: str) -> str:
        given = Value(number, "number", shape)
        wrong = "NULL" if lenient else event_error("{} does not fit double", number_digits(number, shape))

        def checked(double: str) -> str:
            again = as_shape(Value(double, "number", FLOATING), WIDE)
            return f"CASE WHEN {again} IS NOT DISTINCT FROM {as_shape(given, WIDE)} THEN {double} ELSE {wrong} END"

        return once(as_double(given), checked)

    return Value(as_double(number) if _fits_double(shape) else once(number.sql, same), "number", FLOATING)


def addable_number(number: Value) -> Value:
    """Return a number that can be added up; a DOUBLE is rounded, so that no sum depends on the order of addition."""
    if number.shape is None or not number.shape.is_float:
        return number
    return Value(wide.rounded(as_shape(number, WIDE), QUOTIENT_SCALE), "number", WIDE)


def quotient(left: Value, right: Value) -> Value:
    """Divide two numbers exactly, rounded half away from zero; NULL where the divisor is zero."""
    left, right = addable_number(left), addable_number(right)
    a, b = left.shape or INTEGER, right.shape or INTEGER
    scale = max(a.scale, b.scale)
    half = QUOTIENT_SCALE // 2
    shape = Shape(max(a.whole + b.scale, 1), QUOTIENT_SCALE).or_wide
    narrow = not (a.is_wide or b.is_wide or shape.is_wide)
    if not narrow or a.whole + scale > MOST_DIGITS or b.whole + scale + half > MOST_DIGITS:
        sql = wide.divided(as_shape(left, WIDE), as_shape(right, WIDE), QUOTIENT_SCALE, TOO_LONG)
        return Value(sql, "number", WIDE)

    def units(number: Value, shape: Shape) -> str:
        text = f"CAST(CAST({number.sql} AS {Shape(shape.whole, scale).sql_type}) AS VARCHAR)"
        return f"CAST(replace({text}, '.', '') AS HUGEINT)"

    # Long division in two steps, each of half the digits: no product leaves a HUGEINT.
    step = 10**half
    start = f"{{'a': {units(left, a)}, 'b': {units(right, b)}}}"
    first = "{'less': (v.a < 0) <> (v.b < 0), 'b': abs(v.b), 'q': abs(v.a) // abs(v.b), 'r': abs(v.a) % abs(v.b)}"
    more = f"{{'less': v.less, 'b': v.b, 'q': v.q, 'f': v.r * {step} // v.b, 'r': v.r * {step} % v.b}}"
    rest = f"(v.r * {step} % v.b)"
    last = f"""{{'less': v.less, 'q': v.q,
        'f': v.f * {step} + v.r * {step} // v.b + CAST({rest} >= v.b - {rest} AS HUGEINT)}}"""
    text = f"lpad(CAST(v.q * {step**2}::HUGEINT + v.f AS VARCHAR), {shape.whole + QUOTIENT_SCALE}, '0')"
    size = f"CAST(left({text}, {shape.whole}) || '.' || right({text}, {QUOTIENT_SCALE}) AS {shape.sql_type})"
    value = f"CASE WHEN v.less THEN -{size} ELSE {size} END"
    nested = f"[{start}]"
    for each in (f"CASE WHEN v.b <> 0 THEN {first} END", more, last, value):
        nested = f"list_transform({nested}, lambda v: {each})"
    return Value(f"({nested})[1]", "number", shape)


_TOO_LONG = f"{EVENT_ERROR}a number needs more than {wide.MOST_EXACT_DIGITS} digits"
TOO_LONG = f"error({literal(_TOO_LONG)})"
"""The error for numbers that do not belong to one event."""


def _to_decimal(value: Value, shape: Shape, name: str, *, lenient: bool) -> Value:
    number = to_number(value, lenient=lenient)
    own = number.shape or INTEGER
    if own.is_float:
        return Value(f"CAST({number.sql} AS {shape.sql_type})", "number", shape)
    room = {"bigint": 18, "int": 9, "integer": 9}.get(name, shape.whole)
    if not own.is_wide and own.whole <= room and own.scale <= shape.scale:
        return Value(f"CAST({number.sql} AS {shape.sql_type})", "number", shape)

    def converted(number: str) -> str:
        digits = number_digits(number, own)
        exact = _exact_decimal(Value(number, "number", own), shape)
        if name in INTEGER_BITS and name != "hugeint":  # that is wider than any DECIMAL
            low, high = -(2 ** INTEGER_BITS[name]), 2 ** INTEGER_BITS[name] - 1
            exact = once(exact, lambda n: f"CASE WHEN {n} BETWEEN {low}::HUGEINT AND {high}::HUGEINT THEN {n} END")
        if lenient:
            return exact
        wrong = event_error(f"{{}} does not fit {name}", digits)
        return once(exact, lambda n: f"CASE WHEN {n} IS NULL AND {number} IS NOT NULL THEN {wrong} ELSE {n} END")

    return Value(once(number.sql, converted), "number", shape)


def _exact_decimal(number: Value, shape: Shape) -> str:
    """Write a number as a DECIMAL of some shape; NULL if that does not hold all its digits."""
    own = number.shape or INTEGER
    if own.is_wide:
        fits, text = wide.fits(number.sql, shape.whole, shape.scale), number_digits(number.sql, own)
        return f"CASE WHEN {fits} THEN CAST({text} AS {shape.sql_type}) END"
    cast = f"try_cast({number.sql} AS {shape.sql_type})"
    return f"CASE WHEN {compare('=', Value(cast, 'number', shape), number)} THEN {cast} END"
