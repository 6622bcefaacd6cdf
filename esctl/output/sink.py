"""Open the destination of output: stdout, a given stream, or a file that appears only when it is whole."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from esctl.errors import InputError, UsageError

_KERNEL = ("/dev/", "/proc/")
"""Folders in which a name may refer to something that is open already (/dev/stdout): it is never replaced."""


def write_bytes(pieces: Iterable[bytes], path: Path | None) -> None:
    """Write pieces of bytes to a file, or to stdout (None or -). Raises as `open_sink` does."""
    with open_sink(None if path is None or str(path) == "-" else path) as sink:
        for piece in pieces:
            sink.write(piece)


@contextmanager
def open_sink(destination: Path | BinaryIO | None) -> Iterator[BinaryIO]:
    """Open the destination (None: stdout) for bytes.

    A file is written under a temporary name next to its final one and renamed at the end; on any error nothing is left
    of it and an older file stays. A device, FIFO or socket is written to, never replaced; a symbolic link stays one,
    and its target is written. Raises UsageError if the destination cannot be opened, InputError if it cannot be written
    (a full disk).
    """
    if destination is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif not isinstance(destination, Path):
        yield destination
        destination.flush()
    else:
        with _open_path(destination) as stream:
            yield stream


def check_destination(destination: Path) -> None:
    """Raise UsageError if no file can be written there, and leave what is there as it is.

    Links and devices are not tried: only writing tells.
    """
    if not stat.S_ISREG(_mode_of(destination)):
        return
    temporary = _temporary_name(destination)
    try:
        os.close(_open_descriptor(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, destination))
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _mode_of(destination: Path) -> int:
    """Return the mode of a destination, that of a plain file if nothing is there. Raises UsageError for a folder."""
    try:
        mode = os.lstat(destination).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:
        raise _unwritable(destination, error) from error
    if destination.is_dir():
        raise UsageError(f"cannot write {destination}: it is a folder", "name a file in it with -o")
    return mode


@contextmanager
def _open_path(destination: Path) -> Iterator[BinaryIO]:
    mode = _mode_of(destination)
    if stat.S_ISLNK(mode):
        with _open_link(destination) as stream:
            yield stream
    elif stat.S_ISREG(mode):
        with _replace_file(destination, destination) as stream:
            yield stream
    else:
        descriptor = _open_descriptor(destination, os.O_WRONLY | os.O_NOFOLLOW | os.O_NOCTTY)
        with _write_through(destination, descriptor) as stream:
            yield stream


@contextmanager
def _open_link(link: Path) -> Iterator[BinaryIO]:
    """Write to the target of a link, opened by the system, which decides whether others' links may be followed."""
    leads_somewhere = link.exists()
    descriptor = _open_descriptor(link, os.O_WRONLY | os.O_CREAT | os.O_NOCTTY)
    final = Path(os.path.realpath(link))
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or str(link.absolute()).startswith(_KERNEL):
        with _write_through(link, descriptor) as stream:
            yield stream
        return
    os.close(descriptor)
    try:
        with _replace_file(final, link, about) as stream:
            yield stream
    except BaseException:
        if not leads_somewhere:
            with contextlib.suppress(OSError):
                final.unlink()
        raise


@contextmanager
def _write_through(named: Path, descriptor: int) -> Iterator[BinaryIO]:
    """Yield a stream that truncates and writes an open descriptor, as the shell's `>` does."""
    try:
        with contextlib.suppress(OSError):  # only a regular file has a length
            os.ftruncate(descriptor, 0)
        with open(descriptor, "wb") as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"cannot write {named}: {error.strerror or error}", "") from error


@contextmanager
def _replace_file(final: Path, named: Path, about: os.stat_result | None = None) -> Iterator[BinaryIO]:
    """Write a file under a temporary name and rename it over the old one (`about`, if known), whose rights are kept.

    Not by tempfile: its files are private, while an answer follows the user's umask.
    """
    temporary = _temporary_name(final)
    try:  # before the file is there, or an interrupt just after would leave it
        descriptor = _open_descriptor(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, named)
        with open(descriptor, "wb") as stream:
            kept = _regular_stat(final, about)
            if kept is not None:
                os.fchmod(descriptor, stat.S_IMODE(kept.st_mode) & 0o777)
            yield stream
        _regular_stat(final, about)
        os.replace(temporary, final)
    except OSError as error:
        raise InputError(f"cannot write {named}: {error.strerror or error}", "") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _temporary_name(final: Path) -> Path:
    begin = os.fsencode(final.name)[:200].decode("utf-8", "ignore")  # names are limited in bytes
    return final.with_name(f".{begin}.{os.urandom(8).hex()}.tmp")


def _regular_stat(path: Path, about: os.stat_result | None) -> os.stat_result | None:
    """Return the stat of a file that is to be replaced; None if there is none. Raises OSError if it is another now."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode) or (about is not None and not os.path.samestat(found, about)):
        raise OSError(f"{path} became something else meanwhile")
    return found


def _open_descriptor(path: Path, flags: int, named: Path | None = None) -> int:
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        raise _unwritable(named or path, error) from error


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot write {path}: {error.strerror}", "give another path with -o")
