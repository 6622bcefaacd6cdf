"""Snapshots of states change no answer: replay gives the same bytes with and without, whatever came in later."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from msgspec import structs

from esctl.ask.scope.scope import claims
from esctl.ask.states import resume, save
from esctl.ask.states.replay import replay
from esctl.errors import EsctlError, UsageError
from esctl.index import chunks
from esctl.model import Answer, AsOf
from esctl.output import Target, write
from tests.ask.states.test_engine_reference import hold
from tests.support import effort
from tests.support.drawn_values import HOUR, INSTANTS, JANUARY
from tests.support.engine_harness import Bounds, Engine, as_of, disagreements, engine, fetch, render, session
from tests.support.strategies import Log, logs

FOLDED = st.sampled_from(["at", "position", "head", "head", "head"])


@dataclass(frozen=True)
class Kept:
    """A log, and after which batches snapshots are made, each at some bound."""

    log: Log
    points: tuple[tuple[int, AsOf | None], ...]


@st.composite
def kept(draw: DrawFn) -> Kept:
    """Draw a log that comes in several batches, and snapshots to be made in between."""
    log = draw(logs())
    cuts = sorted(
        draw(st.sets(st.integers(1, max(len(log.records) - 1, 1)), min_size=1, max_size=4)) - {len(log.records)}
    )
    batches = [end - start for start, end in zip([0, *cuts], [*cuts, len(log.records)], strict=True)]
    times = [JANUARY + (7 + 30 * batch) * HOUR for batch, size in enumerate(batches) for _ in range(size)]
    moment = st.tuples(st.integers(0, max(len(batches) - 2, 0)), _points(len(times)))
    points = tuple(draw(st.lists(moment, min_size=1, max_size=3)))
    bounds = ({}, draw(_late(times)), *log.bounds[-1:])
    return Kept(replace(log, batches=tuple(batches), recorded_at=tuple(times), bounds=bounds), points)


@st.composite
def _late(draw: DrawFn, times: list[int]) -> dict[str, Any]:
    """Draw a bound that lets most events in, so that snapshots may be used."""
    bounds = {"at": INSTANTS[-1], "before": INSTANTS[-1] + 1, "position": len(times), "known_at": times[-1] - 1}
    kind = draw(st.sampled_from(list(bounds)))
    return {kind: bounds[kind]}


@st.composite
def _points(draw: DrawFn, count: int) -> AsOf | None:
    match draw(FOLDED):
        case "at":
            return AsOf("at", "time", instant=draw(st.sampled_from(INSTANTS)))
        case "position":
            return AsOf("position", "position", number=draw(st.integers(1, count)))
    return None


def answers(made: Engine, bounds: Bounds, names: tuple[str, ...], turn: int) -> Any:
    """Give what a question says, in one of the ways to ask it, or that it is an error."""
    scope = structs.replace(made.scope(bounds.get("known_at")), entities=names)
    try:
        answer = replay(scope, as_of(bounds), deleted=turn % 3 == 0)
        if turn % 3 == 1:
            return fetch(structs.replace(answer, sql=answer.flat_sql))
        lines = io.BytesIO()
        write(answer, Target("jsonl", lines))
        return lines.getvalue()
    except UsageError:
        return "an error"


def names_of(made: Engine) -> list[tuple[str, ...]]:
    known = made.view.relation(["entity"], None, ["entity IS NOT NULL", "invalid IS NULL"])
    rows = fetch(Answer(made.scope().session, known, ()))
    return [(), tuple(sorted({name for (name,) in rows if "*" not in name})[:2]), ("account-*", "o*")]


def test_answers_are_the_same_with_any_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 4)
    seen: Counter[str] = Counter()

    def check(drawn: Kept) -> None:
        def after(batch: int, made: Engine) -> None:
            for place, at in drawn.points:
                with suppress(UsageError):
                    if place == batch:
                        seen.update(["made"] * len(save.save_snapshots(made.scope(), at, "user", render)))

        with engine(drawn.log, after=after) as made:
            for turn, bounds in enumerate(drawn.log.bounds, len(drawn.points)):
                scope = made.scope(bounds.get("known_at"))
                with suppress(EsctlError):
                    found = [resume.resume(scope, claim, as_of(bounds)) for claim in claims(scope)]
                    seen.update(way for one in found for way in how(one))
                names = names_of(made)[turn % 4 % 3]
                given = answers(made, bounds, names, turn)
                assert given == answers(replace(made, shelf=None), bounds, names, turn), (bounds, names)
            assert not disagreements(replace(drawn.log, bounds=drawn.log.bounds[-1:]), made, ["replay"])

    hold(check, effort.examples(14, 5), 7, kept(), always=True)
    assert all(seen[name] for name in ("made", "joined", "late", *(["slipped in"] if effort.ALL else []))), seen


def how(found: resume.Resumed | None) -> set[str]:
    """Say how a replay came to its states: each entity may have got there in another way."""
    if found is None:
        return {"none"}
    if not found.changed:
        return {"as it was"}
    rows = session().connection.execute(f"SELECT DISTINCT late, earlier FROM {found.later}").fetchall()
    return {"late" if late else "slipped in" if earlier else "joined" for late, earlier in rows}
