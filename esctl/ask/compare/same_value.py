"""Comparison of a system's value of a field with the one that the log implies, whatever the spelling."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.engine.duckdb import explained
from esctl.engine.exact_text import canonical_json_sql, unmark_json_sql
from esctl.engine.quoting import literal
from esctl.errors import EsctlError
from esctl.index.decode.times.forms import ORDERS
from esctl.index.decode.times.python import instant_of
from esctl.index.decode.times.reading import Reading, check_format
from esctl.index.scan import read_json
from esctl.projection.json_values import are_equal, loads
from esctl.projection.values import NUMBER_TEXT

if TYPE_CHECKING:
    from esctl.ask.compare.external_table import ForeignTable
    from esctl.engine.duckdb import Session

_TRUE = ("true", "t", "1", "yes", "y", "wahr", "vrai", "vero", "verdadero", "verdadeiro", "waar")
_FALSE = ("false", "f", "0", "no", "n", "falsch", "faux", "falso", "onwaar")
_TRUTHS = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
"""Words for true and false that systems and spreadsheets write, in several languages."""
_POINTED = re.compile(r"[+-]?[0-9]{1,3}(?:[,' \u00a0\u202f][0-9]{3})+\.[0-9]+")
_COMMAED = re.compile(r"[+-]?[0-9]{1,3}(?:[.' \u00a0\u202f][0-9]{3})+,[0-9]+|[+-]?[0-9]+,[0-9]{1,2}")
_SPACED = re.compile(r"[+-]?[0-9]{1,3}(?:[' \u00a0\u202f][0-9]{3})+")
"""Numbers whose marks are unambiguous: which one groups thousands, and which one begins the fraction."""
_GROUPING = str.maketrans("", "", "' \u00a0\u202f")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d|$)")
_FINER = re.compile(r"(?:[.,][0-9]{6}|^\s*[0-9]{16})([0-9]+)")
"""The digits of a time below a microsecond: of its fraction, or of nanoseconds since the epoch."""
_QUOTED_TIME = r'^"\d{4}-\d{2}-\d{2}(?:[T ]\d|"$)'
_DATES = r"^[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})(?:[^0-9]|$)"
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[ntr])")
_NAMED_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_NUMBER = re.compile(NUMBER_TEXT)


def with_texts(rows: str, count: int, *, delimited: bool) -> str:
    """Add columns a0, b0, ... to rows of JSON text l0, r0, ...: each value as the text that `differ_sql` compares.

    They are computed once, in two steps: written out where they are used, they would multiply as they nest.
    """
    sides = [side + str(number) for number in range(count) for side in "lr"]
    texts = ", ".join(f"{_text(column)} AS text_{column}" for column in sides)
    wanted = []
    for number in range(count):
        mine, theirs = f"text_l{number}", _as_type_in_log(f"text_r{number}", f"l{number}")
        for name, text in ((f"a{number}", mine), (f"b{number}", theirs)):
            wanted.append(f"nullif({text}, '') AS {name}" if delimited else f"{text} AS {name}")
    return f"SELECT *, {', '.join(wanted)} FROM (SELECT *, {texts} FROM ({rows}))" if count else rows


def differ_sql(number: int, function: str) -> str:
    """Write whether two columns of rows from `with_texts` differ by value; missing and null are the same.

    Equal spellings are settled here; `function` names an SQL function that asks `ValueComparison.agree` about the rest.
    """
    a, b = f"a{number}", f"b{number}"
    return f"""CASE WHEN {a} IS NOT DISTINCT FROM {b} THEN false WHEN {a} IS NULL OR {b} IS NULL THEN true
        ELSE NOT {function}(l{number}, r{number}, {number}) END"""


def _text(column: str) -> str:
    """Write a value as text: the content of a string, else its JSON text in one spelling."""
    string = read_json(column, (), "text", marked=True)
    plain = f"nullif({canonical_json_sql(unmark_json_sql(column))}, 'null')"
    return f"CASE WHEN {column}[1:1] = '\"' THEN {string} ELSE {plain} END"


def _as_type_in_log(text: str, log: str) -> str:
    """Write a text of a file: without trailing zeros if it is a number with a fraction, and no string in the log.

    The log's marked numbers are strings here too; `ValueComparison.agree` knows them.
    """
    is_number = f"regexp_matches({text}, {literal(NUMBER_TEXT)})"
    return f"CASE WHEN {log}[1:1] IS DISTINCT FROM '\"' AND {is_number} THEN {canonical_json_sql(text)} ELSE {text} END"


class ValueComparison(Struct, frozen=True):
    """How to compare values: the zone of times without one, and the reading of each column's times, by its number."""

    tz: str = "UTC"
    readings: tuple[Reading, ...] = ()

    def agree(self, log: str, file: str, number: int) -> bool:
        """Return whether two values, as marked JSON text, are the same; a text is read as the type in the log."""
        try:
            mine, theirs = loads(log), loads(file)
            if not isinstance(theirs, str):
                return are_equal(mine, theirs)
            return _agrees_with_text(mine, theirs) or self._are_one_instant(mine, theirs, number)
        except (ValueError, ArithmeticError, RecursionError, EsctlError):
            return False

    def _are_one_instant(self, value: Any, text: str, number: int) -> bool:
        if not isinstance(value, str) or not _TIME.match(value):
            return False
        reading = self.readings[number] if number < len(self.readings) else Reading()
        one, other = instant_of(value, self.tz, Reading()), instant_of(text.strip(), self.tz, reading)
        return one is not None and one == other and _below_microsecond(value) == _below_microsecond(text)


