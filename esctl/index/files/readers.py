"""A lock that the readers of an index share: if nobody holds it, files that no manifest names can go."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from esctl.storage.local import create_new, open_plain
from esctl.storage.mirrors import mirror_of

READERS = "readers"
_TRIES = 100
_BETWEEN_TRIES = 0.01
"""Seconds between two tries to share the lock, which is held exclusively only while old files are removed."""


class ReaderShare:
    """One reader's share of the lock of an index; it is released with this object."""

    _close = staticmethod(os.close)  # when the interpreter exits, a module's names are gone before its objects

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Unpickle as None: in another process the descriptor is another file's, which `__del__` would close."""
        return type(None), ()

    def __del__(self) -> None:
        try:  # noqa: SIM105
            self._close(self._descriptor)
        except OSError:
            pass


def announce_reader(folder: Path) -> ReaderShare | None:
    """Announce a reader of an index, before it looks at the manifest; None if that is not possible.

    The files of a reader that is not announced are kept only as long as old files are kept for unknown readers. Behind
    a mirror nobody is announced: a lock of this machine says nothing about readers elsewhere.
    """
    if mirror_of(folder):
        return None
    try:
        descriptor = open_plain(folder / READERS)
    except OSError:
        return None
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_BETWEEN_TRIES)
        except OSError:  # a file system without locks
            break
        else:
            return ReaderShare(descriptor)
    os.close(descriptor)
    return None


def make_readers_file(folder: Path) -> None:
    """Make the file that readers of an index lock, if it does not exist."""
    if not mirror_of(folder):
        with suppress(FileExistsError):
            create_new(folder / READERS).close()


@contextmanager
def hold_off_readers(folder: Path) -> Iterator[bool]:
    """Hold off new readers, and yield whether there are none; False if that is not known."""
    if mirror_of(folder):
        yield False
        return
    try:
        descriptor = open_plain(folder / READERS)
    except OSError:
        yield False
        return
    try:
        yield _is_taken(descriptor)
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
