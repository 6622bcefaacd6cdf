"""Events without an id that another source delivers in the same words: exports whose windows overlap."""

from __future__ import annotations

from esctl.ask.health.checks import EVENT, FIRST_DELIVERY, CheckContext, named
from esctl.index.scan import Read

_SAME = ("time", "type", "kind", "entity", "role", "actor", "sequence", "payload")
"""What is the same of two events that are told twice."""


def repeats(context: CheckContext) -> str:
    """Select events without an id of which an earlier one, of another source, differs in nothing."""
    columns = [*EVENT, "role", "actor", "sequence"]
    rows = context.events(columns, ["id IS NULL", FIRST_DELIVERY], reads={"payload": Read((), "json")})
    same = f"(PARTITION BY {', '.join(_SAME)} ORDER BY position)"
    first = f"first_value(position) OVER {same} AS first, first_value(source) OVER {same} AS told_by"
    detail = "'differs in nothing from @' || first || ' of ' || told_by || '; neither has an id' AS detail"
    items = named("r", detail, "CAST(NULL AS DOUBLE) AS weight")
    return f"SELECT {items} FROM (SELECT *, {first} FROM ({rows})) r WHERE wanted AND source <> told_by"
