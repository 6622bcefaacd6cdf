"""Conditions that say besides how far they reach, so that a scan can leave out files and row groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from msgspec import Struct

from esctl.index.files.manifest import IndexFile, RowGroup


class Reach(Struct, frozen=True):
    """What an event must be like for a condition to hold; None: anything. Bounds are inclusive."""

    entities: tuple[str, ...] | None = None  # sorted
    min_time: int | None = None  # microseconds since the epoch
    max_time: int | None = None
    max_position: int | None = None

    def may_lie_in(self, file: IndexFile) -> bool:
        """Return whether a file may have such an event."""
        if self.max_position is not None and file.first > self.max_position:
            return False
        if self.max_time is not None and file.min_time > self.max_time:
            return False
        if self.min_time is not None and file.max_time < self.min_time:
            return False
        return any(map(self.may_lie_in_group, file.groups))

    def may_lie_in_group(self, group: RowGroup) -> bool:
        """Return whether a row group may have such an event."""
        return self.entities is None or group.may_hold(self.entities)


class Condition(str):
    """An SQL condition on the columns of the index, and the reach of what it lets through."""

    reach: Reach

    def __new__(cls, sql: str, reach: Reach) -> Self:
        """Make a condition of its SQL."""
        made = super().__new__(cls, sql)
        made.reach = reach
        return made


def reaches(conditions: Iterable[str]) -> Sequence[Reach]:
    """List how far these conditions reach, as far as they say."""
    return [condition.reach for condition in conditions if isinstance(condition, Condition)]


def either(conditions: Sequence[str]) -> str:
    """Join conditions of which one must hold; it reaches as far in time as the farthest of them."""
    if len(conditions) == 1:
        return conditions[0]
    sql = "(" + " OR ".join(f"({condition})" for condition in conditions) + ")"
    found = [limit.max_time for limit in reaches(conditions) if limit.max_time is not None]
    return Condition(sql, Reach(max_time=max(found))) if len(found) == len(conditions) else sql


def negated(condition: str) -> str:
    """Turn a condition round; what lies after a bound in time reaches from there on."""
    sql = f"NOT ({condition})"
    found = reaches([condition])
    return Condition(sql, Reach(min_time=found[0].max_time)) if found and found[0].max_time is not None else sql
