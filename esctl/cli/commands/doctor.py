"""esctl doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.arguments import Entities, From, KnownAt, ProjectionName, To
from esctl.cli.opening import open_store, render_answer
from esctl.cli.options import Shared, question

TABLE = ("check", "count", "examples", "entities", "worst")
TABLE_LISTED = ("position", "time", "source", "entity", "type", "id", "detail")


@question
def run(
    shared: Shared,
    entities: Entities = None,
    start: From = "",
    end: To = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    duplicates: Annotated[bool, typer.Option("--duplicates", help="List events delivered again.")] = False,
    conflicts: Annotated[
        bool, typer.Option("--conflicts", help="List events with the id of an earlier one and other bytes.")
    ] = False,
    numberings: Annotated[
        bool, typer.Option("--numberings", help="List sources that were found to have a numbering of ids of their own.")
    ] = False,
    read_twice: Annotated[
        bool, typer.Option("--read-twice", help="List events that another source, read differently, tells too.")
    ] = False,
    repeats: Annotated[
        bool, typer.Option("--repeats", help="List events without an id that another source tells in the same words.")
    ] = False,
    invalid: Annotated[bool, typer.Option("--invalid", help="List records that could not be read.")] = False,
    homeless: Annotated[bool, typer.Option("--homeless", help="List events of no entity.")] = False,
    payloads: Annotated[bool, typer.Option("--payloads", help="List events whose payload is no object.")] = False,
    late: Annotated[
        bool, typer.Option("--late", help="List events of a time before one that was already recorded of their entity.")
    ] = False,
    clock: Annotated[
        bool,
        typer.Option("--clock", help="List events of a time before that of the record before them in their source."),
    ] = False,
    gaps: Annotated[bool, typer.Option("--gaps", help="List where numbers are missing from a sequence.")] = False,
    future: Annotated[
        bool, typer.Option("--future", help="List events that happened after they were recorded.")
    ] = False,
    undated: Annotated[bool, typer.Option("--undated", help="List events without a time that can be read.")] = False,
    clock_change: Annotated[
        bool, typer.Option("--clock-change", help="List events of times that clocks show twice or never.")
    ] = False,
    recording: Annotated[
        bool,
        typer.Option("--recording", help="List records dated by a clock that was ahead, or after one."),
    ] = False,
    no_creation: Annotated[
        bool, typer.Option("--no-creation", help="List entities that begin with another type than most of their kind.")
    ] = False,
    unhandled: Annotated[
        bool, typer.Option("--unhandled", help="List events of types that their projection has no rule for.")
    ] = False,
    mixed_types: Annotated[
        bool,
        typer.Option(
            "--mixed-types", help="List events in which a field has another JSON type than in most of their type."
        ),
    ] = False,
) -> None:
    """Look for what is wrong with the log; exit with 1 where something is."""
    store = open_store(shared)
    names = entities or ()
    asked = {
        "duplicates": duplicates,
        "conflicts": conflicts,
        "numberings": numberings,
        "read-twice": read_twice,
        "repeats": repeats,
        "invalid": invalid,
        "undated": undated,
        "homeless": homeless,
        "payloads": payloads,
        "late": late,
        "clock": clock,
        "clock-change": clock_change,
        "gaps": gaps,
        "future": future,
        "recording": recording,
        "no-creation": no_creation,
        "unhandled": unhandled,
        "mixed-types": mixed_types,
    }
    if listed := [name for name, chosen in asked.items() if chosen]:
        events = store.occurrences(listed, *names, from_=start, to=end, known_at=known_at, projection=projection)
        columns = TABLE_LISTED if len(listed) == 1 else ("check", *TABLE_LISTED)
        written = render_answer(events, shared, store, columns, noted=False)
        found = bool(written) or (shared.limit == 0 and events.has_rows())
    else:
        health = store.doctor(*names, from_=start, to=end, known_at=known_at, projection=projection)
        render_answer(health, shared, store, TABLE, noted=False)
        found = health.found
    if found:
        raise typer.Exit(1)