class Unclear(Struct, frozen=True):
    """A field of a file whose dates can be read day first and month first, with one of these dates."""

    name: str
    number: int
    text: str


def readings_of(
    session: Session, table: ForeignTable, fields: Mapping[str, str], formats: Sequence[str]
) -> tuple[tuple[Reading, ...], list[Unclear]]:
    """Find how to read the times of a file's `fields` (SQL of JSON text, by name): by `formats`, if any are given.

    Else the order of day and month is the one in which all dates of a field can be read; if several fit, it is unclear.
    """
    if formats:
        return (Reading(tuple(check_format(text) for text in formats)),) * len(fields), []
    readings, unclear = [], []
    for number, (name, sql) in enumerate(fields.items()):
        texts = _dates(session, table, sql)
        by_order = {order: [instant_of(text, "UTC", Reading((order,))) for text in texts] for order in ORDERS}
        left = {order: read for order, read in by_order.items() if texts and None not in read}
        if len({tuple(read) for read in left.values()}) > 1:
            unclear.append(Unclear(name, number, texts[0]))
        readings.append(Reading(tuple(left)[:1]))
    return tuple(readings), unclear


def _dates(session: Session, table: ForeignTable, sql: str) -> list[str]:
    """List the texts of a field that begin with a date whose day or month comes first."""
    text = read_json("v", (), "text", marked=True)
    rows = f"SELECT DISTINCT {text} AS t FROM (SELECT CAST({sql} AS VARCHAR) AS v FROM ({table.sql}))"
    with explained():
        found = session.connection.execute(
            f"SELECT t FROM ({rows}) WHERE regexp_matches(t, {literal(_DATES)}) ORDER BY t"
        ).fetchall()
    return [text for (text,) in found]


def is_time_sql(column: str) -> str:
    """Write the condition that a column of JSON text is a time as logs write it, year first."""
    return f"regexp_matches({column}, {literal(_QUOTED_TIME)})"


def _agrees_with_text(value: Any, text: str) -> bool:
    bare = text.strip()
    if isinstance(value, bool):
        return _TRUTHS.get(bare.lower()) is value
    if isinstance(value, int | Decimal):
        number = _plain_number(bare)
        return number is not None and Decimal(number) == value
    if isinstance(value, str):
        return value in _meanings(text)
    return are_equal(value, json.loads(text, parse_float=Decimal))


def _below_microsecond(text: str) -> str:
    """Return the digits of a time that an instant does not hold."""
    found = _FINER.search(text)
    return found[1].rstrip("0") if found else ""


def _plain_number(text: str) -> str | None:
    """Return a number without thousands marks and with a decimal point; None if it is no number, or ambiguous."""
    if _POINTED.fullmatch(text):
        return text.replace(",", "").translate(_GROUPING)
    if _COMMAED.fullmatch(text):
        return text.replace(".", "").replace(",", ".").translate(_GROUPING)
    if _SPACED.fullmatch(text):
        return text.translate(_GROUPING)
    return text if _NUMBER.match(text) else None


def _meanings(text: str) -> set[str]:
    """Return the texts that a displayed one may come from: it may have escaped characters or a disarmed formula."""
    raw = _ESCAPE.sub(lambda found: _NAMED_ESCAPES.get(found[1]) or chr(int(found[1][1:], 16)), text)
    return {text, raw, text.removeprefix("'"), raw.removeprefix("'")}
