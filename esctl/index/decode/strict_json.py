"""Read JSON text strictly (RFC 8259), and rewrite it where DuckDB would not read it exactly.

The token scanner is our own, because the text of every number must survive unchanged and 10,000 levels of nesting must
not recurse: no parser at hand gives both.
"""

from __future__ import annotations

import json
import re

from msgspec import Struct, field

from esctl.model import MARK

MAX_DEPTH = 10_000
"""Levels of arrays and objects a record may have."""

PLAIN_DIGITS = 100
"""Digits a canonical number may have before it is written with an exponent."""

_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_CHARACTERS = r'[^"\\\x00-\x1f]*+'
_STRING = rf'"{_CHARACTERS}(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}){_CHARACTERS})*+"'
_TOKEN = re.compile(rf"[ \t\n\r]*+(?:([\[\]{{}},:])|({_STRING})|({_NUMBER})|(true|false|null))")
_NEXT_NUMBER = re.compile(r'(?:[^"0-9-]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+(-?[0-9][0-9.eE+-]*+)', re.DOTALL)
_PARTS = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?\Z")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPED_MARK = f"\\u{ord(MARK):04x}"
_BLANK = " \t\n\r"

_PUNCTUATION, _TEXT, _DIGITS = 1, 2, 3
_VALUE, _KEY, _COLON, _COMMA, _CLOSE, _END = 1, 2, 4, 8, 16, 32


class Examined(Struct, frozen=True):
    """The strict reader's result for one text: the text to read from now on, or why there is none."""

    text: str | None
    marked: bool = False
    reason: str | None = None


class _RefusedError(Exception):
    """The text is not JSON, for the reason given."""


class _Frame(Struct):
    """An open array (no members) or object; members: key -> index of its first and last token in the output."""

    close: str
    members: dict[str, tuple[int, int]] | None = None
    key: str = ""
    start: int = 0


class _Scan(Struct):
    """State of one scan: what may come next, what is open, what is written."""

    expect: int = _VALUE
    stack: list[_Frame] = field(default_factory=list)
    out: list[str] = field(default_factory=list)
    changed: bool = False


def examine(text: str) -> Examined:
    """Check a text against RFC 8259 and mark what DuckDB would read inexactly.

    The text is rewritten, with its blanks, if it has numbers that a double may not keep, strings that begin with the
    mark, or objects with a key twice (the last wins); otherwise it is returned unchanged.
    """
    scan = _Scan()
    position = 0
    try:
        while found := _TOKEN.match(text, position):
            kind = found.lastindex or 0
            token, blanks = found[kind], text[position : found.start(kind)]
            if kind == _PUNCTUATION:
                _punctuate(scan, token, blanks)
            elif kind == _TEXT:
                _take_string(scan, token, blanks)
            else:
                _take_scalar(scan, token, blanks, kind)
            position = found.end()
        _finish(scan, text, position)
    except _RefusedError as refusal:
        at = len(text) - len(text[position:].lstrip(_BLANK))
        return Examined(None, reason=f"{refusal} at byte {len(text[:at].encode('utf-8', 'replace'))}")
    return Examined("".join(scan.out) if scan.changed else text, scan.changed)


def mark_numbers(text: str) -> Examined:
    """Mark the numbers of a text that is known to be JSON in which nothing else needs care."""
    pieces: list[str] = []
    copied = position = 0
    while found := _NEXT_NUMBER.match(text, position):
        start, position = found.span(1)
        number = found[1]
        if needs_mark(number):
            try:
                pieces += (text[copied:start], f'"{MARK}{canonical_number(number)}"')
            except ValueError as error:
                return Examined(None, reason=f"{error} at byte {len(text[:start].encode())}")
            copied = position
    if not pieces:
        return Examined(text)
    return Examined("".join((*pieces, text[copied:])), True)


def _finish(scan: _Scan, text: str, position: int) -> None:
    rest = text[position:].lstrip(_BLANK)
    if scan.expect == _END:
        if rest:
            raise _RefusedError("something follows the JSON value")
    elif not rest:
        raise _RefusedError("the JSON text ends too early" if position else "no JSON: empty")
    elif rest[0] == '"':
        raise _RefusedError("a string has no end, a control character or an unknown escape")
    else:
        raise _RefusedError("no JSON: unexpected character")


