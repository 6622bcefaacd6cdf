"""Small strict checks of JSON text (RFC 8259), for heads and last lines only."""

from __future__ import annotations

import json
import re
from typing import Any, Literal, NamedTuple

from esctl.sources.pieces import BLANKS, NOISE

_LONGEST_INTEGER = 4000  # digits; Python reads 4,300
_SPACE = re.compile(r"[ \t\r\n]*")
_CUT_LITERAL = re.compile(r"t(r(u)?)?|f(a(l(s)?)?)?|n(u(l)?)?|-|\.|[eE][+-]?")
_ESCAPE_SPAN = 12  # \uXXXX\uXXXX


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _read_integer(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_INTEGER else text


LENIENT = json.JSONDecoder(parse_int=_read_integer)
"""Parses JSON for looking at it: integers longer than Python reads stay texts."""
_DECODER = json.JSONDecoder(parse_int=str, parse_constant=_refuse)


def parse_leniently(text: bytes) -> Any:
    """Parse JSON for looking at it, as LENIENT does. Raises ValueError or RecursionError if it cannot be parsed."""
    return LENIENT.decode(text.decode())


def is_json(text: bytes) -> bool:
    """Return whether the bytes are exactly one JSON value; blanks may surround it, and NOISE may precede it."""
    try:
        _DECODER.decode(text.lstrip(NOISE).rstrip(BLANKS).decode())
    except RecursionError:
        return _is_balanced(text)
    except ValueError:
        return False
    return True


def is_json_object(text: bytes) -> bool:
    """Return whether the bytes are exactly one JSON object."""
    return text.lstrip(NOISE).startswith(b"{") and is_json(text)


def _is_balanced(text: bytes) -> bool:
    # Nested deeper than Python's parser goes: balanced brackets suffice here, and reading the record checks the rest.
    bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", text, flags=re.DOTALL).strip(BLANKS)
    depth = 0
    for position, byte in enumerate(re.findall(rb"[\[\]{}]", bare)):
        depth += 1 if byte in b"[{" else -1
        if depth < 0 or (depth == 0 and position == 0):
            return False
    return depth == 0 and bare[-1:] in (b"]", b"}")


class Prefix(NamedTuple):
    """How parsing the first JSON value of a text went: `end` is where it ends or breaks, or the end of the text."""

    state: Literal["complete", "incomplete", "broken"]
    end: int


def first_value(text: str) -> Prefix:
    """Parse the first JSON value of a text that may be cut off anywhere."""
    start = _SPACE.match(text).end()  # type: ignore[union-attr]  # the pattern matches the empty string
    try:
        _, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        return Prefix("incomplete", len(text))
    except json.JSONDecodeError as error:
        return Prefix("incomplete", len(text)) if _is_cut_off(text, error) else Prefix("broken", error.pos)
    except ValueError:
        return Prefix("broken", start)
    return Prefix("complete", end)


def _is_cut_off(text: str, error: json.JSONDecodeError) -> bool:
    if error.msg.startswith("Unterminated string"):
        return True
    rest = text[error.pos :].strip(" \t\r\n")
    if "escape" in error.msg:
        return len(text) - error.pos < _ESCAPE_SPAN and '"' not in rest
    # A number is read as far as it is one: "1.5e" breaks at its "e".
    return not rest or _CUT_LITERAL.fullmatch(rest) is not None
