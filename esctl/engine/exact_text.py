"""Exact JSON text as esctl keeps it (docs/architecture.md, "Exact text"): writing it, reading it, showing it."""

from __future__ import annotations

import re
from json.encoder import encode_basestring

from esctl.engine.once import once
from esctl.engine.quoting import literal
from esctl.model import MARK

EXACT_DIGITS = 15
"""Significant digits that a DOUBLE surely keeps; a number with more is marked inside JSON text."""

# One pass, leftmost alternative first, so that nothing inside a string is ever taken for a number:
# a marked number, a string that really begins with MARK, any other string, a negative zero, a number.
_TOKEN = (
    rf'"{MARK}(-?[0-9][0-9.eE+-]*)"'
    rf'|("){MARK}((?:[^"\\]|\\.)*")'
    r'|("(?:[^"\\]|\\.)*")'
    r"|-(0)(?:\.0*)?([,\]}]|$)"
    r"|(-?[0-9]+(?:\.[0-9]*[1-9])?)\.?0*"
)
# A cheap look for what needs the pass: a fraction that ends in 0, or a negative zero (perhaps inside a string).
_UNTIDY = r"\.[0-9]*0(?:[,\]}eE]|$)|-0(?:[,\]}.]|$)"
_MAYBE_UNTIDY = ("0,", "0}", "0]", "0e", "0E", "-0.")
"""Every text that needs the pass contains one of these, or ends with a 0."""
_ALL_GROUPS = r"\1\2\3\4\5\6\7"

MOST_BRACKETS = 900
"""Python's JSON parser recurses; a text with more brackets might be nested too deep for it."""

_STRING_BODY = r'[^"\\]*(?:\\.[^"\\]*)*"'
_CANONICAL = r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?"
_MARKED = rf'"{MARK}({_CANONICAL})"|("){MARK}({_STRING_BODY})|("{_STRING_BODY})'
_UNMARKED = rf'(")({MARK})({_STRING_BODY})|("{_STRING_BODY})'
_ODD_MARK = rf'{MARK}(?:[^-0-9]|$)|\\"{MARK}'
_NUMBER = rf'"{MARK}([-+.0-9eE]+)"'
_END = r"(\s*(?:[,\]}]|$))"
_TRAILING = rf'("{_STRING_BODY})|(\.[0-9]*[1-9])0+{_END}|\.0+{_END}'


def is_shallow(text: str) -> bool:
    """Return whether Python's JSON parser can surely read a JSON text without recursing too deep."""
    return text.count("[") + text.count("{") <= MOST_BRACKETS


def json_string(text: str) -> str:
    """Write a string, or a member's name, as JSON text; one that begins with MARK gets another in front."""
    return encode_basestring(MARK + text if text.startswith(MARK) else text)


def json_string_sql(expr: str) -> str:
    """Write SQL for a text as JSON text, as `json_string` does; SQL NULL stays NULL."""
    return f"CAST(to_json({once(expr, _with_mark_doubled)}) AS VARCHAR)"


def _with_mark_doubled(text: str) -> str:
    return f"CASE WHEN starts_with({text}, {literal(MARK)}) THEN {literal(MARK)} || {text} ELSE {text} END"


