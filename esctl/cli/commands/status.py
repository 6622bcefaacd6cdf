"""esctl status."""

from __future__ import annotations

from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command
from esctl.cli.render import show


@command
def run(shared: Shared) -> None:
    """Show what the store holds: head, tree root, sources, time range, counts, sizes."""
    store = open_store(shared)
    show(store.status().answer, shared, store)
