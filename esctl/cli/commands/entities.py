"""esctl entities."""

from __future__ import annotations

from esctl.cli.arguments import Entities, KnownAt
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import render_answer


@question
def run(
    shared: Shared,
    entities: Entities = None,
    known_at: KnownAt = "",
) -> None:
    """List entities with their events and when the first and last happened."""
    store = open_store(shared)
    render_answer(store.entities(*(entities or ()), known_at=known_at), shared, store)
