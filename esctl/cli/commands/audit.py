"""esctl audit."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.arguments import Actors, At, Before, Engine, Entities, From, KnownAt, ProjectionName, To, Types
from esctl.cli.completion import complete_field
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, asks_for, question
from esctl.cli.render import render_answer

TABLE = ("position", "time", "entity", "type", "actor", "changes")


@question
def run(
    shared: Shared,
    entities: Entities = None,
    actor: Actors = None,
    type: Types = None,  # noqa: A002  # the option is --type
    start: From = "",
    end: To = "",
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            metavar="FIELD",
            help="Only events that touched this field, and only its changes (repeat for more).",
            autocompletion=complete_field,
        ),
    ] = None,
    at: At = "",
    before: Before = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    engine: Engine = "",
) -> None:
    """Show the audit trail: when, who, which event, and which fields it changed from what to what."""
    store = open_store(shared, engine)
    trail = store.audit(
        *(entities or ()), actor=actor or (), type=type or (), field=field or (), from_=start, to=end, at=at,
        before=before, known_at=known_at, projection=projection, with_data=asks_for(shared, "data"),
    )  # fmt: skip
    render_answer(trail, shared, store, TABLE)
