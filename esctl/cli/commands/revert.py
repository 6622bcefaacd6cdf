"""esctl revert."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.arguments import KnownAt, ProjectionName
from esctl.cli.completion import complete_entity
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import render_answer

TABLE = ("entity", "op", "field", "value", "from", "to", "undoes")


@question
def run(
    shared: Shared,
    entities: Annotated[
        list[str],
        typer.Argument(metavar="ENTITY...", help="Names or globs: '*' for all.", autocompletion=complete_entity),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="T", help="Back to the state at T: a time, a date (its end), @POSITION, seq:N, id:EVENT."
        ),
    ] = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    as_events: Annotated[
        str,
        typer.Option(
            "--as-events",
            metavar="TEMPLATE",
            help="Write each change as an event of your own: a TOML or JSON file, or a JSON object, with {entity}, "
            "{field}, {value}, {op}, ... in its texts.",
        ),
    ] = "",
) -> None:
    """Show the changes that take entities back to their state at T; nothing is written to the store."""
    store = open_store(shared)
    changes = store.revert(*entities, to=to, known_at=known_at, projection=projection, as_events=as_events)
    render_answer(changes, shared, store, () if as_events else TABLE)
