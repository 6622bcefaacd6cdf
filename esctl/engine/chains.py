"""Write SQL that joins many expressions with one operator."""

from __future__ import annotations

from collections.abc import Sequence


def join_as_tree(parts: Sequence[str], operator: str) -> str:
    """Join expressions with an associative operator, as a balanced tree in brackets.

    A plain chain nests as deep as it has parts, and DuckDB's planning time grows with the square of that. Raises
    IndexError for no parts.
    """
    if len(parts) < 2:
        return parts[0]
    middle = len(parts) // 2
    return f"({join_as_tree(parts[:middle], operator)} {operator} {join_as_tree(parts[middle:], operator)})"
