"""Extend an index from its manifest to the head of the log, one file for each chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esctl.index.chunks import chunks, ends, fresh_chunks
from esctl.index.files.freshness import empty_manifest, newest_head, usable_manifest
from esctl.index.files.manifest import (
    IndexFile,
    Manifest,
    read_manifest,
    with_file,
    with_sources,
    write_manifest,
)
from esctl.index.files.readers import make_readers_file
from esctl.index.files.write import (
    ROW_GROUP,
    WrittenFile,
    explain_write_errors,
    retire,
    sweep,
    sweep_unread,
    write_file,
)
from esctl.index.merge_policy import merge_small
from esctl.index.understand import RecordDecoder
from esctl.log.store_state import StoreState
from esctl.model import Stanza

if TYPE_CHECKING:
    import pyarrow as pa

    from esctl.index.chunk_events import ChunkEvents
    from esctl.index.files.last_placed import Place
    from esctl.index.files.manifest import Tally
    from esctl.index.files.sort_rows import Rows


def extend(reader: RecordDecoder, store_state: StoreState, fresh: Sequence[pa.Table] = ()) -> Manifest:
    """Bring the index up to a store state and merge small files. `fresh` may hold the last records of the log."""
    from esctl.engine.duckdb import explained, relational

    relational(reader.connection)
    found = read_manifest(reader.folder)
    manifest = usable_manifest(found, store_state)
    if manifest.head > store_state.head:
        if manifest.head <= newest_head(store_state):
            return manifest
        manifest = empty_manifest(store_state)  # of a log that no longer exists: start over
    if found is not None and found.redactions != manifest.redactions:
        manifest = write_manifest(reader.folder, manifest)
        sweep(reader.folder, manifest, linger=0)  # they may hold erased records
    sweep(reader.folder, manifest)
    with explained():
        manifest = _index_up_to(reader, store_state, manifest, fresh_chunks(fresh, manifest.head + 1, store_state))
    manifest = merge_small(reader.connection, reader.folder, manifest)
    sweep_unread(reader.folder, manifest)
    with explain_write_errors(reader.folder):
        make_readers_file(reader.folder)
    return manifest


def _index_up_to(
    reader: RecordDecoder, store_state: StoreState, manifest: Manifest, at_hand: Iterable[pa.Table]
) -> Manifest:
    while manifest.head < store_state.head:
        for table in at_hand or chunks(store_state, manifest.head + 1, store_state.head):
            before, manifest = manifest, _with_chunk(reader, store_state, manifest, table)
            if manifest.head < before.head:
                retire(reader.folder, before.names - manifest.names)
                break
            manifest = write_manifest(reader.folder, manifest)
        at_hand = ()
    return manifest


def extend_by_one(
    reader: RecordDecoder, store_state: StoreState, manifest: Manifest, first: int, last: int
) -> Manifest:
    """Index the positions from `first`, right after the manifest's head, to `last`. The caller holds the lock."""
    for table in chunks(store_state, first, last):
        before, manifest = manifest, _with_chunk(reader, store_state, manifest, table)
        write_manifest(reader.folder, manifest)
        if manifest.head < before.head:
            break
    return manifest


def with_entry(
    reader: RecordDecoder, store_state: StoreState, manifest: Manifest, understood: ChunkEvents, table: pa.Table
) -> Manifest:
    """Write a chunk without meetings (ids known from other sources) to its file, and add the file to a manifest."""
    from esctl.index.seen_ids.settle import settle

    found = settle(store_state, manifest, table, ())
    return _with_file(reader, replace(manifest, unjudged=False), understood, table, found.tallies)


def _with_chunk(reader: RecordDecoder, store_state: StoreState, manifest: Manifest, table: pa.Table) -> Manifest:
    """Understand and write a chunk; if sources change their numbering, return the manifest to resume from."""
    from esctl.index.seen_ids.settle import rewound, settle

    while True:
        known, understood = reader.events(store_state, manifest, table)
        found = settle(store_state, known, table, understood.meetings)
        if not found.moves:
            known = replace(known, unjudged=found.unjudged)
            return _with_file(reader, known, understood, table, found.tallies)
        before, manifest = manifest, rewound(known, table, found)
        if manifest.head < before.head:
            return manifest


