"""One question by two roads: what esctl answers, against plain Python over `replay`'s JSON at the moments concerned.

Each function gives what differs, in words; a state that cannot be read as a question needs must be an error on both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from tests.ask.sql.test_sql import FIXED, fields_of, written
from tests.reference import Reference
from tests.reference.times import read_time
from tests.reference.values import UnreadableError, rfc3339, same
from tests.support.drawn_values import HOUR
from tests.support.engine_harness import judged as judge
from tests.support.engine_harness import states_differ
from tests.support.filters import Aggregate, Condition, State
from tests.support.ground import Bounds, Ground, Refusal, Row, Told
from tests.support.stepped import MERGE
from tests.support.wide_digits import MAPPING, RULES, Spread

DAY = 24 * HOUR
Moment = tuple[str, str, int]
"""(kind, entity, version)"""


def entity_of(row: Row) -> tuple[str, str]:
    return row["kind"], row["entity"]


def states_of(told: Told) -> list[State]:
    assert isinstance(told, list), told
    return told


def judged(what: str, expected: Callable[[], Any], given: Told, read: Callable[[list[Row]], Any]) -> Iterator[str]:
    """Hold an answer to what Python makes of the states."""
    try:
        wanted = expected()
    except UnreadableError as problem:
        if not isinstance(given, Refusal):
            yield f"{what}: an answer where {problem}"
        elif not re.search(r"event @\d+|position \d+", given.message):
            yield f"{what}: the error names no event: {given.message}"
        return
    if isinstance(given, Refusal):
        yield f"{what}: refused, {given.message}"
        return
    found = read(given)
    if not same(wanted, found):
        yield f"{what}: {wanted} is {found}"


def folded(made: Ground, log: Spread, bounds: Sequence[Bounds]) -> Iterator[str]:
    """Hold the states themselves to the reference's fold."""
    reference = Reference(RULES[log.rules] or MERGE, MAPPING)
    reference.events(log.records)
    for bound in ({}, *bounds):
        what, differ = f"replay {bound}", states_differ
        yield from judge(
            reference, what, partial(reference.replay, **bound), partial(made.engine.replay, bound), differ
        )


def filtered(made: Ground, bounds: Bounds, states: Sequence[State], condition: Condition) -> Iterator[str]:
    """Hold `replay --where` to the states that a filter keeps."""

    def kept() -> list[State]:
        return [state for state in states if condition.holds(state)]

    yield from judged(f"--where {condition.sql} {bounds}", kept, made.states(bounds, condition.sql), list)


def trails(made: Ground) -> dict[tuple[str, str], list[State | None]]:
    """Replay each entity after each of its events, in fold order: by version, None where it is deleted."""
    found: dict[tuple[str, str], list[State | None]] = {}
    last = {entity_of(row): int(row["version"]) for row in states_of(made.states(deleted=True))}
    for version in range(1, max(last.values(), default=0) + 1):
        for row in states_of(made.states({"version": version}, deleted=True)):
            if version <= last[entity_of(row)]:
                found.setdefault(entity_of(row), []).append(row)
    return found


def moments(trail: Sequence[State], condition: Condition, *, each_event: bool) -> Iterator[tuple[Any, ...]]:
    """Give (start, end, position, end_position) of the intervals in which a condition held."""
    began: State | None = None
    for number, state in enumerate(trail):
        if not each_event and number + 1 < len(trail) and trail[number + 1]["time"] == state["time"] is not None:
            continue
        truth = state["state"] is not None and condition.holds(state)
        if truth and began is None:
            began = state
        elif not truth and began is not None:
            yield began["time"], state["time"], began["position"], state["position"]
            began = None
    if began is not None:
        yield began["time"], None, began["position"], None


def asked_when(
    made: Ground, trails: dict[tuple[str, str], list[State]], condition: Condition, *, each_event: bool
) -> Iterator[str]:
    """Hold `when` to the states after each event."""

    def expected() -> list[Any]:
        return [
            [*entity, *moment]
            for entity in sorted(trails)
            for moment in moments(trails[entity], condition, each_event=each_event)
        ]

    def read(rows: list[Row]) -> list[Any]:
        names = ("kind", "entity", "start", "end", "position", "end_position")
        return [[row[name] for name in names] for row in rows]

    given = made.when(condition.sql, each_event=each_event)
    yield from judged(f"when {condition.sql} each={each_event}", expected, given, read)


def daily(made: Ground, trails: dict[tuple[str, str], list[State]]) -> dict[str, list[State]]:
    """Replay at each midnight from the first event's day to the one that no event is after."""
    times = [read_time(state["time"]) for trail in trails.values() for state in trail if state["time"]]
    first, last = -(-min(times) // DAY) * DAY, -(-max(times) // DAY) * DAY
    points = range(first, last + 1, DAY)
    return {rfc3339(point): states_of(made.states({"at": point})) for point in points}


def asked_series(made: Ground, days: dict[str, list[State]], aggregate: Aggregate, *, by_entity: bool) -> Iterator[str]:
    """Hold `series` to the aggregate over the states at each point, of all or of each entity."""

    def expected() -> dict[str, Any]:
        groups = {state["entity"] if by_entity else None for states in days.values() for state in states} or {None}
        return {
            f"{day} {group}": aggregate.value([s for s in states if group in (None, s["entity"])])
            for day, states in days.items()
            for group in groups
        }

    def read(rows: list[Row]) -> dict[str, Any]:
        return {f"{row['time']} {row.get('group')}": row["value"] for row in rows}

    given = made.series(aggregate.sql, "1d", "entity" if by_entity else "")
    yield from judged(f"series {aggregate.sql} by={by_entity}", expected, given, read)


def selected(made: Ground, bounds: Bounds, states: Sequence[State], condition: Condition) -> Iterator[str]:
    """Hold the rows of a projection in `sql`, whole and filtered, to the states and what a filter keeps of them.

    Where a column has no one type DuckDB refuses to compare it with a number: that is not an answer, and none is wrong.
    """
    argument = written(bounds)
    if argument is None:  # a bound that the function does not take
        return
    call = f"{made.name}({argument})"
    rows = made.sql(f"SELECT * FROM {call} ORDER BY kind, entity")
    if isinstance(rows, Refusal):
        yield f"sql {call}: refused, {rows.message}"
        return
    if [entity_of(row) for row in rows] != [entity_of(state) for state in states]:
        yield f"sql {call}: other entities: {[entity_of(row) for row in rows]}, {[entity_of(s) for s in states]}"
        return
    for row, state in zip(rows, states, strict=True):
        yield from (f"sql {call}: {line}" for line in fields_of(row, state["state"], FIXED))
    given = made.sql(f"SELECT * FROM {call} WHERE {condition.sql} ORDER BY kind, entity")
    if not isinstance(given, Refusal):
        wanted = [entity_of(state) for state in states if condition.holds(state)]
        if (found := [entity_of(row) for row in given]) != wanted:
            yield f"sql {call} WHERE {condition.sql}: {wanted} are {found}"


def logged(made: Ground, events: Sequence[Row], condition: Condition) -> Iterator[str]:
    """Hold `log --where` to a filter over what `log` lists."""

    def kept() -> list[Row]:
        return [event for event in events if Condition.holds(condition, {**event, "state": event["data"] or {}})]

    yield from judged(f"log --where {condition.event_sql}", kept, made.log(condition.event_sql), list)
