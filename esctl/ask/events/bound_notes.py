"""Notes on what a bound was resolved to, and the names that completion offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esctl.ask.events.status import find_event, last_instant
from esctl.ask.scope.bounds import known_conditions
from esctl.ask.scope.sequence_notes import sequence_notes
from esctl.engine.duckdb import explained
from esctl.engine.quoting import literal
from esctl.timespec import format_instant, point_text

if TYPE_CHECKING:
    import duckdb

    from esctl.ask.scope.scope import Scope
    from esctl.index.scan import IndexView
    from esctl.model import AsOf


def bound_notes(scope: Scope, at: AsOf, head: int) -> list[str]:
    """Describe the instant and position that a bound was resolved to, and whether it lies after the last event."""
    word = "at" if at.inclusive else "before"
    if at.kind == "sequence":
        return sequence_notes(scope.connection, scope.view, at)
    if at.kind in ("position", "event"):
        found = find_event(scope, at)
        return [f"{word} {format_instant(found[0])}, position {found[1]}"] if found else []
    if at.kind != "time" or at.instant is None:
        return []
    notes = [f"{word} {format_instant(at.instant)}, position {head}"]
    last = last_instant(scope)
    if last is not None and at.instant > last:
        notes.append(f"note: the last event is of {format_instant(last)}")
    return notes


def known_note(scope: Scope) -> str:
    """Describe how much of the log was known at the scope's `known_at`."""
    assert scope.known_at is not None
    known = known_conditions(scope.connection, scope.view, scope.known_at)
    rows = scope.view.relation(["position"], None, known)
    with explained():
        ((last,),) = scope.connection.execute(f"SELECT max(position) FROM ({rows})").fetchall()
    extent = "no record, so the answer is empty" if last is None else f"the records up to position {last}"
    return f"known at {point_text(scope.known_at)}: {extent}"


def names_like(
    connection: duckdb.DuckDBPyConnection, view: IndexView, column: str, prefix: str, limit: int
) -> list[str]:
    """List up to `limit` values of a column of the index that begin with a prefix."""
    rows = view.relation([column], None, [f"starts_with({column}, {literal(prefix)})"])
    found = connection.execute(f"SELECT DISTINCT {column} FROM ({rows}) ORDER BY 1 LIMIT {int(limit)}").fetchall()
    return [name for (name,) in found]
