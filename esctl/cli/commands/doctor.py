"""esctl doctor."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from esctl.cli.arguments import Entities, From, KnownAt, ProjectionName, To
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, flags, question
from esctl.cli.render import render_answer, shows_rows

TABLE = ("check", "count", "examples", "entities", "worst")
TABLE_LISTED = ("position", "time", "source", "entity", "type", "id", "detail")

LISTS = {
    "duplicates": "List events delivered again.",
    "conflicts": "List events with the id of an earlier one and other content.",
    "numberings": "List sources that were found to have a numbering of ids of their own.",
    "read-twice": "List events that another source, read differently, tells too.",
    "repeats": "List events without an id that another source tells in the same words.",
    "invalid": "List records that could not be read.",
    "homeless": "List events of no entity.",
    "payloads": "List events whose payload is not an object.",
    "late": "List events of a time before one of their entity that an earlier ingest recorded.",
    "clock": "List events of a time before that of the record before them in their source.",
    "gaps": "List where numbers are missing from a sequence, or records that a broker had no more.",
    "future": "List events that happened after they were recorded.",
    "undated": "List events without a time that can be read.",
    "clock-change": "List events of times that clocks show twice or never.",
    "recording": "List records dated by a clock that was ahead, or after one.",
    "no-creation": "List entities that begin with another type than most of their kind.",
    "unhandled": "List events of types that their projection has no rule for.",
    "mixed-types": "List events in which a field has another JSON type than in most of their type.",
    "schema-changes": "List changes of the columns of tables in change logs.",
    "transactions": "List transactions of change logs whose changes are not those that they count.",
    "partitions": "List where an entity goes on in another partition of a topic.",
    "unseen": "List rows of change logs that were never told whole.",
}
"""The flags and their help: each lists the occurrences of the check of its name."""


@question
@flags("listed", LISTS)
def run(
    shared: Shared,
    entities: Entities = None,
    start: From = "",
    end: To = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    *,
    listed: Sequence[str],
) -> None:
    """Look for what is wrong with the log; exit with 1 where something is."""
    store = open_store(shared)
    names = entities or ()
    if listed:
        events = store.occurrences(listed, *names, from_=start, to=end, known_at=known_at, projection=projection)
        columns = TABLE_LISTED if len(listed) == 1 else ("check", *TABLE_LISTED)
        found = shows_rows(events, shared, store, columns, noted=False)
    else:
        health = store.doctor(*names, from_=start, to=end, known_at=known_at, projection=projection)
        render_answer(health, shared, store, TABLE, noted=False)
        found = health.found
    if found:
        raise typer.Exit(1)
