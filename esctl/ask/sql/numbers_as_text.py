"""Fields that are text in SQL because no DECIMAL holds their numbers: queries must not compare them as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from esctl.engine.statements import Node, Select
from esctl.errors import UsageError

_ORDER_FREE = frozenset({
    "any_value", "array_agg", "coalesce", "concat", "count", "first", "first_value", "lag", "last", "last_value",
    "lead", "len", "length", "list", "string_agg", "struct_pack", "typeof",
})  # fmt: skip
"""Functions that may take a number as text: their result does not depend on its order or size."""
_ORDERED_OPERATORS = ("COMPARE_IN", "COMPARE_NOT_IN")


class NumbersAsText(Struct, frozen=True):
    """The names, in lower case, of the fields that are numbers but text in SQL: of payloads, and of states."""

    payload: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()

    def named_by(self, node: Node) -> str:
        """Return the one of these fields that a node refers to, as the query writes it; empty if it refers to none."""
        written = node.get("column_names", ()) if node.get("class") == "COLUMN_REF" else ()
        parts = [str(part).lower() for part in written]
        within = self.payload if "data" in parts[:-1] else self.states
        return ".".join(map(str, written)) if parts and parts[-1] in within else ""


def check_uses(select: Select, fields: NumbersAsText) -> None:
    """Raise UsageError if a query orders or compares such a field, which would go by its text."""
    for node in select.nodes():
        for used in _by_order(node):
            if name := fields.named_by(used):
                raise UsageError(
                    f"the query compares {name}, whose numbers no DECIMAL holds: in SQL it is text",
                    f"write CAST({name} AS DOUBLE), which rounds, or ask exactly with --where, when or series",
                )


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


def _by_order(node: Node) -> Iterator[Node]:
    """Yield the expressions in a node on whose order or size its value depends."""
    kind = node.get("class")
    if kind in ("COMPARISON", "BETWEEN") or node.get("type") in _ORDERED_OPERATORS:
        yield from _children(node)
    elif kind in ("FUNCTION", "WINDOW") and str(node.get("function_name", "")).lower() not in _ORDER_FREE:
        yield from (argument["expression"] for argument in node.get("arguments", ()))
    yield from (order["expression"] for order in node.get("orders") or () if isinstance(order, dict))


def _children(node: Node) -> Iterator[Node]:
    for name in ("left", "right", "input", "lower", "upper", "children"):
        value: Any = node.get(name)
        yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict))
