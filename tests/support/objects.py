"""Stores in objects, in this process's memory: read and written from several machines, and their faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from esctl.config import mirror_folders
from esctl.errors import UnavailableError
from esctl.storage import connecting, mirrors
from esctl.storage.objects import ObjectDepot

URL = "s3://memory/store"
CALLS = ("get", "get_ranges", "get_file", "head", "list", "folders", "create", "replace", "put_file", "delete")
CHANGES = ("create", "replace", "put_file", "delete")


class Crash(BaseException):
    """What ends a process: nothing catches it."""


class Watched:
    """A depot whose calls are counted, and of which one may fail: before it is carried out, or after."""

    def __init__(self, depot: ObjectDepot) -> None:
        self._depot = depot
        self.calls: list[tuple[str, str]] = []
        self.read: Counter[str] = Counter()
        self.fails_at = -1
        self.raised: Callable[[], BaseException] = lambda: UnavailableError("it does not answer")
        self.after = False
        self.before: Callable[[str, str], object] = lambda call, name: None

    def __getattr__(self, call: str) -> Any:
        method = getattr(self._depot, call)
        if call not in CALLS:
            return method

        def run(name: str, *arguments: Any, **named: Any) -> Any:
            changes = call in CHANGES
            self.calls.append((call, name))
            self.before(call, name)
            due = changes and len(self.changes()) - 1 == self.fails_at
            if due and not self.after:
                raise self.raised()
            found = method(name, *arguments, **named)
            if call == "list":
                self.read["listed"] += len(found)
            if due:
                raise self.raised()
            self._count(call, name, found, arguments)
            return found

        return run

    def changes(self) -> list[tuple[str, str]]:
        """List the calls that change something."""
        return [each for each in self.calls if each[0] in CHANGES]

    def _count(self, call: str, name: str, found: Any, arguments: Sequence[Any]) -> None:
        if call == "get" and found is not None:
            self.read["bytes"] += len(found[0])
        elif call == "get_ranges":
            self.read["bytes"] += sum(map(len, found))
        elif call == "get_file":
            self.read["bytes"] += arguments[0].stat().st_size
        self.read["requests"] += _requests(arguments[0]) if call == "get_ranges" else 1

    def clear(self) -> None:
        """Count from here on."""
        self.calls.clear()
        self.read.clear()


def _requests(ranges: Sequence[tuple[int, int]]) -> int:
    """Count the requests that read ranges: one for those that lie close together."""
    from esctl.storage.objects import _APART

    count, end = 0, -1
    for start, length in sorted(ranges):
        count += end < 0 or start - end > _APART
        end = max(end, start + length)
    return count


class World:
    """One bucket in memory, and machines that each have a cache of their own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import obstore

        self.objects = obstore.store.MemoryStore()
        self._api: Any = obstore
        self.folder, self._patch = folder, monkeypatch
        self.name = "one"
        self.depot = Watched(ObjectDepot(self.objects, URL))
        monkeypatch.setattr(connecting, "connect", lambda url: self.depot)

    def machine(self, name: str = "one", *, probed: bool = True) -> Path:
        """Work on a machine from now on; gives the store's mirror there."""
        self.name = name
        self._patch.setenv("XDG_CACHE_HOME", str(self.folder / name))
        self._patch.setattr(connecting, "located", self._located)
        self._patch.setattr("esctl.store.located", self._located)
        root = self._located(URL)
        self.depot = mirrors.mirror_of(root).depot  # type: ignore[union-attr,assignment]
        if probed:
            (root.parent / "probed").touch()
        return root

    def _located(self, given: str | Path, apart: str = "") -> Path:
        if str(given) != URL:
            return Path(given)
        root = connecting.mirrors_folder() / f"it{apart}" / "store"
        if not mirrors.is_registered(root):
            connecting.attach(root, URL, Watched(ObjectDepot(self.objects, URL)))
        return root

    def names(self) -> list[str]:
        """List all objects."""
        return sorted(about["path"] for batch in self._api.list(self.objects) for about in batch)

    def download(self, folder: Path) -> Path:
        """Write the store into a folder of this machine."""
        for name in self.names():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.content(name))
        return folder

    def upload(self, folder: Path) -> None:
        """Put a store of this machine into objects."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self._api.put(self.objects, path.relative_to(folder).as_posix(), path.read_bytes())

    def content(self, name: str) -> bytes:
        """Return an object."""
        return bytes(self._api.get(self.objects, name).bytes())

    def put(self, name: str, data: bytes) -> None:
        """Make an object."""
        self._api.put(self.objects, name, data)

    def flip(self, name: str, at: int) -> None:
        """Change one byte of an object."""
        data = bytearray(self.content(name))
        data[at] ^= 1
        self.put(name, bytes(data))


def forget_machines() -> None:
    """Let no folder be a mirror any more."""
    for root in list(mirrors._MIRRORS):
        mirrors.unregister(root)
    mirror_folders.clear()


def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a world, and forget its machines."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield World(tmp_path, monkeypatch)
    forget_machines()
