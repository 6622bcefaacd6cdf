"""Who reads an index: a lock that readers share, so that files that no manifest names can go where nobody has it."""

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
_BETWEEN = 0.01
"""Seconds between two tries to share the lock, which is another's only while old files are removed."""


class Reading:
    """The share of one reader in the lock of an index, which ends with this object."""

    _close = staticmethod(os.close)  # at the end of the interpreter a module's names are gone before its objects

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Be nothing in another process: the number is there another file's, which the end of this would close."""
        return type(None), ()

    def __del__(self) -> None:
        try:  # noqa: SIM105
            self._close(self._descriptor)
        except OSError:
            pass


def reading(folder: Path) -> Reading | None:
    """Announce a reader of an index, before it looks at the manifest; None where that is not possible.

    Without it, the files that it reads are kept for as long as an old file is kept for unknown readers. A lock of this
    machine says nothing of an index that is kept elsewhere.
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
            time.sleep(_BETWEEN)
        except OSError:  # a file system without locks
            break
        else:
            return Reading(descriptor)
    os.close(descriptor)
    return None


def admit(folder: Path) -> None:
    """Make the file by which readers of an index announce themselves, if it is not there."""
    if not mirror_of(folder):
        with suppress(FileExistsError):
            create_new(folder / READERS).close()


@contextmanager
def unread(folder: Path) -> Iterator[bool]:
    """Keep new readers waiting for a moment, and tell whether there are none."""
    if mirror_of(folder):
        yield False
        return
    try:
        descriptor = open_plain(folder / READERS)
    except OSError:
        yield False
        return
    try:
        yield _taken(descriptor)
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
