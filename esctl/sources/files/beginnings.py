"""Whether a stream is the beginning of what the log has of a known source, so that nothing of it is new.

A cursor has the digest of all that was read of its source and of its head. What a shorter stream would have to be is
in the log alone, so the log is asked (`Kept`): only where a longer source begins alike.
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
from esctl.sources.files.generations import COLUMNAR, HEAD_SIZE, Candidate, Known, digests, read_files
from esctl.sources.formats.detect import HEAD
from esctl.sources.names import generations
from esctl.sources.pieces import BLANKS
from esctl.sources.streams import ByteStream, Limits

_START = 256
"""Bytes behind a header that are kept as they are: shorter streams are found by them, and all others told apart."""
_MOST = 64
"""Sources that begin as a stream does, half of it at least, which are compared with it."""

_STEP = 8 << 20


class Kept(Protocol):
    """The bytes of the known sources, as the log has them."""

    def find(self, stream: bytes, own: Collection[str]) -> Iterable[str]:
        """Name the sources that may begin with a stream of less than HEAD_SIZE bytes.

        Of those whose first records were erased only the `own` ones.
        """

    def digest(self, name: str, size: int) -> str | None:
        """Return the SHA-256 (hex) of the first `size` bytes of a source; None where records of it were erased."""


class Firsts:
    """The first bytes of sources, by which a shorter stream finds those that may begin with it."""

    def __init__(self) -> None:
        self._starts: list[tuple[bytes, str]] = []  # sorted
        self._cuts: dict[tuple[int, int], dict[str, list[str]]] = {}  # by size of header and cut behind it: by digest

    def add(self, name: str, header: int, data: bytes) -> None:
        """Add the first bytes of a source, HEAD_SIZE or all of them; `header` of them are no record's."""
        insort(self._starts, (data[: header + _START], name))
        cuts = [1 << power for power in range(_START.bit_length() - 1, HEAD_SIZE.bit_length())]
        found = digests(data, [header + cut for cut in cuts])
        for cut in cuts:
            if header + cut in found:
                self._cuts.setdefault((header, cut), {}).setdefault(found[header + cut], []).append(name)

    def find(self, stream: bytes) -> list[str]:
        """Name the sources that begin with a stream, or with the half of it at least that was compared."""
        headers = {header for header, _ in self._cuts if header + _START <= len(stream)}
        places = [(header, 1 << ((len(stream) - header).bit_length() - 1)) for header in headers]
        found = digests(stream, {header + cut for header, cut in places})
        names = self._starting(stream)
        for header, cut in places:
            names += self._cuts.get((header, cut), {}).get(found[header + cut], [])
        return names

    def _starting(self, stream: bytes) -> list[str]:
        names: list[str] = []
        for start, name in islice(self._starts, bisect_left(self._starts, (stream, "")), None):
            if len(names) == _MOST or not start.startswith(stream):
                break
            names.append(name)
        return names


def begun(
    source: Source, stream: ByteStream, head: bytes, cursors: Mapping[str, Cursor], agrees: Callable[[FileCursor], bool]
) -> Candidate | None:
    """Return the known source that a file is the beginning of, and note so; None where there is none.

    `head` are the first bytes that were read of it, all of them where they are fewer than HEAD_SIZE. An unfinished last
    line is no less known for that.
    """
    known = cursors
    if not isinstance(known, Known) or known.kept is None or not source.reopenable or not head.strip(BLANKS):
        return None
    own = generations(source.name, known)
    is_sized = stream.size is not None and not stream.compressed
    least = max(len(head), stream.size or 0) if is_sized else len(head)
    longer = (one for one in _longer(head, known, known.kept, own) if one.cursor.offset > least)
    found = [one for one in longer if is_of_bytes(one.cursor) and agrees(one.cursor)]
    if not found:
        return None
    try:
        size, digest = _read_through(source, stream.limits)
    except InputError:  # it is damaged, which is said where it is read
        return None
    for one in sorted(found, key=lambda one: (one.name not in own, -one.cursor.offset, one.name))[:_MOST]:
        there = known.kept.digest(one.name, size) if one.cursor.offset > size else ""
        if there == digest:
            known.begun.append((source.name, one.name))
            return one
        if there is None:
            known.untold.append((source.name, one.name))
    return None


def is_new(source: Source, limits: Limits, known: Mapping[str, Cursor]) -> bool:
    """Return whether a file surely has nothing to do with any known source, by its name and its first bytes.

    Raises InputError where it cannot be read.
    """
    if not isinstance(known, Known) or known.kept is None or (own := generations(source.name, known)):
        return False
    stream = open_stream(source, limits)
    try:
        head = stream.read(HEAD)
    finally:
        stream.close()
    return bool(head.strip(BLANKS)) and not _longer(head, known, known.kept, own)


def _read_through(source: Source, limits: Limits) -> tuple[int, str]:
    stream, size, hashed = open_stream(source, limits), 0, sha256()
    try:
        while block := stream.read(_STEP):
            size += len(block)
            hashed.update(block)
    finally:
        stream.close()
    return size, hashed.hexdigest()


def _longer(head: bytes, known: Known, kept: Kept, own: Collection[str]) -> list[Candidate]:
    """List the sources that begin as a stream does, as far as that is told without comparing all of it."""
    names = {one.name: None for one in known.beginning(head[:HEAD_SIZE])}
    if len(head) < known.longest_head:
        names.update(dict.fromkeys(kept.find(head, own)))
    return read_files(names, known)


def is_of_bytes(cursor: Cursor | None) -> TypeGuard[FileCursor]:
    """Return whether a cursor counts bytes, which the records of its source are.

    A document that is one record has no beginning that is a record of it.
    """
    return isinstance(cursor, FileCursor) and cursor.format not in {*COLUMNAR, "json-document"} and cursor.records > 0
