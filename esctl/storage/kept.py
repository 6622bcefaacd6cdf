"""Which parts of which files a mirror has: lists of ranges, in a folder next to the mirror."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from threading import Lock

WHOLE = (0, 1 << 63)
"""The range that is noted for a file that is here whole."""
Span = tuple[int, int]


class Kept:
    """The ranges of a mirror's files that are here, a list per file. Several processes may add to one list."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._known: dict[str, list[Span]] = {}

    def has(self, name: str, start: int, end: int) -> bool:
        """Return whether the bytes [start, end) of a file are here."""
        with self._lock:
            if _covered(self._known.get(name, ()), start, end):
                return True
            self._known[name] = spans = self._read(name)
            return _covered(spans, start, end)

    def add(self, name: str, start: int, end: int) -> None:
        """Note that the bytes [start, end) of a file are here."""
        with self._lock:
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(f"{start} {end}\n")
            self._known.setdefault(name, []).append((start, end))

    def drop(self, name: str) -> None:
        """Note that nothing of a file is here any more."""
        with self._lock:
            self._known.pop(name, None)
            for path in (self._path(name), self._path(f"{name}.tag")):
                with suppress(FileNotFoundError):
                    path.unlink()

    def clear(self) -> None:
        """Note that nothing is here any more, and forget all tags."""
        with self._lock:
            self._known.clear()
            for folder, _, names in os.walk(self._folder):
                for name in names:
                    with suppress(FileNotFoundError):
                        (Path(folder) / name).unlink()

    def tag(self, name: str) -> str:
        """Return what `set_tag` noted about a file as it is here; empty if nothing was noted."""
        try:
            return self._path(f"{name}.tag").read_text()
        except FileNotFoundError:
            return ""

    def set_tag(self, name: str, tag: str) -> None:
        """Note something about a file as it is here, such as its version or digest."""
        path = self._path(f"{name}.tag")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(tag)

    def touch(self, name: str) -> None:
        """Note that a file is in use."""
        with suppress(OSError):
            os.utime(self._path(name))

    def _read(self, name: str) -> list[Span]:
        try:
            lines = self._path(name).read_text().splitlines()
            return [(int(start), int(end)) for start, _, end in (line.partition(" ") for line in lines)]
        except (FileNotFoundError, ValueError):
            return []

    def _path(self, name: str) -> Path:
        return self._folder / name


def _covered(spans: list[Span] | tuple[()], start: int, end: int) -> bool:
    """Return whether the spans together cover [start, end)."""
    for first, last in sorted(spans):
        if first <= start < last:
            start = last
        if start >= end:
            return True
    return start >= end
