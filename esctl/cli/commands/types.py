"""esctl types."""

from __future__ import annotations

from esctl.cli.arguments import KnownAt
from esctl.cli.opening import open_store, tell
from esctl.cli.options import Shared, question

TABLE = ("type", "count", "entities", "first", "last", "fields")


@question
def run(shared: Shared, known_at: KnownAt = "") -> None:
    """List event types with their counts, first and last time, entities and fields."""
    from esctl.ask.events.types import types

    store = open_store(shared)
    scope = store.scope(known_at=known_at)
    tell(types(scope), shared, store, scope, TABLE)
