"""esctl entities."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.completion import complete_entity
from esctl.cli.opening import open_store, show
from esctl.cli.options import Shared, command


@command
def run(
    shared: Shared,
    entities: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ENTITY]...", help="Names or globs; all otherwise.", autocompletion=complete_entity),
    ] = None,
) -> None:
    """List entities with their events and when the first and last happened."""
    from esctl.queries.entities import entities as list_entities

    store = open_store(shared)
    show(list_entities(store.scope(entities or ())), shared, store)
