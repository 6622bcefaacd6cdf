"""esctl trace."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.arguments import KnownAt
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import render_answer

TABLE = ("position", "time", "tree", "entity", "also", "actor", "id", "link")


@question
def run(
    shared: Shared,
    name: Annotated[
        str, typer.Argument(metavar="ID", help="The id of an event, a correlation id, an alias's value, or @POSITION.")
    ],
    known_at: KnownAt = "",
    depth: Annotated[
        int | None, typer.Option("--depth", min=0, metavar="N", help="Follow at most N links; by default 100.")
    ] = None,
) -> None:
    """Show the events tied to one by causation, correlation or an alias: a tree, in order of time."""
    store = open_store(shared)
    render_answer(store.trace(name, depth=depth, known_at=known_at), shared, store, TABLE)
