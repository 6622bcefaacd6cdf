"""Views of an index that is up to date already: most questions need no code that updates it."""

from __future__ import annotations

from pathlib import Path

from esctl.index.files.freshness import is_current, usable_manifest
from esctl.index.files.manifest import Manifest, read_manifest
from esctl.index.files.readers import ReaderShare, announce_reader
from esctl.index.scan import IndexView
from esctl.log.store_state import StoreState


def current_view(folder: Path, store_state: StoreState) -> IndexView | None:
    """Return a view of an index up to a store state's head; None if the index must be updated first."""
    reader = announce_reader(folder)
    manifest = usable_manifest(read_manifest(folder), store_state)
    if not is_current(manifest, store_state):
        return None
    if any(move.at > store_state.head for move in manifest.moves):
        return None  # someone has committed meanwhile, and a source has changed its numbering since
    return view_of(folder, manifest, store_state, reader)


def view_of(folder: Path, manifest: Manifest, store_state: StoreState, reader: ReaderShare | None) -> IndexView:
    """Return a view, up to a store state's head, of an index that reaches at least that far.

    `reader` must have been announced before the manifest was read, or while it could not change.
    """
    return IndexView(folder, manifest, store_state.head if manifest.head > store_state.head else None, reading=reader)
