"""Events without an id of which another source delivers equal ones: exports whose windows overlap."""

from __future__ import annotations

from esctl.ask.health.checks import OCCURRENCE_COLUMNS, CheckContext, occurrence_items
from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained, single_row
from esctl.index.scan import FIRST_DELIVERY, Read

_CHEAP = ("time", "type", "kind", "entity", "role", "actor", "sequence")
_SAME = (*_CHEAP, "payload")
"""The columns in which an event and its repeat are equal."""
_COMPARED = 2_000_000
"""About how many events are compared after an ingest: if there are more, only those of some moments, the same in each
source."""
_SHARE = 10
"""A source repeats another if at least one in this many of its events does: a few may be equal by chance."""


def repeats(context: CheckContext) -> str:
    """Select events without an id that are equal to an earlier event of another source."""
    columns = [*OCCURRENCE_COLUMNS, "role", "actor", "sequence"]
    rows = context.events(columns, ["id IS NULL", FIRST_DELIVERY], reads={"payload": Read((), "json")})
    detail = "'differs in nothing from @' || first || ' of ' || told_by || '; neither has an id' AS detail"
    items = occurrence_items("r", detail, "CAST(NULL AS DOUBLE) AS weight")
    return f"SELECT {items} FROM ({_with_first(rows)}) r WHERE wanted AND source <> told_by"


def count_repeats(scope: Scope, after: int) -> tuple[int, str, str] | None:
    """Count the events after a position that are equal to earlier ones of another source, for the source with most.

    Return the count and the names of both sources; None if there are none, or no more than may be by chance.
    """
    view = scope.view
    if len(view.manifest.sources) < 2:
        return None
    sampled = max(view.manifest.events // _COMPARED, 1)
    alike = ["id IS NULL", FIRST_DELIVERY, *([f"hash(time) % {sampled} = 0"] if sampled > 1 else [])]
    new = view.relation(["time"], None, [*alike, f"position > {int(after)}"])
    near = f"time BETWEEN (SELECT min(time) FROM ({new})) AND (SELECT max(time) FROM ({new}))"
    rows = view.relation(["position", "source", *_CHEAP], None, alike)
    times = f"""SELECT time FROM (SELECT * FROM ({rows}) WHERE {near}) GROUP BY {", ".join(_CHEAP)}
        HAVING max(position) > {int(after)} AND min(source) <> max(source)"""
    connection = scope.connection
    with explained():
        if connection.execute(f"SELECT 1 FROM ({times}) LIMIT 1").fetchone() is None:
            return None
        whole = view.relation(["position", "source", *_CHEAP], {"payload": Read((), "json")}, alike)
        found = _with_first(f"SELECT * FROM ({whole}) WHERE time IN ({times})")
        counts = f"SELECT source, count(*) AS events FROM ({rows}) WHERE position > {int(after)} GROUP BY source"
        row = single_row(
            connection,
            f"""SELECT count(*) * {sampled} AS told, source, told_by FROM ({found}) JOIN ({counts}) USING (source)
                WHERE position > {int(after)} AND source <> told_by GROUP BY source, told_by, events
                HAVING count(*) * {_SHARE} >= events ORDER BY told DESC, source, told_by LIMIT 1""",
        )
    return (row[0], row[1], row[2]) if row else None


def _with_first(rows: str) -> str:
    """Add to rows the position and the source of the first event that is equal."""
    same = f"(PARTITION BY {', '.join(_SAME)} ORDER BY position)"
    first = f"first_value(position) OVER {same} AS first, first_value(source) OVER {same} AS told_by"
    return f"SELECT *, {first} FROM ({rows})"
