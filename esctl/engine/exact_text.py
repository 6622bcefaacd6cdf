"""SQL that turns JSON text kept inside esctl into the JSON text people are shown."""

from __future__ import annotations

from esctl.engine.quoting import literal
from esctl.model import MARK

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
_SHOWN = r"\1\2\3\4\5\6\7"


def printable_json_sql(expr: str) -> str:
    """Give the SQL for JSON text as it is printed: numbers unmarked, without trailing zeros, `-0` as `0`, on one line.

    `expr` is SQL for compact JSON text (VARCHAR or NULL) as docs/architecture.md, "Exact text", describes it.
    """
    # A raw line end in JSON text can only be space between tokens, but it would break a line-oriented format.
    line = f"translate({expr}, chr(10) || chr(13), '  ')"
    return (
        f"case when contains({expr}, '{MARK}') or regexp_matches({expr}, '{_UNTIDY}') "
        f"then regexp_replace({line}, '{_TOKEN}', '{_SHOWN}', 'g') "
        f"when contains({expr}, chr(10)) or contains({expr}, chr(13)) then {line} else {expr} end"
    )


def unmark_text_sql(expr: str) -> str:
    """Write SQL that undoes the mark of one extracted string: the number's text, or the string as it was.

    `expr` gives what `json_extract_string` returned.
    """
    return f"CASE WHEN starts_with({expr}, {literal(MARK)}) THEN substr({expr}, 2) ELSE {expr} END"
