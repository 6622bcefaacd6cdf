"""Whether a stream is the beginning of what the log has of a known source, so that nothing of it is new.

A cursor has two digests: of its source's head, and of all that was read of the source. Only the log can say what a
shorter stream would have to be, so the log is asked (`Kept`), but only if a longer source begins alike.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from itertools import islice
from typing import Protocol, TypeGuard

from esctl.errors import InputError
from esctl.model import Cursor, FileCursor
from esctl.sources.files.finding import Source, open_stream
from esctl.sources.files.generations import COLUMNAR, HEAD_SIZE, Candidate, KnownSources, digests, file_candidates
from esctl.sources.formats.detect import HEAD
from esctl.sources.names import generations
from esctl.sources.pieces import BLANKS
from esctl.sources.streams import ByteStream, Limits

_START_BYTES = 256
"""Bytes after a header that are kept as they are: a stream that ends in them is found by them, others by digests."""
_MOST_COMPARED = 64
"""The most sources that a stream is compared with, of those that begin with at least half of it."""

_STEP = 8 << 20


class Kept(Protocol):
    """The bytes of the known sources, as the log has them."""

    def find(self, stream: bytes, own: Collection[str]) -> Iterable[str]:
        """Return the names of the sources that may begin with a stream of less than HEAD_SIZE bytes.

        Sources whose first records were erased are left out, except the `own` ones.
        """

    def digest(self, name: str, size: int) -> str | None:
        """Return the SHA-256 (hex) of the first `size` bytes of a source, or None if records of it were erased."""


class Firsts:
    """The first bytes of sources, to find those that may begin with a shorter stream."""

    def __init__(self) -> None:
        self._starts: list[tuple[bytes, str]] = []  # sorted
        self._cuts: dict[tuple[int, int], dict[str, list[str]]] = {}  # (header, cut after it) -> digest -> names

    def add(self, name: str, header: int, data: bytes) -> None:
        """Add the first HEAD_SIZE bytes of a source (or all); the first `header` of them belong to no record."""
        insort(self._starts, (data[: header + _START_BYTES], name))
        cuts = [1 << power for power in range(_START_BYTES.bit_length() - 1, HEAD_SIZE.bit_length())]
        found = digests(data, [header + cut for cut in cuts])
        for cut in cuts:
            if header + cut in found:
                self._cuts.setdefault((header, cut), {}).setdefault(found[header + cut], []).append(name)

    def find(self, stream: bytes) -> list[str]:
        """Return the names of the sources that begin with a stream, or with the half of it that was compared."""
        headers = {header for header, _ in self._cuts if header + _START_BYTES <= len(stream)}
        places = [(header, 1 << ((len(stream) - header).bit_length() - 1)) for header in headers]
        found = digests(stream, {header + cut for header, cut in places})
        names = self._names_starting_with(stream)
        for header, cut in places:
            names += self._cuts.get((header, cut), {}).get(found[header + cut], [])
        return names

    def _names_starting_with(self, stream: bytes) -> list[str]:
        names: list[str] = []
        for start, name in islice(self._starts, bisect_left(self._starts, (stream, "")), None):
            if len(names) == _MOST_COMPARED or not start.startswith(stream):
                break
            names.append(name)
        return names


def find_longer(
    source: Source, stream: ByteStream, head: bytes, cursors: Mapping[str, Cursor], agrees: Callable[[FileCursor], bool]
) -> Candidate | None:
    """Return the known source that a file is the beginning of, and note the pair in `cursors`; None if there is none.

    `head` are the first bytes of the file, all of them if these are fewer than HEAD_SIZE. The file's last line may be
    unfinished.
    """
    known = cursors
    if not isinstance(known, KnownSources) or known.kept is None or not source.reopenable or not head.strip(BLANKS):
        return None
    own = generations(source.name, known)
    is_sized = stream.size is not None and not stream.compressed
    least = max(len(head), stream.size or 0) if is_sized else len(head)
    longer = (one for one in _list_longer(head, known, known.kept, own) if one.cursor.offset > least)
    found = [one for one in longer if is_of_bytes(one.cursor) and agrees(one.cursor)]
    if not found:
        return None
    try:
        size, digest = _read_through(source, stream.limits)
    except InputError:  # damaged, which is reported when the file is read
        return None
    for one in sorted(found, key=lambda one: (one.name not in own, -one.cursor.offset, one.name))[:_MOST_COMPARED]:
        there = known.kept.digest(one.name, size) if one.cursor.offset > size else ""
        if there == digest:
            known.begun.append((source.name, one.name))
            return one
        if there is None:
            known.maybe_begun.append((source.name, one.name))
    return None


def is_new(source: Source, limits: Limits, known: Mapping[str, Cursor]) -> bool:
    """Return whether the name and the first bytes of a file show that it has nothing to do with any known source.

    Raises InputError if the file cannot be read.
    """
    if not isinstance(known, KnownSources) or known.kept is None or (own := generations(source.name, known)):
        return False
    stream = open_stream(source, limits)
    try:
        head = stream.read(HEAD)
    finally:
        stream.close()
    return bool(head.strip(BLANKS)) and not _list_longer(head, known, known.kept, own)


def _read_through(source: Source, limits: Limits) -> tuple[int, str]:
    stream, size, hashed = open_stream(source, limits), 0, sha256()
    try:
        while block := stream.read(_STEP):
            size += len(block)
            hashed.update(block)
    finally:
        stream.close()
    return size, hashed.hexdigest()


def _list_longer(head: bytes, known: KnownSources, kept: Kept, own: Collection[str]) -> list[Candidate]:
    """List the sources that begin as a stream does, as far as their first bytes show."""
    names = {one.name: None for one in known.find_by_head(head[:HEAD_SIZE])}
    if len(head) < known.longest_head:
        names.update(dict.fromkeys(kept.find(head, own)))
    return file_candidates(names, known)


def is_of_bytes(cursor: Cursor | None) -> TypeGuard[FileCursor]:
    """Return whether a cursor counts bytes, and its source has records that consist of these bytes.

    False for a JSON document that is one record: its beginning is no record.
    """
    return isinstance(cursor, FileCursor) and cursor.format not in {*COLUMNAR, "json-document"} and cursor.records > 0
