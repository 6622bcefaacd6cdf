"""Spans: ranges of entity names that cover all entities, with about the same number of rows each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from esctl.index.files.manifest import Manifest
from esctl.index.pruning import Predicate, between

_NEXT = "\x01"
"""Appended to a name, it gives one that sorts after it; only names that continue with NUL are between them."""


class Span(Struct, frozen=True):
    """The entities with low <= name < high; None: no limit."""

    low: str | None = None
    high: str | None = None
    pieces: int = 1  # into which its events may be cut, if one entity has most of them

    @property
    def condition(self) -> Predicate:
        """Return the condition that an event is of an entity in the span."""
        return between(self.low, self.high)


def spans_at(cuts: Iterable[str]) -> list[Span]:
    """Return the spans that begin with these names, and the one before all of them."""
    return [Span(low, high) for low, high in pairwise([None, *sorted(set(cuts)), None])]


def spans_of(manifest: Manifest, count: int) -> list[Span]:
    """Return about `count` spans of an index, cut where its row groups begin.

    An entity is in one span only; one with more rows than a span should have gets its own span, with pieces.
    """
    weighed = sorted(_weigh_groups(manifest))
    whole = sum(rows for _, rows in weighed)
    hot = {name: round(rows * count / whole) for name, rows in _hot_entities(manifest).items() if rows * count > whole}
    cuts = {*_cuts(weighed, whole, count), *(cut for name in hot for cut in (name, name + _NEXT))}
    return [replace(span, pieces=max(hot.get(span.low or "", 1), 1)) for span in spans_at(cuts)]


def _hot_entities(manifest: Manifest) -> dict[str, float]:
    """Return the entities that fill several row groups, with about how many rows each has."""
    rows_by_name: dict[str, list[float]] = {}
    for name, high, rows in _size_groups(manifest):
        if name == high:
            rows_by_name.setdefault(name, []).append(rows)
    return {name: sum(each) for name, each in rows_by_name.items() if len(each) > 1}


def _weigh_groups(manifest: Manifest) -> Iterable[tuple[str, float]]:
    """Return the first name in each row group, with about how many rows it has."""
    return ((low, rows) for low, _, rows in _size_groups(manifest))


def _size_groups(manifest: Manifest) -> Iterable[tuple[str, str | None, float]]:
    """Yield the bounds of each row group, with about how many rows it has, by its share of the file's bytes."""
    for file in manifest.files:
        size = sum(group.range.bytes for group in file.groups)
        for group in file.groups:
            if group.low is not None and size:
                yield group.low, group.high, file.rows * group.range.bytes / size


def _cuts(weighed: Sequence[tuple[str, float]], whole: float, count: int) -> Iterable[str]:
    before, made = 0.0, 1
    for low, rows in weighed:
        if made < count and before >= whole * made / count:
            yield low
            made = int(before * count / whole) + 1
        before += rows
