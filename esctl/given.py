"""Values that a caller may give in more than one form."""

from __future__ import annotations

from collections.abc import Sequence


def as_tuple(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return names as a tuple, whether one is given, several, or none (an empty text)."""
    return tuple(names) if not isinstance(names, str) else (names,) if names else ()
