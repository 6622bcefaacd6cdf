"""What-if: the same question, as if some events had never happened."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from esctl.ask.scope.event_names import events_of, no_event, require_one
from esctl.ask.scope.filters import one_of
from esctl.ask.scope.scope import Scope, Skipped
from esctl.engine.duckdb import explained, single_row
from esctl.engine.quoting import literal
from esctl.errors import NotFoundError
from esctl.index.scan import EVENT_COLUMNS, FIRST_DELIVERY
from esctl.projection.expressions import Expression
from esctl.projection.query_reads import Reads, measure_shapes

_NAMES = "|".join(name for name in EVENT_COLUMNS if name not in ("time", "recorded_at"))
_PLAIN_TEST = re.compile(rf"\s*({_NAMES})\s*=\s*([^\s'\"()=<>]+)\s*", re.IGNORECASE)

_NAMED_SO = "list events with: esctl log; or give a predicate: \"type = 'X'\""


def without_events(scope: Scope, without: Sequence[str]) -> Scope:
    """Return the scope without some events: each named (`id:evt-9`, `@123`, its id), or all that a predicate holds for.

    Raises NotFoundError for a name that no event has, UsageError for an invalid predicate.
    """
    return replace(scope, without=tuple(_skip_events(scope, text) for text in without))


def _skip_events(scope: Scope, text: str) -> Skipped:
    position = re.fullmatch(r"\s*@([0-9]{1,18})\s*", text)
    if position:
        return _skip_at(scope, text, f"position = {int(position[1])}")
    name = text.removeprefix("id:")
    if events := events_of(scope.connection, scope.view, [name], FIRST_DELIVERY):
        require_one(name, events, "--without")
        own = scope.view.relation(["position"], None, [FIRST_DELIVERY, f"id = {literal(name)}"])
        return Skipped(text, f"position NOT IN (SELECT position FROM ({own}))", 1)
    if name != text or not re.search(r"[\s=<>(]", text):
        raise no_event(scope.connection, scope.view, name, "--without", _NAMED_SO)
    rows = _select_matching(scope, text)
    return Skipped(text, f"position NOT IN (SELECT position FROM ({rows}))", _count(scope, rows))


def _skip_at(scope: Scope, text: str, condition: str) -> Skipped:
    rows = scope.view.relation(["position"], None, [FIRST_DELIVERY, condition])
    count = _count(scope, rows)
    if not count:
        raise NotFoundError(f"--without {text!r} is not an event", _NAMED_SO)
    return Skipped(text, f"position NOT IN (SELECT position FROM ({rows}))", count)


def _select_matching(scope: Scope, text: str) -> str:
    """Select the positions of the events that a predicate holds for, in any of their roles."""
    tests = [_PLAIN_TEST.fullmatch(part) for part in re.split(r"\sand\s", text, flags=re.IGNORECASE)]
    if all(tests):
        # What a shell leaves of type=X and actor=Y: names and bare words.
        conditions = [one_of(test[1].lower(), [test[2]]) for test in tests if test]
        return scope.view.relation(["position"], None, [FIRST_DELIVERY, *conditions])
    expression = Expression(text, "--without")
    paths = [tuple(path[1:]) for path in expression.paths() if path[0] == "data" and len(path) > 1]
    reads = Reads(scope.view, measure_shapes(scope.connection, scope.view, paths))
    test_sql = expression.condition(reads.resolve).sql
    rows = scope.view.relation(dict.fromkeys(["position", *reads.columns]), reads.by_alias(), [FIRST_DELIVERY])
    return f"SELECT position FROM ({rows}) WHERE {test_sql}"


def _count(scope: Scope, rows: str) -> int:
    with explained():
        found = single_row(scope.connection, f"SELECT count(DISTINCT position) FROM ({rows})")
    return int(found[0]) if found else 0
