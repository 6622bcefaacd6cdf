"""Digests of the parts of a Parquet file, by which just the parts to be read are checked first."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.errors import InputError
from esctl.storage.local import open_here
from esctl.storage.mirrors import mirror_of

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_AT_ONCE = 16
"""Files whose parts are fetched at the same time."""
_MANY_BYTES = 8 << 20
"""Bytes from which on it pays to hash on all cores."""


class ByteRange(Struct, frozen=True):
    """A part of a file and its SHA-256. The ranges of a file cover it in order, without gaps."""

    offset: int
    bytes: int
    sha256: str


def parquet_ranges(path: Path, metadata: pq.FileMetaData) -> tuple[ByteRange, ...]:
    """Return the ranges of a Parquet file: each row group, then the footer. Raises OSError."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    ends = [max(map(_end_of_column, (group.column(i) for i in range(group.num_columns)))) for group in groups]
    with path.open("rb") as file:
        bounds = [0, *ends, os.fstat(file.fileno()).st_size]
        return tuple(
            ByteRange(start, end - start, hashlib.sha256(os.pread(file.fileno(), end - start, start)).hexdigest())
            for start, end in pairwise(bounds)
        )


def _end_of_column(column: pq.ColumnChunkMetaData) -> int:
    first = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
    return int(min(first, column.data_page_offset) + column.total_compressed_size)


class Checked:
    """The parts of immutable files that were already found to match their digests."""

    def __init__(self) -> None:
        self._known: set[tuple[Path, ByteRange, int]] = set()

    def require(self, path: Path, size: int, ranges: Iterable[ByteRange], hint: str) -> None:
        """Check parts of a file of `size` bytes against their digests. Raises InputError, naming the file."""
        made = _inode_of(path)
        wanted = [part for part in ranges if (path, part, made) not in self._known]
        if wanted:
            require(path, size, wanted, hint)
            made = _inode_of(path)
            self._known.update((path, part, made) for part in wanted)

    def require_all(self, parts: Sequence[tuple[Path, int, Sequence[ByteRange]]], hint: str) -> None:
        """Check parts of several files (path, size, ranges), in parallel if they are kept elsewhere."""
        if len(parts) > 1 and mirror_of(parts[0][0], links=True):
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(_AT_ONCE, "fetch") as pool:
                list(pool.map(lambda part: self.require(part[0], part[1], part[2], hint), parts))
            return
        for path, size, ranges in parts:
            self.require(path, size, ranges, hint)


def _inode_of(path: Path) -> int:
    """Return a number that changes when a file of a mirror is dropped and made again; 0 for any other file."""
    mirror = mirror_of(path, links=True)
    return mirror.inode_of(path) if mirror else 0


def require(path: Path, size: int, ranges: Sequence[ByteRange], hint: str) -> None:
    """Check parts of a file of `size` bytes against their digests. Raises InputError, naming the file."""
    if message := damage(path, size, ranges):
        raise InputError(f"{path}: {message}", hint)


def damage(path: Path, size: int, ranges: Sequence[ByteRange]) -> str:
    """Return what is wrong with these parts of a file of `size` bytes; empty if nothing is."""
    try:
        descriptor = open_parts(path, size, links=True)
        try:
            return damage_at(path, descriptor, size, ranges)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"


def open_parts(path: Path, size: int, *, links: bool = False) -> int:
    """Open a file whose parts `damage_at` will check before they are read; return its descriptor.

    Raises OSError, FileNotFoundError if it is missing; for one kept elsewhere, `damage_at` raises that.
    """
    if mirror := mirror_of(path, links=True):
        mirror.prepare(path, size)
    return open_here(path, links=links)


def damage_at(path: Path, descriptor: int, size: int, ranges: Sequence[ByteRange]) -> str:
    """Return what is wrong with these parts of an open file, fetching those kept elsewhere; empty if nothing is.

    Raises FileNotFoundError if it is missing there.
    """
    message = ""
    mirror = mirror_of(path, links=True)
    for again in (False, True) if mirror else ():
        assert mirror is not None
        if (odd := mirror.require(path, size, ranges, again=again)) is not None:
            return _describe_damage(odd)
        if not (message := damage_in(descriptor, size, ranges)):
            return ""
    return message if mirror else damage_in(descriptor, size, ranges)


def _describe_damage(odd: ByteRange) -> str:
    return f"bytes {odd.offset:,} to {odd.offset + odd.bytes - 1:,} are not those that were written"


def damage_in(descriptor: int, size: int, ranges: Sequence[ByteRange]) -> str:
    """Return what is wrong with these parts of an open file, which may be unlinked by now; empty if nothing is."""
    try:
        found = os.fstat(descriptor).st_size
        if found != size:
            return f"it has {found:,} bytes, {size:,} were written"
        odd = _first_damaged(descriptor, ranges)
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    return "" if odd is None else _describe_damage(odd)


def _first_damaged(descriptor: int, ranges: Sequence[ByteRange]) -> ByteRange | None:
    def differs(part: ByteRange) -> bool:
        return hashlib.sha256(os.pread(descriptor, part.bytes, part.offset)).hexdigest() != part.sha256

    if sum(part.bytes for part in ranges) < _MANY_BYTES:
        return next(filter(differs, ranges), None)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        odd = list(pool.map(differs, ranges))
    return next((part for part, wrong in zip(ranges, odd, strict=True) if wrong), None)
