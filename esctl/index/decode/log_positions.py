"""Positions in PostgreSQL's log (`0/16B3748`), which are numbers written as two of hexadecimal digits."""

from __future__ import annotations

import re

_LSN = r"[0-9A-F]{1,8}/[0-9A-F]{1,8}"


def is_position_sql(text: str) -> str:
    """Write whether a text is a position in PostgreSQL's log; NULL for NULL."""
    return f"(contains({text}, '/') AND regexp_full_match({text}, '{_LSN}'))"


def position_number_sql(text: str) -> str:
    """Write the number (HUGEINT) that a position in PostgreSQL's log is."""
    high, low = (f"CAST('0x' || split_part({text}, '/', {i}) AS HUGEINT)" for i in (1, 2))
    return f"({high} * 4294967296 + {low})"


def position_number(text: str) -> int | None:
    """Return the number that a position in PostgreSQL's log is; None for another text."""
    if not re.fullmatch(_LSN, text):
        return None
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
