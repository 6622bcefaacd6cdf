"""Extend an index in parts: each worker reads a range of the log and writes its index files.

A range is read as if no id in it had been given before. If that turns out to be wrong, the range is read again, with
the ids of all earlier ones. A range that depends on more of what came before (ids that sources share, undated records)
is left, with everything after it, to one process, by `building.extend`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from esctl.engine.duckdb import explained
from esctl.engine.workers import Call, own_connection
from esctl.errors import EsctlError, InputError
from esctl.index.chunks import CHUNK_BYTES, CHUNK_ROWS, chunks
from esctl.index.extend import extend, extend_by_one, with_entry
from esctl.index.files.freshness import usable_manifest
from esctl.index.files.last_placed import Place, place_finder
from esctl.index.files.manifest import IdRun, IndexFile, Manifest, read_manifest, write_manifest
from esctl.index.files.readers import make_readers_file
from esctl.index.files.write import locked
from esctl.index.seen_ids.numberings import is_divided
from esctl.index.seen_ids.repeated import find_repeated, unseen_before
from esctl.index.seen_ids.run_file import DamagedRunError
from esctl.index.understand import RecordDecoder
from esctl.index.update import Updater
from esctl.log.reader import first_positions
from esctl.log.store_state import StoreState, sendable
from esctl.model import MappingConfig
from esctl.storage.places import is_seen

if TYPE_CHECKING:
    from esctl.engine.workers import Workers
    from esctl.index.envelope.detect import Detection


class RangeContext(Struct, frozen=True):
    """What all ranges share: the log, the mapping and the folder of the index, and the manifest before the ranges."""

    store_state: StoreState
    mapping: MappingConfig
    folder: Path
    known: Manifest
    begun: Mapping[str, int]  # the first positions of the sources that begin in the ranges
    memory_limit: str | None


class Built(Struct, frozen=True):
    """The files of a range, and its ids; neither if the range must be left to one process."""

    files: tuple[IndexFile, ...] = ()
    ids: IdRun | None = None


Range = tuple[int, int]


def build_in_parts(workers: Workers, updater: Updater, store_state: StoreState) -> None:
    """Bring an index up to the head of a log, with workers as far as it can be done in parts."""
    updater.make_folder()
    reader = updater.record_reader
    with locked(updater.folder), explained():
        found = read_manifest(updater.folder)
        if found is None:
            make_readers_file(updater.folder)  # nobody can have read it before
        manifest = usable_manifest(found, store_state)
        ranges = _ranges(store_state, manifest.head + 1)
        is_fresh = found is None or (found.redactions, found.head) == (manifest.redactions, manifest.head)
        if (
            is_fresh
            and not manifest.unjudged
            and len(ranges) > 2
            and workers.parts(store_state.head - manifest.head) > 1
        ):
            # The first range decides how payloads are laid out and how most sources are read.
            manifest = extend_by_one(reader, store_state, manifest, *ranges[0])
            if manifest.head == ranges[0][1] and not manifest.unjudged:
                _build_rest(workers, updater, store_state, manifest, ranges[1:])
        extend(reader, store_state)


def _build_rest(
    workers: Workers, updater: Updater, store_state: StoreState, manifest: Manifest, ranges: Sequence[Range]
) -> None:
    found: list[tuple[str, Detection]] = []
    reader = replace(updater, detected=lambda name, detection: found.append((name, detection))).record_reader
    firsts = first_positions(store_state, manifest.head + 1)
    begun = {name: first for name, first in firsts.items() if name not in manifest.sources}
    known = replace(reader.with_new_sources(store_state, manifest, begun), ids=reader.ids(manifest).runs)
    context = RangeContext(sendable(store_state), updater.config, updater.folder, known, begun, workers.memory_limit)
    manifest = _with_built(manifest, known, _build_ranges(workers, context, ranges), begun)
    with suppress(DamagedRunError):
        manifest = replace(manifest, ids=reader.id_runs.merge_due(updater.folder, manifest.ids))
    write_manifest(updater.folder, manifest)
    for name, detection in found:
        if updater.detected is not None and name in manifest.sources:
            updater.detected(name, detection)


def _ranges(store_state: StoreState, first: int) -> list[Range]:
    """Cut the log from a position on, between segments, into ranges of about one chunk each."""
    found: list[Range] = []
    rows = size = 0
    for entry in store_state.segments:
        if entry.last < first:
            continue
        start = max(entry.first, first)
        count = entry.last - start + 1
        if found and rows + count <= CHUNK_ROWS and size + entry.size <= CHUNK_BYTES // 4:
            found[-1] = (found[-1][0], entry.last)
            rows, size = rows + count, size + entry.size
        else:
            found.append((start, entry.last))
            rows, size = count, entry.size
    return found


def _build_ranges(workers: Workers, context: RangeContext, ranges: Sequence[Range]) -> Iterable[Built]:
    built: list[Built] = workers.run([Call(build_range, (context, each, ()), Built) for each in ranges])
    sound = next((number for number, each in enumerate(built) if each.ids is None), len(built))
    before = context.known.ids
    runs = (*before, *(each.ids for each in built[:sound] if each.ids is not None))
    repeated = find_repeated(workers, context.folder, runs)
    if repeated is None:
        return []
    late = [number - len(before) for number in repeated if number >= len(before)]
    if late and is_divided(context.known.stanzas):
        return built[: late[0]]
    calls = []
    for number in late:
        files = (*context.known.files, *(file for each in built[:number] for file in each.files))
        known = replace(context.known, files=files)
        calls.append(
            Call(build_range, (replace(context, known=known), ranges[number], runs[: len(before) + number]), Built)
        )
    rebuilt = dict(zip(late, workers.run(calls), strict=True))
    complete = [rebuilt.get(number, each) for number, each in enumerate(built[:sound])]
    return complete[: next((number for number, each in enumerate(complete) if each.ids is None), sound)]


def _with_built(manifest: Manifest, known: Manifest, built: Iterable[Built], begun: Mapping[str, int]) -> Manifest:
    """Add the files that were built, and the sources that begin in them, to a manifest."""
    files, ids = list(manifest.files), list(known.ids)
    for each in built:
        assert each.ids is not None
        files += each.files
        ids.append(each.ids)
    head = files[-1].last
    sources = {name: number for name, number in known.sources.items() if begun.get(name, 0) <= head}
    most = max([len(manifest.stanzas), *(number + 1 for number in sources.values())])
    zones = {name: zone for name, zone in known.zones.items() if name in sources}
    return replace(
        manifest,
        files=tuple(files),
        ids=tuple(ids),
        head=head,
        sources=sources,
        stanzas=known.stanzas[:most],
        zones=zones,
    )


def build_range(context: RangeContext, wanted: Range, before: Sequence[IdRun]) -> Built:
    """Understand the records of a range, with the ids of earlier events in `before`, and write their files.

    Raises InputError if the worker does not see the folder; any other EsctlError leaves the range to one process.
    """
    if not is_seen(context.folder):
        raise InputError(f"{context.folder}: a worker does not see the store", "put it where all workers see it")
    try:
        with own_connection(context.memory_limit) as connection, explained():
            return _build(Updater(connection, context.mapping, context.folder).record_reader, context, wanted, before)
    except (_UnknownBeforeError, EsctlError, DamagedRunError):
        return Built()  # one process will find it, or say what is wrong


class _UnknownBeforeError(Exception):
    """A record needs the time of the last record before the range, which is not known here."""


def _build(reader: RecordDecoder, context: RangeContext, wanted: Range, before: Sequence[IdRun]) -> Built:
    first, last = wanted
    unseen = unseen_before(reader.id_runs, first)
    manifest = replace(context.known, head=first - 1, ids=tuple(before) or unseen)
    files: list[IndexFile] = []

    def find(source: str, position: int) -> Place | None:
        own = replace(manifest, files=tuple(files))
        found = place_finder(reader.connection, context.folder, own)(source, position)
        if found is None and context.begun.get(source, 0) < first:
            raise _UnknownBeforeError
        return found

    for table in chunks(context.store_state, first, last):
        known, understood = reader.events(context.store_state, manifest, table, find=find)
        if understood.meetings:
            return Built()
        manifest = with_entry(reader, context.store_state, known, understood, table)
        files.append(manifest.files[-1])
    given = {run.file for run in before}
    fresh = [run for run in manifest.ids if run.count and run.file not in given]
    return Built(tuple(files), reader.id_runs.merge_into_one(context.folder, fresh, first, last))
