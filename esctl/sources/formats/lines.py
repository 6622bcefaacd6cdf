"""JSON Lines: each line is a record, with its terminator and the blank lines before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from esctl.engine import native
from esctl.sources.feed import Bytes, Feed
from esctl.sources.formats.json.text import is_json
from esctl.sources.pieces import BLANKS, BOM, NEWLINE, NOWHERE, RETURN, Offsets, Piece, slices_of


class LineReader:
    """Cuts a feed into lines, about `size` bytes at a time, as Pieces.

    An unterminated last line is a record if it `is_whole` or `final`; else it stays unread, counted in `pending`.
    """

    def __init__(self, feed: Feed, size: int, final: bool, is_whole: Callable[[bytes], bool] = is_json) -> None:
        self.pending = 0
        self._feed = feed
        self._size = size
        self._final = final
        self._is_whole = is_whole

    def __iter__(self) -> Iterator[Piece]:
        feed = self._feed
        more = True
        while more:
            more = feed.fill(self._size)
            yield from self.cut_complete()
        if len(feed.window):
            yield from self._cut_last()

    def cut_complete(self) -> Iterator[Piece]:
        """Yield the complete lines in the feed's window. Raises InputError if one is over the limit."""
        feed = self._feed
        bounds = np.append(0, self._record_ends())
        fitting, too_long = feed.count_fitting(bounds[:-1], bounds[1:])
        if fitting:
            yield self._cut_at(bounds[: fitting + 1])
        if too_long:  # the lines before it are kept by now
            raise too_long
        feed.check_open()

    def _record_ends(self) -> Offsets:
        return record_ends(self._feed.window, self._feed.base)

    def _cut_at(self, bounds: Offsets) -> Piece:
        feed = self._feed
        raws = slices_of(feed.window, bounds)
        absolute = bounds + feed.base
        return Piece(raws, absolute[:-1], absolute[1:], int(absolute[-1]))

    def _cut_last(self) -> Iterator[Piece]:
        feed = self._feed
        rest = feed.window.tobytes()
        cut = rest.rfind(b"\n") + 1
        bom = len(BOM) if feed.base == 0 and cut == 0 and rest.startswith(BOM) else 0
        line = rest[cut + bom :]
        blank = not line.strip(BLANKS)
        if not blank and (self._final or self._is_whole(line)):
            yield self._cut_at(np.array([0, len(rest)], np.int64))
            return
        tail = rest if blank else rest[:cut]
        self.pending = len(rest) - len(tail)
        if tail:
            yield Piece(slices_of(feed.window, np.zeros(1, np.int64)), NOWHERE, NOWHERE, feed.base + len(tail), tail)


def record_ends(window: Bytes, base: int) -> Offsets:
    """Return the offsets where complete records of a window end; blank lines belong to the record after them."""
    if native.is_available():
        return native.record_ends(window, base == 0)
    newlines = np.flatnonzero(window == NEWLINE)
    if not len(newlines):
        return NOWHERE
    starts = np.empty_like(newlines)
    starts[0] = 0
    starts[1:] = newlines[:-1] + 1
    if base == 0 and window[: len(BOM)].tobytes() == BOM:
        starts[0] = len(BOM)
    blank = blank_lines(window, starts, newlines)
    ends = newlines + 1
    return ends if blank is None else ends[~blank]


def blank_lines(window: Bytes, starts: Offsets, newlines: Offsets) -> np.ndarray[tuple[int], np.dtype[np.bool_]] | None:
    """Return a mask of the lines [starts, newlines) that are JSON whitespace, or None if none is."""
    first = window[starts]
    suspects = np.flatnonzero(first <= 32)
    if not len(suspects):
        return None
    blank = np.zeros(len(starts), np.bool_)
    empty = (first[suspects] == NEWLINE) | ((first[suspects] == RETURN) & (newlines[suspects] == starts[suspects] + 1))
    blank[suspects[empty]] = True
    for index in suspects[~empty].tolist():
        blank[index] = not window[starts[index] : newlines[index]].tobytes().strip(BLANKS)
    return blank if blank.any() else None
