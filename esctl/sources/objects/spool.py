"""Fetching of objects: each is kept in a private file while it is read, and some are fetched ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

from esctl.cloud.address import Address
from esctl.cloud.waiting import set_result_of
from esctl.errors import EsctlError, InputError
from esctl.sources.objects.failures import AGAIN, ChangedError, explaining
from esctl.sources.objects.listing import Listed

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_AT_ONCE = 8
_MOST_AHEAD = 32
_BYTES_AHEAD = 256 << 20
"""The most bytes on disk of objects that are fetched ahead; a larger object is fetched when it is read."""
_BLOCK = 1 << 20


class Spool:
    """A private folder that objects are fetched into. Close it when everything is read.

    Its threads are daemons, because a server may keep one waiting for minutes, which the program's end must not.
    """

    def __init__(self, client: ObjectStore, address: Address) -> None:
        self._client, self._address = client, address
        self._folder = TemporaryDirectory(prefix="esctl-", ignore_cleanup_errors=True)
        self._numbers = count()
        self._jobs: SimpleQueue[tuple[Listed, Future[Path]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()

    def start(self, one: Listed) -> Future[Path]:
        """Begin to fetch an object; the result is the file with its bytes, or an EsctlError."""
        coming: Future[Path] = Future()
        self._jobs.put((one, coming))
        if len(self._threads) < _AT_ONCE:
            self._threads.append(threading.Thread(target=self._work, name="fetching", daemon=True))
            self._threads[-1].start()
        return coming

    def drop(self, coming: Future[Path]) -> None:
        """Remove a fetched file, as soon as it is complete."""
        coming.add_done_callback(lambda done: None if done.exception() else done.result().unlink(missing_ok=True))

    def close(self) -> None:
        """Stop fetching, and remove the folder."""
        self._closing.set()
        for _ in self._threads:
            self._jobs.put(None)
        self._folder.cleanup()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            one, coming = job
            if self._closing.is_set():
                continue
            set_result_of(coming, partial(self._fetch, one))

    def _fetch(self, one: Listed) -> Path:
        name = str(self._address.with_key(one.key))
        path = Path(self._folder.name) / str(next(self._numbers))
        try:
            with path.open("xb") as file, explaining(name, self._address.scheme):
                got = self._copy(one, file)
        except OSError as error:
            raise InputError(
                f"{name}: cannot be kept in {path.parent.parent} while it is read: {error.strerror}",
                "name a folder that has room for it by TMPDIR",
            ) from error
        if got != one.size:
            raise ChangedError(f"{name}: {got:,} bytes came of the {one.size:,} that were listed", AGAIN)
        return path

    def _copy(self, one: Listed, file: IO[bytes]) -> int:
        import obstore

        found = obstore.get(self._client, one.key, options={"if_match": f'"{one.etag}"'} if one.etag else None)
        for block in found.stream(min_chunk_size=_BLOCK):
            if self._closing.is_set():
                break
            file.write(block)
        return file.tell()


class Queue:
    """Objects in order, the next ones fetched ahead: iterate it, and take the file of each that is wanted."""

    def __init__(self, listing: Iterator[Listed], spool: Spool) -> None:
        self._listing, self._spool = listing, spool
        self._ahead: deque[tuple[Listed, Future[Path] | None]] = deque()
        self._bytes = 0  # of objects that were fetched ahead and are not read yet
        self._ends: EsctlError | None = None
        self._now: tuple[Listed, Future[Path] | None] | None = None

    def __iter__(self) -> Iterator[Listed]:
        """Yield the objects. Raises what the listing raises, after all objects before that."""
        while True:
            if not self._ahead:
                self._look()
            if not self._ahead:
                break
            self._now = self._ahead.popleft()
            yield self._now[0]
            self._pass_over()
        if self._ends is not None:
            raise self._ends

    def file(self, is_wanted: Callable[[Listed], bool]) -> Path:
        """Return the file of the object that was yielded last; the caller removes it.

        `is_wanted` says which of the next objects are worth fetching. Raises InputError if the object cannot be read.
        """
        assert self._now is not None
        (one, coming), self._now = self._now, None
        if coming is None:
            coming = self._spool.start(one)
        else:
            self._bytes -= one.size
        while len(self._ahead) < _MOST_AHEAD and self._look(is_wanted):
            pass
        return coming.result()

    def _pass_over(self) -> None:
        """Drop what was fetched of the last object if nobody took its file."""
        if self._now is not None and self._now[1] is not None:
            self._bytes -= self._now[0].size
            self._spool.drop(self._now[1])

    def _look(self, is_wanted: Callable[[Listed], bool] = lambda one: False) -> bool:
        """Queue the next object of the listing; return False if there is none."""
        try:
            one = None if self._ends is not None else next(self._listing, None)
        except EsctlError as error:
            self._ends, one = error, None
        if one is None:
            return False
        has_room = self._bytes + one.size <= _BYTES_AHEAD
        coming = self._spool.start(one) if has_room and is_wanted(one) else None
        self._bytes += one.size if coming is not None else 0
        self._ahead.append((one, coming))
        return True
