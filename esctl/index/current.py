"""Views of an index that is up to date already: most questions need no code that updates it."""

from __future__ import annotations

from pathlib import Path

from esctl.index.files.freshness import is_current, usable_manifest
from esctl.index.files.manifest import Manifest, read_manifest
from esctl.index.files.readers import ReaderShare, announce_reader
from esctl.index.scan import IndexView
from esctl.log.store_state import StoreState


def current_view(folder: Path, snapshot: StoreState) -> IndexView | None:
    """Return a view of an index up to a snapshot's head; None if the index must be updated first."""
    reader = announce_reader(folder)
    manifest = usable_manifest(read_manifest(folder), snapshot)
    if not is_current(manifest, snapshot):
        return None
    if any(move.at > snapshot.head for move in manifest.moves):
        return None  # someone has committed meanwhile, and a source has changed its numbering since
    return view_of(folder, manifest, snapshot, reader)


def view_of(folder: Path, manifest: Manifest, snapshot: StoreState, reader: ReaderShare | None) -> IndexView:
    """Return a view, up to a snapshot's head, of an index that reaches at least that far.

    `reader` must have been announced before the manifest was read, or while it could not change.
    """
    return IndexView(folder, manifest, snapshot.head if manifest.head > snapshot.head else None, reading=reader)
