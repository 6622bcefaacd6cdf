"""Which events an id names: one, or several where it was given in several numberings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.engine.duckdb import explained
from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.index.scan import IndexView

if TYPE_CHECKING:
    import duckdb

MOST_NAMED = 5


class Named(Struct, frozen=True, order=True):
    """An event that an id names."""

    position: int
    source: str


def events_of(connection: duckdb.DuckDBPyConnection, view: IndexView, ids: Sequence[str], folded: str) -> list[Named]:
    """List the events, for which a condition holds, that have one of some ids, in order of position."""
    alike = ", ".join(literal(each) for each in ids)
    rows = view.relation(["position", "source"], None, [f"id IN ({alike})", folded])
    with explained():
        found = connection.execute(f"SELECT DISTINCT position, source FROM ({rows}) ORDER BY position").fetchall()
    return [Named(position, source) for position, source in found]


def several(name: str, events: Sequence[Named]) -> str:
    """Return which events an id names, where it names several; else nothing."""
    if len(events) < 2:
        return ""
    listed = ", ".join(f"@{event.position} of {event.source}" for event in events[:MOST_NAMED])
    more = f" and {len(events) - MOST_NAMED} more" if len(events) > MOST_NAMED else ""
    return f"{len(events)} events have the id {name!r}: {listed}{more}"


def require_one(name: str, events: Sequence[Named], option: str) -> None:
    """Raise UsageError, naming them, where an id names several events."""
    if told := several(name, events):
        raise UsageError(told, f"name one of them by its position: {option or '--at'} @{events[0].position}")
