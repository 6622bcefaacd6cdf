"""Write a segment in a worker; the store's writer then names it and makes its commit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from esctl.engine.workers import own_connection
from esctl.errors import InputError
from esctl.log.merkle import Roots, subtree_roots
from esctl.log.parts import read_handed_over, with_positions, with_salts
from esctl.log.segment import iter_leaf_hashes, name_segment, write_unnamed
from esctl.log.store_state import SegmentEntry
from esctl.storage.local import Filesystem, entries, temporary_name
from esctl.storage.mirrors import mirror_of
from esctl.storage.places import is_seen


class SegmentOrder(Struct, frozen=True):
    """Where records go in a log, and their `recorded_at`, in microseconds since the epoch.

    `run` marks the files of one ingest among those of others.
    """

    store: Path
    run: str
    first: int
    recorded_at: int
    erasable: bool
    memory_limit: str | None = None


class WrittenApart(Struct, frozen=True):
    """A segment under a temporary name, and the roots of its largest subtrees in the tree of the log.

    In a store that is kept elsewhere, the segment already has its final name.
    """

    temporary: str
    entry: SegmentEntry
    roots: Roots


def write_apart(place: SegmentOrder, file: Path) -> WrittenApart:
    """Write the records in a handed-over file as a segment. Raises InputError if that cannot be done."""
    folder = place.store / "log"
    if not is_seen(folder):
        raise InputError(f"{folder}: a worker does not see the store", "put it where all workers see it")
    try:
        table = read_handed_over(file)
    except OSError as error:
        raise InputError(f"{file}: a worker does not see it", "name a folder that all workers see") from error
    table = with_positions(with_salts(table) if place.erasable else table, place.first, place.recorded_at)
    temporary = temporary_name(folder, f"{place.first:020d}-{place.run}")
    with ThreadPoolExecutor(1, "segment") as pool, own_connection(place.memory_limit) as connection:
        writing = pool.submit(write_unnamed, temporary, table, Filesystem())
        leaves = b"".join(iter_leaf_hashes(table, connection))
        _, entry = writing.result()
    if mirror_of(folder):
        name_segment(temporary, entry, Filesystem())
    return WrittenApart(temporary.name, entry, subtree_roots(leaves, place.first - 1, ()))


def list_leftovers(store: Path, run: str) -> list[Path]:
    """List the temporary files of an ingest."""
    return [store / "log" / name for name in entries(store / "log") if f"-{run}." in name]
