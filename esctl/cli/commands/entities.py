"""esctl entities."""

from __future__ import annotations

from esctl.cli.arguments import Entities, KnownAt
from esctl.cli.opening import open_store, tell
from esctl.cli.options import Shared, question


@question
def run(
    shared: Shared,
    entities: Entities = None,
    known_at: KnownAt = "",
) -> None:
    """List entities with their events and when the first and last happened."""
    from esctl.ask.events.entities import entities as list_entities

    store = open_store(shared)
    scope = store.scope(entities or (), known_at=known_at)
    tell(list_entities(scope), shared, store, scope)
