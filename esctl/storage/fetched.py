"""Copies, on this machine, of files kept elsewhere: whole files, and parts of large ones."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.errors import InputError
from esctl.storage.bounded import shrink, size_limit
from esctl.storage.kept import WHOLE, Kept
from esctl.storage.protocol import TEMPORARY, Depot

if TYPE_CHECKING:
    from esctl.log.ranges import ByteRange

_LOOKED_AFTER = 256 << 20
"""Bytes that may be fetched before the bound of the cache is enforced again."""
_GROUP, _GROUPS_AT_ONCE = 16 << 20, 4
"""Bytes of a file that are fetched together, and how many such groups at once."""


class Fetched:
    """What is here of a depot's files, in the folder `root`; a folder next to it lists which parts."""

    def __init__(self, root: Path, depot: Depot) -> None:
        self.root, self.depot = root, depot
        self._kept = Kept(root.parent / "kept")
        self._left = 0  # bytes that may be fetched before the bound of the cache is enforced
        for folder in (root.parent, root):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = root.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
            raise InputError(f"{root} is not a folder of yours alone", "remove it, or name another by XDG_CACHE_HOME")

    def name_of(self, path: Path) -> str:
        """Return the name in the depot of a path in `root`, or of a link to such a path."""
        if not path.is_relative_to(self.root):
            path = Path(os.readlink(path))
        return path.relative_to(self.root).as_posix()

    def fetch(self, path: Path) -> None:
        """Fetch a whole file that never changes, unless it is here. Raises FileNotFoundError if there is none."""
        name = self.name_of(path)
        if self._kept.has(name, *WHOLE) and (self.root / name).exists():
            self._kept.touch(name)
            return
        temporary = self._temporary(self.root / name)
        try:
            self.depot.get_file(name, temporary, size_limit())
            _place_file(temporary, self.root / name)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        self._kept.drop(name)
        self._kept.add(name, *WHOLE)
        self._count_fetched((self.root / name).stat().st_size)

    def prepare(self, path: Path, size: int) -> None:
        """Make a sparse file of `size` bytes for parts to be fetched into, unless it is here."""
        here = self.root / self.name_of(path)
        if not here.exists():
            self._kept.drop(self.name_of(path))
            self._fill(here, size, [])

    def require(self, path: Path, size: int, ranges: Iterable[ByteRange], *, again: bool) -> ByteRange | None:
        """Fetch parts of a file of `size` bytes; return the first that does not match its digest, else None.

        A part that does not match is not kept. `again`: also fetch parts that are here. Raises FileNotFoundError if
        there is no such file.
        """
        name = self.name_of(path)
        missing = [part for part in ranges if again or not self._kept.has(name, part.offset, part.offset + part.bytes)]
        self._kept.touch(name)
        if not missing:
            return None
        self._count_fetched(sum(part.bytes for part in missing))
        groups = _group_parts(missing)
        if len(groups) == 1:
            return self._fetch_parts(name, size, missing)
        with ThreadPoolExecutor(_GROUPS_AT_ONCE, "fetch") as pool:
            return next(filter(None, pool.map(lambda group: self._fetch_parts(name, size, group), groups)), None)

    def _fetch_parts(self, name: str, size: int, parts: Sequence[ByteRange]) -> ByteRange | None:
        """Fetch parts of a file; return the first that does not match its digest, else None."""
        odd, good = None, []
        found = self.depot.get_ranges(name, [(part.offset, part.bytes) for part in parts])
        for part, data in zip(parts, found, strict=True):
            if hashlib.sha256(data).hexdigest() == part.sha256:
                good.append((part, data))
            else:
                odd = odd or part
        self._fill(self.root / name, size, good)
        for part, _ in good:
            self._kept.add(name, part.offset, part.offset + part.bytes)
        return odd

    def _fill(self, here: Path, size: int, parts: Sequence[tuple[ByteRange, bytes]]) -> None:
        here.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(here, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.ftruncate(descriptor, size)
            for part, data in parts:
                os.pwrite(descriptor, data, part.offset)
        finally:
            os.close(descriptor)

    def inode_of(self, path: Path) -> int:
        """Return a number that changes when a file is dropped and made again; 0 if it is not here."""
        try:
            return (self.root / self.name_of(path)).stat().st_ino
        except FileNotFoundError:
            return 0

    def _count_fetched(self, size: int) -> None:
        """Count `size` bytes as fetched; now and then, shrink the mirrors of this user to their bound."""
        self._left -= size
        if self._left < 0:
            self._left = _LOOKED_AFTER
            shrink(self.root.parent.parent, size_limit())

    def _temporary(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path.with_name(f"{TEMPORARY}{path.name}.{secrets.token_hex(4)}")

    def _drop(self, name: str) -> None:
        self._kept.drop(name)
        with suppress(FileNotFoundError, IsADirectoryError):
            (self.root / name).unlink()


def _place_file(temporary: Path, here: Path) -> None:
    """Give a whole file its name; a file with holes is filled in place, because another thread may have it open."""
    try:
        os.link(temporary, here)
    except FileExistsError:
        with temporary.open("rb") as whole, open(os.open(here, os.O_WRONLY | os.O_NOFOLLOW), "wb") as file:
            shutil.copyfileobj(whole, file)
            file.truncate()


def _group_parts(parts: Sequence[ByteRange]) -> list[list[ByteRange]]:
    """Divide parts of a file into groups that are fetched, and held in memory, together."""
    groups: list[list[ByteRange]] = [[]]
    size = 0
    for part in parts:
        if groups[-1] and size + part.bytes > _GROUP:
            groups.append([])
            size = 0
        groups[-1].append(part)
        size += part.bytes
    return groups
