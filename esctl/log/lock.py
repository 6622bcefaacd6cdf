"""The lock of a store: one writer at a time, and who it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from esctl.errors import InputError
from esctl.storage.local import checked_lock, create_new, describe_failure, read_regular, remove, rights

HOLDER = "lock.pid"


class WriterLock:
    """A store's lock, beside which it is said who holds it."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._lock = FileLock(checked_lock(path / "lock"), mode=rights(path))

    def acquire(self) -> None:
        """Take the lock. Raises InputError if another process holds it for longer than the timeout, in seconds."""
        with describe_failure(f"lock {self._path}"):
            try:
                self._lock.acquire(timeout=self._timeout)
            except Timeout as error:
                raise _held(self._path) from error
        with suppress(OSError):
            remove(self._path / HOLDER)
            with create_new(self._path / HOLDER) as file:
                file.write(str(os.getpid()).encode())

    def release(self) -> None:
        """Give the lock back."""
        with suppress(OSError):
            remove(self._path / HOLDER)
        self._lock.release()


@contextmanager
def store_lock(path: Path, timeout: float = 10.0) -> Iterator[None]:
    """Keep writers out of a store whatever state it is in. Raises InputError as a WriterLock does."""
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
