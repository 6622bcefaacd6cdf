"""Erase records from the whole store: from the log, and from everything that was derived from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import EsctlError, InputError, with_more
from esctl.storage.local import Filesystem, entries, subfolders
from esctl.storage.places import files_below

if TYPE_CHECKING:
    from esctl.index.files.manifest import Manifest
    from esctl.index.update import Updater
    from esctl.log.store_state import StoreState
    from esctl.log.writer import LogWriter
    from esctl.model import Stanza

SNAPSHOTS = "snapshots"
_AGAIN = "run the same command again: it completes the erasure"


class ErasureRequest(Struct, frozen=True):
    """What to erase, why, and who wants it."""

    positions: Sequence[int]
    reason: str
    actor: str


def redact(path: Path, wanted: ErasureRequest, updater: Updater, files: Filesystem | None = None) -> StoreState:
    """Erase records of the store in a folder, and rebuild the index of the mapping in force.

    If killed, the records are erased or not, and the same call completes the erasure: the commit is made first, then
    the old segments are removed, then what was derived from them. Raises UsageError if the store is not erasable,
    InputError if it cannot be read or written.
    """
    from esctl.log.erasing import check_erasable, erase
    from esctl.log.store_state import Redaction
    from esctl.log.writer import LogWriter

    files = files or Filesystem()
    with LogWriter(path, files=files, connection=updater.connection) as writer, _erasure_told(writer):
        check_erasable(writer.store_state)
        mappings = _recognise_mappings(writer.store_state, wanted.positions, updater)
        redaction = Redaction(0, (), wanted.reason, wanted.actor, mappings)
        store_state = erase(writer, wanted.positions, redaction, updater.connection)
        clear_derived(path, store_state, files)
        updater.run(store_state)
    check_gone(store_state)
    return store_state


@contextmanager
def _erasure_told(writer: LogWriter) -> Iterator[None]:
    """Add to an error, if the erasure was committed before it, that it was."""
    from esctl.log.commits import open_log

    before = len(writer.store_state.redactions)
    try:
        yield
    except (EsctlError, OSError) as error:
        if len(open_log(writer.path).read().redactions) == before:
            raise
        raise with_more(error, "the records are erased, but files that held them may still be there", _AGAIN) from error


def check_gone(store_state: StoreState) -> None:
    """Raise InputError, naming it, if a segment that was replaced still exists."""
    from esctl.log.segments import find_unnamed

    for name in sorted(find_unnamed(store_state.segments, entries(store_state.path / "log"))):
        if int(name[:20]) <= store_state.head:
            raise InputError(
                f"{store_state.path / 'log' / name} still holds what was erased: it cannot be removed", _AGAIN
            )


def complete_erasure(path: Path, files: Filesystem | None = None) -> None:
    """Complete an erasure that was interrupted after its commit: remove what it left behind."""
    from esctl.log.writer import LogWriter

    files = files or Filesystem()
    with LogWriter(path, files=files) as writer:  # entering it removes segments that were replaced
        if writer.store_state.redactions:
            clear_derived(path, writer.store_state, files)
    check_gone(writer.store_state)


def clear_derived(path: Path, store_state: StoreState, files: Filesystem) -> None:
    """Remove all indexes older than the last erasure, of any mapping, and all snapshots of states."""
    from esctl.index.files.write import clear_stale

    # Indexes go last: an index from before the erasure shows that the erasure was interrupted.
    for file in sorted(files_below(path / SNAPSHOTS), key=lambda file: _is_no_manifest(file.name)):
        files.unlink(file)
    for index in subfolders(path / "index"):
        clear_stale(index, len(store_state.redactions), files)


def _is_no_manifest(name: str) -> bool:
    # Manifests go first, so that none names what is gone.
    return not name.endswith(".json")


def _recognise_mappings(
    store_state: StoreState, positions: Sequence[int], updater: Updater
) -> dict[str, dict[str, Any]]:
    """Return the mappings recognised in the sources of some records, by source, while they can still be read."""
    from msgspec.structs import asdict

    from esctl.ask.events.erasable import position_condition
    from esctl.engine.duckdb import explained
    from esctl.engine.quoting import text_list
    from esctl.index.seen_ids.apart import apart

    view = updater.run(store_state)
    own = view.relation(["source"], None, [position_condition(positions)])
    every = view.relation(["source", "position"], None, [])
    alone = apart(view.manifest)  # their numberings could not be found again after an erasure
    chosen = f"source IN (SELECT source FROM ({own})) OR list_contains({text_list(tuple(alone))}::VARCHAR[], source)"
    with explained():
        firsts = updater.connection.execute(
            f"SELECT source, min(position) FROM ({every}) WHERE {chosen} GROUP BY 1"
        ).fetchall()
    stanzas = {source: updater.recognise(store_state, source, first) for source, first in firsts}
    return {source: asdict(_with_own_numbering(view.manifest, source, stanza)) for source, stanza in stanzas.items()}


def _with_own_numbering(manifest: Manifest, source: str, stanza: Stanza) -> Stanza:
    own = manifest.stanzas[manifest.sources[source]]
    return stanza if own.scope else replace(stanza, numbering=own.numbering)
