"""Series: each point has what the reference's states at that time add up to, in every fold order."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from esctl.ask.over_time.series import Sampling, series
from esctl.ask.scope.scope import Scope
from esctl.errors import UsageError
from esctl.projection import fold
from esctl.projection.spec import Projection
from tests.ask.states.test_engine_reference import PORT, hold
from tests.reference import FoldError, Reference, State, canonical_json
from tests.reference.mapping import FIRST
from tests.reference.values import to_text
from tests.support import effort
from tests.support.cli_harness import good, plain_event, write_lines
from tests.support.drawn_values import HOUR, INSTANTS
from tests.support.engine_harness import Engine, as_of, engine, fetch, micros
from tests.support.strategies import Log

DAY = 24 * HOUR
Values = Sequence[Any]
Total = Callable[[Sequence[State]], Any]


def of(name: str) -> Callable[[Sequence[State]], list[Any]]:
    return lambda states: [s.state[name] for s in states if s.state.get(name) is not None]


def added(values: Values) -> Decimal | None:
    with localcontext(prec=60):
        return sum(map(Decimal, values), Decimal()) if values else None


def negated(a: Decimal | None) -> Decimal | None:
    return None if a is None else a.copy_negate()  # a minus would round to 28 digits


def divided(a: Decimal | None, b: Decimal | int | None) -> Decimal | None:
    with localcontext(prec=80):
        return None if a is None or not b else (a / b).quantize(Decimal("1e-12"), ROUND_HALF_UP)


def totals(name: str, numeric: bool) -> Iterator[tuple[str, Total]]:
    """Give expressions and what they mean, over a field."""
    q, values = '"' + name.replace('"', '""') + '"', of(name)
    yield "count(*)", len
    yield f"count({q})", lambda s: len(values(s))
    yield "count(*) filter (version > 1)", lambda s: sum(1 for state in s if state.version > 1)
    yield f"count(distinct {q})", lambda s: len({canonical_json(value) for value in values(s)})
    yield "max(time)", lambda s: max((state.time for state in s if not state.undated), default=None)
    if not numeric:
        return
    yield f"sum({q})", lambda s: added(values(s))
    yield f"sum({q}) filter (where version > 1)", lambda s: added(values([x for x in s if x.version > 1]))
    yield f"avg({q})", lambda s: divided(added(values(s)), len(values(s)))
    yield f"min({q})", lambda s: min(values(s), default=None)
    yield f"max({q})", lambda s: max(values(s), default=None)
    yield f"sum({q}) / count(*)", lambda s: divided(added(values(s)), len(s))
    yield f"coalesce(-sum({q}), count(*))", lambda s: negated(added(values(s))) if values(s) else len(s)
    yield f"count(*) filter ({q} > 1)", lambda s: sum(1 for value in values(s) if value > 1)


@dataclass(frozen=True)
class Folded:
    """A log that can be folded: the reference, a field of its states, and whether that is always a number."""

    reference: Reference
    name: str
    numeric: bool
    plain: bool


def folded(log: Log, made: Engine) -> Folded | None:
    reference = Reference(log.projection, log.mapping)
    reference.events(log.records, log.recorded_at)
    try:
        steps = reference.steps()
        made.replay({})
    except (FoldError, UsageError):
        return None
    values: dict[str, list[Any]] = {}
    for step in (step for trail in steps.values() for step in trail):
        for name, value in step.after.items():
            values.setdefault(name, []).append(value)
    if not values:
        return None

    def numeric(name: str) -> bool:
        return all(v is None or (isinstance(v, int | Decimal) and not isinstance(v, bool)) for v in values[name])

    name = max(sorted(values), key=lambda name: (numeric(name), len(values[name])))
    return Folded(reference, name, numeric(name), not any(isinstance(v, list | dict) for v in values[name]))


def points(every: str, first: int, last: int, *, beyond: bool) -> list[int]:
    """Give the points of a grid in UTC: the naive way, by walking from its zero."""
    width = {"6h": 6 * HOUR, "1d": DAY, "2d": 2 * DAY, "1w": 7 * DAY}[every]
    zero = 4 * DAY if every == "1w" else 0
    start = first + (zero - first) % width
    found = [start]
    while found[-1] < last:
        found.append(found[-1] + width)
    return found if beyond else [point for point in found if first <= point <= last]


Live = list[tuple[tuple[str, str], State]]


def live(reference: Reference, instants: Iterable[int]) -> dict[int, Live]:
    """Give the states at each instant, folded once for all instants between which nothing happens."""
    times = sorted({row.time for row in reference.rows})
    found: dict[int, Live] = {}
    for instant in instants:
        happened = bisect_right(times, instant)
        if happened not in found:
            states = reference.replay(at=instant)
            found[happened] = [(entity, state) for entity, state in states.items() if not state.deleted]
    return {instant: found[bisect_right(times, instant)] for instant in instants}


GROUPS: Mapping[str, Callable[[tuple[str, str], State], str | None]] = {
    "kind": lambda entity, state: entity[0],
    "entity": lambda entity, state: entity[1],
}


def as_number(value: Any, wanted: Any) -> Any:
    """Return a number that an answer has as (marked) text, because no DECIMAL holds all of them, as a number."""
    if not isinstance(value, str) or not isinstance(wanted, int | Decimal):
        return value
    return Decimal(value[2:-1] if value.startswith('"\ue000') else value)


def agrees(scope: Scope, told: Folded, every: str, by: str, bounds: tuple[int, int] | None, number: int) -> int:
    """Hold all series to the reference; give how many of them there were."""
    rows = [row for steps in told.reference.steps().values() for step in steps for row in step.rows]
    placed = [row.time for row in rows if not (row.undated and row.time == FIRST)]
    span = bounds or (min(placed, default=FIRST), max(placed, default=FIRST))
    grid = points(every, *span, beyond=bounds is None)
    field_group: Callable[..., str | None] = lambda entity, state: to_text(state.state.get(told.name))  # noqa: E731
    group = GROUPS.get(by, field_group)
    quoted = by if by in GROUPS or not by else '"' + told.name.replace('"', '""') + '"'
    sampled = live(told.reference, grid)
    groups = {group(e, s) for found in sampled.values() for e, s in found} if by else {None}
    asked = list(totals(told.name, told.numeric))
    for expression, total in asked[number % 3 :: 3]:
        wanted = Sampling(
            expression, every, quoted,
            *(as_of({"before" if i == 0 else "at": value}) for i, value in enumerate(bounds or ())),
        )  # fmt: skip
        given = fetch(series(scope, wanted))
        expected = {
            (instant, name): total([s for e, s in found if not by or group(e, s) == name])
            for instant, found in sampled.items()
            for name in groups
        }
        rows = {(micros(row[0]), row[1] if by else None): row[-1] for row in given}
        assert len(rows) == len(given)
        plain = {key: micros(v) if isinstance(v, datetime) else v for key, v in rows.items()}
        plain = {key: as_number(value, expected.get(key)) for key, value in plain.items()}
        assert plain == expected, wanted
        assert [row[:-1] for row in given] == sorted(
            (row[:-1] for row in given), key=lambda row: (row[0], row[-1] is None, str(row[-1]).encode())
        )
    return len(asked)


def test_values_are_those_of_the_reference() -> None:
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        with engine(log) as made:
            told = folded(log, made)
            if told is None:
                return
            number = len(log.records)
            by = ["", "", "kind", "entity", "field" if told.plain else ""][number % 5]
            bounds = (INSTANTS[1], INSTANTS[3]) if number % 4 == 0 else None
            agrees(made.scope(), told, ["1d", "6h", "2d", "1w"][number % 4 - 1], by, bounds, number)
            seen.update([f"by {by}", "numeric" if told.numeric else "mixed", told.reference.envelope.order])
            seen.update(["returns"] * returns(told.reference))

    hold(check, effort.examples(90, 10), 1, always=True)  # of this seed, few show all that must be drawn
    assert seen.keys() >= {"by ", "by kind", "by entity", "by field", "numeric", "sequence", "position", "returns"}, (
        seen
    )
    assert seen["returns"] > 2


def returns(reference: Reference) -> bool:
    """Say whether the days of an entity's events go back in fold order."""
    trails = [[step.rows[0].time // DAY for step in steps] for steps in reference.steps().values()]
    return any(days != sorted(days) for days in trails)


@pytest.mark.thorough
def test_values_of_streamed_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "MOST_FIELDS", -1)

    def check(log: Log) -> None:
        with engine(log) as made:
            if (told := folded(log, made)) is not None:
                agrees(made.scope(), told, "1d", "", None, len(log.records))

    hold(check, 15, 960)


def test_values_of_a_python_projection(tmp_path: Path) -> None:
    (tmp_path / "ported.py").write_text(PORT, encoding="utf-8")

    def check(log: Log) -> None:
        log = replace(log, projection=None)
        with engine(log) as made:
            ported = Projection(name="p", python="ported:merge")
            made = replace(made, projection=ported, config=tmp_path / "esctl.toml")
            if (told := folded(log, made)) is not None:
                agrees(made.scope(), told, "1d", "kind", None, len(log.records))

    hold(check, 10, 970)


def test_whole_numbers_that_fit_no_bigint_keep_their_digits(tmp_path: Path) -> None:
    for digits in (18, 19, 20, 39):
        most, folder = int("9" * digits), tmp_path / str(digits)
        folder.mkdir()
        write_lines(
            folder / "a.jsonl", [plain_event(number, f"thing-{number}", n=n) for number, n in enumerate((most, -most))]
        )
        good("ingest", "a.jsonl", "-q", cwd=folder)
        for question, value in (("max(n)", most), ("min(n)", -most), ("sum(abs(n))", 2 * most)):
            rows = good("series", question, "--every", "1d", cwd=folder).rows
            assert {row["value"] for row in rows[-1:]} == {value}, (digits, question)


def test_points_run_from_the_first_event_that_has_a_place_in_time(tmp_path: Path) -> None:
    undated = [{**plain_event(0, "thing-0", n=7), "time": "soon"}, {**plain_event(2, n=2), "time": "later"}]
    write_lines(tmp_path / "a.jsonl", [undated[0], plain_event(1, n=1), undated[1]])
    good("ingest", "a.jsonl", "-q", "--map", "time=time", cwd=tmp_path)
    for every, point in (("1d", "2024-01-03T00:00:00Z"), ("1mo", "2024-02-01T00:00:00Z")):
        assert good("series", "sum(n)", "--every", every, "-q", cwd=tmp_path).rows == [{"time": point, "value": 9}]
    write_lines(tmp_path / "b.jsonl", [{"stream": "thing-2", "type": "Changed", "data": {"n": 1}}])
    good("ingest", "b.jsonl", "-q", "--map", "entity=stream", "--store", "untimed", cwd=tmp_path)
    (row,) = good("series", "count(*)", "-q", "--store", "untimed", cwd=tmp_path).rows
    assert row["time"] > "2024-02"  # such a source counts from when it was recorded
