"""Say whether an index manifest is of the log as it is: how far it reaches, and whether what it names may be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from esctl.errors import InputError
from esctl.index.files.manifest import Manifest
from esctl.log.store_state import StoreState


def empty(snapshot: StoreState) -> Manifest:
    """Return the manifest of an empty index of a log."""
    return Manifest(redactions=len(snapshot.redactions))


def usable(manifest: Manifest | None, snapshot: StoreState) -> Manifest:
    """Return a manifest, or an empty one where it is of before an erasure: what it names holds what was erased.

    So it is too where times were read in a zone of another name or other data than they would be now.

    Raises InputError where records were erased after the snapshot was taken.
    """
    if manifest is None or manifest.redactions < len(snapshot.redactions) or not in_zones(manifest, snapshot):
        return empty(snapshot)
    if manifest.redactions > len(snapshot.redactions):
        if len(_newest(snapshot).redactions) >= manifest.redactions:
            raise InputError(f"{snapshot.path}: records were erased meanwhile", "run the command again")
        return empty(snapshot)  # of a log that is no more
    return manifest


def in_zones(manifest: Manifest, snapshot: StoreState) -> bool:
    """Return whether the times of all sources were read in the zones that they would be read in now."""
    known = manifest.sources.keys() & snapshot.cursors.keys()
    then = {name: zone for name, zone in manifest.zones.items() if name in known}
    return then == zones_of(snapshot, known)


def zones_of(snapshot: StoreState, sources: Iterable[str]) -> Mapping[str, str]:
    """Return how times are read, for each of some sources where that is not in UTC."""
    zones = {name: tz for name in sources if (tz := snapshot.cursors[name].dialect.get("tz"))}
    if not zones:
        return zones
    from esctl.engine.zones import reading_of

    readings = {tz: reading_of(tz) for tz in set(zones.values())}
    return {name: readings[tz] for name, tz in zones.items()}


def is_current(manifest: Manifest, snapshot: StoreState) -> bool:
    """Return whether a manifest reaches at least as far as the snapshot, into what is still the same log."""
    if manifest.head == snapshot.head:
        return True
    # Somebody else may have committed and indexed since the snapshot was read: what it covers is still in there.
    return snapshot.head < manifest.head <= newest_head(snapshot)


def newest_head(snapshot: StoreState) -> int:
    """Return the head that the log has by now."""
    return _newest(snapshot).head


def _newest(snapshot: StoreState) -> StoreState:
    from esctl.log.commits import open_log

    return open_log(snapshot.path).read()
