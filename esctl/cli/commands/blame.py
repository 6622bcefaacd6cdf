"""esctl blame."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.arguments import At, Before, Engine, KnownAt, ProjectionName
from esctl.cli.completion import complete_entity, complete_field
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import render_answer
from esctl.errors import UsageError

TABLE = ("entity", "field", "value", "contributions", "position", "time", "type", "actor")


@question
def run(
    shared: Shared,
    entity: Annotated[
        list[str] | None,
        typer.Argument(metavar="ENTITY...", help="Names or globs.", autocompletion=complete_entity),
    ] = None,
    entities: Annotated[
        list[str] | None,
        typer.Option("--entities", metavar="GLOB", help="All entities that match too: '*' for all (repeat for more)."),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field", metavar="FIELD", help="Only this field (repeat for more).", autocompletion=complete_field
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="List every event that contributed to a value, with the value after it."),
    ] = False,
    at: At = "",
    before: Before = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    engine: Engine = "",
) -> None:
    """Show each field of the state with the event that set it, when, and by whom."""
    names = [*(entity or ()), *(entities or ())]
    if not names:
        raise UsageError("missing argument 'ENTITY'", "name entities, or give --entities '*' for all")
    store = open_store(shared, engine)
    blamed = store.blame(
        *names, field=field or (), all=every, at=at, before=before, known_at=known_at, projection=projection
    )
    render_answer(blamed, shared, store, TABLE)
