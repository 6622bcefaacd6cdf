"""Read, list and change the files of a store, in one place, so that tests can make each call fail or end the process.

A path leads to a file of this machine, or into the mirror of a store that is kept elsewhere (`mirrors.py`): then what
is read is fetched first, and what is written is published there.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from esctl.errors import InputError
from esctl.named import read_up_to
from esctl.storage.mirrors import mirror_of
from esctl.storage.protocol import MISPLACED, ConflictError
from esctl.storage.protocol import TEMPORARY as TEMPORARY

try:
    from fcntl import F_FULLFSYNC  # type: ignore[attr-defined,unused-ignore]
    from fcntl import fcntl as _control
except ImportError:
    F_FULLFSYNC = None


class Filesystem:
    """Calls that change a store's files. A test passes a subclass that raises or ends the process before one."""

    def create(self, path: Path) -> BinaryIO:
        """Open a new file for writing; it must not exist."""
        return create_new(path)

    def write(self, file: BinaryIO, data: bytes | memoryview) -> None:
        """Write all of the data."""
        file.write(data)

    def sync(self, file: BinaryIO) -> None:
        """Sync a file's bytes to the disk."""
        file.flush()
        self._sync(file.fileno())

    def sync_folder(self, path: Path) -> None:
        """Sync a folder's names to the disk."""
        if mirror_of(path):
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file to its final name."""
        os.rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        """Link a file under a second name. Raises FileExistsError if that name is taken."""
        os.link(old, new)

    def unlink(self, path: Path) -> None:
        """Remove a file; one that is gone already is fine."""
        remove(path)

    @staticmethod
    def _sync(descriptor: int) -> None:
        if F_FULLFSYNC is not None:  # on macOS fsync leaves the bytes in the drive's own cache
            with suppress(OSError):
                _control(descriptor, F_FULLFSYNC)
                return
        os.fsync(descriptor)


def temporary_name(folder: Path, label: str) -> Path:
    """Name a file that is still being written; the label says what it is to become."""
    return folder / f"{TEMPORARY}{label}.{os.urandom(4).hex()}"


def publish(files: Filesystem, temporary: Path, path: Path, *, over: bool) -> None:
    """Publish a temporary file under its final name; `over`: in place of any other.

    Raises ConflictError if the name is taken, or if the temporary file is gone: another writer sweeps it up only if its
    place is taken.
    """
    if mirror := mirror_of(path):
        mirror.publish(temporary, path, over=over)
        return
    try:
        (files.rename if over else files.link)(temporary, path)
    except (FileExistsError, FileNotFoundError) as error:
        raise ConflictError(path) from error


def write_exclusive(files: Filesystem, path: Path, data: bytes, label: str) -> None:
    """Write a whole file, durable before its name appears; never over another.

    Raises ConflictError if the name is taken, OSError if the disk is full.
    """
    _write(files, path, data, label, over=False)


def write_replacing(files: Filesystem, path: Path, data: bytes, label: str) -> None:
    """Write a whole file in place of an older one. Only for files that can be derived again."""
    _write(files, path, data, label, over=True)


def _write(files: Filesystem, path: Path, data: bytes, label: str, *, over: bool) -> None:
    temporary = temporary_name(path.parent, label)
    try:
        with files.create(temporary) as file:
            files.write(file, data)
            files.sync(file)
        publish(files, temporary, path, over=over)
    finally:
        with suppress(OSError):
            files.unlink(temporary)
    files.sync_folder(path.parent)


@contextmanager
def staged(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield an empty file to fill, which replaces `path` at the end, or is removed after an error.

    `durable`: sync its bytes and its name to the disk. Raises OSError if the folder cannot be written.
    """
    temporary, files = temporary_name(path.parent, path.name), Filesystem()
    try:
        create_new(temporary).close()
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                files.sync(file)
        if mirror := mirror_of(path):
            mirror.publish(temporary, path, over=True)
            return
        os.replace(temporary, path)
        if durable:
            files.sync_folder(path.parent)
    finally:
        with suppress(OSError):
            remove(temporary)


