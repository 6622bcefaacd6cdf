"""The segments of a log, as commits name them: in memory, or in parts of a summary that are read when needed.

A log of ten billion records has 200 MB of names and digests of segments, and most questions need none of them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import overload

from msgspec import Struct
from msgspec.structs import replace

from esctl.log.ranges import ByteRange

SEGMENT_NAME = re.compile(r"(\d{20})-(\d{20})\.[0-9a-f]{8}\.parquet", re.ASCII)


class SegmentEntry(Struct, frozen=True):
    """One segment as a commit names it. Positions are inclusive, times microseconds since the epoch (UTC)."""

    file: str
    size: int  # of the file, in bytes
    sha256: str
    first: int
    last: int
    min_recorded_at: int
    max_recorded_at: int
    ranges: tuple[ByteRange, ...]  # its row groups in order, then its footer
    blocks: tuple[bytes, ...] = ()  # roots of the aligned 4,096-leaf blocks whose last leaf is in here

    def with_blocks(self, blocks: tuple[bytes, ...]) -> SegmentEntry:
        """Return the same entry with these block roots."""
        return replace(self, blocks=blocks)


class SegmentPart(Struct, frozen=True):
    """Consecutive segments that are listed in a file of their own, which a summary names."""

    file: str
    bytes: int
    sha256: str
    first: int  # positions
    last: int
    count: int
    size: int  # of the segments' files, in bytes
    names: str  # SHA-256 of their names, in order


Chunk = SegmentPart | tuple[SegmentEntry, ...]


class PartedSegments(Sequence[SegmentEntry]):
    """Segments, some of them in parts: a part is read when needed, and checked against its digest."""

    __slots__ = ("chunks", "path")

    def __init__(self, path: Path, chunks: Sequence[Chunk]) -> None:
        self.path = path
        self.chunks = tuple(chunks)

    def read(self, chunk: Chunk) -> tuple[SegmentEntry, ...]:
        """Return the segments of a chunk. Raises InputError, naming its file, if that is damaged."""
        if not isinstance(chunk, SegmentPart):
            return chunk
        from esctl.log.commits import read_part

        return read_part(self.path, chunk)

    def __iter__(self) -> Iterator[SegmentEntry]:
        return chain.from_iterable(map(self.read, self.chunks))

    def __len__(self) -> int:
        return sum(chunk.count if isinstance(chunk, SegmentPart) else len(chunk) for chunk in self.chunks)

    @overload
    def __getitem__(self, at: int) -> SegmentEntry: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[SegmentEntry]: ...
    def __getitem__(self, at: int | slice) -> SegmentEntry | Sequence[SegmentEntry]:
        return tuple(self)[at]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(SegmentEntry.__eq__, self, other))

    def __hash__(self) -> int:
        return hash(len(self))


def chunks_of(segments: Sequence[SegmentEntry]) -> tuple[Chunk, ...]:
    """Return segments as chunks, without reading a part."""
    return segments.chunks if isinstance(segments, PartedSegments) else (tuple(segments),)


def join_chunks(path: Path, chunks: Sequence[Chunk]) -> Sequence[SegmentEntry]:
    """Return the segments of chunks in the store at `path`: a tuple if no chunk is a part."""
    if any(isinstance(chunk, SegmentPart) for chunk in chunks):
        return PartedSegments(path, [chunk for chunk in chunks if chunk])
    return tuple(chain.from_iterable(chunk for chunk in chunks if not isinstance(chunk, SegmentPart)))


def segments_in(segments: Sequence[SegmentEntry], first: int, last: int) -> tuple[SegmentEntry, ...]:
    """Return the segments that hold positions [first, last], in order; reads only parts that hold some of them."""
    near = _segments_near(segments, first, last)
    return tuple(segment for segment in near if segment.first <= last and segment.last >= first)


def _segments_near(segments: Sequence[SegmentEntry], first: int, last: int) -> Iterable[SegmentEntry]:
    if not isinstance(segments, PartedSegments):
        return segments
    parts = (chunk for chunk in segments.chunks if not _is_outside(chunk, first, last))
    return chain.from_iterable(map(segments.read, parts))


def _is_outside(chunk: Chunk, first: int, last: int) -> bool:
    return isinstance(chunk, SegmentPart) and (chunk.first > last or chunk.last < first)


def begun_by(segments: Sequence[SegmentEntry], position: int) -> Sequence[SegmentEntry]:
    """Return the segments that begin at or before a position."""
    if not isinstance(segments, PartedSegments):
        return tuple(segment for segment in segments if segment.first <= position)
    chunks: list[Chunk] = []
    for chunk in segments.chunks:
        if isinstance(chunk, SegmentPart) and chunk.last <= position:
            chunks.append(chunk)
        elif not _is_outside(chunk, 1, position):
            chunks.append(tuple(segment for segment in segments.read(chunk) if segment.first <= position))
    return join_chunks(segments.path, chunks)


def bytes_of(segments: Sequence[SegmentEntry]) -> int:
    """Return the bytes of the segments' files, without reading a part."""
    return sum(
        chunk.size if isinstance(chunk, SegmentPart) else sum(segment.size for segment in chunk)
        for chunk in chunks_of(segments)
    )


