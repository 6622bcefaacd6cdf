"""Typed SQL values: the results of expressions, and how one type is read as another, exactly.

A dynamic value (a path) is JSON whose type is only known row by row. Numbers carry their shape: the digits before and
after the point, so that a DECIMAL wide enough is known before anything runs. If no DECIMAL holds them all, or their
digits are not known, they are WIDE: see `wide.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from msgspec import Struct

from esctl.engine.duckdb import EVENT_ERROR, HINT
from esctl.engine.exact_text import EXACT_DIGITS, json_string_sql, shown_json_sql, time_text
from esctl.engine.once import once
from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.model import MARK
from esctl.projection import wide

MOST_DIGITS = 38
FLOAT = -1  # `whole` of a number that is a DOUBLE
KEY = -2  # `whole` of a number that is a sort key of `wide.py`
NUMBER_TEXT = r"^-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?$"
QUOTIENT_SCALE = 12
"""Digits after the point that an inexact number (a quotient) keeps when it is accumulated."""

_DECIMAL = re.compile(r"(decimal|numeric)\(\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*\)", re.ASCII | re.IGNORECASE)
INTEGER_BITS = {"bigint": 63, "int": 31, "integer": 31, "hugeint": 127}
"""Bits of the integer types, without the sign."""
_OTHER_TYPES = ("double", "varchar", "text", "boolean", "timestamp")

_place = ContextVar("place", default="")


@contextmanager
def naming_place(where: str) -> Iterator[None]:
    """Have errors that are compiled in the block name the place of their expression in the configuration."""
    token = _place.set(where)
    try:
        yield
    finally:
        _place.reset(token)


class Shape(Struct, frozen=True):
    """Digits before and after the decimal point; with FLOAT or KEY as `whole`, a number that is no DECIMAL."""

    whole: int
    scale: int

    @property
    def is_float(self) -> bool:
        """Return whether the number is a DOUBLE."""
        return self.whole == FLOAT

    @property
    def is_wide(self) -> bool:
        """Return whether the number is a sort key of `wide.py`."""
        return self.whole == KEY

    @property
    def or_wide(self) -> Shape:
        """Return the shape itself, or WIDE if no DECIMAL has that many digits."""
        return self if self.is_float or (not self.is_wide and self.whole + self.scale <= MOST_DIGITS) else WIDE

    @property
    def sql_type(self) -> str:
        """Return the DuckDB type of numbers of this shape; not of one for which `or_wide` is another."""
        if self.is_float or self.is_wide:
            return "DOUBLE" if self.is_float else "VARCHAR"
        return f"DECIMAL({max(self.whole + self.scale, 1)},{self.scale})"

    def join(self, other: Shape) -> Shape:
        """Return a shape that holds the numbers of both.

        It is WIDE if one of them is or no DECIMAL holds both, and FLOATING if one is a DOUBLE and none is WIDE.
        """
        if self.is_wide or other.is_wide:
            return WIDE
        if self.is_float or other.is_float:
            return FLOATING
        return Shape(max(self.whole, other.whole), max(self.scale, other.scale)).or_wide


FLOATING = Shape(FLOAT, 0)
WIDE = Shape(KEY, 0)
INTEGER = Shape(19, 0)

Type = Literal["number", "text", "boolean", "time", "dynamic", "json", "null"]


class Value(Struct, frozen=True):
    """An SQL expression with its type.

    dynamic: `sql` is JSON text (NULL: missing), `text`, `json_type` and `number` read it in other ways, `static` is its
    JSON type if that is the same in every row, `label` is how the user wrote it. json: JSON text that is only copied.
    """

    sql: str
    type: Type
    shape: Shape | None = None
    text: str = ""
    json_type: str = ""
    number: str = ""
    static: str = ""
    label: str = ""


NULL = Value("NULL", "null")


def parse_declared_type(text: str) -> str | None:
    """Return the name of a declared type without the blanks in it; None if there is no such type."""
    name = text.strip()
    if found := _DECIMAL.fullmatch(name):
        return f"{found[1]}({found[2]},{found[3]})"
    return name if name.lower() in (*INTEGER_BITS, *_OTHER_TYPES) else None


def decimal_digits(name: str) -> tuple[int, int] | None:
    """Return how many digits a DECIMAL type has, and how many of them after the point; None for any other type."""
    found = _DECIMAL.fullmatch(name)
    return (int(found[2]), int(found[3])) if found else None


def is_number_type(name: str) -> bool:
    """Return whether a type is of exact numbers."""
    return decimal_digits(name) is not None or name.lower() in INTEGER_BITS


def limits_totals(name: str) -> bool:
    """Return whether a total of a field must fit the type, and not only the values that it is set to."""
    return is_number_type(name) and name.lower() != "hugeint"


def as_shape(number: Value, shape: Shape) -> str:
    """Write a number in another shape, which must hold it."""
    own = number.shape or INTEGER
    if not shape.is_wide:
        return f"CAST({number.sql} AS {shape.sql_type})"
    return number.sql if own.is_wide else wide.number_key(number_digits(number.sql, own))


def event_error(message: str, *parts: str, position: str = "position") -> str:
    """Write an `error()` call that names the row's event, with the place of its expression as a hint (`naming_place`).

    `parts` are SQL texts that replace each `{}` of the message.
    """
    pieces = message.split("{}")
    sql = f"{literal(f'{EVENT_ERROR}event @')} || CAST({position} AS VARCHAR) || ': '"
    for i, piece in enumerate(pieces):
        sql += f" || {literal(piece)}"
        if i < len(parts):
            sql += f" || coalesce({parts[i]}, 'null')"
    if _place.get():
        sql += f" || {literal(f'{HINT}see {_place.get()}')}"
    return f"error({sql})"


def to_number(value: Value, *, lenient: bool = False) -> Value:
    """Read a value as an exact number; a row with another value raises an error naming its event (`lenient`: NULL)."""
    if value.type == "number":
        return value
    if value.type == "null":
        return Value("CAST(NULL AS DECIMAL(1,0))", "number", Shape(1, 0))
    if value.type == "text":
        return Value(once(value.sql, lambda text: _text_number(text, lenient=lenient)), "number", WIDE)
    if value.type == "dynamic":
        return _dynamic_number(value, lenient=lenient)
    raise UsageError(f"a {value.type} value is not a number")


def _text_number(text: str, *, lenient: bool) -> str:
    wrong = "NULL" if lenient else event_error("{} is not a number", f"CAST(to_json(left({text}, 60)) AS VARCHAR)")
    return f"coalesce({wide.number_key(text)}, CASE WHEN {text} IS NOT NULL THEN {wrong} END)"


def _dynamic_number(value: Value, *, lenient: bool) -> Value:
    shape = value.shape or WIDE
    if value.static == "NUMBER":
        return Value(value.number, "number", shape)
    wrong = "NULL" if lenient else event_error(value.label + " is not a number: {}", shown_json_sql(value.sql))
    kind = value.json_type
    numeric = f"{kind} = 'NUMBER' OR ({kind} = 'STRING' AND regexp_matches({value.text}, {literal(NUMBER_TEXT)}))"
    return Value(f"CASE WHEN {numeric} THEN {value.number} WHEN {kind} <> 'NULL' THEN {wrong} END", "number", shape)


def to_text(value: Value) -> Value:
    """Read a value as text: numbers without trailing zeros, containers as JSON."""
    if value.type == "text":
        return value
    if value.type == "dynamic":
        return Value(value.text, "text")
    if value.type == "null":
        return Value("CAST(NULL AS VARCHAR)", "text")
    if value.type == "json":
        return Value(value.sql, "text")
    if value.type == "time":
        return Value(time_text(value.sql), "text")
    if value.type == "number":
        return Value(number_digits(value.sql, value.shape or INTEGER), "text")
    return Value(json_text(value), "text")


def to_boolean(value: Value) -> Value:
    """Read a value as true or false; a row with another value raises an error naming its event."""
    if value.type == "boolean":
        return value
    if value.type == "null":
        return Value("CAST(NULL AS BOOLEAN)", "boolean")
    if value.type == "dynamic":
        truth = f"({value.text} = 'true')"
        if value.static == "BOOLEAN":
            return Value(truth, "boolean")
        wrong = event_error(value.label + " is neither true nor false: {}", shown_json_sql(value.sql))
        sql = f"CASE WHEN {value.json_type} = 'BOOLEAN' THEN {truth} WHEN {value.json_type} <> 'NULL' THEN {wrong} END"
        return Value(sql, "boolean")
    raise UsageError(f"a {value.type} value is neither true nor false")


def json_text(value: Value) -> str:
    """Write a value as JSON text; SQL NULL stays NULL."""
    if value.type in ("dynamic", "json"):
        return value.sql
    if value.type == "null":
        return "CAST(NULL AS VARCHAR)"
    if value.type == "text":
        return json_string_sql(value.sql)
    if value.type == "boolean":
        return f"CAST({value.sql} AS VARCHAR)"
    if value.type == "time":
        return f"'\"' || {time_text(value.sql)} || '\"'"
    return number_text(value.sql, value.shape or INTEGER)


def element_json(value: Value, missing: str = "'null'") -> str:
    """Write a value as JSON text for a list or object; numbers that DuckDB would round to a DOUBLE are marked."""
    text = json_text(value)
    shape = value.shape or INTEGER
    if value.type == "number" and shape.whole + shape.scale > EXACT_DIGITS:
        text = once(text, _mark_long_number)
    return text if missing == "NULL" else f"coalesce({text}, {missing})"


def _mark_long_number(text: str) -> str:
    digits = f"length(replace(replace({text}, '-', ''), '.', ''))"
    return f"CASE WHEN {digits} > {EXACT_DIGITS} THEN {literal(chr(34) + MARK)} || {text} || '\"' ELSE {text} END"


def number_text(sql: str, shape: Shape) -> str:
    """Write a number as JSON text without trailing zeros; a sort key that DuckDB's JSON might round is marked."""
    if not shape.is_wide:
        return number_digits(sql, shape)

    def marked(text: str) -> str:
        digits = f"replace(replace({text}, '-', ''), '.', '')"
        rounds = f"length({digits}) > {EXACT_DIGITS} OR contains({text}, 'e') OR starts_with({digits}, '00000')"
        return f"CASE WHEN {rounds} THEN {literal(chr(34) + MARK)} || {text} || '\"' ELSE {text} END"

    return once(wide.key_text(sql), marked)


