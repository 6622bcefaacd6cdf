"""JSON values: parsing, equality, exact numbers, texts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext
from typing import Any, NoReturn

EXACT = Context(prec=20_000, traps=[Inexact, InvalidOperation, Overflow])
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
BLANK = " \t\r\n"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Number = int | Decimal | float
"""A float is only what a division gave."""


class ConfigError(Exception):
    """A mapping or projection that means nothing, whatever the log holds."""


class UnreadableError(Exception):
    """A value that cannot be read as its context needs; the fold adds which event it was.

    `wanted`: number, boolean, list, sum (a number to add to), object or fit (into a declared type); `value`: what was
    there instead.
    """

    def __init__(self, message: str, wanted: str = "", value: Any = None) -> None:
        super().__init__(message)
        self.wanted = wanted
        self.value = value


@dataclass
class Problem:
    """What is wrong with one event.

    `earliest` is where other events than the first one in fold order meet the same wrong value: the first position.
    """

    position: int
    entity: str
    message: str
    field: str
    wanted: str
    value: Any
    earliest: int


class FoldError(Exception):
    """An event that a projection cannot be applied to.

    `shadowed`: every field the fold could not work out was later set anew or deleted, so a fold that only looks at what
    survives may miss it.
    """

    def __init__(
        self, position: int, entity: str, message: str, shadowed: bool, problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(f"event at position {position} of {entity!r}: {message}")
        self.position = position
        self.entity = entity
        self.message = message
        self.shadowed = shadowed
        self.problems = problems  # all that a fold may name, in whatever order it comes upon them


class Missing:
    """The value of a path that leads nowhere: not JSON null."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING = Missing()


class Instant(int):
    """Microseconds since the epoch, UTC, as an expression's value."""


def rfc3339(micros: int) -> str:
    """Write an instant in UTC, with six digits of fraction or none."""
    moment = (EPOCH + timedelta(microseconds=int(micros))).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds") + "Z"


def parse(text: str) -> Any:
    """Read JSON text as RFC 8259 has it: numbers exact, the last of duplicate keys, ValueError for anything else."""
    value = json.loads(text.strip(BLANK), parse_float=Decimal, parse_int=_integer, parse_constant=_refuse)
    _refuse_lone_surrogates(value)
    return value


def _integer(text: str) -> int | Decimal:
    # Python refuses to read more than 4,300 digits as int
    return int(text) if len(text) < 4000 else Decimal(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _refuse_lone_surrogates(value: Any) -> None:
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, list):
        for item in value:
            _refuse_lone_surrogates(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            key.encode("utf-8")
            _refuse_lone_surrogates(item)


def is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal | float) and not isinstance(value, bool | Instant)


def same(a: Any, b: Any) -> bool:
    """Equal as JSON: numbers by value, objects by keys, lists in order; true is not 1."""
    if is_number(a) and is_number(b):
        return bool(a == b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)


def canonical_number(value: Number) -> str:
    """Write a number without exponent (up to 100 digits), trailing zeros, minus zero."""
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    with localcontext(EXACT):
        number = number.normalize()
    if number == 0:
        return "0"
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    length = len(digits) + exponent if exponent > 0 else max(len(digits), 1 - exponent)
    if length <= 100:
        return format(number, "f")
    text = "".join(map(str, digits))
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{'-' if sign else ''}{text[0]}{fraction}e{exponent + len(text) - 1:+d}"


def canonical_json(value: Any) -> str:
    """Write a value as compact JSON: keys in their order, numbers canonical, non-ASCII as it is."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quote(key)}:{canonical_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical_json(item) for item in value) + "]"
    if isinstance(value, str):
        return _quote(value)
    return canonical_number(value) if is_number(value) else json.dumps(value)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def to_number(value: Any) -> Number | None:
    """Read a value as an exact number; NULL stays NULL; UnreadableError where it is none."""
    if value is None or value is MISSING:
        return None
    if is_number(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return Decimal(value)
    raise UnreadableError(f"{describe(value)} is not a number", "number", value)


def to_text(value: Any) -> str | None:
    """Read a value as text; NULL stays NULL."""
    if value is None or value is MISSING:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, Instant):
        return rfc3339(value)
    return canonical_json(value)


def to_boolean(value: Any) -> bool | None:
    """Read a value as a boolean; NULL stays NULL; UnreadableError where it is neither true nor false."""
    if value is None or value is MISSING:
        return None
    if isinstance(value, bool):
        return value
    raise UnreadableError(f"{describe(value)} is neither true nor false", "boolean", value)


def describe(value: Any) -> str:
    return f"the {type(value).__name__} {canonical_json(value)[:40]}"


_DECIMAL = re.compile(r"(?:decimal|numeric)\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)", re.IGNORECASE)
_INTEGERS = {"integer": 31, "int": 31, "bigint": 63, "hugeint": 127}


def convert(value: Any, declared: str) -> Any:
    """Convert a value to a declared type exactly: a lost digit, an overflow or another kind is a UnreadableError."""
    if value is None:
        return None
    name = declared.strip().lower()
    if name in ("varchar", "text"):
        return to_text(value)
    if name == "boolean":
        return to_boolean(value)
    number = to_number(value)
    assert number is not None
    exact = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    if name == "double":
        if Decimal(repr(float(exact))) != exact:
            raise UnreadableError(f"{exact} has more digits than a double keeps", "fit", exact)
        return exact
    if match := _DECIMAL.fullmatch(name):
        return _fit(exact, int(match[1]), int(match[2]))
    if name in _INTEGERS:
        limit = 2 ** _INTEGERS[name]
        if exact != exact.to_integral_value() or not -limit <= exact < limit:
            raise UnreadableError(f"{exact} is no {name}", "fit", exact)
        return int(exact)
    raise ConfigError(f"unknown type {declared!r}")


def _fit(exact: Decimal, precision: int, scale: int) -> Decimal:
    with localcontext(EXACT):
        scaled = exact.scaleb(scale)
        if scaled != scaled.to_integral_value() or abs(scaled) >= Decimal(10) ** precision:
            raise UnreadableError(f"{exact} does not fit decimal({precision},{scale})", "fit", exact)
    return exact
