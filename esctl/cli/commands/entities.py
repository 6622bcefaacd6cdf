"""esctl entities."""

from __future__ import annotations

from esctl.cli.arguments import Entities
from esctl.cli.opening import open_store, show
from esctl.cli.options import Shared, command


@command
def run(
    shared: Shared,
    entities: Entities = None,
) -> None:
    """List entities with their events and when the first and last happened."""
    from esctl.queries.entities import entities as list_entities

    store = open_store(shared)
    show(list_entities(store.scope(entities or ())), shared, store)