def scaled_text(sql: str, shape: Shape) -> str:
    """Write a number as JSON text with all digits of the scale; if it ends in zeros it is marked, to keep them.

    The shape must be that of a DECIMAL.
    """
    text, mark = f"CAST(CAST({sql} AS {shape.sql_type}) AS VARCHAR)", literal(chr(34) + MARK)
    return once(text, lambda text: f"CASE WHEN ends_with({text}, '0') THEN {mark} || {text} || '\"' ELSE {text} END")


def number_digits(sql: str, shape: Shape) -> str:
    """Write a number's text, unmarked, without trailing zeros."""
    if shape.is_wide:
        return wide.key_text(sql)
    if shape.is_float:
        plain = "CASE WHEN isfinite({0}) THEN regexp_replace(CAST({0} AS VARCHAR), '[.]0$', '') END"
        return once(sql, plain.format)
    text = f"CAST({sql} AS VARCHAR)"
    return f"rtrim(rtrim({text}, '0'), '.')" if shape.scale else text


def from_json(sql: str, label: str, shape: Shape | None = None) -> Value:
    """Return SQL that gives (possibly marked) JSON text as a dynamic value."""
    from esctl.index.scan import read_json

    text = read_json(sql, (), "text", marked=True)
    shape = shape or WIDE
    number = wide.number_key(text) if shape.is_wide else f"CAST({text} AS {shape.sql_type})"
    kind = read_json(sql, (), "type", marked=True)
    return Value(sql, "dynamic", shape, text=text, json_type=kind, number=number, label=label)


def number_from_json(sql: str, label: str, shape: Shape) -> Value:
    """Return SQL that gives a (possibly marked) JSON number or null as a dynamic value, which needs no JSON parser."""
    text = f"nullif(trim({sql}, {literal(chr(34) + MARK)}), 'null')"
    kind = f"CASE WHEN {sql} = 'null' THEN 'NULL' WHEN {sql} IS NOT NULL THEN 'NUMBER' END"
    return Value(sql, "dynamic", shape, text, kind, f"CAST({text} AS {shape.sql_type})", "NUMBER", label)
