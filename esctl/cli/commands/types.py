"""esctl types."""

from __future__ import annotations

from esctl.cli.opening import open_store, show
from esctl.cli.options import Shared, command

TABLE = ("type", "count", "entities", "first", "last", "fields")


@command
def run(shared: Shared) -> None:
    """List event types with their counts, first and last time, entities and fields."""
    from esctl.queries.types import types

    store = open_store(shared)
    show(types(store.scope()), shared, store, TABLE)
