"""esctl audit."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.completion import complete_entity, complete_projection, complete_type
from esctl.cli.opening import echo_bound, open_store, show
from esctl.cli.options import Shared, command

TABLE = ("position", "time", "entity", "type", "actor", "changes")


@command
def run(
    shared: Shared,
    entities: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ENTITY]...", help="Names or globs; all entities otherwise.", autocompletion=complete_entity
        ),
    ] = None,
    actor: Annotated[
        list[str] | None,
        typer.Option("--actor", metavar="NAME", help="Only events by this actor (glob; repeat for more)."),
    ] = None,
    type: Annotated[  # noqa: A002  # the option is --type
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only events of this type (glob; repeat for more).",
            autocompletion=complete_type,
        ),
    ] = None,
    start: Annotated[
        str, typer.Option("--from", metavar="T", help="Only events from T on (a date: from its start).")
    ] = "",
    end: Annotated[
        str, typer.Option("--to", metavar="T", help="Only events up to and including T (a date: to its end).")
    ] = "",
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            metavar="FIELD",
            help="Only events that touched this field, and only its changes (repeat for more).",
        ),
    ] = None,
    at: Annotated[str, typer.Option("--at", metavar="T", help="Fold events up to and including T only.")] = "",
    before: Annotated[str, typer.Option("--before", metavar="T", help="Fold events before T only.")] = "",
    known_at: Annotated[
        str, typer.Option("--known-at", metavar="T", help="Take only what esctl had recorded by T.")
    ] = "",
    projection: Annotated[
        str,
        typer.Option(
            "-p", "--projection", metavar="NAME", help="Fold with this projection.", autocompletion=complete_projection
        ),
    ] = "",
) -> None:
    """Give the trail: when, who, what event, and which fields it changed from what to what."""
    from esctl.cli.filters import filters
    from esctl.queries.audit import audit

    store = open_store(shared)
    bound = store.bound(at, before)
    wanted = filters(store, actor, type, start, end, field)
    answer = audit(store.scope(entities or (), projection, known_at), bound, wanted)
    for point in (bound, wanted.start, wanted.end):
        echo_bound(store, shared, point)
    show(answer, shared, store, TABLE)
