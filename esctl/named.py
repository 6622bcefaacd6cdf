"""Read a file that a user named: of limited size, and never waiting for a pipe that nobody writes to."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, TextIO

from esctl.errors import InputError

_HANDED_OVER = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
"""Prefixes of paths that name a descriptor which is open already, as a shell's `<(...)` does."""
_CHUNK = 1 << 20


def read_named(path: Path, limit: int, *, streams: bool = True) -> bytes:
    """Read a whole file of at most `limit` bytes: a plain one, or (`streams`) a pipe handed over open, as by `<(...)`.

    Raises OSError, FileNotFoundError among them, for anything else: a device, a FIFO, a folder, a longer file.
    """
    descriptor = open_named(path, streams=streams)
    with open(descriptor, "rb") as file:
        data = read_up_to(file, limit)
    if data is None:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return data


def read_up_to(file: BinaryIO, limit: int) -> bytes | None:
    """Return a file to its end, even if it grows meanwhile; None if it has more than `limit` bytes."""
    size = os.fstat(file.fileno()).st_size  # 0 for a pipe
    parts: list[bytes] = []
    asked = 0 if size > limit else size + 1  # `read` allocates what it is asked for
    while asked > 0:
        parts.append(file.read(asked))
        left = limit + 1 - sum(map(len, parts))
        asked = min(left, _CHUNK) if len(parts[-1]) == asked else 0
    data = b"".join(parts)
    return data if max(size, len(data)) <= limit else None


def open_named(path: Path, *, streams: bool = True) -> int:
    """Open a plain file, or (`streams`) a pipe that was handed over open; return its descriptor. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    is_handed_over = streams and str(path).startswith(_HANDED_OVER)
    if stat.S_ISREG(mode) or (is_handed_over and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))):
        os.set_blocking(descriptor, True)
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", str(path))


def open_stdin() -> TextIO:
    """Return stdin. Raises InputError if it was closed before the program began."""
    if sys.stdin is None:
        raise InputError("stdin is closed", "give a file, or write into it: command | esctl ...")
    return sys.stdin
