"""Which events an id names: one, or several if it was given in several numberings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.engine.duckdb import explained
from esctl.engine.quoting import literal
from esctl.errors import NotFoundError, UsageError
from esctl.index.pruning import Test
from esctl.index.scan import FIRST_DELIVERY, IndexView

if TYPE_CHECKING:
    import duckdb

MOST_NAMED = 5


class NamedEvent(Struct, frozen=True, order=True):
    """An event that an id names."""

    position: int
    source: str


def events_of(
    connection: duckdb.DuckDBPyConnection, view: IndexView, ids: Sequence[str], condition: Test
) -> list[NamedEvent]:
    """List the events with one of some ids that meet a condition, in order of position."""
    return _list_events(connection, view, f"id IN ({text_values(ids)})", condition)


def part_condition(ids: Sequence[str]) -> str:
    """Write the condition that an event has one of some names as a part of its id, or as an alias."""
    names = text_values(ids)
    parts = f"len(list_intersect(string_split(scope, chr(31)), [{names}])) > 0"
    return f"({parts} OR len(list_filter(aliases, lambda a: a.value IN ({names}))) > 0)"


def events_hint(name: str) -> str:
    """Return the hint for a name that no event has: a bare number is most likely a position."""
    if re.fullmatch(r"[0-9]{1,18}", name):
        return f"did you mean @{name}, the position? else list events with: esctl log --columns position,id,type"
    return "list events with: esctl log --columns position,id,type"


def no_event(
    connection: duckdb.DuckDBPyConnection, view: IndexView, name: str, option: str, hint: str
) -> NotFoundError:
    """Return the error that no event has an id; it names the events that have it as a part of theirs, if any."""
    found = _list_events(connection, view, part_condition([name]), FIRST_DELIVERY)
    if not found:
        return NotFoundError(f"no event has the id {name!r}", hint)
    listed = ", ".join(f"@{event.position}" for event in found[:MOST_NAMED]) + (" ..." if found[MOST_NAMED:] else "")
    message = f"no event has the id {name!r} alone: it is part of the ids of {listed}"
    return NotFoundError(message, f"name one of them by its position: {option or '--at'} @{found[-1].position}")


def text_values(texts: Sequence[str]) -> str:
    """Write texts as the members of an SQL list."""
    return ", ".join(literal(each) for each in texts)


def _list_events(connection: duckdb.DuckDBPyConnection, view: IndexView, *conditions: Test) -> list[NamedEvent]:
    rows = view.relation(["position", "source"], None, list(conditions))
    with explained():
        found = connection.execute(f"SELECT DISTINCT position, source FROM ({rows}) ORDER BY position").fetchall()
    return [NamedEvent(position, source) for position, source in found]


def ambiguity_text(name: str, events: Sequence[NamedEvent]) -> str:
    """Return a sentence that lists the events with an id if there are several; else an empty text."""
    if len(events) < 2:
        return ""
    listed = ", ".join(f"@{event.position} of {event.source}" for event in events[:MOST_NAMED])
    more = f" and {len(events) - MOST_NAMED} more" if len(events) > MOST_NAMED else ""
    return f"{len(events)} events have the id {name!r}: {listed}{more}"


def require_one(name: str, events: Sequence[NamedEvent], option: str) -> None:
    """Raise UsageError, listing the events, if an id names several."""
    if ambiguity := ambiguity_text(name, events):
        raise UsageError(ambiguity, f"name one of them by its position: {option or '--at'} @{events[0].position}")
