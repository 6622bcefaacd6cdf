"""When: the moments and intervals are those of the reference's fold, looked at event by event."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec import structs

from esctl.ask.over_time.when import Moments, count, overlapping_intervals, when
from esctl.ask.scope.scope import Scope
from esctl.ask.scope.what_if import without_events
from esctl.errors import UsageError
from esctl.model import AsOf
from esctl.projection import fold
from esctl.projection.spec import Projection
from tests.ask.states.test_engine_reference import PORT, Predicate, hold, predicates
from tests.reference import FoldError, Reference
from tests.reference.fold import Entity, Step
from tests.reference.mapping import Event
from tests.support import effort
from tests.support.drawn_values import INSTANTS
from tests.support.engine_harness import Engine, engine, fetch, micros
from tests.support.strategies import Log


@dataclass(frozen=True)
class Interval:
    """From the step that made a predicate true to the one that ended that, None while it holds."""

    began: Step
    ended: Step | None


def _one_moment(row: Event, following: Event) -> bool:
    return row.time == following.time and not (row.undated or following.undated)


def intervals(steps: Sequence[Step], predicate: Predicate, kind: str, each_event: bool) -> list[Interval]:
    _, holds = predicate
    found: list[Interval] = []
    began: Step | None = None
    for number, step in enumerate(steps):
        if not each_event and number + 1 < len(steps) and _one_moment(step.rows[0], steps[number + 1].rows[0]):
            continue
        truth = not step.deletes and holds(step.after, step.version, kind)
        if truth and began is None:
            began = step
        elif not truth and began is not None:
            found.append(Interval(began, step))
            began = None
    return [*found, Interval(began, None)] if began is not None else found


def numeric(steps: Mapping[Entity, Sequence[Step]]) -> Iterator[Predicate]:
    """Give predicates on a field that is a number wherever it is anything."""
    kinds: dict[str, set[bool]] = {}
    for step in (step for trail in steps.values() for step in trail):
        for name, value in step.after.items():
            if value is not None:
                kinds.setdefault(name, set()).add(isinstance(value, int | Decimal) and not isinstance(value, bool))
    for name in sorted(name for name, are in kinds.items() if are == {True})[:2]:
        quoted = '"' + name.replace('"', '""') + '"'

        def over(state: Mapping[str, Any], version: int, kind: str, name: str = name) -> bool:
            value = state.get(name)
            return value is not None and value > 1

        yield f"{quoted} > 1", over
        yield f"not {quoted} > 1", lambda s, v, k, n=name, o=over: s.get(n) is not None and not o(s, v, k)


def row(entity: Entity, interval: Interval) -> tuple[Any, ...]:
    def told(step: Step | None) -> tuple[Any, ...]:
        if step is None:
            return (None,) * 5
        event = step.rows[0]
        return (None if event.undated else event.time, event.position, event.id, event.type, event.actor)

    start, *began = told(interval.began)
    end, *ended = told(interval.ended)
    return (entity[1], entity[0], start, end, *began, *ended)


def answer(scope: Scope, wanted: Moments) -> list[tuple[Any, ...]]:
    return [
        (*names, *(None if time is None else micros(time) for time in (start, end)), *rest)
        for *names, start, end, rest in ((r[0], r[1], r[2], r[3], r[4:]) for r in fetch(when(scope, wanted)))
    ]


def picked(found: Mapping[Entity, list[Interval]], which: str) -> list[tuple[Any, ...]]:
    chosen = {"first": slice(0, 1), "last": slice(-1, None), "every": slice(None)}[which]
    return [row(entity, interval) for entity in sorted(found) for interval in found[entity][chosen]]


def point(text: str, value: int, inclusive: bool) -> AsOf:
    return (
        AsOf(text, "time", inclusive, instant=value)
        if text == "time"
        else AsOf(text, "position", inclusive, number=value)
    )


BOUNDS = (("time", INSTANTS[1], INSTANTS[3]), ("position", 3, 6), ("time", INSTANTS[2], INSTANTS[2]))


def agrees(
    scope: Scope, steps: Mapping[Entity, Sequence[Step]], asked: Sequence[Predicate], seen: Counter[str]
) -> None:
    """Ask for the first, last and all moments of predicates, in turn after each event, unbounded and bounded."""
    number = sum(map(len, steps.values()))
    for i, predicate in enumerate(asked, number):
        each_event = bool(i // 2 % 2)
        found = {entity: intervals(trail, predicate, entity[0], each_event) for entity, trail in steps.items()}
        wanted = Moments(predicate[0], "every", each_event=each_event)
        assert answer(scope, wanted) == picked(found, "every"), wanted
        which: Literal["first", "last"] = "last" if i % 2 else "first"
        assert answer(scope, structs.replace(wanted, which=which)) == picked(found, which), (predicate[0], which)
        spans = [interval for several in found.values() for interval in several]
        assert fetch(count(when(scope, wanted))) == [(sum(map(bool, found.values())), len(spans))]
        seen.update(interval_labels(spans, steps))
        bounded(scope, wanted, found, *BOUNDS[i % len(BOUNDS)])


def bounded(
    scope: Scope, wanted: Moments, found: Mapping[Entity, list[Interval]], kind: str, start: int, end: int
) -> None:
    asked = structs.replace(wanted, start=point(kind, start, False), end=point(kind, end, True))

    def place(step: Step) -> int:
        return int(getattr(step.rows[0], kind))

    inside = {e: [i for i in several if start <= place(i.began) <= end] for e, several in found.items()}
    assert answer(scope, asked) == picked(inside, "every"), (wanted.predicate, kind)
    reaching = [
        (entity[1],) for entity in sorted(found) for i in found[entity]
        if place(i.began) <= end and (i.ended is None or place(i.ended) > start)
    ]  # fmt: skip
    assert sorted(fetch(overlapping_intervals(scope, asked))) == sorted(reaching)


def interval_labels(spans: Sequence[Interval], steps: Mapping[Entity, Sequence[Step]]) -> Iterator[str]:
    for interval in spans:
        yield "open" if interval.ended is None else "deleted" if interval.ended.deletes else "closed"
    for trail in steps.values():
        times = [step.rows[0].time for step in trail]
        if any(a == b for a, b in itertools.pairwise(times)):
            yield "tied"
        if any(len(step.rows) > 1 for step in trail):
            yield "roles"
        if any(step.deletes for step in trail[:-1]):
            yield "reopened"


def folded(log: Log, made: Engine) -> tuple[dict[Entity, list[Step]], list[Predicate]] | None:
    """Give the reference's steps and what to ask about them; None where the log cannot be folded."""
    reference = Reference(log.projection, log.mapping)
    reference.events(log.records, log.recorded_at)
    try:
        steps = reference.steps()
        made.replay({})
    except (FoldError, UsageError):
        return None
    names = {name for trail in steps.values() for step in trail for name in step.after}
    field = next((name for name in ("note", "status", "amount", *sorted(names)) if name in names), "")
    return steps, [*list(numeric(steps))[:2], *([list(predicates(field))[len(names) % 5]] if field else [])]


