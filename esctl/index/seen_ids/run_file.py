"""Runs: files of sorted hashes, each with its position, of which a lookup reads only the blocks that it needs.

A run of n hashes is, little-endian and without gaps: n hashes (uint64, ascending); n places (uint32: position less the
run's base); then three arrays with one entry per block of 512 hashes: its first hash (uint64), the CRC-32 of its
hashes, that of its places (uint32 each). The manifest has the SHA-256 of these three, so a lookup checks only its
blocks.
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from esctl.index.files.manifest import IdRun
from esctl.index.files.write import explain_write_errors
from esctl.storage.local import open_plain, staged

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
HashedIds = tuple[Hashes, Positions]
"""Hashes in ascending order, each with the position of its event."""

BLOCK = 512
SUFFIX = ".ids"
GROUP = 256
"""Blocks that a lookup searches at once."""
_PARTITION = 1 << 20
"""Hashes of the largest run that a merge holds in memory at once."""
_HASH, _PLACE = np.dtype("<u8"), np.dtype("<u4")
FARTHEST = 1 << 32
"""Positions that one run can span."""


class DamagedRunError(Exception):
    """A run is missing, or is not what was written."""

    def __init__(self, run: IdRun) -> None:
        super().__init__(run.file)
        self.run = run


class OpenRun:
    """A run mapped into memory. Opening it, and every lookup, raises DamagedRunError if it is not what was written."""

    def __init__(self, folder: Path, run: IdRun) -> None:
        self.run = run
        blocks = -(-run.count // BLOCK)
        try:
            with open(open_plain(folder / run.file, links=True), "rb") as file:
                data = np.asarray(np.memmap(file, np.uint8, "r"))
        except (OSError, ValueError) as error:
            raise DamagedRunError(run) from error
        ends = np.cumsum([0, run.count * 8, run.count * 4, blocks * 8, blocks * 4, blocks * 4]).tolist()
        if len(data) != ends[-1] or hashlib.sha256(data[ends[2] :].data).hexdigest() != run.tail:
            raise DamagedRunError(run)
        self.hashes: Hashes = data[: ends[1]].view(_HASH)
        self._places = data[ends[1] : ends[2]].view(_PLACE)
        self._fence: Hashes = np.array(data[ends[2] : ends[3]].view(_HASH))
        self._data = [data[: ends[1]].data, data[ends[1] : ends[2]].data]
        self._sums = [data[ends[i] : ends[i + 1]].view(_PLACE) for i in (3, 4)]
        self._sound: list[Mask] = [np.zeros(blocks, np.bool_) for _ in self._sums]

    def find(self, needles: Hashes) -> tuple[Mask, Positions]:
        """Look up hashes (ascending, distinct): return a mask of those found, and the positions of all matches."""
        first = np.maximum(np.searchsorted(self._fence, needles) - 1, 0)
        last = np.maximum(np.searchsorted(self._fence, needles, side="right") - 1, 0)
        self._check(0, self._covered(first, last))
        hit = np.zeros(len(needles), np.bool_)
        rows = [np.empty(0, np.int64)]
        # Some blocks at a time, so that a search stays in the processor's cache.
        for group in np.unique(np.concatenate([first, last]) // GROUP).tolist():
            start = int(np.searchsorted(last, group * GROUP))
            stop = int(np.searchsorted(first, (group + 1) * GROUP))
            base = group * GROUP * BLOCK
            found = _matches(self.hashes[base : base + GROUP * BLOCK], needles[start:stop], hit[start:stop])
            rows.append(found + base)
        return hit, self._positions(np.concatenate(rows))

    def bounds(self, keys: Hashes) -> list[int]:
        """Return for each key the row of the first hash that is not below it; the whole run is checked first."""
        for part in (0, 1):
            self._check(part, np.ones(len(self._fence), np.bool_))
        return [int(row) for row in np.searchsorted(self.hashes, keys)]

    def between(self, low: int, high: int) -> Hashes:
        """Return the hashes in [low, high). Only the blocks that they are in are checked."""
        start, stop = self._row(low), self._row(high)
        wanted = np.zeros(len(self._fence), np.bool_)
        wanted[start // BLOCK : -(-stop // BLOCK)] = True
        self._check(0, wanted)
        return self.hashes[start:stop]

    def _row(self, key: int) -> int:
        """Return the row of the first hash that is not below a key, confirmed by its neighbours in checked blocks."""
        if key >> 64:
            return self.run.count
        row = int(np.searchsorted(self.hashes, np.uint64(key)))
        neighbours = [at for at in (row - 1, row) if 0 <= at < self.run.count]
        wanted = np.zeros(len(self._fence), np.bool_)
        wanted[[at // BLOCK for at in neighbours]] = True
        self._check(0, wanted)
        if any((int(self.hashes[at]) < key) != (at < row) for at in neighbours):
            raise DamagedRunError(self.run)
        return row

    def rows(self, start: int, stop: int) -> HashedIds:
        """Return the hashes and positions of some rows."""
        return self.hashes[start:stop], self._places[start:stop].astype(np.int64) + self.run.base

    def _covered(self, first: Positions, last: Positions) -> Mask:
        """Return a mask of the blocks that are in any of these ranges."""
        changes = np.bincount(first, minlength=len(self._fence) + 1) - np.bincount(
            last + 1, minlength=len(self._fence) + 1
        )
        return np.cumsum(changes[:-1]) > 0

    def _positions(self, rows: Positions) -> Positions:
        wanted = np.zeros(len(self._fence), np.bool_)
        wanted[rows // BLOCK] = True
        self._check(1, wanted)
        return self._places[rows].astype(np.int64) + self.run.base

    def _check(self, part: int, wanted: Mask) -> None:
        data, sums, sound = self._data[part], self._sums[part], self._sound[part]
        size = BLOCK * (_HASH, _PLACE)[part].itemsize
        for block in np.flatnonzero(wanted & ~sound).tolist():
            if zlib.crc32(data[block * size : (block + 1) * size]) != sums[block]:
                raise DamagedRunError(self.run)
            sound[block] = True


def ascending(hashes: Hashes) -> Positions:
    """Return the order of rows that sorts hashes; equal ones, which are rare, keep their order."""
    order = np.argsort(hashes)  # half the time of a stable sort
    found = hashes[order]
    return np.argsort(hashes, kind="stable") if (found[1:] == found[:-1]).any() else order


def _matches(hashes: Hashes, needles: Hashes, hit: Mask) -> Positions:
    """Return the rows of hashes that are among the needles (both ascending), and set `hit` for those needles."""
    if len(hashes) <= len(needles):
        at = np.minimum(np.searchsorted(needles, hashes), len(needles) - 1)
        rows = np.flatnonzero(needles[at] == hashes)
        hit[at[rows]] = True
        return rows
    start = np.searchsorted(hashes, needles)
    found = hashes[np.minimum(start, len(hashes) - 1)] == needles
    hit |= found
    if not found.any():
        return np.empty(0, np.int64)
    start = start[found]
    counts = np.searchsorted(hashes, needles[found], side="right") - start
    before = np.cumsum(counts) - counts
    return np.repeat(start - before, counts) + np.arange(counts.sum())


class RunKey(Struct, frozen=True):
    """The hash function that a run was made by, and the positions that it covers."""

    made_by: str
    first: int
    last: int


def write_run(folder: Path, key: RunKey, pieces: Iterable[HashedIds], count: int) -> IdRun:
    """Write a run of `count` sorted hashes, given in pieces. Raises InputError if the folder cannot be written.

    A run without hashes has no file.
    """
    if not count:
        return IdRun("", 0, "", "", 0, key.first, key.first, key.last, key.made_by)
    name = f"{key.first:020d}-{key.last:020d}.{secrets.token_hex(4)}{SUFFIX}"
    size = count * (_HASH.itemsize + _PLACE.itemsize)
    with explain_write_errors(folder), staged(folder / name) as temporary:
        with temporary.open("r+b") as hashes, temporary.open("r+b") as places:
            places.seek(count * _HASH.itemsize)
            for hashed, positions in pieces:
                hashes.write(hashed.astype(_HASH, copy=False).data)
                places.write((positions - key.first).astype(_PLACE).data)
        if temporary.stat().st_size != size:
            raise ValueError(f"a run of {count} hashes was given others")
        tail = _tail(temporary, count)
        with temporary.open("ab") as file:
            file.write(tail)
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    about_tail = hashlib.sha256(tail).hexdigest()
    return IdRun(name, size + len(tail), digest, about_tail, count, key.first, key.first, key.last, key.made_by)


def _tail(path: Path, count: int) -> bytes:
    data = np.asarray(np.memmap(path, np.uint8, "r"))
    hashes, places = data[: count * 8], data[count * 8 :]
    sums = [
        np.array([zlib.crc32(part[at : at + step]) for at in range(0, len(part), step)], _PLACE)
        for part, step in ((hashes.data, BLOCK * 8), (places.data, BLOCK * 4))
    ]
    return hashes.view(_HASH)[::BLOCK].tobytes() + sums[0].tobytes() + sums[1].tobytes()


def merge_runs(folder: Path, runs: Sequence[OpenRun], key: RunKey | None = None) -> IdRun:
    """Merge neighbouring runs into one, in bounded memory. Raises as `OpenRun` and `write_run` do.

    `key` says what the merged run covers, if that is not just what the runs cover.
    """
    held = [run for run in runs if run.run.count]
    key = key or RunKey(runs[0].run.made_by, runs[0].run.first, runs[-1].run.last)
    return write_run(folder, key, _merge_rows(held) if held else (), sum(run.run.count for run in held))


def runs_repeating(runs: Sequence[OpenRun], low: int, high: int) -> list[int]:
    """Return the numbers of the runs that share a hash in [low, high) with an earlier one."""
    parts = [run.between(low, high) for run in runs]
    hashes = np.concatenate(parts) if parts else np.empty(0, np.uint64)
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = ascending(hashes)
    hashes, owners = hashes[order], owners[order]
    again = (hashes[1:] == hashes[:-1]) & (owners[1:] != owners[:-1])
    return sorted(set(owners[1:][again].tolist()))


def _merge_rows(runs: Sequence[OpenRun]) -> Iterator[HashedIds]:
    largest = max(runs, key=lambda run: run.run.count)
    cuts = largest.hashes[_PARTITION::_PARTITION]
    bounds = [[0, *run.bounds(cuts), run.run.count] for run in runs]
    for part in range(len(cuts) + 1):
        rows = [run.rows(bound[part], bound[part + 1]) for run, bound in zip(runs, bounds, strict=True)]
        hashes, positions = (np.concatenate([row[i] for row in rows]) for i in (0, 1))
        order = ascending(hashes)
        yield hashes[order], positions[order]
