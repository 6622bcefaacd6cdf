"""Write SQL that joins many expressions with one operator."""

from __future__ import annotations

from collections.abc import Sequence


def chained(parts: Sequence[str], operator: str) -> str:
    """Join expressions with an associative operator, as a tree in brackets.

    Written one after the other they nest as deeply as there are parts, and DuckDB plans such a chain in time that grows
    with the square of them. Raises IndexError for no parts.
    """
    if len(parts) < 2:
        return parts[0]
    middle = len(parts) // 2
    return f"({chained(parts[:middle], operator)} {operator} {chained(parts[middle:], operator)})"
