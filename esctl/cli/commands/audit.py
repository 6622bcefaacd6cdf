"""esctl audit."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.arguments import Actors, At, Before, Entities, From, KnownAt, ProjectionName, To, Types
from esctl.cli.opening import open_store, tell
from esctl.cli.options import Shared, question

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
        ),
    ] = None,
    at: At = "",
    before: Before = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
) -> None:
    """Give the trail: when, who, what event, and which fields it changed from what to what."""
    from esctl.ask.changes.audit import audit
    from esctl.cli.filters import filters

    store = open_store(shared)
    bound = store.bound(at, before)
    wanted = filters(store, actor, type, start, end, field)
    scope = store.scope(entities or (), projection, known_at)
    tell(audit(scope, bound, wanted), shared, store, scope, TABLE, (wanted.start, wanted.end), bound)
