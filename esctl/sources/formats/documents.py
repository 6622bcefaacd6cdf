"""A whole file as one record, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from esctl.sources.feed import Feed
from esctl.sources.pieces import Piece, slices_of


class DocumentReader:
    """Yields the rest of a feed as one record, even if it is empty."""

    def __init__(self, feed: Feed, size: int) -> None:
        self.pending = 0
        self._feed = feed
        self._size = size

    def __iter__(self) -> Iterator[Piece]:
        feed = self._feed
        while feed.fill(self._size):
            pass
        feed.check_open()
        bounds = np.array([0, len(feed.window)], np.int64)
        yield Piece(slices_of(feed.window, bounds), bounds[:1] + feed.base, bounds[1:] + feed.base, feed.end)


class NothingReader:
    """Yields nothing, for a source that is known as a whole."""

    pending = 0

    def __iter__(self) -> Iterator[Piece]:
        return iter(())
