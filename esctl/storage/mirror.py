"""A mirror: a folder of this machine with what was read from, or written to, a store kept elsewhere.

DuckDB and Arrow read its files by path. Files that never change are fetched once. Of index files and segments only the
ranges asked for are fetched, each checked against its digest first; the rest of such a file is a hole.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.errors import InputError, UnavailableError
from esctl.storage.fetched import Fetched
from esctl.storage.kept import WHOLE
from esctl.storage.protocol import TEMPORARY, Depot, Found, clock

if TYPE_CHECKING:
    from esctl.storage.lease import Lease

RETIRED = "retired-"
"""Prefix of the names of marks: a file has been out of use for as long as its mark has existed."""
_REPLACEABLE = ("mapping.json", "views.json", "manifest.json", "lock")
_NUMBERED = re.compile(r"\d{20}\.json", re.ASCII)
_SUMMED = re.compile(r"(?:summary|head)-(\d{20})\.json", re.ASCII)
_PAGE = 1000
"""Names that one request lists."""
IDENTITY = "format.json"
_ERASURES = "erasures"
_SMALL, _AT_ONCE = 1 << 30, 16
"""Most bytes of a small file, and how many such files are fetched at once."""


class Mirror(Fetched):
    """The mirror, in the folder `root`, of the store in a depot; people know the store by `url`."""

    def __init__(self, root: Path, url: str, depot: Depot) -> None:
        super().__init__(root, depot)
        self.url = url
        self.identity = ""
        """The digest of the file that says which store this is, as last read or written; empty: it was not yet."""
        self._tags: dict[str, str] = {}  # versions of replaceable files as last read; empty: there was none
        self._lease: Lease | None = None

    def names(self, folder: Path) -> list[str]:
        """List the files of a folder."""
        return [found.name for found in self._list_files(folder) if not found.name.startswith(RETIRED)]

    def numbered(self, folder: Path) -> list[str]:
        """List the files of a folder in which numbered files are only ever added.

        Only names from the last number seen on are asked for; if that file is gone, all are listed.
        """
        place, seen = self.name_of(folder), self._kept.tag(f"{self.name_of(folder)}/seen")
        known = int(seen) if seen.isdecimal() else 0
        names = self._list_from(place, known) if known > 1 else self._list_first(place)
        if known and f"{known:020d}.json" not in names:
            names = [found.name for found in self.depot.list(place)]
        numbers = {int(name[:-5]) for name in names if _NUMBERED.fullmatch(name)}
        last = max(numbers, default=0)
        if len(numbers) == last and str(last) != seen:
            self._kept.set_tag(f"{place}/seen", str(last))
        return names

    def _list_first(self, place: str) -> list[str]:
        """List numbered files for the first time; of many, ask only for those from the newest summary on."""
        names = [found.name for found in self.depot.list(place, "0", _PAGE)]
        if len(names) < _PAGE:
            return names
        others = [_SUMMED.fullmatch(found.name) for found in self.depot.list(place, "a")]
        return self._list_from(place, max((int(found[1]) for found in others if found), default=1))

    def _list_from(self, place: str, number: int) -> list[str]:
        """List numbered files, taking those before `number` as known to exist."""
        names = [found.name for found in self.depot.list(place, f"{number - 1:020d}.json")]
        return [f"{each:020d}.json" for each in range(1, number)] + names

    def folders(self, folder: Path) -> list[Path]:
        """List the folders in a folder, by name."""
        names = self.depot.folders(self.name_of(folder))
        return [folder / name for name in sorted(names) if name not in ("", ".", "..") and "\0" not in name]

    def exists(self, path: Path) -> bool:
        """Return whether a file exists."""
        return self.depot.head(self.name_of(path)) is not None

    def ages(self, folder: Path) -> dict[str, float]:
        """Return how many seconds ago files were changed or, if marked, retired; remove marks without a file."""
        found = {each.name: each.modified for each in self._list_files(folder)}
        now = clock(self.depot)
        for name in [name for name in found if name.startswith(RETIRED)]:
            since = found.pop(name)
            if name.removeprefix(RETIRED) in found:
                found[name.removeprefix(RETIRED)] = since
            else:
                self.depot.delete(self.name_of(folder / name))
        return {name: now - since for name, since in found.items()}

    def retire(self, path: Path) -> None:
        """Note that a file is out of use from now on."""
        mark = path.with_name(RETIRED + path.name)
        with suppress(OSError, UnavailableError):  # its age then counts from when it was written
            self.depot.replace(self.name_of(mark), b"")

    def is_writable(self, folder: Path) -> bool:
        """Return whether files may be made in a folder."""
        if self._lease:
            return True  # taking the lease wrote a file
        name = self.name_of(folder / f"{RETIRED}{secrets.token_hex(8)}")
        try:
            self.depot.create(name, b"")
            self.depot.delete(name)
        except PermissionError:
            return False
        return True

    def _list_files(self, folder: Path) -> list[Found]:
        found = self.depot.list(self.name_of(folder))
        return [each for each in found if each.name not in ("", ".", "..") and "\0" not in each.name]

    def read(self, path: Path, limit: int) -> bytes:
        """Return a whole file of at most `limit` bytes. Raises FileNotFoundError, or InputError for a larger one."""
        name = self.name_of(path)
        if name == IDENTITY:
            return self._read_identity(path, limit)
        if _is_replaceable(name):
            return self._read_replaceable(name, path, limit)
        here = _read_or_empty(path) if self._kept.has(name, *WHOLE) else b""
        if hashlib.sha256(here).hexdigest() == self._kept.tag(name) and len(here) <= limit:
            return here
        answer = self.depot.get(name, limit)
        assert answer is not None, "asked for unconditionally"
        self._keep(name, path, answer[0])
        self._kept.set_tag(name, hashlib.sha256(answer[0]).hexdigest())
        return answer[0]

    def prefetch(self, paths: Sequence[Path]) -> None:
        """Fetch those of several small, unchanging files that are not here yet; a missing file is no error."""
        missing = [path for path in paths if not self._kept.has(self.name_of(path), *WHOLE)]

        def read(path: Path) -> None:
            with suppress(OSError, InputError):  # reported when the file is read
                self.read(path, _SMALL)

        with ThreadPoolExecutor(_AT_ONCE, "fetch") as pool:
            list(pool.map(read, missing))

    def _read_identity(self, path: Path, limit: int) -> bytes:
        """Read the file that says which store this is; if another store was mirrored here, remove all of that."""
        before = _read_or_empty(path)
        data = self._read_replaceable(IDENTITY, path, limit)
        if before not in (b"", data):
            self.purge()
        self.identity = hashlib.sha256(data).hexdigest()
        return data

    def _read_replaceable(self, name: str, path: Path, limit: int) -> bytes:
        """Read a file that may be replaced; fetch it only if its version is not the one here."""
        known, _, digest = self._kept.tag(name).partition(" ")
        here = _read_or_empty(path) if known else b""
        if hashlib.sha256(here).hexdigest() != digest or len(here) > limit:
            known = ""
        try:
            answer = self.depot.get(name, limit, known)
        except FileNotFoundError:
            self._tags[name] = ""
            raise
        data, self._tags[name] = answer or (here, known)
        if answer is not None:
            self._keep(name, path, data)
            self._kept.set_tag(name, f"{self._tags[name]} {hashlib.sha256(data).hexdigest()}")
        return data

    def _keep(self, name: str, path: Path, data: bytes) -> None:
        """Put a whole file into the mirror."""
        temporary = self._temporary(path)
        temporary.write_bytes(data)
        os.replace(temporary, path)
        self._kept.drop(name)
        self._kept.add(name, *WHOLE)

    def publish(self, temporary: Path, path: Path, *, over: bool) -> None:
        """Give a file that was written here its name, in the depot first and then here.

        Raises ConflictError if the name is taken or, with `over`, if the file to replace is not as it was last read.
        """
        name, note = self.name_of(path), ""
        if over and not _is_replaceable(name):
            self.depot.put_file(name, temporary)
        else:
            data = temporary.read_bytes()
            tag = self._replace(name, data) if over else self.depot.create(name, data)
            note = hashlib.sha256(data).hexdigest()
            self.identity = note if name == IDENTITY else self.identity
            note = f"{tag} {note}" if over or name == IDENTITY else note
        os.replace(temporary, path)
        self._kept.drop(name)
        self._kept.add(name, *WHOLE)
        if note:
            self._kept.set_tag(name, note)

    def _replace(self, name: str, data: bytes) -> str:
        """Replace the version of a file that was last read; return the new version."""
        if name not in self._tags:
            found = self.depot.head(name)
            self._tags[name] = found.tag if found is not None else ""
        known = self._tags.pop(name)
        self._tags[name] = tag = self.depot.replace(name, data, known) if known else self.depot.create(name, data)
        return tag

    def remove(self, path: Path) -> None:
        """Remove a file, from the depot first; one that is gone already is fine."""
        name = self.name_of(path)
        if not path.name.startswith(TEMPORARY):
            try:
                self.depot.delete(name)
            except UnavailableError as error:  # callers that tidy up in passing ignore an OSError
                raise OSError(5, error.message, str(path)) from error
            self._tags.pop(name, None)
        self._drop(name)

    def lease(self, timeout: float) -> str:
        """Take the store's lease and return an empty text, or return who still holds it after `timeout` seconds.

        Raises InputError, naming what failed, if two writers can both be first in the store's place.
        """
        from esctl.storage.lease import Lease

        self.require_order()
        lease = Lease(self.depot, str(self.root))
        holder = lease.acquire(timeout)
        if not holder:
            self._lease = lease
        return holder

    def end_lease(self) -> None:
        """Give the lease back."""
        if self._lease:
            self._lease.release()
            self._lease = None

    def require_order(self) -> None:
        """Raise InputError if two writers can both be first in the store's place; a mirror tries this once."""
        from esctl.storage.probe import probe

        mark = self.root.parent / "probed"
        if not mark.exists():
            probe(self.depot, self.url)
            mark.touch()

    def note_erasures(self, count: int, identity: str = "") -> None:
        """Remove records, and what was derived from them, from a mirror that knew of fewer than `count` erasures.

        `identity`: that of the store in which they were made; empty: the one that was last read here.
        """
        identity = identity or self.identity
        if count > self._erasures_of(identity):
            self.purge(("log", "index", "snapshots"))
            (self.root.parent / _ERASURES).write_text(f"{count} {identity}")

    @property
    def erasures(self) -> int:
        """Return how many erasures are known."""
        return self._erasures_of(self.identity)

    def _erasures_of(self, identity: str) -> int:
        """Return how many erasures of a store are known; those of another that was mirrored here are not its own."""
        count, _, whose = _read_or_empty(self.root.parent / _ERASURES).partition(b" ")
        return int(count) if count.isdigit() and whose.decode("ascii", "replace") == identity else 0

    def purge(self, folders: Sequence[str] = ()) -> None:
        """Remove some folders, or everything, from the mirror."""
        for each in [self.root / folder for folder in folders] or [self.root]:
            for folder, _, names in os.walk(each):
                for name in names:
                    if name == "lock" or name.startswith(TEMPORARY):
                        continue  # of processes that are writing here
                    self._drop((Path(folder) / name).relative_to(self.root).as_posix())
        if not folders:
            self._kept.clear()


def _is_replaceable(name: str) -> bool:
    return name.rpartition("/")[2] in _REPLACEABLE


def _read_or_empty(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
