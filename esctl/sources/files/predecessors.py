"""The generations of a followed file that came and went between two looks: found next to it, or noted as missing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import EsctlError
from esctl.model import Cursor
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import LINES, SourceOptions, read
from esctl.sources.files.rotated import FileId, Look, Sibling, is_known, list_siblings, look_at, missing_names
from esctl.sources.names import generations
from esctl.sources.protocol import Delivery

_EARLIER = 1_000_000_000
"""Nanoseconds that a file's times may be behind the clock."""

NamedDeliveries = Generator[Delivery, None, str]
"""The deliveries of a file; the generator returns the name of their source."""


class LeftFile(Struct, frozen=True):
    """The file that had the name before: its source, its place if it was moved, its last modification (ns)."""

    name: str
    file_id: FileId | None
    written: int


class Predecessors:
    """The files that had a name before the file that has it now.

    `take` reads an uncompressed one to its end, and may keep it open for what is still added. After `look`, the folder
    is listed only when another file has taken the name.
    """

    def __init__(self, path: Path, name: str, options: SourceOptions, note: Callable[[str], None]) -> None:
        self._path = path
        self._name = name
        self._options = replace(options, input_format=LINES)
        self._note = note
        self._looks: dict[FileId, Look] | None = None
        self._started = time.time_ns() - _EARLIER

    def look(self) -> None:
        """Remember, once, which files are there now: these are no successors of the followed file."""
        if self._looks is None:
            self._looks = look_at(list_siblings(self._path))

    def read_since(
        self, left: LeftFile | None, now: FileId, cursors: Mapping[str, Cursor], take: Callable[[Path], NamedDeliveries]
    ) -> Iterator[Delivery]:
        """Yield the records of the generations after `left` and before the file `now`, the oldest first.

        `left` is None if there was no file at the first look. Writes a note if records may be missing.
        """
        place = None if left is None else left.file_id
        found = [each for each in list_siblings(self._path, place) if each.file_id != now]
        looks = self._looks or {}
        written = self._started if left is None else left.written
        fresh = [
            each for each in found if each.written >= written and not is_known(each, looks) and each.file_id != place
        ]
        names = yield from self._read_each(fresh, cursors, take)
        if left is not None:
            was_left = (each for each in found if each.file_id == place or names.get(each) == left.name)
            self._note_missing(found, next(was_left, None))
        self._looks = look_at(list_siblings(self._path))

    def resume(
        self, now: FileId, cursors: Mapping[str, Cursor], take: Callable[[Path], NamedDeliveries]
    ) -> Iterator[Delivery]:
        """Yield the records from the newest known generation on, if another file has its name by now."""
        found = [each for each in list_siblings(self._path) if each.file_id != now]
        last = generations(self._name, cursors)[-1]
        left = next((each for each in reversed(found) if self._source_of(each, cursors) == last), None)
        if left is not None:
            yield from self._read_each(found[found.index(left) :], cursors, take)
        self._note_missing(found, left)
        self._looks = look_at(list_siblings(self._path))

    def _source_of(self, each: Sibling, cursors: Mapping[str, Cursor]) -> str:
        try:
            reading = read(Source(self._name, each.path), self._options, cursors)
        except EsctlError:
            return ""
        reading.close()
        return reading.name

    def _read_each(
        self, wanted: Iterable[Sibling], cursors: Mapping[str, Cursor], take: Callable[[Path], NamedDeliveries]
    ) -> Generator[Delivery, None, dict[Sibling, str]]:
        names = {}
        for each in wanted:
            try:
                names[each] = yield from (self._read_packed(each.path, cursors) if each.is_packed else take(each.path))
            except EsctlError as error:
                self._note(f"{each.path.name}: its records may be missing: {error}")
        return names

    def _read_packed(self, path: Path, cursors: Mapping[str, Cursor]) -> NamedDeliveries:
        reading = read(Source(self._name, path), self._options, cursors)
        yield from reading
        return reading.name

    def _note_missing(self, found: list[Sibling], left: Sibling | None) -> None:
        if left is None:
            self._note(
                f"{self._name}: what it was when last looked at is not beside it any more: "
                "what was added since, or files that had its name in between, may be missing"
            )
        elif gone := missing_names(found, left):
            self._note(f"{', '.join(gone)} is not there: its records may be missing")


def file_id_of(descriptor: int) -> FileId:
    """Return the device and inode of an open file."""
    there = os.fstat(descriptor)
    return there.st_dev, there.st_ino