@pytest.mark.parametrize("streamed", [False, True])
def test_moments_are_those_of_the_reference(streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if streamed:
        monkeypatch.setattr(fold, "MOST_FIELDS", -1)
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        with engine(log) as made:
            if (told := folded(log, made)) is not None:
                agrees(made.scope(), *told, seen)

    hold(check, 10 if streamed else 44, 900 + streamed)
    assert streamed or seen.keys() >= {"open", "closed", "deleted", "tied", "roles", "reopened"}, seen


def test_moments_of_a_python_projection(tmp_path: Path) -> None:
    (tmp_path / "ported.py").write_text(PORT, encoding="utf-8")
    ported = Projection(name="p", python="ported:merge")

    def check(log: Log) -> None:
        log = replace(log, projection=None)
        with engine(log) as made:
            made = replace(made, projection=ported, config=tmp_path / "esctl.toml")
            if (told := folded(log, made)) is not None:
                agrees(made.scope(), *told, Counter())

    hold(check, 8, 910)


def test_moments_without_some_events() -> None:
    gone: Counter[bool] = Counter()

    def check(log: Log) -> None:
        with engine(log) as made:
            reference = Reference(log.projection, log.mapping)
            reference.events(log.records, log.recorded_at)
            kept = [event for event in reference.rows if event.position % 3 or not event.folded]
            skipped = sorted({event.position for event in reference.rows} - {event.position for event in kept})
            whole = folded(log, made)
            if whole is None or not skipped:
                return
            reference.rows = kept
            try:
                steps = reference.steps()
            except FoldError:
                return
            scope = without_events(made.scope(), [f"@{position}" for position in skipped])
            agrees(scope, steps, whole[1][:1], Counter())
            gone.update([True])

    hold(check, 17, 920)
    assert gone[True] > effort.share(5)
