"""Which events or rows of the trail a question shows: by actor, type, field and time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from esctl.ask.scope.bounds import matches
from esctl.ask.scope.named_values import check_named
from esctl.ask.scope.scope import Scope, limit
from esctl.errors import UsageError
from esctl.index.pruning import Test, negated
from esctl.model import AsOf


class Filters(Struct, frozen=True):
    """Which rows of the trail to show. Names of actors and types may be globs; `start` and `end` are inclusive."""

    actors: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    start: AsOf | None = None
    end: AsOf | None = None


def filter_conditions(scope: Scope, filters: Filters) -> list[Test]:
    """Write the filters as conditions over stored envelope columns."""
    tests: list[Test] = [one_of("actor", filters.actors), one_of("type", filters.types)]
    for point, later in ((filters.start, True), (filters.end, False)):
        if point is not None and point.kind == "version":
            raise UsageError(
                f"{point.text!r} is not a bound of a list of events: each entity has its own versions",
                "give a time, @POSITION, seq:N or id:EVENT",
            )
        if point is not None:
            condition = limit(scope, point).condition
            tests.append(negated(condition) if later else condition)
    return [test for test in tests if test]


def check_filters(scope: Scope, filters: Filters) -> tuple[str, ...]:
    """Check that actors and types are in the log; return a note for each glob that matches none.

    Raises NotFoundError for a name that no record has.
    """
    notes: tuple[str, ...] = ()
    for column, names in (("actor", filters.actors), ("type", filters.types)):
        if names:
            notes += scope.lookups.once(partial(check_named, scope, column, names))
    return notes


def one_of(column: str, names: Sequence[str]) -> str:
    """Write the condition that a column is one of some names or matches one of some globs; empty for none."""
    tests = [matches(column, name) for name in names]
    return "(" + " OR ".join(tests) + ")" if tests else ""
