"""esctl replay."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.completion import complete_entity, complete_projection
from esctl.cli.opening import echo_bound, open_store, show
from esctl.cli.options import Shared, command

TABLE = ("entity", "state", "version", "time")


@command
def run(
    shared: Shared,
    entities: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ENTITY]...", help="Names or globs; all entities otherwise.", autocompletion=complete_entity
        ),
    ] = None,
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="T",
            help="Take events up to and including T: a time, a date (its end), @POSITION, seq:N, version:N, id:EVENT, "
            "now, '2h ago'.",
        ),
    ] = "",
    before: Annotated[str, typer.Option("--before", metavar="T", help="Take events before T.")] = "",
    known_at: Annotated[
        str, typer.Option("--known-at", metavar="T", help="Take only what esctl had recorded by T.")
    ] = "",
    projection: Annotated[
        str,
        typer.Option(
            "-p",
            "--projection",
            metavar="NAME",
            help="Fold with this projection; otherwise each entity with the first that claims it.",
            autocompletion=complete_projection,
        ),
    ] = "",
    where: Annotated[
        str,
        typer.Option(
            "--where", metavar="CONDITION", help="Only states for which this SQL condition on their fields holds."
        ),
    ] = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Show deleted entities too, with a null state.")] = False,
) -> None:
    """Give the state of entities at a point in time, one row each."""
    from esctl.queries.replay import replay

    store = open_store(shared)
    bound = store.bound(at, before)
    answer = replay(store.scope(entities or (), projection, known_at), bound, where, deleted=deleted)
    echo_bound(store, shared, bound)
    show(answer, shared, store, TABLE)
