"""Events without a time, and events with a local time that clocks show twice or never."""

from __future__ import annotations

from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained, single_row
from esctl.index.files.manifest import IS_UNDATED


def find_undated(scope: Scope, after: int = 0) -> tuple[int, int, str, str] | None:
    """Return how many undated events follow a position, and the first one's position, reason and source; else None."""
    rows = scope.view.relation(["position", "undated", "source"], None, [f"position > {int(after)}", IS_UNDATED])
    sql = f"""SELECT count(DISTINCT position), min(position), arg_min(undated, position), arg_min(source, position)
        FROM ({rows})"""
    with explained():
        row = single_row(scope.connection, sql)
    if row is None or not row[0]:
        return None
    count, position, why, source = row
    return count, position, why, source


def count_changed(scope: Scope, after: int = 0) -> tuple[int, int]:
    """Count the events after a position whose local times clocks show twice, and those whose times they never show."""
    rows = scope.view.relation(["position", "wall"], None, [f"position > {int(after)}", "wall IS NOT NULL"])
    tests = ("wall = 'twice'", "wall = 'never'")
    items = ", ".join(f"count(DISTINCT position) FILTER ({test})" for test in tests)
    with explained():
        ((twice, never),) = scope.connection.execute(f"SELECT {items} FROM ({rows})").fetchall()
    return twice, never
