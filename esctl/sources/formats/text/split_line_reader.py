"""Lines that a container runtime cut into parts: the parts of one line are one record."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from esctl.sources.feed import Feed
from esctl.sources.formats.lines import LineReader, record_ends
from esctl.sources.formats.text.split_lines import are_parts, is_part
from esctl.sources.pieces import Offsets, Piece, slices_of


class PartsReader(LineReader):
    """Cuts a feed into lines, with the parts of each, as LineReader does. Parts of an unfinished line stay unread."""

    def __init__(self, feed: Feed, size: int, final: bool, kind: str, is_whole: Callable[[bytes], bool]) -> None:
        super().__init__(feed, size, final, is_whole)
        self._kind = kind

    def _record_ends(self) -> Offsets:
        feed = self._feed
        ends = record_ends(feed.window, feed.base)
        if not len(ends):
            return ends
        lines = slices_of(feed.window, np.append(0, ends))
        kept: Offsets = ends[~are_parts(lines, self._kind).to_numpy(zero_copy_only=False)]
        return kept

    def _cut_last(self) -> Iterator[Piece]:
        rest = self._feed.window.tobytes()
        if not is_part(rest, self._kind):
            yield from super()._cut_last()
        elif self._final or self._is_whole(rest):
            yield self._cut_at(np.array([0, len(rest)], np.int64))
        else:
            self.pending = len(rest)
