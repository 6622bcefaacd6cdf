"""Values that a caller may give in more than one form."""

from __future__ import annotations

from collections.abc import Sequence


def several(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return names that may be given as one, or left out, as a tuple."""
    return tuple(names) if not isinstance(names, str) else (names,) if names else ()
