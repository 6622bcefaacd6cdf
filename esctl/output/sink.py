"""Open what an answer is written to: stdout, a given stream, or a file that appears only when it is whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from esctl.errors import InputError, UsageError


@contextmanager
def open_sink(destination: Path | BinaryIO | None) -> Iterator[BinaryIO]:
    """Open the destination (None: stdout) for bytes.

    A file is written beside its final name and renamed at the end; on any error nothing is left of it and an older file
    stays. Raises UsageError when it cannot be opened, InputError when it cannot be written (a full disk).
    """
    if destination is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif not isinstance(destination, Path):
        yield destination
        destination.flush()
    elif destination.exists() and not destination.is_file() and not destination.is_dir():
        with _opened(destination, os.O_WRONLY) as stream:  # a device or FIFO is never replaced
            yield stream
    else:
        with _replaced(destination) as stream:
            yield stream


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[BinaryIO]:
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        # Not tempfile: its files are private, an answer follows the user's umask.
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", "give another path with -o") from error
    with open(descriptor, "wb") as stream:
        yield stream


@contextmanager
def _replaced(destination: Path) -> Iterator[BinaryIO]:
    final = Path(os.path.realpath(destination))  # a symbolic link stays one
    if final.is_dir():
        raise UsageError(f"cannot write {destination}: it is a folder", "name a file in it with -o")
    temporary = final.with_name(f".{final.name[:200]}.{secrets.token_hex(6)}.tmp")
    try:
        with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as stream:
            yield stream
        os.replace(temporary, final)
    except OSError as error:
        raise InputError(f"cannot write {destination}: {error.strerror or error}", "") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
