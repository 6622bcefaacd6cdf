"""Fields that are text in SQL because no DECIMAL holds their numbers: queries must not compare them as text."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from esctl.engine.quoting import identifier
from esctl.engine.statements import Node


class NumbersAsText(Struct, frozen=True):
    """The names, in lower case, of what is a number but text in SQL: fields of payloads, and columns of states."""

    payload: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()

    def named_by(self, node: Node) -> str:
        """Return the one of these fields that a node refers to, as the query writes it; empty if it refers to none."""
        written = node.get("column_names", ()) if node.get("class") == "COLUMN_REF" else ()
        parts = [str(part).lower() for part in written]
        within = self.payload if "data" in parts[:-1] else self.states
        return reference(map(str, written)) if parts and parts[-1] in within else ""


def reference(parts: Iterable[str]) -> str:
    """Write a reference to a column as a query can have it."""
    return ".".join(part if part.isidentifier() else identifier(part) for part in parts)


def notes(fields: NumbersAsText) -> tuple[str, ...]:
    """Return a note on the fields that are numbers but text in the answer."""
    names = sorted({*(f"data.{name}" for name in fields.payload), *fields.states})
    if not names:
        return ()
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (f"note: {listed}: text in this answer, with all digits, as no DECIMAL holds these numbers",)


def lower(names: Iterable[str]) -> frozenset[str]:
    """Return names as SQL compares them."""
    return frozenset(name.lower() for name in names)
