"""esctl replay."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.arguments import Before, Engine, Entities, KnownAt, ProjectionFile, ProjectionName, Without
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import render_answer

TABLE = ("entity", "state", "version", "time")


@question
def run(
    shared: Shared,
    entities: Entities = None,
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="T",
            help="Take events up to and including T: a time, a date (its end), @POSITION, seq:N, version:N, id:EVENT, "
            "now, '2h ago'.",
        ),
    ] = "",
    before: Before = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    where: Annotated[
        str,
        typer.Option(
            "--where", metavar="CONDITION", help="Only states for which this SQL condition on their fields holds."
        ),
    ] = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Show deleted entities too, with a null state.")] = False,
    without: Without = None,
    projection_file: ProjectionFile = None,
    engine: Engine = "",
) -> None:
    """Show the state of entities at a point in time, one row each."""
    store = open_store(shared, engine)
    states = store.replay(
        *(entities or ()), at=at, before=before, known_at=known_at, projection=projection, where=where,
        deleted=deleted, without=without or (), projection_file=projection_file,
    )  # fmt: skip
    render_answer(states, shared, store, TABLE)
