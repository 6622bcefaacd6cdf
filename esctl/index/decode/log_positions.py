"""Positions in PostgreSQL's log (`0/16B3748`): 64-bit numbers, written as two hexadecimal halves."""

from __future__ import annotations

import re

_LSN = r"[0-9A-F]{1,8}/[0-9A-F]{1,8}"


def is_position_sql(text: str) -> str:
    """Write SQL for whether a text is a position in PostgreSQL's log; NULL for NULL."""
    return f"(contains({text}, '/') AND regexp_full_match({text}, '{_LSN}'))"


def position_number_sql(text: str) -> str:
    """Write SQL for the number (HUGEINT) of a position in PostgreSQL's log."""
    high, low = (f"CAST('0x' || split_part({text}, '/', {i}) AS HUGEINT)" for i in (1, 2))
    return f"({high} * 4294967296 + {low})"


def position_number(text: str) -> int | None:
    """Return the number of a position in PostgreSQL's log; None for another text."""
    if not re.fullmatch(_LSN, text):
        return None
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
