"""Bring an index up to date and return views of it: at the head of the log, or as if the log ended earlier."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.index.current import current_view, view_of
from esctl.index.extend import build_over, extend, rebuild_as, understand_as
from esctl.index.files.freshness import has_same_zones, is_current, usable_manifest
from esctl.index.files.manifest import MANIFEST, IndexFile, Manifest, read_manifest, write_manifest
from esctl.index.files.readers import ReaderShare, announce_reader
from esctl.index.files.write import locked, locked_unless
from esctl.index.merge_policy import merge_all, merge_rest
from esctl.index.scan import IndexView
from esctl.index.seen_ids.numberings import as_of
from esctl.index.understand import Detected, Raws, RecordDecoder
from esctl.log.store_state import StoreState
from esctl.model import MappingConfig, Stanza
from esctl.storage.local import make_folder, remove
from esctl.storage.mirrors import mirror_of
from esctl.storage.places import is_writable
from esctl.storage.protocol import ConflictError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.index.chunk_events import ChunkEvents
    from esctl.index.files.last_placed import Place
    from esctl.index.seen_ids.runs import IdRuns
    from esctl.log.writer import Part


T = TypeVar("T")
_ATTEMPTS = 5


class Updater(Struct, frozen=True, dict=True):
    """Keeps one mapping's index of a store up to date. Its fields are those of a RecordReader."""

    connection: duckdb.DuckDBPyConnection
    config: MappingConfig
    folder: Path
    detected: Detected | None = None
    raws: Raws | None = None

    @cached_property
    def record_reader(self) -> RecordDecoder:
        """Return what reads records as events for this index."""
        return RecordDecoder(self.connection, self.config, self.folder, self.detected, self.raws)

    def run(self, store_state: StoreState, fresh: Sequence[pa.Table] = ()) -> IndexView:
        """Bring the index up to the store state's head and return a view of it.

        `fresh` may hold its last records. If the store cannot be written, the missing part of the index is built in a
        temporary folder.
        """
        if (view := current_view(self.folder, store_state)) is not None:
            return view
        reader = announce_reader(self.folder)
        manifest = usable_manifest(read_manifest(self.folder), store_state)
        if is_current(manifest, store_state):
            return self.at(store_state)
        try:
            self.make_folder()
            writable = is_writable(self.folder)
        except OSError:
            writable = False
        if not writable:
            return self._in_temporary_folder(store_state, manifest, reader)
        del reader  # or its lock would keep the files that are replaced
        with locked_unless(self.folder, lambda: current_view(self.folder, store_state)) as view:
            return view or view_of(
                self.folder,
                self._unraced(lambda: extend(self.record_reader, store_state, fresh)),
                store_state,
                announce_reader(self.folder),
            )

    def at(self, store_state: StoreState) -> IndexView:
        """Return the index as if the log ended with the store state: nothing that came later shows in it.

        If the store's own index reaches further, one that ends there is made in a temporary folder; a file that
        reaches across that end is built again.
        """
        reader, found = announce_reader(self.folder), read_manifest(self.folder)
        manifest = usable_manifest(found, store_state)
        if manifest.head <= store_state.head:
            # The index of the whole log stays, although the zones of its sources have changed since.
            is_newer = found is not None and found.head > store_state.head and not has_same_zones(found, store_state)
            return self._in_temporary_folder(store_state, manifest, reader) if is_newer else self.run(store_state)
        return self._in_temporary_folder(store_state, as_of(manifest, store_state), reader)

    def as_if_ended_at(self, store_state: StoreState) -> IndexView:
        """Return the index as if the log ended with the store state; build what it lacks in a temporary folder."""
        reader = announce_reader(self.folder)
        manifest = usable_manifest(read_manifest(self.folder), store_state)
        kept = manifest if manifest.head <= store_state.head else as_of(manifest, store_state)
        return self._in_temporary_folder(store_state, kept, reader)

    def rebuild(self, store_state: StoreState) -> IndexView:
        """Rebuild the index from the evidence. The files of the old one linger for their readers.

        Raises InputError if the store cannot be written.
        """
        with self._locked("reindexed"):
            remove(self.folder / MANIFEST)
            return view_of(
                self.folder,
                self._unraced(lambda: extend(self.record_reader, store_state)),
                store_state,
                announce_reader(self.folder),
            )

    def compact(self, store_state: StoreState) -> tuple[Manifest, Manifest]:
        """Bring the index up to date and merge its files into few large ones; return its manifest before and after.

        The old files linger for their readers. Raises as `rebuild` does.
        """
        self.run(store_state)
        with self._locked("compacted"):
            return self._unraced(lambda: self._merge_all(store_state))

    def settle(self, store_state: StoreState) -> IndexView:
        """Bring the index up to date at the end of an ingest. Raises as `rebuild` does.

        In a store that is kept elsewhere, files that would otherwise wait for the log to grow are merged.
        """
        view = self.run(store_state)
        if mirror_of(self.folder):
            with self._locked("indexed"):
                rest = self._unraced(lambda: self._merge_rest(store_state))
                view = view_of(self.folder, rest, store_state, announce_reader(self.folder))
        return view

    def _merge_rest(self, store_state: StoreState) -> Manifest:
        return merge_rest(self.connection, self.folder, extend(self.record_reader, store_state))

    def _merge_all(self, store_state: StoreState) -> tuple[Manifest, Manifest]:
        before = extend(self.record_reader, store_state)
        return before, merge_all(self.connection, self.folder, before)

    def rebuild_as(self, store_state: StoreState, like: Manifest) -> Manifest:
        """Build an index in an empty folder with the layout of another one. Raises as `run` does."""
        return rebuild_as(self.record_reader, store_state, like)

    def understand_as(
        self,
        store_state: StoreState,
        like: Manifest,
        known: Manifest | None = None,
        stretches: Sequence[tuple[IndexFile, int, int]] = (),
    ) -> Iterator[tuple[Manifest, IndexFile, ChunkEvents]]:
        """Read the records again, laid out as in another index, without writing rows. Raises as `run` does."""
        return understand_as(self.record_reader, store_state, like, known, stretches)

    def with_new_sources(
        self, store_state: StoreState, manifest: Manifest, firsts: Mapping[str, int], like: Manifest | None = None
    ) -> Manifest:
        """Return a manifest with the sources of `firsts` added: the position of each one's first record, in order."""
        return self.record_reader.with_new_sources(store_state, manifest, firsts, like)

    @property
    def ids(self) -> IdRuns:
        """Return the `IdRuns` of the index, which keeps runs open."""
        return self.record_reader.id_runs

    def over(
        self,
        store_state: StoreState,
        tables: Iterable[pa.Table],
        stanzas: Mapping[str, Stanza],
        fields: Mapping[str, tuple[str, ...]],
        places: Mapping[int, Place] | None = None,
    ) -> IndexView:
        """Build an index of some records of a log, in an empty folder. Takes the arguments of `build_over`."""
        return IndexView(self.folder, build_over(self.record_reader, store_state, tables, stanzas, fields, places))

    def preview(self, store_state: StoreState, parts: Sequence[Part]) -> ChunkEvents:
        """Read records as the events that they would be if they were kept now, and keep nothing."""
        return self.record_reader.preview(store_state, self.run(store_state).manifest, parts)

    def recognise(self, store_state: StoreState, source: str, first: int) -> Stanza:
        """Return the stanza recognised in a source, whatever is configured. Its first record is at position `first`."""
        return self.record_reader.recognise(store_state, source, first)

    def _unraced(self, change: Callable[[], T]) -> T:
        """Change the index, again if another machine changed it meanwhile. The caller holds the folder's lock."""
        for _ in range(_ATTEMPTS):
            with suppress(ConflictError):
                return change()
        raise InputError(f"{self.folder}: other machines keep building the index", "run the command again")

    @contextmanager
    def _locked(self, done: str) -> Iterator[None]:
        """Keep other builders out of the index's folder. Raises InputError if it cannot be written, so nothing is done.

        `done` is what happens to the store, for the hint.
        """
        try:
            self.make_folder()
            with locked(self.folder):
                yield
        except PermissionError as error:
            raise InputError(
                f"{self.folder}: cannot write the index: {error.strerror}", f"the store must be writable to be {done}"
            ) from error

    def make_folder(self) -> None:
        """Make the index's folder. Raises OSError."""
        make_folder(self.folder.parent)
        make_folder(self.folder)

    def _in_temporary_folder(
        self, store_state: StoreState, manifest: Manifest, reader: ReaderShare | None
    ) -> IndexView:
        folder = Path(tempfile.mkdtemp(prefix="esctl-index-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for name in manifest.names:
            (folder / name).symlink_to(self.folder.resolve() / name)
        if manifest.files:
            write_manifest(folder, manifest)
        return IndexView(folder, extend(replace(self, folder=folder).record_reader, store_state), reading=reader)
