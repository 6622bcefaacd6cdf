"""The depot over a folder of this machine: the files of a store by name."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from esctl.errors import InputError
from esctl.storage.local import (
    TEMPORARY,
    Filesystem,
    entries,
    explained_reading,
    make_folder,
    open_plain,
    publish,
    read_regular,
    subfolders,
    temporary_name,
    write_exclusive,
    write_replacing,
)
from esctl.storage.protocol import MISPLACED, ConflictError, Found


class LocalDepot:
    """Files in a folder of this machine, or in the mirror of a store that is kept elsewhere."""

    def __init__(self, root: Path, filesystem: Filesystem | None = None) -> None:
        self._root = root
        self._files = filesystem or Filesystem()

    def get(self, name: str, limit: int, unless: str = "") -> tuple[bytes, str] | None:
        """Return a whole file of at most `limit` bytes, and its SHA-256; None if that is `unless`."""
        data = read_regular(self._path(name), limit)
        tag = hashlib.sha256(data).hexdigest()
        return None if tag == unless else (data, tag)

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return parts of a file, each shorter if the file ends within it."""
        if any(bound < 0 for part in ranges for bound in part):
            raise ValueError(f"{name} has no bytes {ranges}")
        with explained_reading(path := self._path(name)), open(open_plain(path), "rb") as file:
            return [os.pread(file.fileno(), length, start) for start, length in ranges]

    def get_file(self, name: str, path: Path, limit: int) -> None:
        """Copy a whole file of at most `limit` bytes."""
        with explained_reading(own := self._path(name)), open(open_plain(own), "rb") as file:
            if os.fstat(file.fileno()).st_size > limit:
                raise InputError(f"{own} is not a file of at most {limit:,} bytes", MISPLACED)
            with path.open("wb") as copy:
                shutil.copyfileobj(file, copy)

    def head(self, name: str) -> Found | None:
        """Return a file's size, time and SHA-256, for which it is read, or None if there is none."""
        path = self._path(name)
        try:
            return None if path.name.startswith(TEMPORARY) else _read_about(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, folder: str, after: str = "", most: int = 0) -> Sequence[Found]:
        """List a folder's complete files, each with its SHA-256; `.` is the store's own."""
        path, found = self._folder(folder), []
        complete = (name for name in entries(path) if not name.startswith(TEMPORARY))
        following = sorted(name for name in complete if name.encode() > after.encode())
        for name in following[:most] if most else following:
            with suppress(FileNotFoundError):
                found.append(_read_about(path / name))
        return found

    def folders(self, folder: str) -> Sequence[str]:
        """List the names of the folders in a folder."""
        return [path.name for path in subfolders(self._folder(folder))]

    def create(self, name: str, data: bytes) -> str:
        """Create a whole file, durable before its name appears; never over another."""
        path = self._path(name, make=True)
        write_exclusive(self._files, path, data, path.name)
        return hashlib.sha256(data).hexdigest()

    def replace(self, name: str, data: bytes, tag: str | None = None) -> str:
        """Write a whole file in place of any other. Giving `tag` needs the store's lock."""
        path = self._path(name, make=True)
        if tag is not None:
            try:
                changed = hashlib.sha256(read_regular(path, 1 << 40)).hexdigest() != tag
            except FileNotFoundError:
                changed = True
            if changed:
                raise ConflictError(path)
        write_replacing(self._files, path, data, path.name)
        return hashlib.sha256(data).hexdigest()

    def put_file(self, name: str, path: Path) -> None:
        """Copy a file to a name that nobody else uses."""
        target = self._path(name, make=True)
        temporary = temporary_name(target.parent, target.name)
        try:
            with self._files.create(temporary) as copy, path.open("rb") as file:
                shutil.copyfileobj(file, copy)
                self._files.sync(copy)
            publish(self._files, temporary, target, over=True)
        finally:
            with suppress(OSError):
                self._files.unlink(temporary)
        self._files.sync_folder(target.parent)

    def delete(self, name: str) -> None:
        """Remove a file; one that is gone already is fine."""
        self._files.unlink(self._path(name))

    def _folder(self, folder: str) -> Path:
        return self._root if folder == "." else self._path(folder)

    def _path(self, name: str, *, make: bool = False) -> Path:
        """Return a file's path below the root; `make` its missing folders. Raises InputError if a folder is a link."""
        *folders, last = name.split("/")
        path = self._root
        if not {"", ".", ".."}.isdisjoint([*folders, last]) or "\0" in name:
            raise InputError(f"{name!r} is not a name in {path}", MISPLACED)
        for folder in folders:
            inner = path / folder
            if make and not os.path.lexists(inner):
                make_folder(inner)
                self._files.sync_folder(path)
            if inner.is_symlink():
                raise InputError(f"{inner} is a link", MISPLACED)
            path = inner
        return path / last


def _read_about(path: Path) -> Found:
    """Return what is known of a file. Its version is the digest of its bytes, because times are too coarse."""
    with explained_reading(path), open(open_plain(path), "rb") as file:
        about = os.fstat(file.fileno())
        return Found(path.name, about.st_size, about.st_mtime, hashlib.file_digest(file, "sha256").hexdigest())
