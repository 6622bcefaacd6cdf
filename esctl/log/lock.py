"""The lock of a store: one writer at a time, and who it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from esctl.errors import InputError
from esctl.storage.local import checked_lock, create_new, describe_failure, file_mode, read_regular, remove
from esctl.storage.mirrors import mirror_of

HOLDER = "lock.pid"


class StoreLock:
    """A store's lock: a file on this machine, and the lease if the store is kept elsewhere."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._mirror = mirror_of(path)
        own = path.parent if self._mirror else path
        self._lock = FileLock(checked_lock(own / "lock"), mode=file_mode(own))

    def acquire(self) -> None:
        """Take the lock. Raises InputError if another process holds it for longer than the timeout, in seconds."""
        with describe_failure(f"lock {self._path}"):
            try:
                self._lock.acquire(timeout=self._timeout)
            except Timeout as error:
                raise _lock_error(self._path, _holder_text(self._path / HOLDER)) from error
            try:
                if self._mirror and (holder := self._mirror.lease(self._timeout)):
                    raise _lock_error(self._path, holder)
            except BaseException:
                self._lock.release()
                raise

    def release(self) -> None:
        """Give the lock back."""
        if self._mirror:
            self._mirror.end_lease()
        self._lock.release()


class WriterLock(StoreLock):
    """A store's lock that, for a store on this machine, also keeps its holder's process id in `lock.pid`."""

    def acquire(self) -> None:
        """Take the lock. Raises InputError if another process holds it for longer than the timeout, in seconds."""
        super().acquire()
        with suppress(OSError):
            if not self._mirror:
                remove(self._path / HOLDER)
                with create_new(self._path / HOLDER) as file:
                    file.write(str(os.getpid()).encode())

    def release(self) -> None:
        """Give the lock back."""
        with suppress(OSError):
            if not self._mirror:
                remove(self._path / HOLDER)
        super().release()


@contextmanager
def store_lock(path: Path, timeout: float = 10.0) -> Iterator[None]:
    """Keep writers out of a store, even a damaged one. Raises InputError as `StoreLock.acquire` does."""
    lock = StoreLock(path, timeout)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lock_error(path: Path, holder: str) -> InputError:
    return InputError(f"{path} is being written by {holder}", "wait until it is done, or stop it")


def _holder_text(holder: Path) -> str:
    if mirror_of(holder):
        return "another process"
    try:
        text = read_regular(holder, 20).decode("ascii")
    except (OSError, InputError, ValueError):
        text = ""
    return f"process {text}" if text.isdecimal() and text.isascii() else "another process"
