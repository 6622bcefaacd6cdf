"""Compare an index manifest with the log as it is now: how far it reaches, and whether its files may be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from esctl.errors import InputError
from esctl.index.files.manifest import Manifest
from esctl.log.store_state import StoreState


def empty_manifest(store_state: StoreState) -> Manifest:
    """Return the manifest of an empty index of a log."""
    return Manifest(redactions=len(store_state.redactions))


def usable_manifest(manifest: Manifest | None, store_state: StoreState) -> Manifest:
    """Return a manifest if its files may be read, else an empty one.

    They may not be read if they were written before an erasure, since they hold what was erased, or if times were read
    in a zone whose name or data differs from now.

    Raises InputError if records were erased after the store state was read.
    """
    if (
        manifest is None
        or manifest.redactions < len(store_state.redactions)
        or not has_same_zones(manifest, store_state)
    ):
        return empty_manifest(store_state)
    if manifest.redactions > len(store_state.redactions):
        if len(_newest_state(store_state).redactions) >= manifest.redactions:
            raise InputError(f"{store_state.path}: records were erased meanwhile", "run the command again")
        return empty_manifest(store_state)  # of a log that no longer exists
    return manifest


def has_same_zones(manifest: Manifest, store_state: StoreState) -> bool:
    """Return whether the times of all sources were read in the zones that they would be read in now."""
    known = manifest.sources.keys() & store_state.cursors.keys()
    then = {name: zone for name, zone in manifest.zones.items() if name in known}
    return then == zones_of(store_state, known)


def zones_of(store_state: StoreState, sources: Iterable[str]) -> Mapping[str, str]:
    """Return the fingerprint of the zone that times are read in, by source; sources read in UTC are left out."""
    zones = {name: tz for name in sources if (tz := store_state.cursors[name].dialect.get("tz"))}
    if not zones:
        return zones
    from esctl.engine.zones import zone_fingerprint

    readings = {tz: zone_fingerprint(tz) for tz in set(zones.values())}
    return {name: readings[tz] for name, tz in zones.items()}


def is_current(manifest: Manifest, store_state: StoreState) -> bool:
    """Return whether a manifest reaches at least as far as the snapshot, and still is of the same log."""
    if manifest.head == store_state.head:
        return True
    # Another process may have committed and indexed since the snapshot was read: the index still covers the snapshot.
    return store_state.head < manifest.head <= newest_head(store_state)


def newest_head(store_state: StoreState) -> int:
    """Return the head that the log has now."""
    return _newest_state(store_state).head


def _newest_state(store_state: StoreState) -> StoreState:
    from esctl.log.commits import open_log

    return open_log(store_state.path).read()