def digest_of_names(names: Iterable[str]) -> str:
    """Return the digest of the names of segments, in order."""
    return sha256("\n".join(names).encode()).hexdigest()


def find_unnamed(segments: Sequence[SegmentEntry], names: Iterable[str]) -> set[str]:
    """Return the names of segment files that belong to none of the segments.

    A part is read only if the names at its positions are not exactly its own.
    """
    listed = sorted(name for name in names if SEGMENT_NAME.fullmatch(name))
    left, firsts = set(listed), [int(name[:20]) for name in listed]
    for chunk in chunks_of(segments):
        if isinstance(chunk, SegmentPart):
            there = listed[bisect_right(firsts, chunk.first - 1) : bisect_right(firsts, chunk.last)]
            if digest_of_names(there) == chunk.names:
                left.difference_update(there)
                continue
        held = segments.read(chunk) if isinstance(segments, PartedSegments) else segments
        left.difference_update(segment.file for segment in held)
    return left


def check_dense(segments: Sequence[SegmentEntry | SegmentPart], head: int, before: int = 0) -> None:
    """Raise ValueError unless the segments cover the positions (before, head], each once."""
    reached = before
    for segment in segments:
        if segment.first != reached + 1:
            raise ValueError(f"position {reached + 1} is not in {segment.file}, which comes next")
        reached = segment.last
    if reached != head:
        raise ValueError(f"the segments end at position {reached}, the tree at {head}")


class GrowingSegments:
    """Segments that commits add to and replace. A part is read only when a segment in it is replaced."""

    def __init__(self, path: Path, segments: Sequence[SegmentEntry]) -> None:
        self._path = path
        self._chunks = [part if isinstance(part, SegmentPart) else list(part) for part in chunks_of(segments)]
        if not self._chunks or isinstance(self._chunks[-1], SegmentPart):
            self._chunks.append([])

    def done(self) -> Sequence[SegmentEntry]:
        """Return the segments after all changes so far."""
        chunks = [part if isinstance(part, SegmentPart) else tuple(part) for part in self._chunks]
        return join_chunks(self._path, chunks)

    def append(self, entries: Sequence[SegmentEntry]) -> None:
        """Add segments at the end."""
        tail = self._chunks[-1]
        assert isinstance(tail, list)
        tail.extend(entries)

    def replace(self, names: Sequence[str], entries: Sequence[SegmentEntry]) -> None:
        """Replace the named segments by others. Raises ValueError if one is missing or the positions differ."""
        gone = set(names)
        self._open(gone)
        left, placed = len(gone), 0
        for chunk in self._chunks:
            if isinstance(chunk, SegmentPart) or gone.isdisjoint(segment.file for segment in chunk):
                continue
            first, last = chunk[0].first, chunk[-1].last
            kept = [segment for segment in chunk if segment.file not in gone]
            left -= len(chunk) - len(kept)
            come = [entry for entry in entries if first <= entry.first <= last]
            placed += len(come)
            chunk[:] = sorted([*kept, *come], key=lambda segment: segment.first)
            check_dense(chunk, last, first - 1)
        if left or placed != len(entries):
            raise ValueError("only segments that are there can be replaced, and by the same records")

    def _open(self, names: set[str]) -> None:
        """Read the parts that hold segments of these names, and join neighbouring lists into one."""
        firsts = [int(name[:20]) for name in names if SEGMENT_NAME.fullmatch(name)]
        opened: list[SegmentPart | list[SegmentEntry]] = []
        for chunk in self._chunks:
            if isinstance(chunk, SegmentPart):
                if not any(chunk.first <= first <= chunk.last for first in firsts):
                    opened.append(chunk)
                    continue
                chunk = list(PartedSegments(self._path, ()).read(chunk))
            if opened and isinstance(opened[-1], list):
                opened[-1].extend(chunk)
            else:
                opened.append(chunk)
        self._chunks = opened
