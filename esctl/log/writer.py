"""Append records to a store: one writer at a time, each commit all or nothing."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from msgspec import Struct, field

from esctl.errors import InputError
from esctl.log.commits import CommitLog, open_log
from esctl.log.merkle import Frontier
from esctl.log.replacing import Replacement, replace_segments
from esctl.log.segment import (
    DELIVERED,
    INSTANT,
    SALT,
    SCHEMA,
    SEGMENT_RAW_BYTES,
    SEGMENT_ROWS,
    iter_leaf_hashes,
    write_segment,
)
from esctl.log.store_state import SEGMENT_NAME, Commit, SegmentEntry, Snapshot
from esctl.model import Cursor
from esctl.storage.local import (
    TEMPORARY,
    Filesystem,
    checked_lock,
    create_new,
    describe_failure,
    entries,
    read_regular,
    remove,
    rights,
)
from esctl.storage.protocol import ConflictError

if TYPE_CHECKING:
    import duckdb

_ATTEMPTS = 100
_UNFINISHED = re.compile(re.escape(TEMPORARY) + r"(?:summary-)?(\d{20})[-.].*", re.ASCII)
HOLDER = "lock.pid"


class Part(Struct, frozen=True):
    """Records of one source, in order, and how far that source is then read.

    Batches have the columns `offset` and `raw`, and may have `key`, `headers` and `source_time`. There may be none: a
    cursor can move over blank bytes.
    """

    source: str
    batches: Sequence[pa.RecordBatch | pa.Table]
    cursor: Cursor


class _Staged(Struct):
    """Segments written but in no commit yet, and the tree with them."""

    recorded_at: int
    tree: Frontier
    segments: list[SegmentEntry] = field(default_factory=list)
    cursors: dict[str, Cursor] = field(default_factory=dict)


def system_clock() -> int:
    """Return the time now in microseconds since the epoch."""
    return time.time_ns() // 1000


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
        self._timeout = timeout
        self._lock = FileLock(checked_lock(path / "lock"), mode=rights(path))
        self._snapshot: Snapshot | None = None
        self._staged: _Staged | None = None
        self._connection = connection
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        self._acquire()
        try:
            self._snapshot = sweep(self._log, self._files)
            self._log.sync()
            self._log.mend_summary(self._snapshot)
            self._pool = ThreadPoolExecutor(1, "segment")
        except BaseException:
            self._release()
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
                sweep(self._log, self._files)
        finally:
            self._release()

    @property
    def ahead(self) -> int:
        """By how many microseconds the last commit is ahead of the clock: what comes next is dated after it."""
        return max(self.snapshot.at - self._clock(), 0) if self.snapshot.seq else 0

    @property
    def snapshot(self) -> Snapshot:
        """Return the store as this writer last committed or read it."""
        if self._snapshot is None:
            raise RuntimeError("a LogWriter is used inside `with`")
        return self._snapshot

    def append(self, parts: Sequence[Part], written: list[pa.Table] | None = None) -> Snapshot:
        """Make one commit of these records; once it returns they are durable.

        `written` is filled with the records as they are in the log, table by table. Nothing to record and no cursor
        moved: no commit. Raises InputError if it cannot be written, or if another process that passed the lock by has
        read the same source meanwhile.
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
        raise self._busy()

    def stage(self, parts: Sequence[Part]) -> None:
        """Write segments that become part of the log only with `commit`.

        Raises InputError if they cannot be written; all that was staged is then gone.
        """
        try:
            self._stage(parts)
        except ConflictError as error:
            raise self._busy() from error

    def _stage(self, parts: Sequence[Part], written: list[pa.Table] | None = None) -> None:
        if self._staged is None:
            now = max(self.snapshot.at + 1, self._clock())
            self._staged = _Staged(now, self.snapshot.tree)
        staged = self._staged
        try:
            for table in _segment_tables(parts):
                complete = self._complete(table, staged)
                self._write(staged, complete)
                if written is not None:
                    written.append(complete)
        except BaseException:
            self.abandon()
            raise
        for part in parts:
            if part.cursor != self.snapshot.cursors.get(part.source):
                staged.cursors[part.source] = part.cursor

    def commit(self) -> Snapshot:
        """Make everything staged one commit, with one `recorded_at`.

        Raises as `append` does.
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._commit_staged()
            except ConflictError:
                self._restage()
        raise self._busy()

    def replace(self, wanted: Replacement) -> Snapshot:
        """Replace segments by others of the same records in one commit, then remove the old ones' files.

        Raises InputError for a segment that is not what was committed, if it cannot be written, or if another process
        that passed the lock by has written meanwhile.
        """
        if self._staged is not None:
            raise RuntimeError("staged records are to be committed or abandoned first")
        at = max(self.snapshot.at + 1, self._clock())
        try:
            self._snapshot = replace_segments(self._log, self._files, self.snapshot, wanted, at)
        except ConflictError as error:
            raise self._busy() from error
        return self._snapshot

    def abandon(self) -> None:
        """Remove what is staged and not committed."""
        staged, self._staged = self._staged, None
        if staged is not None:
            self._discard(staged.segments)

    def _commit_staged(self) -> Snapshot:
        staged, before = self._staged, self.snapshot
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
            self._snapshot = self._log.append(before, commit)
        except ConflictError:
            self._staged = staged
            raise
        except BaseException:
            if not self._log.has(commit.seq):  # it may fail after it was made, and then its segments are evidence
                self._discard(staged.segments)
            raise
        return self._snapshot

    def _reload(self, sources: Iterable[str]) -> None:
        """Read the commits of a writer that bypassed the lock, and drop what was staged on top of the old head."""
        before = self.snapshot.cursors
        self.abandon()
        self._snapshot = self._log.read()
        for source in sources:
            if self._snapshot.cursors.get(source) != before.get(source):
                raise InputError(
                    f"another process has read {source} into {self.path} meanwhile",
                    "nothing was recorded twice; run the same command again",
                )

    def _restage(self) -> None:
        staged = self._staged
        if staged is None:
            raise RuntimeError("nothing is staged")
        self._staged = None
        try:
            self._reload(staged.cursors)
            now = max(self.snapshot.at + 1, staged.recorded_at)
            again = self._staged = _Staged(now, self.snapshot.tree, cursors=staged.cursors)
            for segment in staged.segments:
                with describe_failure(f"read {segment.file}"):
                    table = pq.read_table(self.path / "log" / segment.file, schema=SCHEMA)
                self._write(again, _positioned(table, again))
        except ConflictError as error:
            self.abandon()
            raise self._busy() from error
        except BaseException:
            self.abandon()
            raise
        finally:
            self._discard(staged.segments)

    def _busy(self) -> InputError:
        return InputError(f"another process keeps writing to {self.path}", "run one ingest at a time")

    def _complete(self, table: pa.Table, staged: _Staged) -> pa.Table:
        """Add what the log knows of records: position, time, salt."""
        count = table.num_rows
        if self._log.erasable:
            bounds = pa.py_buffer(np.arange(0, (count + 1) * SALT, SALT, dtype=np.int32))
            salts = pa.Array.from_buffers(pa.binary(), count, [None, bounds, pa.py_buffer(os.urandom(count * SALT))])
            table = table.set_column(SCHEMA.get_field_index("salt"), "salt", salts)
        return _positioned(table, staged)

    def _write(self, staged: _Staged, table: pa.Table) -> None:
        """Write one segment while its leaves are hashed: both leave Python, so they share two cores."""
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

    def _acquire(self) -> None:
        with describe_failure(f"lock {self.path}"):
            try:
                self._lock.acquire(timeout=self._timeout)
            except Timeout as error:
                raise _held(self.path) from error
        with suppress(OSError):
            remove(self.path / HOLDER)
            with create_new(self.path / HOLDER) as file:
                file.write(str(os.getpid()).encode())

    def _release(self) -> None:
        with suppress(OSError):
            remove(self.path / HOLDER)
        self._lock.release()


@contextmanager
def store_lock(path: Path, timeout: float = 10.0) -> Iterator[None]:
    """Keep writers out of a store whatever state it is in. Raises InputError as a LogWriter does."""
    with describe_failure(f"lock {path}"):
        lock = FileLock(checked_lock(path / "lock"), mode=rights(path))
        try:
            lock.acquire(timeout=timeout)
        except Timeout as error:
            raise _held(path) from error
    try:
        yield
    finally:
        lock.release()


def _held(path: Path) -> InputError:
    return InputError(f"{path} is being written by {_holder_text(path / HOLDER)}", "wait until it is done, or stop it")


def _holder_text(holder: Path) -> str:
    try:
        text = read_regular(holder, 20).decode("ascii")
    except (OSError, InputError, ValueError):
        text = ""
    return f"process {text}" if text.isdecimal() and text.isascii() else "another process"


def sweep(log: CommitLog, files: Filesystem) -> Snapshot:
    """Remove what interrupted writers left: temporary files, and segments at positions that others have taken since.

    A segment that no commit names but that starts after the head may be about to be committed, so it stays. Gives the
    store as it was then.
    """
    names = {folder: entries(log.path / folder) for folder in ("log", "commits", ".")}
    snapshot = log.read()  # after the listing: what this does not name, no commit will
    named = {segment.file for segment in snapshot.segments}
    stale = [
        log.path / "log" / name
        for name in names["log"]
        if (found := SEGMENT_NAME.fullmatch(name) or _UNFINISHED.fullmatch(name))
        and name not in named
        and int(found[1]) <= snapshot.head
    ]
    stale += [
        log.path / "commits" / name
        for name in names["commits"]
        if (found := _UNFINISHED.fullmatch(name)) and int(found[1]) <= snapshot.seq
    ]
    stale += [log.path / name for name in names["."] if name.startswith(TEMPORARY)]
    for path in stale:
        with suppress(OSError):
            files.unlink(path)
    return snapshot


def _segment_tables(parts: Sequence[Part]) -> Iterable[pa.Table]:
    """Yield the parts in the log's columns, in tables of a segment's size."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for part in parts:
        for delivered in part.batches:
            for batch in _in_columns(delivered, part.source).to_batches(max_chunksize=SEGMENT_ROWS):
                bytes_here = _raw_bytes(batch)
                if waiting and (rows + batch.num_rows > SEGMENT_ROWS or size + bytes_here > SEGMENT_RAW_BYTES):
                    yield pa.Table.from_batches(waiting)
                    waiting, rows, size = [], 0, 0
                waiting.append(batch)
                rows, size = rows + batch.num_rows, size + bytes_here
    if rows:
        yield pa.Table.from_batches(waiting)


