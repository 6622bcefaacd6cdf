"""Append records to a store: one writer at a time, each commit all or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct, field
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.log.commits import open_log
from esctl.log.lock import WriterLock
from esctl.log.merkle import Frontier
from esctl.log.parts import Part, segment_tables, with_positions, with_salts
from esctl.log.replacing import Replacement, replace_segments
from esctl.log.segment import SCHEMA, iter_leaf_hashes, name_segment, write_segment
from esctl.log.segments import GrowingSegments
from esctl.log.store_state import Commit, SegmentEntry, StoreState
from esctl.log.sweeping import sweep
from esctl.model import Cursor
from esctl.storage.local import Filesystem, describe_failure
from esctl.storage.mirrors import mirror_of
from esctl.storage.places import fetched_path
from esctl.storage.protocol import ConflictError

if TYPE_CHECKING:
    import duckdb

    from esctl.log.apart import WrittenApart

_ATTEMPTS = 100
__all__ = ["LogWriter", "Part", "read_meanwhile", "system_clock"]


class _Staged(Struct):
    """Segments that are written but in no commit yet, and the tree including them."""

    recorded_at: int
    tree: Frontier
    segments: list[SegmentEntry] = field(default_factory=list)
    cursors: dict[str, Cursor] = field(default_factory=dict)

    def with_positions(self, table: pa.Table) -> pa.Table:
        """Return the records with their positions and `recorded_at`."""
        return with_positions(table, self.tree.size + 1, self.recorded_at)


def system_clock() -> int:
    """Return the time now in microseconds since the epoch."""
    return time.time_ns() // 1000


def read_meanwhile(source: str, store: Path) -> InputError:
    """Return the error for a source that another process read into a store at the same time."""
    return InputError(
        f"another process has read {source} into {store} meanwhile",
        "nothing was recorded twice; run the same command again",
    )


class LogWriter:
    """The one writer of a store, from `with` to its end.

    Raises InputError on entry if another process holds the store's lock for longer than `timeout` seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        timeout: float = 10.0,
        clock: Callable[[], int] = system_clock,
        files: Filesystem | None = None,
        connection: duckdb.DuckDBPyConnection | None = None,
    ) -> None:
        self.path = path
        self._files = files or Filesystem()
        self._log = open_log(path, self._files)
        self._clock = clock
        self._lock = WriterLock(path, timeout)
        self._store_state: StoreState | None = None
        self._staged: _Staged | None = None
        self._connection = connection
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        self._lock.acquire()
        try:
            self._store_state = sweep(self._log, self._files)
            self._log.sync()
            self._log.mend_summary(self._store_state)
            self._pool = ThreadPoolExecutor(1, "segment")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.abandon()
            if self._pool:
                self._pool.shutdown()
            if kind is None:
                self._log.keep_head(self.store_state)
                sweep(self._log, self._files)
        finally:
            self._lock.release()

    @property
    def ahead(self) -> int:
        """Return how many microseconds the last commit is ahead of the clock; the next commit is dated after it."""
        return max(self.store_state.at - self._clock(), 0) if self.store_state.seq else 0

    @property
    def erasable(self) -> bool:
        """Return whether records of the store can be erased."""
        return self._log.erasable

    @property
    def store_state(self) -> StoreState:
        """Return the store state that this writer last committed or read."""
        if self._store_state is None:
            raise RuntimeError("a LogWriter is used inside `with`")
        return self._store_state

    @property
    def present(self) -> StoreState:
        """Return the store state as it would be if everything staged were committed."""
        staged, before = self._staged, self.store_state
        if staged is None:
            return before
        cursors = {**before.cursors, **staged.cursors}
        segments = GrowingSegments(self.path, before.segments)
        segments.append(staged.segments)
        return replace(before, tree=staged.tree, segments=segments.done(), cursors=cursors)

    def append(self, parts: Sequence[Part], written: list[pa.Table] | None = None) -> StoreState:
        """Commit these records; they are durable once this returns.

        `written` is filled with the records as they are in the log, table by table. No commit is made if there are no
        records and no cursor moved. Raises InputError if the commit cannot be written, or if another process that
        bypassed the lock has read the same source meanwhile.
        """
        if self._staged is not None:
            raise RuntimeError("staged records are to be committed or abandoned first")
        for _ in range(_ATTEMPTS):
            try:
                if written is not None:
                    written.clear()
                self._stage(parts, written)
                return self._commit_staged()
            except ConflictError:
                self._reload({part.source for part in parts})
        raise self._busy_error()

    def stage(self, parts: Sequence[Part]) -> None:
        """Write segments that become part of the log only with `commit`.

        Raises InputError if they cannot be written; everything staged is then abandoned.
        """
        try:
            self._stage(parts)
        except ConflictError as error:
            raise self._busy_error() from error

    def _stage(self, parts: Sequence[Part], written: list[pa.Table] | None = None) -> None:
        staged = self._ensure_staged()
        try:
            for table in segment_tables(parts):
                complete = self._with_log_columns(table, staged)
                self._write(staged, complete)
                if written is not None:
                    written.append(complete)
        except BaseException:
            self.abandon()
            raise
        for part in parts:
            if part.cursor != self.store_state.cursors.get(part.source):
                staged.cursors[part.source] = part.cursor

    def place(self) -> tuple[int, int]:
        """Return the position that the next staged record gets, and its `recorded_at` in microseconds."""
        staged = self._ensure_staged()
        return staged.tree.size + 1, staged.recorded_at

    def stage_apart(self, written: Sequence[WrittenApart], cursors: Mapping[str, Cursor]) -> None:
        """Stage segments that workers wrote for the next positions. Raises as `stage` does."""
        staged = self._ensure_staged()
        try:
            for each in written:
                if each.entry.first != staged.tree.size + 1:
                    raise RuntimeError("segments are to be staged in the order of their positions")
                entry = each.entry
                if not mirror_of(self.path):
                    entry = name_segment(self.path / "log" / each.temporary, entry, self._files)
                blocks: tuple[bytes, ...] = ()
                for level, hashes in each.roots:
                    staged.tree, completed = staged.tree.extend(hashes, level)
                    blocks += completed
                staged.segments.append(entry.with_blocks(blocks))
        except BaseException:
            self.abandon()
            raise
        staged.cursors.update({name: it for name, it in cursors.items() if it != self.store_state.cursors.get(name)})

    def _ensure_staged(self) -> _Staged:
        if self._staged is None:
            now = max(self.store_state.at + 1, self._clock())
            self._staged = _Staged(now, self.store_state.tree)
        return self._staged

    def commit(self) -> StoreState:
        """Commit everything staged, with one `recorded_at`.

        Raises as `append` does.
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._commit_staged()
            except ConflictError:
                self._restage()
        raise self._busy_error()

    def replace(self, wanted: Replacement) -> StoreState:
        """Replace segments by others of the same records in one commit, then remove the old ones' files.

        Raises InputError for a segment that is not what was committed, if nothing can be written, or if another process
        that bypassed the lock has committed meanwhile.
        """
        if self._staged is not None:
            raise RuntimeError("staged records are to be committed or abandoned first")
        at = max(self.store_state.at + 1, self._clock())
        try:
            self._store_state = replace_segments(self._log, self._files, self.store_state, wanted, at)
        except ConflictError as error:
            raise self._busy_error() from error
        return self._store_state

    def abandon(self) -> None:
        """Remove what is staged and not committed."""
        staged, self._staged = self._staged, None
        if staged is not None:
            self._discard(staged.segments)

    def _commit_staged(self) -> StoreState:
        staged, before = self._staged, self.store_state
        if staged is None or not (staged.segments or staged.cursors):
            self._staged = None
            return before
        commit = Commit(
            seq=before.seq + 1,
            kind="append",
            at=staged.recorded_at,
            prev=before.commit_sha256,
            tree=staged.tree,
            add=tuple(staged.segments),
            cursors=staged.cursors,
        )
        self._staged = None
        try:
            self._store_state = self._log.append(before, commit)
        except ConflictError:
            self._staged = staged
            raise
        except BaseException:
            if not self._log.has(commit.seq):  # append may fail after it was made: its segments are then evidence
                self._discard(staged.segments)
            raise
        return self._store_state

    def _reload(self, sources: Iterable[str]) -> None:
        """Read the commits of a writer that bypassed the lock, and drop what was staged on top of the old head."""
        before = self.store_state.cursors
        self.abandon()
        self._store_state = self._log.read()
        for source in sources:
            if self._store_state.cursors.get(source) != before.get(source):
                raise read_meanwhile(source, self.path)

    def _restage(self) -> None:
        staged = self._staged
        if staged is None:
            raise RuntimeError("nothing is staged")
        self._staged = None
        try:
            self._reload(staged.cursors)
            now = max(self.store_state.at + 1, staged.recorded_at)
            again = self._staged = _Staged(now, self.store_state.tree, cursors=staged.cursors)
            for segment in staged.segments:
                with describe_failure(f"read {segment.file}"):
                    table = pq.read_table(fetched_path(self.path / "log" / segment.file), schema=SCHEMA)
                self._write(again, again.with_positions(table))
        except ConflictError as error:
            self.abandon()
            raise self._busy_error() from error
        except BaseException:
            self.abandon()
            raise
        finally:
            self._discard(staged.segments)

    def _busy_error(self) -> InputError:
        return InputError(f"another process keeps writing to {self.path}", "run one ingest at a time")

    def _with_log_columns(self, table: pa.Table, staged: _Staged) -> pa.Table:
        """Return the records with what the log adds: position, `recorded_at`, salt."""
        return staged.with_positions(with_salts(table) if self._log.erasable else table)

    def _write(self, staged: _Staged, table: pa.Table) -> None:
        """Write one segment while hashing its leaves: both release Python's lock, so they use two cores."""
        if self._pool is None:
            raise RuntimeError("a LogWriter is used inside `with`")
        writing = self._pool.submit(write_segment, self.path / "log", table, self._files)
        tree: Frontier = staged.tree
        blocks: tuple[bytes, ...] = ()
        try:
            for hashes in iter_leaf_hashes(table, self._duckdb()):
                tree, completed = tree.extend(hashes)
                blocks += completed
        except BaseException:
            with suppress(Exception):
                self._discard([writing.result()])
            raise
        staged.segments.append(writing.result().with_blocks(blocks))
        staged.tree = tree

    def _duckdb(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            from esctl.engine.duckdb import connect

            self._connection = connect()
        return self._connection

    def _discard(self, segments: Iterable[SegmentEntry]) -> None:
        for segment in segments:
            with suppress(OSError):
                self._files.unlink(self.path / "log" / segment.file)
