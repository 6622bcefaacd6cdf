"""SQL conditions that know their reach, so that a scan can leave out files and row groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import TypeVar

from msgspec import Struct

from esctl.engine.quoting import literal
from esctl.index.files.groups import RowGroup
from esctl.index.files.manifest import IndexFile

T = TypeVar("T", int, str)


class Reach(Struct, frozen=True):
    """The bounds of the events for which a condition can hold, inclusive; None: no bound."""

    entities: tuple[str, ...] | None = None  # sorted
    min_time: int | None = None  # microseconds since the epoch
    max_time: int | None = None
    max_position: int | None = None
    min_position: int | None = None
    min_entity: str | None = None
    max_entity: str | None = None

    def may_lie_in(self, file: IndexFile) -> bool:
        """Return whether a file may hold an event in reach, by its positions and times."""
        if self.max_position is not None and file.first > self.max_position:
            return False
        if self.min_position is not None and file.last < self.min_position:
            return False
        if self.max_time is not None and file.min_time > self.max_time:
            return False
        return self.min_time is None or file.max_time >= self.min_time

    def may_lie_in_group(self, group: RowGroup) -> bool:
        """Return whether a row group may hold an event in reach, by its entities."""
        if not group.may_reach(self.min_entity, self.max_entity):
            return False
        return self.entities is None or group.may_hold(self.entities)

    def intersection(self, other: Reach) -> Reach:
        """Return a reach that covers every event that is in both this reach and the other."""
        found = [names for names in (self.entities, other.entities) if names is not None]
        return Reach(
            # The shorter list, not the names in both: DuckDB leaves out row groups by one list of names only.
            entities=min(found, key=len, default=None),
            min_entity=_choose_known(max, self.min_entity, other.min_entity),
            max_entity=_choose_known(min, self.max_entity, other.max_entity),
            min_time=_choose_known(max, self.min_time, other.min_time),
            max_time=_choose_known(min, self.max_time, other.max_time),
            min_position=_choose_known(max, self.min_position, other.min_position),
            max_position=_choose_known(min, self.max_position, other.max_position),
        )

    def union(self, other: Reach) -> Reach:
        """Return a reach that covers every event that is in this reach or the other."""
        entities = None
        if self.entities is not None and other.entities is not None:
            entities = tuple(sorted({*self.entities, *other.entities}))
        return Reach(
            entities=entities,
            min_entity=_choose_in_both(min, self.min_entity, other.min_entity),
            max_entity=_choose_in_both(max, self.max_entity, other.max_entity),
            min_time=_choose_in_both(min, self.min_time, other.min_time),
            max_time=_choose_in_both(max, self.max_time, other.max_time),
            min_position=_choose_in_both(min, self.min_position, other.min_position),
            max_position=_choose_in_both(max, self.max_position, other.max_position),
        )


def _choose_known(choose: Callable[[T, T], T], one: T | None, other: T | None) -> T | None:
    return other if one is None else one if other is None else choose(one, other)


def _choose_in_both(choose: Callable[[T, T], T], one: T | None, other: T | None) -> T | None:
    return None if one is None or other is None else choose(one, other)


ANYWHERE = Reach()


class Predicate(Struct, frozen=True):
    """An SQL condition on a row, and what is known of it without running it."""

    sql: str
    reach: Reach = ANYWHERE  # of the rows for which it is true
    may_fail: bool = False  # whether it may raise an error for some rows
    outside: Reach = ANYWHERE  # of the rows for which it is false

    def __format__(self, spec: str) -> str:
        """Raise TypeError: a predicate formatted into text would silently lose its reach."""
        raise TypeError("write predicate.sql where a SELECT is put together")


ALWAYS = Predicate("true")
NEVER = Predicate("false")


def between(low: str | None, high: str | None) -> Predicate:
    """Write the condition that `low` <= entity < `high`; None: no limit."""
    tests = [] if low is None else [Predicate(f"entity >= {literal(low)}", Reach(min_entity=low))]
    tests += [] if high is None else [Predicate(f"entity < {literal(high)}", Reach(max_entity=high))]
    return all_of(tests)


Test = Predicate | str
"""A condition; plain SQL is taken to reach anywhere and never to fail."""


def predicate(test: Test) -> Predicate:
    """Return a condition as a predicate."""
    return Predicate(test) if isinstance(test, str) else test


def all_of(tests: Iterable[Test]) -> Predicate:
    """Join conditions with AND; ALWAYS if there are none."""
    parts = _parts(tests, ALWAYS)
    if len(parts) < 2:
        return parts[0] if parts else ALWAYS
    reach = reduce(Reach.intersection, (part.reach for part in parts))
    return Predicate(_join_sql("AND", parts), reach, _fails(parts), reduce(Reach.union, (p.outside for p in parts)))


def any_of(tests: Iterable[Test]) -> Predicate:
    """Join conditions with OR; NEVER if there are none."""
    parts = _parts(tests, NEVER)
    if len(parts) < 2:
        return parts[0] if parts else NEVER
    reach = reduce(Reach.union, (part.reach for part in parts))
    return Predicate(
        _join_sql("OR", parts), reach, _fails(parts), reduce(Reach.intersection, (p.outside for p in parts))
    )


def negated(test: Test) -> Predicate:
    """Negate a condition."""
    part = predicate(test)
    return Predicate(f"NOT ({part.sql})", part.outside, part.may_fail, part.reach)


def _parts(tests: Iterable[Test], neutral: Predicate) -> list[Predicate]:
    return [part for part in dict.fromkeys(map(predicate, tests)) if part != neutral]


def _join_sql(operator: str, parts: Iterable[Predicate]) -> str:
    # Side by side rather than nested: DuckDB limits the depth of an expression.
    return "(" + f" {operator} ".join(f"({part.sql})" for part in parts) + ")"


def _fails(parts: Iterable[Predicate]) -> bool:
    return any(part.may_fail for part in parts)
