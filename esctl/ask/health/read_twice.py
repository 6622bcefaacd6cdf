"""Events that are in two sources read differently: the sources do not share ids, so both events are folded."""

from __future__ import annotations

from collections.abc import Sequence

from esctl.ask.health.checks import NONE, OCCURRENCE_COLUMNS, CheckContext, occurrence_items
from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained, single_row
from esctl.index.pruning import Test
from esctl.index.scan import FOLDABLE
from esctl.index.seen_ids.numberings import by_stanza, families


def read_twice(context: CheckContext) -> str:
    """Select events with the id, type and time of an earlier one whose source is read differently."""
    if not _are_several(context.scope):
        return NONE
    detail = "'is also @' || m.first || ' of ' || m.first_source || ', which is read differently'"
    return f"""SELECT {occurrence_items("e", f"{detail} AS detail", "CAST(NULL AS DOUBLE) AS weight")}
        FROM ({context.events(OCCURRENCE_COLUMNS, [FOLDABLE])}) e
        JOIN ({_meetings(context.scope, context.known)}) m ON e.position = m.position WHERE e.wanted"""


def count_read_twice(scope: Scope, after: int) -> tuple[int, str, str] | None:
    """Count the events after a position that another source, read differently, delivered before.

    Return the count and, for the first of these events, the names of its source and the other; None if there are none.
    """
    if not _are_several(scope):
        return None
    with explained():
        row = single_row(
            scope.connection,
            f"""SELECT count(*), any_value(source ORDER BY position), any_value(first_source ORDER BY position)
                FROM ({_meetings(scope, (), after)}) WHERE position > {int(after)}""",
        )
    return (row[0], row[1], row[2]) if row and row[0] else None


def _are_several(scope: Scope) -> bool:
    return len(set(families(scope.view.manifest.stanzas))) > 1


def _meetings(scope: Scope, known: Sequence[Test], after: int = 0) -> str:
    """Select the events that are not the first with their id, type and time, and are read differently from it.

    Only events after a position, and those with their ids, are looked at: the others need not be sorted.
    """
    family = f"{by_stanza(families(scope.view.manifest.stanzas))} AS family"
    rows = scope.view.relation(["position", "source", "id", "type", "time"], None, [FOLDABLE, *known], family)
    new = scope.view.relation(["id"], None, [FOLDABLE, f"position > {int(after)}"])
    wanted = f"id IN (SELECT id FROM ({new}) WHERE id IS NOT NULL)" if after else "id IS NOT NULL"
    same = "OVER (PARTITION BY id, type, time ORDER BY position ROWS UNBOUNDED PRECEDING)"
    firsts = f"""SELECT position, source, family, first_value(position) {same} AS first,
        first_value(source) {same} AS first_source, first_value(family) {same} AS first_family
        FROM ({rows}) WHERE {wanted}"""
    return f"""SELECT DISTINCT position, source, first, first_source FROM ({firsts}) WHERE family <> first_family"""
