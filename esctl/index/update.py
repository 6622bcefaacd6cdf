"""Bring an index up to date with the log: build what is missing, merge what is small."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.index.chunks import chunks, ends, fresh_chunks
from esctl.index.decode.log_rows import judge_rows, judged_chunk, runs_of, trimmed_raws
from esctl.index.files.freshness import empty, in_zones, is_current, newest_head, usable, zones_of
from esctl.index.files.manifest import (
    MANIFEST,
    IndexFile,
    Manifest,
    read_manifest,
    with_file,
    with_sources,
    write_manifest,
)
from esctl.index.files.merge import due, merge, together
from esctl.index.files.write import ROW_GROUP, Written, locked, retire, sweep, write_file
from esctl.index.scan import IndexView
from esctl.index.seen_ids.numberings import as_of, in_numberings
from esctl.log.store_state import Snapshot
from esctl.model import SAMPLE_RECORDS, Cursor, MappingConfig, Stanza
from esctl.storage.local import make_folder, remove

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.index.builder import ChunkEvents
    from esctl.index.envelope.detect import Detection
    from esctl.index.files.manifest import Tally
    from esctl.index.files.payload_columns import PayloadColumn
    from esctl.index.files.sort_rows import Rows
    from esctl.index.seen_ids.runs import Ids, IdsBefore
    from esctl.index.seen_ids.search import Earlier
    from esctl.log.writer import Part

SMALL_ROWS = 1_000_000
"""Files with fewer rows are merged as the log grows."""
MOST_SMALL = 8
"""So many neighbours of one size become one."""

Detected = Callable[[str, "Detection"], None]
Raws = Callable[[Sequence[int]], Mapping[int, bytes]]


class Updater(Struct, frozen=True, dict=True):
    """Builds one mapping's index of a store. `detected` is told what was recognised in each new source.

    `raws` gives records' bytes, without blanks around them, where there is no log to read them from.
    """

    connection: duckdb.DuckDBPyConnection
    config: MappingConfig
    folder: Path
    detected: Detected | None = None
    raws: Raws | None = None

    @cached_property
    def ids(self) -> Ids:
        """Return the ids seen so far."""
        from esctl.index.seen_ids.runs import Ids

        return Ids(self.connection)

    def run(self, snapshot: Snapshot, fresh: Sequence[pa.Table] = ()) -> IndexView:
        """Bring the index up to the snapshot's head and return a view of it.

        `fresh` are its last records, where they are at hand. A store that cannot be written gets its missing part in a
        temporary folder.
        """
        manifest = usable(read_manifest(self.folder), snapshot)
        if is_current(manifest, snapshot):
            if any(move.at > snapshot.head for move in manifest.moves):
                return self.at(snapshot)  # somebody else has committed meanwhile, and ids are read in another way since
            return _view(self.folder, manifest, snapshot)
        try:
            self._make_folder()
            writable = os.access(self.folder, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            return self._beside(snapshot, manifest)
        with locked(self.folder):
            return _view(self.folder, self._extend(snapshot, fresh), snapshot)

    def at(self, snapshot: Snapshot) -> IndexView:
        """Return the index as if the log ended with the snapshot: nothing that came later shows in it.

        What the store's own index holds beyond is left out in a temporary folder; a file that reaches across the end
        is built again.
        """
        found = read_manifest(self.folder)
        manifest = usable(found, snapshot)
        if manifest.head <= snapshot.head:
            # That of the whole log stays, though its sources are read in other zones since.
            is_newer = found is not None and found.head > snapshot.head and not in_zones(found, snapshot)
            return self._beside(snapshot, manifest) if is_newer else self.run(snapshot)
        return self._beside(snapshot, as_of(manifest, snapshot))

    def rebuild(self, snapshot: Snapshot) -> IndexView:
        """Build the index anew from the evidence. The files of the old one linger for those who read them.

        Raises InputError where the store cannot be written.
        """
        try:
            self._make_folder()
            with locked(self.folder):
                remove(self.folder / MANIFEST)
                return _view(self.folder, self._extend(snapshot), snapshot)
        except PermissionError as error:
            raise InputError(
                f"{self.folder}: cannot write the index: {error.strerror}", "the store must be writable to be reindexed"
            ) from error

    def rebuild_as(self, snapshot: Snapshot, like: Manifest) -> Manifest:
        """Build an index in an empty folder, each file of another one in one or more that are laid out as it is.

        So the two can be compared row by row. Raises as `run` does.
        """
        manifest = replace(empty(snapshot), stanzas=like.stanzas)
        for file in like.files:
            for table in chunks(snapshot, file.first, min(file.last, snapshot.head)):
                known, understood = self._understood(snapshot, manifest, table, file.columns, like)
                manifest = self._with_file(known, understood, table)
        return manifest

    def understand_as(self, snapshot: Snapshot, like: Manifest) -> Iterator[tuple[Manifest, IndexFile, ChunkEvents]]:
        """Read the records again, each file of another index in one chunk or more, without writing a row.

        Gives the manifest so far, the file, and what is in the chunk. The files of the other index are in the folder
        too: where an id was seen before is read in them. Raises as `run` does.
        """
        manifest = replace(empty(snapshot), files=like.files, stanzas=like.stanzas)
        for file in like.files:
            for table in chunks(snapshot, file.first, min(file.last, snapshot.head)):
                known, understood = self._understood(snapshot, manifest, table, file.columns, like)
                last = ends(table)[1]
                manifest = replace(known, head=last, ids=self._ids(known).add(understood.ids, last))
                yield manifest, file, understood

    def over(
        self,
        snapshot: Snapshot,
        tables: Iterable[pa.Table],
        stanzas: Mapping[str, Stanza],
        fields: Mapping[str, tuple[str, ...]],
    ) -> IndexView:
        """Build an index of some records of a log, in an empty folder; positions between them may be missing.

        `stanzas` and the snapshot's cursors tell how each of their sources is read, `fields` which payload fields any
        record of that log had, with the JSON types they had.
        """
        manifest = with_sources(Manifest(), stanzas)
        for table in tables:
            manifest, understood = self._understood(snapshot, manifest, table)
            manifest = self._with_file(manifest, understood, table)
        last = manifest.files[-1]
        known = {**fields, **{name: (*kinds, *fields.get(name, ())) for name, kinds in last.fields}}
        told = tuple((name, tuple(sorted(set(kinds)))) for name, kinds in known.items())
        return IndexView(self.folder, replace(manifest, files=(*manifest.files[:-1], replace(last, fields=told))))

    def _make_folder(self) -> None:
        make_folder(self.folder.parent)
        make_folder(self.folder)

    def preview(self, snapshot: Snapshot, parts: Sequence[Part]) -> ChunkEvents:
        """Build the index rows that records would get if they were kept now, and keep nothing."""
        import numpy as np
        import pyarrow as pa

        from esctl.index.builder import build
        from esctl.log.segment import SCHEMA

        batches = [(part.source, batch) for part in parts for batch in part.batches if batch.num_rows]
        rows = pa.concat_tables([pa.Table.from_batches([batch]) for _, batch in batches])
        count = rows.num_rows
        columns = {name: rows[name] for name in rows.schema.names}
        columns["position"] = pa.array(np.arange(snapshot.head + 1, snapshot.head + 1 + count))
        columns["recorded_at"] = pa.array(np.full(count, snapshot.at + 1), pa.timestamp("us", tz="UTC"))
        columns["source"] = pa.chunked_array([pa.repeat(source, batch.num_rows) for source, batch in batches])
        names = ("position", "recorded_at", "source", "offset", "source_time", "raw")
        table = pa.table({name: columns[name].cast(SCHEMA.field(name).type) for name in names}).combine_chunks()
        manifest, cursors = self.run(snapshot).manifest, {part.source: part.cursor for part in parts}
        judged = judge_rows(self.connection, table, cursors)
        new: dict[str, Stanza] = {}
        for source, start, stop in runs_of(table):
            if source not in manifest.sources and source not in new:
                sample = judged.text.slice(start, min(stop - start, SAMPLE_RECORDS))
                new[source] = self._configured_or_detected(snapshot, source, sample, cursors[source])
        manifest = with_sources(manifest, new)
        chunk, groups = judged_chunk(table, judged, cursors, manifest)
        return build(self.connection, chunk, groups, self._earlier(snapshot, manifest, table))

    def _earlier(self, snapshot: Snapshot, manifest: Manifest, table: pa.Table) -> Earlier:
        from esctl.index.seen_ids.search import Earlier

        return Earlier(self._ids(manifest), self.raws or trimmed_raws(snapshot, table))

    def _ids(self, manifest: Manifest) -> IdsBefore:
        return self.ids.in_index(self.folder, manifest)

    def _configured_or_detected(
        self, snapshot: Snapshot, source: str, texts: pa.ChunkedArray, cursor: Cursor
    ) -> Stanza:
        from esctl.index.envelope.samples import parsed
        from esctl.index.envelope.stanza_of import recorded, stanza_of

        def sample() -> list[Any]:
            return parsed(texts)

        return stanza_of(self.config, source, recorded(snapshot, source), cursor, sample)[0]

    def _beside(self, snapshot: Snapshot, manifest: Manifest) -> IndexView:
        folder = Path(tempfile.mkdtemp(prefix="esctl-index-"))
        import atexit

        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for name in manifest.names:
            (folder / name).symlink_to(self.folder.resolve() / name)
        if manifest.files:
            write_manifest(folder, manifest)
        return IndexView(folder, replace(self, folder=folder)._extend(snapshot))

    def _extend(self, snapshot: Snapshot, fresh: Sequence[pa.Table] = ()) -> Manifest:
        from esctl.engine.duckdb import explained, relational

        relational(self.connection)
        found = read_manifest(self.folder)
        manifest = usable(found, snapshot)
        if manifest.head > snapshot.head:
            if manifest.head <= newest_head(snapshot):
                return manifest
            manifest = empty(snapshot)  # of a log that is no more: begin anew
        if found is not None and found.redactions != manifest.redactions:
            write_manifest(self.folder, manifest)
            sweep(self.folder, manifest, linger=0)  # what they say was erased
        sweep(self.folder, manifest)
        at_hand: Iterable[pa.Table] = fresh_chunks(fresh, manifest.head + 1, snapshot)
        with explained():
            while manifest.head < snapshot.head:
                for table in at_hand or chunks(snapshot, manifest.head + 1, snapshot.head):
                    before, manifest = manifest, self._add(snapshot, manifest, table)
                    if manifest.head < before.head:
                        retire(self.folder, before.names - manifest.names)
                        break
                    write_manifest(self.folder, manifest)
                at_hand = ()
        merged = self._merged(manifest)
        self._switch(manifest, merged)
        return merged

    def _add(self, snapshot: Snapshot, manifest: Manifest, table: pa.Table) -> Manifest:
        """Understand a chunk and write it; or, where it shows ids not to be shared, give what to go on from."""
        from esctl.index.seen_ids.settle import settle, settled

        while True:
            known, understood = self._understood(snapshot, manifest, table)
            found = settle(snapshot, known, table, understood.meetings)
            if not found.moves:
                known = replace(known, unjudged=found.unjudged)
                return self._with_file(known, understood, table, found.tallies)
            before, manifest = manifest, settled(known, table, found)
            if manifest.head < before.head:
                return manifest

    def _with_file(
        self, manifest: Manifest, understood: ChunkEvents, table: pa.Table, tallies: tuple[Tally, ...] = ()
    ) -> Manifest:
        rows = understood.rows(self.connection)
        first, last = ends(table)
        written = write_file(self.folder, rows.tables(ROW_GROUP), first, last)
        file = replace(_entry(understood, rows, written, first, last), tallies=tallies)
        return with_file(replace(manifest, ids=self._ids(manifest).add(understood.ids, last)), file)

    def _understood(
        self,
        snapshot: Snapshot,
        manifest: Manifest,
        table: pa.Table,
        layout: tuple[PayloadColumn, ...] | None = None,
        like: Manifest | None = None,
    ) -> tuple[Manifest, ChunkEvents]:
        """Understand a chunk; the manifest then knows its sources. `like` tells which numberings they are in."""
        from esctl.index.builder import build

        judged = judge_rows(self.connection, table, snapshot.cursors)
        manifest = self._assign(snapshot, manifest, table, judged.text, like)
        chunk, groups = judged_chunk(table, judged, snapshot.cursors, manifest)
        earlier = self._earlier(snapshot, manifest, table)
        reuse = manifest.files[-1].columns if manifest.files else ()
        understood = build(self.connection, chunk, groups, earlier, reuse, layout)
        return replace(manifest, ids=earlier.ids.runs), understood

    def _assign(
        self, snapshot: Snapshot, manifest: Manifest, table: pa.Table, texts: pa.ChunkedArray, like: Manifest | None
    ) -> Manifest:
        new: dict[str, tuple[int, Stanza]] = {}
        for source, row, _ in runs_of(table):
            if source not in manifest.sources and source not in new:
                first = int(table["position"][row].as_py())
                new[source] = (first, self._stanza(snapshot, source, row, table, texts))
        if not new:
            return manifest
        manifest = with_sources(manifest, in_numberings(like or manifest, new))
        return replace(manifest, zones={**manifest.zones, **zones_of(snapshot, new)})

    def _stanza(self, snapshot: Snapshot, source: str, row: int, table: pa.Table, texts: pa.ChunkedArray) -> Stanza:
        from esctl.index.envelope.samples import parsed
        from esctl.index.envelope.stanza_of import recorded, stanza_of

        cursor = snapshot.cursors[source]

        @cache
        def sample() -> list[Any]:
            count = min(cursor.sampled or SAMPLE_RECORDS, SAMPLE_RECORDS)
            if row + count <= table.num_rows:
                return parsed(texts.slice(row, count))
            return self._sampled(snapshot, source, int(table["position"][row].as_py()))

        stanza, detection = stanza_of(self.config, source, recorded(snapshot, source), cursor, sample)
        if self.detected is not None and detection is not None:
            self.detected(source, detection)
        return stanza

    def recognise(self, snapshot: Snapshot, source: str, first: int) -> Stanza:
        """Return what is recognised in a source, whose first record is at position `first`, whatever is configured."""
        from esctl.index.envelope.stanza_of import recognised, recorded

        return (
            recorded(snapshot, source)
            or recognised(self._sampled(snapshot, source, first), snapshot.cursors[source]).stanza
        )

    def _sampled(self, snapshot: Snapshot, source: str, first: int) -> list[Any]:
        from esctl.index.envelope.samples import sample_values

        cursor = snapshot.cursors[source]
        count = min(cursor.sampled or SAMPLE_RECORDS, SAMPLE_RECORDS)
        return sample_values(snapshot, cursor, first, count, self.connection)

    def _merged(self, manifest: Manifest) -> Manifest:
        """Merge small neighbouring files as they become many."""
        files = list(manifest.files)
        while found := due(files, MOST_SMALL, SMALL_ROWS):
            start, stop = found
            files[start:stop] = [merge(self.connection, self.folder, files[start:stop])]
        return manifest if len(files) == len(manifest.files) else replace(manifest, files=tuple(files))

    def compact(self, snapshot: Snapshot) -> tuple[Manifest, Manifest]:
        """Bring the index up to date and merge its files into few large ones; return its manifest before and after.

        The old files linger for those who read them. Raises as `rebuild` does.
        """
        self.run(snapshot)
        with locked(self.folder):
            before = self._extend(snapshot)
            groups = together(before.files)
            files = [group[0] if len(group) == 1 else merge(self.connection, self.folder, group) for group in groups]
            after = replace(before, files=tuple(files))
            self._switch(before, after)
            return before, after

    def _switch(self, before: Manifest, after: Manifest) -> None:
        if after.files != before.files:
            retire(self.folder, before.names - after.names)
            write_manifest(self.folder, after)


def _view(folder: Path, manifest: Manifest, snapshot: Snapshot) -> IndexView:
    return IndexView(folder, manifest, snapshot.head if manifest.head > snapshot.head else None)


def _entry(understood: ChunkEvents, rows: Rows, written: Written, first: int, last: int) -> IndexFile:
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
