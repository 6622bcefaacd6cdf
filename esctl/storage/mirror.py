"""A mirror: a folder of this machine that has, of a store kept elsewhere, what was read of it or written to it.

DuckDB and Arrow read its files by path. Files that never change are fetched once; of an index or a segment only the
ranges that are asked for, each held against its digest before it is there. The rest of such a file is a hole.
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
from esctl.storage.fetched import TEMPORARY, Fetched
from esctl.storage.kept import WHOLE
from esctl.storage.protocol import Depot, Found, clock

if TYPE_CHECKING:
    from esctl.storage.lease import Lease

RETIRED = "retired-"
"""Begins the names of marks: since when a file is out of use is the age of its mark."""
_REPLACED = ("mapping.json", "views.json", "manifest.json", "lock")
_NUMBERED = re.compile(r"\d{20}\.json", re.ASCII)
_SUMMED = re.compile(r"(?:summary|head)-(\d{20})\.json", re.ASCII)
_PAGE = 1000
"""Names that one request lists."""
IDENTITY = "format.json"
_ERASURES = "erasures"
_SMALL, _AT_ONCE = 1 << 30, 16
"""Bytes of a small file at most, and how many of them are fetched at once."""


class Mirror(Fetched):
    """What a folder `root` has of the store in a depot, which `url` names."""

    def __init__(self, root: Path, url: str, depot: Depot) -> None:
        super().__init__(root, depot)
        self.url = url
        self._tags: dict[str, str] = {}  # of files that are replaced, as they were last read; empty: there was none
        self._lease: Lease | None = None

    def names(self, folder: Path) -> list[str]:
        """List the files of a folder."""
        return [found.name for found in self._listed(folder) if not found.name.startswith(RETIRED)]

    def numbered(self, folder: Path) -> list[str]:
        """List the files of a folder in which numbered ones only ever come to be, and those that were seen stay.

        Only what follows the last one that was seen is asked for, and that one: is it gone, all are listed.
        """
        place, seen = self.name_of(folder), self._kept.tag(f"{self.name_of(folder)}/seen")
        known = int(seen) if seen.isdecimal() else 0
        names = self._from(place, known) if known > 1 else self._first_seen(place)
        if known and f"{known:020d}.json" not in names:
            names = [found.name for found in self.depot.list(place)]
        numbers = {int(name[:-5]) for name in names if _NUMBERED.fullmatch(name)}
        last = max(numbers, default=0)
        if len(numbers) == last and str(last) != seen:
            self._kept.set_tag(f"{place}/seen", str(last))
        return names

    def _first_seen(self, place: str) -> list[str]:
        """List numbered files that were not seen yet: of many, those from the newest that others sum up."""
        names = [found.name for found in self.depot.list(place, "0", _PAGE)]
        if len(names) < _PAGE:
            return names
        others = [_SUMMED.fullmatch(found.name) for found in self.depot.list(place, "a")]
        return self._from(place, max((int(found[1]) for found in others if found), default=1))

    def _from(self, place: str, number: int) -> list[str]:
        """List numbered files, of which those before a number are known to be there."""
        names = [found.name for found in self.depot.list(place, f"{number - 1:020d}.json")]
        return [f"{each:020d}.json" for each in range(1, number)] + names

    def folders(self, folder: Path) -> list[Path]:
        """List the folders in a folder, by name."""
        names = self.depot.folders(self.name_of(folder))
        return [folder / name for name in sorted(names) if name not in ("", ".", "..") and "\0" not in name]

    def exists(self, path: Path) -> bool:
        """Return whether there is a file."""
        return self.depot.head(self.name_of(path)) is not None

    def ages(self, folder: Path) -> dict[str, float]:
        """Return for how many seconds files have been as they are, or out of use; marks without a file go."""
        found = {each.name: each.modified for each in self._listed(folder)}
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
        with suppress(OSError, UnavailableError):  # it then counts from when it was written
            self.depot.replace(self.name_of(mark), b"")

    def is_writable(self, folder: Path) -> bool:
        """Return whether files may be made in a folder."""
        if self._lease:
            return True  # which was written
        name = self.name_of(folder / f"{RETIRED}{secrets.token_hex(8)}")
        try:
            self.depot.create(name, b"")
            self.depot.delete(name)
        except PermissionError:
            return False
        return True

    def _listed(self, folder: Path) -> list[Found]:
        found = self.depot.list(self.name_of(folder))
        return [each for each in found if each.name not in ("", ".", "..") and "\0" not in each.name]

    def read(self, path: Path, limit: int) -> bytes:
        """Return a whole file of at most `limit` bytes. Raises FileNotFoundError, or InputError for a larger one."""
        name = self.name_of(path)
        if name == IDENTITY:
            return self._identity(path, limit)
        if _is_replaced(name):
            return self._replaced(name, path, limit)
        here = _bytes(path) if self._kept.has(name, *WHOLE) else b""
        if hashlib.sha256(here).hexdigest() == self._kept.tag(name) and len(here) <= limit:
            return here
        answer = self.depot.get(name, limit)
        assert answer is not None, "asked for unconditionally"
        self._keep(name, path, answer[0])
        self._kept.set_tag(name, hashlib.sha256(answer[0]).hexdigest())
        return answer[0]

    def prefetch(self, paths: Sequence[Path]) -> None:
        """Have several small files here that never change, as far as there are such."""
        missing = [path for path in paths if not self._kept.has(self.name_of(path), *WHOLE)]

        def read(path: Path) -> None:
            with suppress(OSError, InputError):  # which is told when it is read
                self.read(path, _SMALL)

        with ThreadPoolExecutor(_AT_ONCE, "fetch") as pool:
            list(pool.map(read, missing))

    def _identity(self, path: Path, limit: int) -> bytes:
        """Read which store this is; of another that was here before nothing is kept."""
        before = _bytes(path)
        data = self._replaced(IDENTITY, path, limit)
        if before not in (b"", data):
            self.purge()
        return data

    def _replaced(self, name: str, path: Path, limit: int) -> bytes:
        """Read a file that is replaced now and then: again only where it is another than that which is here."""
        known, _, digest = self._kept.tag(name).partition(" ")
        here = _bytes(path) if known else b""
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
        """Have a whole file here."""
        temporary = self._temporary(path)
        temporary.write_bytes(data)
        os.replace(temporary, path)
        self._kept.drop(name)
        self._kept.add(name, *WHOLE)

    def publish(self, temporary: Path, path: Path, *, over: bool) -> None:
        """Give a file that was written here its name there, and then here.

        Raises ConflictError if it is taken, or if what is to be replaced is not what was read any more.
        """
        name, note = self.name_of(path), ""
        if over and not _is_replaced(name):
            self.depot.put_file(name, temporary)
        else:
            data = temporary.read_bytes()
            tag = self._replace(name, data) if over else self.depot.create(name, data)
            note = hashlib.sha256(data).hexdigest()
            note = f"{tag} {note}" if over or name == IDENTITY else note
        os.replace(temporary, path)
        self._kept.drop(name)
        self._kept.add(name, *WHOLE)
        if note:
            self._kept.set_tag(name, note)

    def _replace(self, name: str, data: bytes) -> str:
        """Replace what was read under a name; return the version that it has now."""
        if name not in self._tags:
            found = self.depot.head(name)
            self._tags[name] = found.tag if found is not None else ""
        known = self._tags.pop(name)
        self._tags[name] = tag = self.depot.replace(name, data, known) if known else self.depot.create(name, data)
        return tag

    def remove(self, path: Path) -> None:
        """Remove a file, there first; one that is gone already is fine."""
        name = self.name_of(path)
        if not path.name.startswith(TEMPORARY):
            try:
                self.depot.delete(name)
            except UnavailableError as error:  # removing is often done in passing, where an OSError may be let go
                raise OSError(5, error.message, str(path)) from error
            self._tags.pop(name, None)
        self._drop(name)

    def lease(self, timeout: float) -> str:
        """Take the store's lease, once its place was found to decide who is first; return who holds it, else nothing.

        Raises InputError, naming what failed, for a place that does not.
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
        """Raise InputError for a place in which two writers can both be first; it is tried once from here."""
        from esctl.storage.probe import probe

        mark = self.root.parent / "probed"
        if not mark.exists():
            probe(self.depot, self.url)
            mark.touch()

    def note_erasures(self, count: int) -> None:
        """Remove what is here of records and what was derived from them, where more erasures than before are known."""
        if count > self.erasures:
            self.purge(("log", "index", "snapshots"))
            (self.root.parent / _ERASURES).write_text(str(count))

    @property
    def erasures(self) -> int:
        """Return how many erasures are known."""
        known = _bytes(self.root.parent / _ERASURES).strip()
        return int(known) if known.isdigit() else 0

    def purge(self, folders: Sequence[str] = ()) -> None:
        """Remove what is here of some folders, or of all the store."""
        for each in [self.root / folder for folder in folders] or [self.root]:
            for folder, _, names in os.walk(each):
                for name in names:
                    if name == "lock" or name.startswith(TEMPORARY):
                        continue  # of those who write here now
                    self._drop((Path(folder) / name).relative_to(self.root).as_posix())
        if not folders:
            self._kept.clear()


def _is_replaced(name: str) -> bool:
    return name.rpartition("/")[2] in _REPLACED


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
