"""esctl diff."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.arguments import Entities, KnownAt, ProjectionName
from esctl.cli.opening import echo_bound, is_any, open_store, show
from esctl.cli.options import Shared, command

TABLE = ("entity", "change", "field", "before", "after", "positions")


@command
def run(
    shared: Shared,
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="The one point: a time, a date (its end), @POSITION, seq:N, version:N, id:EVENT."
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The other point.")],
    entities: Entities = None,
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    summary: Annotated[bool, typer.Option("--summary", help="Count the differences instead of listing them.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when anything differs.")] = False,
) -> None:
    """Give what differs between the states at two points, and the events that did it."""
    from esctl.queries.diff import diff

    store = open_store(shared)
    first, second = store.point(a, "A"), store.point(b, "B")
    answer = diff(store.scope(entities or (), projection, known_at), first, second, summary=summary)
    echo_bound(store, shared, first)
    echo_bound(store, shared, second)
    written = show(answer, shared, store, () if summary else TABLE)
    if exit_code and (written or (shared.limit == 0 and is_any(answer))):
        raise typer.Exit(1)
