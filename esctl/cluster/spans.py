"""Spans: ranges of names of entities, between them all of them, of about as many rows each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct

from esctl.index.files.manifest import Manifest
from esctl.index.pruning import Predicate, between


class Span(Struct, frozen=True):
    """The entities whose names are not before `low`, and before `high`; None: no limit."""

    low: str | None = None
    high: str | None = None

    @property
    def condition(self) -> Predicate:
        """Return the condition that an event is of such an entity."""
        return between(self.low, self.high)


def spans_at(cuts: Iterable[str]) -> list[Span]:
    """Return the spans between names, which they begin with, and those before and after them."""
    return [Span(low, high) for low, high in pairwise([None, *sorted(set(cuts)), None])]


def spans_of(manifest: Manifest, count: int) -> list[Span]:
    """Return at most so many spans of an index, cut where its row groups begin.

    An entity is in one span only, whatever part of the rows it has.
    """
    weighed = sorted(_weighed(manifest))
    whole = sum(rows for _, rows in weighed)
    return spans_at(_cuts(weighed, whole, count))


def _weighed(manifest: Manifest) -> Iterable[tuple[str, float]]:
    """Yield the first name of each row group, with about how many rows it has: as its bytes are of its file's."""
    for file in manifest.files:
        size = sum(group.range.bytes for group in file.groups)
        for group in file.groups:
            if group.low is not None and size:
                yield group.low, file.rows * group.range.bytes / size


def _cuts(weighed: Sequence[tuple[str, float]], whole: float, count: int) -> Iterable[str]:
    before, made = 0.0, 1
    for low, rows in weighed:
        if made < count and before >= whole * made / count:
            yield low
            made = int(before * count / whole) + 1
        before += rows
