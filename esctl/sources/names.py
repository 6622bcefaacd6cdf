"""Names of the generations of a source, which were read one after another: `name`, `name#2`, `name#3`."""

from __future__ import annotations

from collections.abc import Container


def generations(name: str, known: Container[str]) -> list[str]:
    """List the names under which `name` is known, oldest first: itself, then name#2, name#3, ..."""
    found = [name] * (name in known)
    number = 2
    while f"{name}#{number}" in known:
        found.append(f"{name}#{number}")
        number += 1
    return found


def next_name(name: str, known: Container[str]) -> str:
    """Return the name for a stream called `name` that continues no known source."""
    before = generations(name, known)
    if not before:
        return name
    last = before[-1].rpartition("#")[2] if before[-1] != name else "1"
    return f"{name}#{int(last) + 1}"
