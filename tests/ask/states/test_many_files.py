"""Every question on logs in many commits and files of the index, at the very instants of their events.

Files that a bound leaves out, files that are merged and states that are gone on from are held against the reference.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
from msgspec import structs

from esctl.ask.over_time.when import Moments
from esctl.ask.scope.scope import claims
from esctl.ask.states import resume, save
from esctl.ask.states.replay import replay
from esctl.errors import EsctlError, UsageError
from esctl.index.pruning import Reach
from tests.ask.changes import test_blame as blames
from tests.ask.over_time import test_when_reference as moments
from tests.ask.states.test_engine_reference import hold
from tests.reference import Reference
from tests.reference.fold import Entity
from tests.support import effort
from tests.support.engine_harness import (
    Bounds,
    Engine,
    State,
    as_of,
    disagreements,
    engine,
    exact,
    fetch,
    judged,
    micros,
    render,
    states_differ,
)
from tests.support.many_files import Scattered, scattered
from tests.support.strategies import Log

QUESTIONS = ("diff", "audit", "blame", "when", "one entity")


@pytest.mark.thorough
def test_all_questions_at_the_instants_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()

    def check(drawn: Scattered) -> None:
        drawn.cut(monkeypatch)
        question = QUESTIONS[seen["logs"] % len(QUESTIONS)]
        with engine(drawn.log, eager=True) as made:
            seen.update(["logs", *shapes(drawn, made)])
            assert not disagreements(replace(drawn.log, bounds=drawn.log.bounds[1:]), made, ["replay"])
            assert not answered(question, drawn.log, made), question

    hold(check, 25, 1100, scattered(), always=True)  # type: ignore[arg-type]
    assert all(seen[label] > 2 for label in ("many files", "merged in part", "left out", "begins at the bound")), seen


def answered(question: str, log: Log, made: Engine) -> list[str]:
    """Ask one question at the bounds of a log; give where the answer is not the reference's."""
    match question:
        case "blame":
            return blames.disagreements(replace(log, bounds=log.bounds[1:]), made, (False,))
        case "when":
            return held(log, made)
        case "one entity":
            return of_one(log, made)
        case _:
            return disagreements(log, made, [question])


def held(log: Log, made: Engine) -> list[str]:
    """Ask when a predicate turned true between the instants of two events, and between a commit's two ends."""
    told = moments.folded(log, made)
    for predicate in told[1][:1] if told is not None else ():
        assert told is not None
        found = {
            entity: moments.intervals(trail, predicate, entity[0], each_event=True) for entity, trail in told[0].items()
        }
        times = sorted({step.rows[0].time for trail in told[0].values() for step in trail})
        wanted = Moments(predicate[0], "every", each_event=True)
        moments.bounded(made.scope(), wanted, found, "time", times[len(times) // 3], times[-len(times) // 3])
        moments.bounded(made.scope(), wanted, found, "position", log.batches[0] + 1, sum(log.batches[:-1]) or 1)
    return []


def of_one(log: Log, made: Engine) -> list[str]:
    """Ask for the states of the entities of one name, which may lie in few files."""
    reference = Reference(log.projection, log.mapping)
    reference.events(log.records, log.recorded_at)
    names = [row.entity for row in reference.rows if row.folded and row.entity and not set(row.entity) & {"*", "?"}]
    if not names:
        return []
    name = names[len(names) // 2]
    reference.rows = [row for row in reference.rows if row.entity == name]
    found: list[str] = []
    for bounds in log.bounds:
        wanted = partial(reference.replay, **bounds)
        given = partial(states_of, made, bounds, name)
        found += judged(reference, f"replay {name} {bounds}", wanted, given, states_differ)
    return found


def states_of(made: Engine, bounds: Bounds, name: str) -> dict[Entity, State]:
    scope = structs.replace(made.scope(bounds.get("known_at")), entities=(name,))
    return {
        (kind, entity): State(exact(state), version, position, micros(time))
        for entity, kind, state, version, position, time in fetch(replay(scope, as_of(bounds), deleted=True))
    }


def shapes(drawn: Scattered, made: Engine) -> list[str]:
    """Name what a log's files and bounds are like, so that a test can say that it tried what it is for."""
    files = made.view.manifest.files
    labels = ["many files"] if len(files) > 2 else []
    merged = any(file.last - file.first >= drawn.rows for file in files)
    labels += ["merged in part"] if merged and len(files) > 1 else []
    for bounds in drawn.log.bounds:
        instant = bounds.get("at", bounds.get("before"))
        if instant is not None:
            labels += ["left out"] if not all(Reach(max_time=instant).may_lie_in(file) for file in files) else []
            labels += ["begins at the bound"] if any(file.min_time == instant for file in files) else []
    return labels


def test_states_go_on_from_saved_ones_at_the_instants_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()

    def check(drawn: Scattered) -> None:
        drawn.cut(monkeypatch)

        def after(batch: int, made: Engine) -> None:
            for place, at in drawn.saved:
                with suppress(UsageError):
                    if place == batch:
                        seen.update(["saved"] * len(save.save_snapshots(made.scope(), at, "user", render)))

        with engine(drawn.log, after=after) as made:
            seen.update(way for bounds in drawn.log.bounds for way in ways(made, bounds))
            assert not disagreements(drawn.log, made, ["replay"])

    hold(check, effort.examples(18, 5), 1114, scattered(), always=True)  # type: ignore[arg-type]
    least = effort.examples(3, 1)
    assert all(seen[label] >= least for label in ("saved", "gone on from", "not used", "up to the bound")), seen


def ways(made: Engine, bounds: Bounds) -> set[str]:
    """Name how a replay comes to its states."""
    scope, at, labels = made.scope(bounds.get("known_at")), as_of(bounds), set[str]()
    for claim in claims(scope):
        with suppress(EsctlError):
            found = resume.resume(scope, claim, at)
            labels.add("not used" if found is None else "gone on from")
            if found is not None and at is not None and at.instant == found.snapshot.extent.latest:
                labels.add("up to the bound")
    return labels
