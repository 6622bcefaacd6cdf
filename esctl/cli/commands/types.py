"""esctl types."""

from __future__ import annotations

from esctl.cli.arguments import KnownAt
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import render_answer

TABLE = ("type", "count", "entities", "first", "last", "fields")


@question
def run(shared: Shared, known_at: KnownAt = "") -> None:
    """List event types with their counts, first and last time, entities and fields."""
    store = open_store(shared)
    render_answer(store.types(known_at=known_at), shared, store, TABLE)