def _punctuate(scan: _Scan, token: str, blanks: str) -> None:
    if token in "[{":
        _require(scan, _VALUE, "a value is not expected here")
        if len(scan.stack) >= MAX_DEPTH:
            raise _RefusedError(f"nested over {MAX_DEPTH} levels")
        scan.stack.append(_Frame("]") if token == "[" else _Frame("}", {}))
        scan.expect = _VALUE | _CLOSE if token == "[" else _KEY | _CLOSE
    elif token in "]}":
        if not scan.expect & _CLOSE or scan.stack[-1].close != token:
            trailing = bool(scan.out) and scan.out[-1].endswith(",")
            raise _RefusedError(
                "a comma before a closing bracket" if trailing else "a closing bracket is not expected here"
            )
        scan.stack.pop()
        _after_value(scan)
    elif token == ",":
        _require(scan, _COMMA, "a comma is not expected here")
        frame = scan.stack[-1]
        if frame.members is not None:
            frame.members[frame.key] = (frame.start, len(scan.out))
        scan.expect = _VALUE if frame.members is None else _KEY
    else:
        _require(scan, _COLON, "a colon is not expected here")
        scan.expect = _VALUE
    scan.out.append(blanks + token)


def _take_string(scan: _Scan, token: str, blanks: str) -> None:
    if not scan.expect & (_KEY | _VALUE):
        raise _RefusedError("a string is not expected here")
    if "\\" in token and _SURROGATE.search(token):
        _refuse_lone_surrogate(token)
    starts = token.startswith(MARK, 1) or token[1:7].lower() == _ESCAPED_MARK
    if scan.expect & _KEY:
        _open_member(scan, token)
    else:
        _after_value(scan)
    scan.out.append(f'{blanks}"{MARK}{token[1:]}' if starts else blanks + token)
    scan.changed |= starts


def _open_member(scan: _Scan, token: str) -> None:
    frame = scan.stack[-1]
    assert frame.members is not None
    frame.key = json.loads(token) if "\\" in token else token[1:-1]
    frame.start = len(scan.out)
    if earlier := frame.members.get(frame.key):
        first, last = earlier
        scan.out[first : last + 1] = [""] * (last + 1 - first)
        scan.changed = True
    scan.expect = _COLON


def _take_scalar(scan: _Scan, token: str, blanks: str, kind: int) -> None:
    _require(scan, _VALUE, "a value is not expected here")
    if kind == _DIGITS and needs_mark(token):
        try:
            token = f'"{MARK}{canonical_number(token)}"'
        except ValueError as error:
            raise _RefusedError(str(error)) from None
        scan.changed = True
    scan.out.append(blanks + token)
    _after_value(scan)


def _after_value(scan: _Scan) -> None:
    scan.expect = _COMMA | _CLOSE if scan.stack else _END


def _require(scan: _Scan, what: int, otherwise: str) -> None:
    if not scan.expect & what:
        raise _RefusedError(otherwise)


def _refuse_lone_surrogate(token: str) -> None:
    try:
        json.loads(token).encode()
    except UnicodeEncodeError:
        raise _RefusedError("a string has half of a surrogate pair") from None


def needs_mark(number: str) -> bool:
    """Return whether DuckDB's JSON functions may change a JSON number.

    True: any exponent; over 15 significant digits with a fraction, unless a double prints the same; a fraction below
    1e-4 (printed with an exponent); 20 or more integer digits; a negative zero.
    """
    digits = number.removeprefix("-")
    if "e" in digits or "E" in digits:
        return True
    whole, point, fraction = digits.partition(".")
    significant = (whole + fraction).lstrip("0")
    if not significant:
        return number[0] == "-"
    if not point:
        return len(digits) > 19
    if whole == "0" and fraction.startswith("0000"):
        return True
    return len(significant) > 15 and repr(float(number)) != number


def canonical_number(number: str) -> str:
    """Write a JSON number in the one form that equal numbers share.

    No exponent while that takes at most 100 digits, else `d.ddde+n`; no trailing zeros, no negative zero.
    Raises ValueError for an exponent beyond 18 digits or a text that is not a JSON number.
    """
    found = _PARTS.match(number)
    if not found:
        raise ValueError("no number")
    sign, whole, fraction, exponent_text = found[1], found[2], found[3] or "", found[4] or "0"
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return "0"
    if len(exponent_text.lstrip("+-0")) > 18:
        raise ValueError("a number has an exponent of over 18 digits")
    kept = digits.rstrip("0")
    exponent = int(exponent_text.lstrip("+")) - len(fraction) + len(digits) - len(kept)
    if max(len(kept) + max(exponent, 0), -exponent) > PLAIN_DIGITS:
        mantissa = kept[0] + ("." + kept[1:] if kept[1:] else "")
        return f"{sign}{mantissa}e{exponent + len(kept) - 1:+d}"
    if exponent >= 0:
        return sign + kept + "0" * exponent
    padded = kept.rjust(1 - exponent, "0")
    return f"{sign}{padded[:exponent]}.{padded[exponent:]}"
