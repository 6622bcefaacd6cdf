"""Whether what a system says of a field is what the log implies: by value, whatever the spelling."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from esctl.engine.exact_text import canonical_json_sql, unmark_json_sql
from esctl.engine.quoting import literal
from esctl.errors import EsctlError
from esctl.index.decode.times import parse_instant
from esctl.index.scan import read_json
from esctl.projection.json_values import loads, same
from esctl.projection.values import NUMBER_TEXT

_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d")
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[ntr])")
_NAMED = {"n": "\n", "t": "\t", "r": "\r"}
_NUMBER = re.compile(NUMBER_TEXT)


def with_texts(rows: str, count: int, *, delimited: bool) -> str:
    """Add columns a0, b0, ... to rows of JSON text l0, r0, ...: each value as the text that `differ_sql` compares.

    They are worked out once, a step at a time: written where they are used, the query grows as they nest.
    """
    sides = [side + str(number) for number in range(count) for side in "lr"]
    texts = ", ".join(f"{_text(column)} AS text_{column}" for column in sides)
    wanted = []
    for number in range(count):
        mine, theirs = f"text_l{number}", _trimmed(f"text_r{number}")
        for name, text in ((f"a{number}", mine), (f"b{number}", theirs)):
            wanted.append(f"nullif({text}, '') AS {name}" if delimited else f"{text} AS {name}")
    return f"SELECT *, {', '.join(wanted)} FROM (SELECT *, {texts} FROM ({rows}))" if count else rows


def differ_sql(number: int, function: str) -> str:
    """Write whether two columns of rows from `with_texts` differ by value; missing and null are one.

    What is spelled alike is settled here; `function` names one that asks `agree` about the rest.
    """
    a, b = f"a{number}", f"b{number}"
    return f"""CASE WHEN {a} IS NOT DISTINCT FROM {b} THEN false WHEN {a} IS NULL OR {b} IS NULL THEN true
        ELSE NOT {function}(l{number}, r{number}) END"""


def _text(column: str) -> str:
    """Write a value as text: what a string holds, else its JSON text in one spelling."""
    string = read_json(column, (), "text", marked=True)
    plain = f"nullif({canonical_json_sql(unmark_json_sql(column))}, 'null')"
    return f"CASE WHEN {column}[1:1] = '\"' THEN {string} ELSE {plain} END"


def _trimmed(text: str) -> str:
    """Write a text without the trailing zeros that it has where it is a number."""
    return f"CASE WHEN regexp_matches({text}, {literal(NUMBER_TEXT)}) THEN {canonical_json_sql(text)} ELSE {text} END"


def agree(log: str, file: str) -> bool:
    """Return whether two values, as marked JSON text, are the same; a text is read as what the log has."""
    try:
        mine, theirs = loads(log), loads(file)
        return _agrees_with_text(mine, theirs) if isinstance(theirs, str) else same(mine, theirs)
    except (ValueError, RecursionError, EsctlError):
        return False


def _agrees_with_text(value: Any, text: str) -> bool:
    bare = text.strip()
    if isinstance(value, bool):
        return _TRUTHS.get(bare.lower()) is value
    if isinstance(value, int | Decimal):
        return bool(_NUMBER.match(bare)) and Decimal(bare) == value
    if isinstance(value, str):
        return value in _meanings(text) or _are_one_instant(value, text)
    return same(value, json.loads(text, parse_float=Decimal))


def _meanings(text: str) -> set[str]:
    """Return what a displayed text may stand for: control characters were escaped in it, formulas disarmed."""
    raw = _ESCAPE.sub(lambda found: _NAMED.get(found[1]) or chr(int(found[1][1:], 16)), text)
    return {text, raw, text.removeprefix("'"), raw.removeprefix("'")}


def _are_one_instant(a: str, b: str) -> bool:
    return bool(_TIME.match(a) and _TIME.match(b)) and parse_instant(a, "UTC") == parse_instant(b, "UTC")