@contextmanager
def describe_failure(doing: str) -> Iterator[None]:
    """Turn an OSError into an InputError that says what could not be done, and why."""
    try:
        yield
    except OSError as error:
        hints = {
            "PermissionError": "the store must be writable by you",
            "OSError": "is there space left, and does the disk support hard links?",
        }
        hint = hints.get(type(error).__name__, "")
        raise InputError(f"cannot {doing}: {error.strerror or error}", hint) from error


def entries(folder: Path) -> list[str]:
    """List the names of a folder's regular files; none if it does not exist."""
    if mirror := mirror_of(folder):
        return mirror.names(folder)
    try:
        with _open_folder(folder) as descriptor, os.scandir(descriptor) as found:
            return [entry.name for entry in found if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder, by name, without links; none if it does not exist."""
    if mirror := mirror_of(folder):
        return mirror.folders(folder)
    try:
        with _open_folder(folder) as descriptor, os.scandir(descriptor) as found:
            return [folder / name for name in sorted(each.name for each in found if each.is_dir(follow_symlinks=False))]
    except FileNotFoundError:
        return []


@contextmanager
def _open_folder(path: Path) -> Iterator[int]:
    """Open a folder that is not a link. Raises OSError, NotADirectoryError if it is not a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file in a folder that is not a link; one that is gone already is fine."""
    if mirror := mirror_of(path):
        mirror.remove(path)
        return
    with suppress(FileNotFoundError), _open_folder(path.parent) as descriptor:
        os.unlink(path.name, dir_fd=descriptor)


def remove_folder(path: Path) -> None:
    """Remove a folder of derived files with its content, as far as possible; no link is followed."""
    if mirror_of(path):
        for each in subfolders(path):
            remove_folder(each)
        for name in entries(path):
            remove(path / name)
        return
    shutil.rmtree(path, ignore_errors=True)


def file_mode(folder: Path) -> int:
    """Return the widest mode of a new file in a folder of a store: no wider than the folder's own.

    The umask narrows it further.
    """
    return 0o600 | (stat.S_IMODE(folder.stat().st_mode) & 0o666)


def create_new(path: Path) -> BinaryIO:
    """Open a new file in a store for writing; it must not exist, and its rights are no wider than its folder's."""
    if mirror_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return open(os.open(path, flags, file_mode(path.parent)), "wb")


def make_folder(path: Path) -> None:
    """Make a folder in a store with the rights of its parent, unless it exists."""
    if mirror_of(path):
        path.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700 | (stat.S_IMODE(path.parent.stat().st_mode) & 0o777))


def checked_lock(path: Path) -> Path:
    """Return a lock's path. Raises InputError if it is not a plain file of one name, because locking truncates it."""
    try:
        about = path.lstat()
    except OSError:
        return path
    if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
        raise InputError(f"{path} is not a plain file of one name", MISPLACED)
    return path


def open_plain(path: Path, *, links: bool = False) -> int:
    """Open a plain file for reading; return its descriptor. Raises OSError for a link or anything else.

    `links`: allow links, for a folder of our own, outside any store, that links to files of an index.
    """
    if mirror := mirror_of(path, links=links):
        mirror.fetch(path)
    return open_here(path, links=links)


def open_here(path: Path, *, links: bool = False) -> int:
    """Open a plain file as `open_plain` does, but fetch nothing into a mirror."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | (0 if links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a plain file", str(path))
    return descriptor


@contextmanager
def explained_reading(path: Path) -> Iterator[None]:
    """Turn an OSError of reading, other than that the file is missing, into an InputError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror or str(error)
        raise InputError(f"cannot read {path}: {reason}", MISPLACED) from error


def read_regular(path: Path, limit: int) -> bytes:
    """Read a whole regular file of at most `limit` bytes.

    Raises FileNotFoundError if it does not exist, InputError if it is larger or not a regular file.
    """
    if mirror := mirror_of(path):
        return mirror.read(path, limit)
    with explained_reading(path), open(open_plain(path), "rb") as file:
        data = read_up_to(file, limit)
    if data is None:
        raise InputError(f"{path} is not a file of at most {limit:,} bytes", MISPLACED)
    return data
