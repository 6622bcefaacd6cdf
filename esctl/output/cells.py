"""SQL for one cell: a column of an answer as JSON text, as plain text, as a delimited field, as an Arrow value.

Cells are written by DuckDB, not by Python: that is what makes a million rows a second possible.
"""

from __future__ import annotations

import json

from esctl.engine.exact_text import printable_json_sql
from esctl.engine.quoting import literal
from esctl.index.scan import read_json
from esctl.model import MARK, Column
from esctl.output.text import escape_json
from esctl.output.zone import UTC, Zone

# OWASP, "CSV Injection": characters that a spreadsheet takes for the start of a formula, full-width forms too.
_FORMULA_STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def number_sql(expr: str) -> str:
    """Return the SQL of a number's text, without trailing zeros and `-0`; NaN and infinities are NULL."""
    text = f"{expr}::varchar"
    return (
        f"case when {text} in ('nan', '-nan', 'inf', '-inf') then null when {expr} = 0 then '0' "
        f"when contains({text}, '.') and not contains({text}, 'e') then rtrim(rtrim({text}, '0'), '.') else {text} end"
    )


def time_sql(expr: str, zone: Zone, rfc3339: bool = True) -> str:
    """Return the SQL of a time's text: RFC 3339, or for people `2024-02-01 14:03:00` without the offset.

    Fractions of a second are left out when zero, else six digits; for people three where these are enough.
    """
    local = zone.local_sql(expr, rfc3339)
    text = f"strftime({local}, '%Y-%m-%d{'T' if rfc3339 else ' '}%H:%M:%S')"
    short = "" if rfc3339 else f"when microsecond({expr}) % 1000 = 0 then strftime({expr}, '.%g') "
    fraction = f"case when microsecond({expr}) % 1000000 = 0 then '' {short}else strftime({expr}, '.%f') end"
    suffix = f" || {zone.suffix_sql(expr)}" if rfc3339 else ""
    return f"case when isfinite({expr}) then {text} || {fraction}{suffix} else {expr}::varchar end"


def text_sql(expr: str, column: Column, zone: Zone, rfc3339: bool = True) -> str:
    """Return the SQL of a cell as plain text: VARCHAR, or NULL."""
    match column.kind:
        case "text":
            return f"{expr}::varchar"
        case "number":
            return f"{expr}::varchar" if column.scaled else number_sql(expr)
        case "time":
            return time_sql(expr, zone, rfc3339)
        case "json":
            return printable_json_sql(f"{expr}::varchar")
        case "value":
            held = read_json(expr, (), "text", marked=True)
            return f"case when {_is_string(expr)} then {held} else nullif({printable_json_sql(expr)}, 'null') end"
        case _:
            return f"{expr}::varchar"


def _is_string(expr: str) -> str:
    """Return the SQL condition that JSON text is a string and not a marked number."""
    number = f"(starts_with({expr}, '\"{MARK}') and {expr}[3:3] <> '{MARK}')"
    return f"(starts_with({expr}, '\"') and not {number})"


def json_sql(expr: str, column: Column, zone: Zone) -> str:
    """Return the SQL of a cell as JSON text: VARCHAR, `null` for NULL."""
    text = printable_json_sql(expr) if column.kind == "value" else text_sql(expr, column, zone)
    if column.kind == "text":
        text = f"to_json({text})::varchar"
    elif column.kind == "time":
        text = f"'\"' || {text} || '\"'"
    return f"coalesce({text}, 'null')"


def object_sql(cells: list[tuple[str, Column]], zone: Zone) -> str:
    """Return the SQL of a row as one JSON object, keys in column order; `cells` are (expression, column)."""
    parts = []
    for index, (expr, column) in enumerate(cells):
        key = escape_json(json.dumps(column.name, ensure_ascii=False))
        parts += [literal(("," if index else "{") + key + ":"), json_sql(expr, column, zone)]
    return f"concat({', '.join(parts)}, '}}')" if parts else "'{}'"


def field_sql(expr: str, column: Column, zone: Zone, delimiter: str) -> str:
    """Return the SQL of a delimited field (RFC 4180): quoted where needed, formulas disarmed, empty for NULL.

    Between tabs, tabs and line ends inside a text are written `\\t`, `\\n`, `\\r`, so that a line is a row.
    """
    text = text_sql(expr, column, zone)
    if column.kind not in ("text", "json", "value"):
        return f"coalesce({text}, '')"
    if column.kind in ("text", "value"):
        formula = f"{text} <> '' and contains({literal(_FORMULA_STARTS)}, left({text}, 1))"
        if column.kind == "value":
            formula = f"{_is_string(expr)} and {formula}"
        text = f"case when {formula} then '''' || {text} else {text} end"
    if delimiter == "\t":
        text = f"replace(replace(replace({text}, chr(9), '\\t'), chr(10), '\\n'), chr(13), '\\r')"
    special = literal(f'["{delimiter}\n\r]')
    quoted = f"'\"' || replace({text}, '\"', '\"\"') || '\"'"
    return f"coalesce(case when {text} = '' or regexp_matches({text}, {special}) then {quoted} else {text} end, '')"


def field_text(value: str, delimiter: str) -> str:
    """Return a column name as a delimited field, by the rules of `field_sql`."""
    if value.startswith(tuple(_FORMULA_STARTS)):
        value = "'" + value
    if delimiter == "\t":
        value = value.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    if not value or any(c in value for c in ('"', delimiter, "\n", "\r")):
        return '"' + value.replace('"', '""') + '"'
    return value


def arrow_sql(expr: str, column: Column, sql_type: str) -> str:
    """Return the SQL of a cell for Arrow: TIMESTAMPTZ for times, printed JSON text, numbers in their own type."""
    match column.kind:
        case "json":
            return printable_json_sql(f"{expr}::varchar")
        case "time":
            return f"case when isfinite({expr}) then timezone('UTC', {expr}) end"
        case "number" if sql_type in ("DOUBLE", "FLOAT"):
            return f"case when isfinite({expr}) then {expr} end"
        case "text":
            return f"{expr}::varchar"
        case "value":
            return text_sql(expr, column, UTC)
        case _:
            return f"{expr}::varchar" if sql_type == "BIGNUM" else expr
