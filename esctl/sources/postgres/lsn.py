"""Places in PostgreSQL's log: 64-bit numbers, written as two hexadecimal halves (`0/16B3748`)."""

from __future__ import annotations

import re

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


def lsn_text(place: int) -> str:
    """Write a place as PostgreSQL does."""
    return f"{place >> 32:X}/{place & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    """Return the number of a place. Raises ValueError for any other text."""
    found = _LSN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no place in PostgreSQL's log")
    return (int(found[1], 16) << 32) | int(found[2], 16)
