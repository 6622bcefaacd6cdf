"""Read chunks of a log as events, by one mapping: judge records, find each source's stanza, find repeated ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.index.decode.framed import schemas_in, with_decoded_keys
from esctl.index.decode.log_rows import JudgedRows, judge_rows, judged_chunk, raws_of, runs_of
from esctl.index.envelope.homes import with_home
from esctl.index.files.freshness import zones_of
from esctl.index.files.last_placed import Before, FindPlace, Place, place_finder
from esctl.index.files.manifest import Manifest, first_sources, with_sources
from esctl.index.seen_ids.numberings import in_numberings
from esctl.log.store_state import StoreState
from esctl.model import MESSAGE, SAMPLE_RECORDS, Cursor, MappingConfig, Stanza

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.index.chunk_events import ChunkEvents
    from esctl.index.envelope.detect import Detection
    from esctl.index.files.payload_columns import PayloadColumn
    from esctl.index.seen_ids.runs import IdRuns, IdsBefore
    from esctl.index.seen_ids.search import Earlier
    from esctl.log.writer import Part


Detected = Callable[[str, "Detection"], None]
Rows = tuple["JudgedRows", "pa.Table"]
"""Judged texts, and their log rows."""
Raws = Callable[[Sequence[int]], Mapping[int, bytes]]


class RecordDecoder(Struct, frozen=True, dict=True):
    """Reads the records of a log as events by one mapping, whose index is in a folder.

    `detected` is called with what was recognised in each new source. `raws` returns records' bytes by position, if
    there is no log to read them from.
    """

    connection: duckdb.DuckDBPyConnection
    config: MappingConfig
    folder: Path
    detected: Detected | None = None
    raws: Raws | None = None

    @cached_property
    def id_runs(self) -> IdRuns:
        """Return the `IdRuns` of the index, which keeps runs open."""
        from esctl.index.seen_ids.runs import IdRuns

        return IdRuns(self.connection)

    def ids(self, manifest: Manifest) -> IdsBefore:
        """Return the ids of the events that a manifest covers."""
        return self.id_runs.in_index(self.folder, manifest)

    def events(
        self,
        store_state: StoreState,
        manifest: Manifest,
        table: pa.Table,
        layout: tuple[PayloadColumn, ...] | None = None,
        like: Manifest | None = None,
        places: Mapping[int, Place] | None = None,
        find: FindPlace | None = None,
    ) -> tuple[Manifest, ChunkEvents]:
        """Read a chunk as events; return a manifest that knows its sources, and the events.

        `layout` is that of the file to be written; None: it is derived from a sample. `like` says which numberings
        sources are in. `places` has, by position, the time at which an undated event is folded. `find` finds the time
        of a source's last record before a position; None: by the index.
        """
        from esctl.index.chunk_events import build

        cursor_of, schemas = partial(self._cursor, store_state.cursors), partial(schemas_in, store_state)
        table = with_decoded_keys(table, cursor_of, schemas)
        judged = judge_rows(self.connection, table, cursor_of, schemas)
        manifest = self._with_sources_in(store_state, manifest, table, judged, like)
        chunk, groups = judged_chunk(self.connection, table, judged, store_state.cursors, manifest)
        earlier = self._earlier(store_state, manifest, table, store_state.cursors)
        reuse = manifest.files[-1].columns if manifest.files else ()
        before = Before(find or place_finder(self.connection, self.folder, manifest), places or {})
        understood = build(self.connection, chunk, groups, earlier, reuse, layout, before)
        return replace(manifest, ids=earlier.ids.runs), understood

    def preview(self, store_state: StoreState, manifest: Manifest, parts: Sequence[Part]) -> ChunkEvents:
        """Read records as the events that they would be if they were kept now."""
        from esctl.index.chunk_events import build

        table = _as_log_rows(store_state, parts)
        cursors = {part.source: part.cursor for part in parts}
        schemas = partial(schemas_in, store_state, table)
        table = with_decoded_keys(table, partial(self._cursor, cursors), schemas)
        judged = judge_rows(self.connection, table, partial(self._cursor, cursors), schemas)
        new: dict[str, Stanza] = {}
        for source, start, stop in runs_of(table):
            if source not in manifest.sources and source not in new:
                count = min(stop - start, SAMPLE_RECORDS)
                sample = self._parsed(self._cursor(cursors, source), (judged, table), start, count)
                known = (*first_sources(manifest), *new.values())
                new[source] = self._stanza_by(store_state, source, sample, self._cursor(cursors, source), known)
        manifest = with_sources(manifest, new)
        chunk, groups = judged_chunk(self.connection, table, judged, cursors, manifest)
        earlier = self._earlier(store_state, manifest, table, {**store_state.cursors, **cursors})
        return build(self.connection, chunk, groups, earlier)

    def recognise(self, store_state: StoreState, source: str, first: int) -> Stanza:
        """Return the stanza recognised in a source, whatever is configured. Its first record is at position `first`."""
        from esctl.index.envelope.stanza_of import recognise_source, recorded_stanza

        return (
            recorded_stanza(store_state, source)
            or recognise_source(
                self._sampled(store_state, source, first), self._cursor(store_state.cursors, source)
            ).stanza
        )

    def with_new_sources(
        self, store_state: StoreState, manifest: Manifest, firsts: Mapping[str, int], like: Manifest | None = None
    ) -> Manifest:
        """Return a manifest with the sources of `firsts` added: the position of each one's first record, in order."""
        for source, first in firsts.items():
            if source not in manifest.sources:
                stanza = self._stanza(store_state, source, 0, first, None, first_sources(manifest))
                manifest = with_sources(manifest, in_numberings(like or manifest, {source: (first, stanza)}))
        return replace(manifest, zones={**manifest.zones, **zones_of(store_state, firsts)})

    def _cursor(self, cursors: Mapping[str, Cursor], source: str) -> Cursor:
        """Return the cursor of a source; for a text log, with what the mapping says of its lines."""
        cursor = cursors[source]
        if cursor.format != "text":
            return cursor
        from esctl.index.envelope.text.told import with_mapped_text_keys

        return with_mapped_text_keys(self.config, source, cursor)

    def _earlier(
        self, store_state: StoreState, manifest: Manifest, table: pa.Table, cursors: Mapping[str, Cursor]
    ) -> Earlier:
        from esctl.index.seen_ids.search import Earlier

        return Earlier(self.ids(manifest), self.raws or raws_of(store_state, table), cursors)

    def _with_sources_in(
        self, store_state: StoreState, manifest: Manifest, table: pa.Table, judged: JudgedRows, like: Manifest | None
    ) -> Manifest:
        new: dict[str, tuple[int, Stanza]] = {}
        known: dict[Stanza, str] = {}
        for source, row, _ in runs_of(table):
            if source not in manifest.sources and source not in new:
                known = known or first_sources(manifest)
                first = int(table["position"][row].as_py())
                stanza = self._stanza(store_state, source, row, first, (judged, table), known)
                new[source] = (first, stanza)
                known.setdefault(stanza, source)
        if not new:
            return manifest
        manifest = with_sources(manifest, in_numberings(like or manifest, new))
        return replace(manifest, zones={**manifest.zones, **zones_of(store_state, new)})

    def _stanza(
        self, store_state: StoreState, source: str, row: int, first: int, rows: Rows | None, known: Mapping[Stanza, str]
    ) -> Stanza:
        """Return the stanza of a source whose first record is at position `first`, and in `row` of `rows` if given.

        `known` has the stanzas of earlier sources, each with one source.
        """
        from esctl.index.envelope.stanza_of import recorded_stanza, stanza_of

        cursor = self._cursor(store_state.cursors, source)

        @cache
        def sample() -> list[Any]:
            count = min(cursor.sampled or SAMPLE_RECORDS, SAMPLE_RECORDS)
            if rows is not None and row + count <= rows[1].num_rows:
                return self._parsed(cursor, rows, row, count)
            return self._sampled(store_state, source, first)

        def whole() -> Iterator[list[Any]]:
            for start in range(first, first + max(cursor.sampled, 1), SAMPLE_RECORDS):
                yield self._sampled(store_state, source, start, first + cursor.sampled - start)

        stanza, detection = stanza_of(self.config, source, recorded_stanza(store_state, source), cursor, sample, whole)
        if detection is not None and known and self.config == MappingConfig():
            from esctl.index.envelope.alike import find_known_stanza

            stanza, detection = find_known_stanza(detection, sample(), known) or (stanza, detection)
        if self.detected is not None and detection is not None:
            self.detected(source, detection)
        return with_home(stanza, cursor, known)

    def _stanza_by(
        self, store_state: StoreState, source: str, sample: list[Any], cursor: Cursor, known: Iterable[Stanza]
    ) -> Stanza:
        from esctl.index.envelope.stanza_of import recorded_stanza, stanza_of

        stanza, _ = stanza_of(self.config, source, recorded_stanza(store_state, source), cursor, lambda: sample)
        return with_home(stanza, cursor, known)

    def _parsed(self, cursor: Cursor, rows: Rows, start: int, count: int) -> list[Any]:
        """Parse the judged rows from `start` on, for a sample."""
        from esctl.index.decode.exact_json import Judged
        from esctl.index.envelope.samples import parse_judged, sample_messages

        judged, table = rows[0], rows[1].slice(start, count)
        texts = judged.text.slice(start, count)
        if cursor.format == MESSAGE:
            values = (column.slice(start, count).combine_chunks() for column in (judged.invalid, judged.marked))
            return sample_messages(self.connection, Judged(texts.combine_chunks(), *values), table)
        return parse_judged(texts, table["headers"] if "headers" in table.column_names else None)

    def _sampled(self, store_state: StoreState, source: str, first: int, most: int = SAMPLE_RECORDS) -> list[Any]:
        from esctl.index.envelope.samples import sample_values

        cursor = self._cursor(store_state.cursors, source)
        count = min(cursor.sampled or SAMPLE_RECORDS, SAMPLE_RECORDS, most)
        return sample_values(store_state, cursor, first, count, self.connection)


def _as_log_rows(store_state: StoreState, parts: Sequence[Part]) -> pa.Table:
    """Return records as rows of the log, as they would be if they were kept."""
    import numpy as np
    import pyarrow as pa

    from esctl.log.segment import SCHEMA

    batches = [(part.source, batch) for part in parts for batch in part.batches if batch.num_rows]
    rows = pa.concat_tables([pa.Table.from_batches([batch]) for _, batch in batches])
    count = rows.num_rows
    columns = {name: rows[name] for name in rows.schema.names}
    columns["position"] = pa.array(np.arange(store_state.head + 1, store_state.head + 1 + count))
    columns["recorded_at"] = pa.array(np.full(count, store_state.at + 1), pa.timestamp("us", tz="UTC"))
    columns["source"] = pa.chunked_array([pa.repeat(source, batch.num_rows) for source, batch in batches])
    names = ("position", "recorded_at", "source", "offset", "source_time", "key", "headers", "raw")
    return pa.table({name: columns[name].cast(SCHEMA.field(name).type) for name in names}).combine_chunks()
