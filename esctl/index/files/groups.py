"""Row groups of index files, and the parts of a manifest that list them if there are many."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from msgspec import Struct

from esctl.log.ranges import ByteRange


class RowGroup(Struct, frozen=True):
    """A row group of an index file: its byte range, and the first and last entity name in it.

    `low` and `high` are None if they are not kept, because a name is too long or no row has an entity.
    """

    range: ByteRange
    low: str | None
    high: str | None

    def may_hold(self, names: Sequence[str]) -> bool:
        """Return whether the group may hold one of these names, which are sorted."""
        if self.low is None or self.high is None:
            return True
        at = bisect_left(names, self.low)
        return at < len(names) and names[at] <= self.high

    def may_reach(self, low: str | None, high: str | None) -> bool:
        """Return whether the group may hold a name from `low` to `high`, both included; None is no limit."""
        if self.low is None or self.high is None:
            return True
        return (low is None or low <= self.high) and (high is None or self.low <= high)


class GroupPart(RowGroup, frozen=True):
    """A part of a manifest: a file that lists `groups` row groups, whose entities lie between its bounds.

    Its range is the whole file.
    """

    file: str
    groups: int

    @property
    def bytes(self) -> int:
        """Return the size of the file."""
        return self.range.bytes

    @property
    def ranges(self) -> tuple[ByteRange, ...]:
        """Return the byte ranges that have a digest: one, the whole file."""
        return (self.range,)


class GroupRun(Struct, frozen=True):
    """The parts that together list the row groups of some index files, sorted by entity.

    `files` are the first positions of these index files.
    """

    files: tuple[int, ...]
    parts: tuple[GroupPart, ...]

    @property
    def groups(self) -> int:
        """Count the row groups."""
        return sum(part.groups for part in self.parts)


class ListedGroup(Struct, frozen=True, array_like=True):
    """A row group as a part lists it; `file` is the index of its file in `Listing.files`."""

    file: int
    offset: int
    bytes: int
    sha256: str
    low: str | None
    high: str | None

    @property
    def group(self) -> RowGroup:
        """Return the row group."""
        return RowGroup(ByteRange(self.offset, self.bytes, self.sha256), self.low, self.high)


class Listing(Struct, frozen=True):
    """The content of a part's file."""

    files: tuple[str, ...]
    groups: tuple[ListedGroup, ...]


PlacedGroup = tuple[str, RowGroup]
"""The name of an index file, and one of its row groups."""


def make_listing(placed: Sequence[PlacedGroup]) -> Listing:
    """Return the listing of row groups that a part's file holds."""
    numbers: dict[str, int] = {}
    groups = tuple(
        ListedGroup(numbers.setdefault(file, len(numbers)), *_range_fields(group.range), group.low, group.high)
        for file, group in placed
    )
    return Listing(tuple(numbers), groups)


def _range_fields(part: ByteRange) -> tuple[int, int, str]:
    return part.offset, part.bytes, part.sha256


def slice_by_entity(placed: Sequence[PlacedGroup], count: int) -> list[Sequence[PlacedGroup]]:
    """Cut row groups into slices of at most `count`, in the order of their entities.

    Row groups without bounds come first, since every search for an entity has to look at them.
    """
    unknown = [each for each in placed if not _is_bounded(each[1])]
    bounded = sorted((each for each in placed if _is_bounded(each[1])), key=lambda each: each[1].low or "")
    return [some[start : start + count] for some in (unknown, bounded) for start in range(0, len(some), count)]


def bounds_of(placed: Sequence[PlacedGroup]) -> tuple[str | None, str | None]:
    """Return the first and last entity name of row groups; None, None if one of them has no bounds."""
    if not all(_is_bounded(group) for _, group in placed):
        return None, None
    return min(group.low or "" for _, group in placed), max(group.high or "" for _, group in placed)


def _is_bounded(group: RowGroup) -> bool:
    return group.low is not None and group.high is not None
