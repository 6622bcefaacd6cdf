"""Which events or rows of the trail a question shows: by actor, type, field and time."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from esctl.ask.scope.bounds import bound, is_glob
from esctl.ask.scope.scope import Scope
from esctl.engine.quoting import like_pattern, literal
from esctl.errors import UsageError
from esctl.index.pruning import Test, negated
from esctl.model import AsOf


class Filters(Struct, frozen=True):
    """Which rows of the trail to show. Names of actors and types may be globs; `start` is kept, as `end` is."""

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
                f"{point.text!r} is no bound of a list of events: each entity has its own versions",
                "give a time, @POSITION, seq:N or id:EVENT",
            )
        if point is not None:
            condition = bound(scope.connection, scope.view, point).condition
            tests.append(negated(condition) if later else condition)
    return [test for test in tests if test]


def one_of(column: str, names: Sequence[str]) -> str:
    """Write the condition that a column is one of some names or matches one of some globs; empty for none."""
    tests = [
        f"{column} LIKE {like_pattern(name)}" if is_glob(name) else f"{column} = {literal(name)}" for name in names
    ]
    return "(" + " OR ".join(tests) + ")" if tests else ""
