"""Have workers write and hash what was read, while more is read: in the order of reading, and in one commit."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from esctl.engine.workers import WITHOUT_END, Call
from esctl.log.apart import SegmentOrder, WrittenApart, list_leftovers, write_apart
from esctl.log.parts import hand_over, segment_tables
from esctl.model import Cursor
from esctl.storage.local import remove

if TYPE_CHECKING:
    from collections.abc import Collection

    from esctl.engine.workers import Workers
    from esctl.log.writer import LogWriter, Part
    from esctl.sources.files.beginnings import Kept

_MOMENT = 0.1  # seconds


class Spread:
    """Records on their way through workers into a writer's log, from `with` to its end.

    Several segments are written at once; meanwhile those after them are read and handed over.
    """

    def __init__(self, workers: Workers, writer: LogWriter) -> None:
        self._workers = workers
        self._writer = writer
        self._run = secrets.token_hex(8)
        self._next, self._recorded_at = writer.place()
        self._most = workers.parts(WITHOUT_END)
        self._calls: list[Call] = []
        self._cursors: dict[str, Cursor] = {}
        self._running: tuple[Future[list[WrittenApart]], Sequence[Call], Mapping[str, Cursor]] | None = None
        self._pool = ThreadPoolExecutor(1, "workers")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop()
        self._pool.shutdown()
        for path in list_leftovers(self._writer.path, self._run):  # by lost processes and failed calls
            with suppress(OSError):
                remove(path)

    def _stop(self) -> None:
        """Stop the workers, repeatedly, because their calls may only just be starting."""
        waiting = [] if self._running is None else [self._running[0]]
        self._workers.stop()
        while wait(waiting, _MOMENT).not_done:
            self._workers.stop()

    def put(self, parts: Sequence[Part]) -> None:
        """Hand records over to workers. Raises the error of earlier records, and so does every later call."""
        for table in segment_tables(parts):
            file = self._workers.folder / f"{self._next:020d}.arrow"
            hand_over(table, file)
            place = SegmentOrder(
                self._writer.path, self._run, self._next, self._recorded_at, self._writer.erasable,
                self._workers.memory_limit,
            )  # fmt: skip
            self._calls.append(Call(write_apart, (place, file), WrittenApart))
            self._next += table.num_rows
        self._cursors.update({part.source: part.cursor for part in parts})
        if len(self._calls) >= self._most:
            self._send()

    def finish(self) -> None:
        """Wait until everything is staged. Raises as `put` does."""
        self._send()
        self._stage_written()

    def has(self, source: str) -> bool:
        """Return whether records of a source are not staged yet."""
        return source in self._cursors or (self._running is not None and source in self._running[2])

    def _send(self) -> None:
        self._stage_written()
        calls, self._calls = self._calls, []
        cursors, self._cursors = self._cursors, {}
        self._running = self._pool.submit(self._workers.run, calls), calls, cursors

    def _stage_written(self) -> None:
        """Wait for the segments that workers are writing, and stage them."""
        if self._running is None:
            return
        future, calls, cursors = self._running
        # A failure is raised again by every later call: nothing after the missing segments may be staged.
        self._writer.stage_apart(future.result(), cursors)
        self._running = None
        for call in calls:
            with suppress(OSError):
                remove(call.arguments[1])


class SettledBytes:
    """The bytes of sources as `KeptBytes` has them, after waiting for those that are still with workers."""

    def __init__(self, kept: Kept, spread: Spread) -> None:
        self._kept = kept
        self._spread = spread
        self._gathered = False

    def find(self, stream: bytes, own: Collection[str]) -> Iterable[str]:
        """Name the sources that may begin with a stream."""
        if not self._gathered:  # the log is searched now, and what comes later is noted
            self._spread.finish()
            self._gathered = True
        return self._kept.find(stream, own)

    def digest(self, name: str, size: int) -> str | None:
        """Return the SHA-256 (hex) of a source's first bytes; "" if it has fewer, None if records of it were erased."""
        if self._spread.has(name):
            self._spread.finish()
        return self._kept.digest(name, size)