def pointer_token(name: str) -> str:
    """Escape a member's name for a JSON Pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def members_sql(json: str) -> str:
    """Write SQL for the list of a JSON object's members, in order: structs of `key` and `value`, SQL NULL for null.

    They are parsed once: to look up each by its name would take time that is quadratic in their number.
    """
    return f"""map_entries(from_json({json}, '"MAP(VARCHAR, JSON)"'))"""


def member_sql(member: str) -> str:
    """Write SQL for a member as JSON text; `member` is SQL for what `members_sql` lists."""
    return f"to_json({member}.key)::VARCHAR || ':' || coalesce({member}.value::VARCHAR, 'null')"


def printable_json_sql(expr: str) -> str:
    """Return SQL for JSON text as it is printed: numbers unmarked, without trailing zeros, `-0` as `0`, on one line.

    `expr` is SQL for compact JSON text (VARCHAR or NULL).
    """
    # A raw line end in JSON text can only be space between tokens, but it would break a line-oriented format.
    line = f"translate({expr}, chr(10) || chr(13), '  ')"
    return (
        f"case when {_is_untidy(expr)} or {_has_odd_marks(expr)} "
        f"then regexp_replace({line}, '{_TOKEN}', '{_ALL_GROUPS}', 'g') "
        f"when contains({expr}, chr(10)) or contains({expr}, chr(13)) then {_unmark_numbers_sql(line)} "
        f"when contains({expr}, '{MARK}') then {_unmark_numbers_sql(expr)} else {expr} end"
    )


def _is_untidy(expr: str) -> str:
    # A pattern with a repetition takes five times as long for a text as all the searches together.
    maybe = " or ".join(f"contains({expr}, '{part}')" for part in _MAYBE_UNTIDY)
    return f"case when {maybe} or ends_with({expr}, '0') then regexp_matches({expr}, '{_UNTIDY}') else false end"


def canonical_json_sql(expr: str) -> str:
    """Write SQL that drops the trailing zeros of fractions in JSON text (`1.0` becomes `1`), outside strings.

    `expr` gives JSON text (VARCHAR or JSON) of a judged record, so numbers have no exponent; the result is VARCHAR.
    """
    text, tail = f"({expr})::VARCHAR", rf"\.[0-9]*0{_END}"
    return (
        f"CASE WHEN regexp_matches({text}, {literal(tail)}) "
        f"THEN regexp_replace({text}, {literal(_TRAILING)}, '\\1\\2\\3\\4', 'gs') ELSE {text} END"
    )


def plain_json_sql(expr: str) -> str:
    """Write SQL for marked JSON text as real JSON text with one spelling of numbers: unmarked, no trailing zeros.

    It scans every character, so use it for texts that are known to need it. `expr` is SQL for VARCHAR.
    """
    return f"regexp_replace({_unmark_all_sql(expr)}, {literal(_TRAILING)}, '\\1\\2\\3\\4', 'gs')"


def is_number_mark_sql(expr: str) -> str:
    """Write SQL that is true if an extracted string is a marked number, not a string."""
    return f"(starts_with({expr}, {literal(MARK)}) AND NOT starts_with({expr}, {literal(MARK * 2)}))"


def unmark_text_sql(expr: str) -> str:
    """Write SQL that removes the mark of one extracted string: the number's text, or the string as it was.

    `expr` gives what `json_extract_string` returned.
    """
    return f"CASE WHEN starts_with({expr}, {literal(MARK)}) THEN substr({expr}, 2) ELSE {expr} END"


def unmark_json_sql(expr: str) -> str:
    """Write SQL that turns marked JSON text into real JSON text (VARCHAR)."""
    text = f"({expr})::VARCHAR"
    return (
        f"CASE WHEN {_has_odd_marks(text)} THEN {_unmark_all_sql(text)} "
        f"WHEN contains({text}, {literal(MARK)}) THEN {_unmark_numbers_sql(text)} ELSE {text} END"
    )


def shown_json_sql(expr: str) -> str:
    """Write SQL for the beginning of (possibly marked) JSON text as an error shows it."""
    return f"left({_unmark_all_sql(f'({expr})::VARCHAR')}, 60)"


def _has_odd_marks(text: str) -> str:
    """Write SQL that is true if JSON text may have marks that do not begin a marked number."""
    return f"(contains({text}, {literal(MARK)}) AND regexp_matches({text}, {literal(_ODD_MARK)}))"


def _unmark_numbers_sql(text: str) -> str:
    """Write SQL that unmarks the numbers of a text without odd marks, far faster than looking at every string."""
    return f"regexp_replace({text}, {literal(_NUMBER)}, '\\1', 'g')"


def _unmark_all_sql(text: str) -> str:
    return f"regexp_replace({text}, {literal(_MARKED)}, '\\1\\2\\3\\4', 'gs')"


def mark_json_sql(expr: str) -> str:
    """Write SQL that turns real JSON text into marked JSON text: strings that begin with MARK get another in front."""
    return (
        f"CASE WHEN contains({expr}, {literal(MARK)}) "
        f"THEN regexp_replace({expr}, {literal(_UNMARKED)}, '\\1\\2\\2\\3\\4', 'gs') ELSE {expr} END"
    )


def time_text(sql: str) -> str:
    """Write SQL for a UTC TIMESTAMP as RFC 3339 text, with a fraction only if it is not zero, or as `infinity`."""
    return once(sql, _time_text)


def _time_text(sql: str) -> str:
    whole = f"date_part('microseconds', {sql}) % 1000000 = 0"
    fraction = f"CASE WHEN {whole} THEN '' ELSE strftime({sql}, '.%f') END"
    return _rfc3339(sql, fraction)


def _rfc3339(sql: str, fraction: str) -> str:
    text = f"strftime({sql}, '%Y-%m-%dT%H:%M:%S') || {fraction} || 'Z'"
    return f"CASE WHEN isfinite({sql}) THEN {text} ELSE CAST({sql} AS VARCHAR) END"


def nanoseconds_text(sql: str) -> str:
    """Write SQL for a UTC TIMESTAMP_NS as RFC 3339 text, with as many digits of its fraction as it needs: 0, 6 or 9."""
    return once(sql, _nanoseconds_text)


def _nanoseconds_text(sql: str) -> str:
    coarse = f"CASE WHEN epoch_ns({sql}) % 1000 = 0 THEN strftime({sql}, '.%f') ELSE strftime({sql}, '.%n') END"
    fraction = f"CASE WHEN epoch_ns({sql}) % 1000000000 = 0 THEN '' ELSE {coarse} END"
    return _rfc3339(sql, fraction)


def unmark(text: str) -> str:
    """Turn marked JSON text into real JSON text."""
    if MARK not in text:
        return text
    return re.sub(f"(?s:{_MARKED})", lambda found: "".join(group or "" for group in found.groups()), text)