def _with_file(
    reader: RecordDecoder, manifest: Manifest, understood: ChunkEvents, table: pa.Table, tallies: tuple[Tally, ...] = ()
) -> Manifest:
    rows = understood.rows(reader.connection)
    first, last = ends(table)
    written = write_file(reader.folder, rows.tables(ROW_GROUP), first, last)
    file = replace(_entry(understood, rows, written, first, last), tallies=tallies)
    return with_file(replace(manifest, ids=reader.ids(manifest).add(understood.ids, last)), file)


def _entry(understood: ChunkEvents, rows: Rows, written: WrittenFile, first: int, last: int) -> IndexFile:
    import pyarrow as pa
    import pyarrow.compute as pc

    times = pc.min_max(understood.table["time"].cast(pa.int64()))
    shared = set(IndexFile.__struct_fields__).intersection(understood.__struct_fields__)
    return IndexFile(
        file=written.file, bytes=written.bytes, groups=written.groups, footer=written.footer,
        rows=len(rows), twice=rows.twice, first=first, last=last,
        min_time=times["min"].as_py(), max_time=times["max"].as_py(),
        **{name: getattr(understood, name) for name in shared},
    )  # fmt: skip


def rebuild_as(reader: RecordDecoder, store_state: StoreState, like: Manifest) -> Manifest:
    """Rebuild another index in an empty folder, so that the two can be compared row by row.

    Each file of `like` becomes one or more files with its layout.
    """
    manifest = replace(empty_manifest(store_state), stanzas=like.stanzas)
    for file in like.files:
        for table in chunks(store_state, file.first, min(file.last, store_state.head)):
            known, understood = reader.events(store_state, manifest, table, file.columns, like)
            manifest = _with_file(reader, known, understood, table)
    return manifest


def understand_as(
    reader: RecordDecoder,
    store_state: StoreState,
    like: Manifest,
    known: Manifest | None = None,
    stretches: Sequence[tuple[IndexFile, int, int]] = (),
) -> Iterator[tuple[Manifest, IndexFile, ChunkEvents]]:
    """Read the records of another index again, each of its files in one or more chunks, without writing rows.

    Yields the manifest so far, the file, and the events of the chunk. The files of `like` are in the folder too, and
    earlier ids are looked up in them. `stretches` names some files, each with a first and a last position, instead of
    all; `known` is then the manifest of everything before.
    """
    manifest = known or begun_as(store_state, like)
    for file, first, final in stretches or [(file, file.first, file.last) for file in like.files]:
        for table in chunks(store_state, first, min(final, store_state.head)):
            manifest, understood = reader.events(store_state, manifest, table, file.columns, like)
            last = ends(table)[1]
            manifest = replace(manifest, head=last, ids=reader.ids(manifest).add(understood.ids, last))
            yield manifest, file, understood


def begun_as(store_state: StoreState, like: Manifest) -> Manifest:
    """Return the manifest before the first record, with the files of another index to look ids up in."""
    return replace(empty_manifest(store_state), files=like.files, stanzas=like.stanzas)


def build_over(
    reader: RecordDecoder,
    store_state: StoreState,
    tables: Iterable[pa.Table],
    stanzas: Mapping[str, Stanza],
    fields: Mapping[str, tuple[str, ...]],
    places: Mapping[int, Place] | None = None,
) -> Manifest:
    """Build an index of some records of a log, in an empty folder; positions between them may be missing.

    `stanzas` and the cursors of `store_state` say how each source is read. `fields` has the payload fields of the
    whole log with their JSON types. `places` has, by position, the time at which an undated event is folded.
    """
    manifest = with_sources(Manifest(), stanzas)
    for table in tables:
        manifest, understood = reader.events(store_state, manifest, table, places=places)
        manifest = _with_file(reader, manifest, understood, table)
    last = manifest.files[-1]
    known = {**fields, **{name: (*kinds, *fields.get(name, ())) for name, kinds in last.fields}}
    fields_of_log = tuple((name, tuple(sorted(set(kinds)))) for name, kinds in known.items())
    return replace(manifest, files=(*manifest.files[:-1], replace(last, fields=fields_of_log)))