def _in_columns(delivered: pa.RecordBatch | pa.Table, source: str) -> pa.Table:
    count = delivered.num_rows
    present: Mapping[str, pa.ChunkedArray] = {
        name: delivered.column(name) for name in DELIVERED if name in delivered.schema.names
    }
    try:
        present = {**present, "source": pa.repeat(source, count)}
    except UnicodeEncodeError as error:
        raise InputError(f"the source name {source!r} is no Unicode text", "rename the file") from error
    zeros = pa.repeat(0, count)
    filled = {"position": zeros, "recorded_at": zeros.cast(INSTANT), **present}
    columns = [
        filled[column.name].cast(column.type) if column.name in filled else pa.nulls(count, column.type)
        for column in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def _raw_bytes(batch: pa.RecordBatch) -> int:
    raw = batch.column("raw")
    bounds = np.frombuffer(raw.buffers()[1], dtype=np.int64)
    return int(bounds[raw.offset + len(raw)] - bounds[raw.offset]) if len(raw) else 0


def _positioned(table: pa.Table, staged: _Staged) -> pa.Table:
    count = table.num_rows
    first = staged.tree.size + 1
    positions = pa.array(np.arange(first, first + count, dtype=np.int64))
    times = pa.repeat(pa.scalar(staged.recorded_at, pa.int64()), count).cast(INSTANT)
    return table.set_column(0, SCHEMA.field("position"), positions).set_column(1, SCHEMA.field("recorded_at"), times)
