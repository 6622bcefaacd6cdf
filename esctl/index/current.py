"""The index as it lies in a store: what most questions need of it, without what brings it up to date."""

from __future__ import annotations

from pathlib import Path

from esctl.index.files.freshness import is_current, usable
from esctl.index.files.manifest import Manifest, read_manifest
from esctl.index.files.readers import Reading, reading
from esctl.index.scan import IndexView
from esctl.log.store_state import StoreState


def current_view(folder: Path, snapshot: StoreState) -> IndexView | None:
    """Return a view of an index up to a snapshot's head; None where something of it must be built first."""
    reader = reading(folder)
    manifest = usable(read_manifest(folder), snapshot)
    if not is_current(manifest, snapshot):
        return None
    if any(move.at > snapshot.head for move in manifest.moves):
        return None  # somebody else has committed meanwhile, and ids are read in another way since
    return view_of(folder, manifest, snapshot, reader)


def view_of(folder: Path, manifest: Manifest, snapshot: StoreState, reader: Reading | None) -> IndexView:
    """Return a view of an index that reaches at least as far as a snapshot; nothing beyond the snapshot shows in it.

    `reader` was announced before the manifest was read, or while it could not change.
    """
    return IndexView(folder, manifest, snapshot.head if manifest.head > snapshot.head else None, reading=reader)
