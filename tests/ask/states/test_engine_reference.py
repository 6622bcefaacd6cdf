"""The engine answers as the reference does: drawn logs and projections, any bound, batches, index layout, way to fold.

The examples are the same in every run, but where everything is tried: see tests/support/effort.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from esctl.errors import UsageError
from esctl.index import chunks, merge_policy
from esctl.projection import fold
from esctl.projection.spec import Projection
from tests.reference import MISSING, Reference, same
from tests.reference.values import to_text
from tests.support import effort
from tests.support.drawn_values import HOUR, JANUARY
from tests.support.engine_harness import Engine, disagreements, engine
from tests.support.strategies import LABELS, Log, coverage, logs

Check = Callable[[Log], None]


def hold(
    check: Check, examples: int, number: int, drawn: st.SearchStrategy[Log] | None = None, *, always: bool = False
) -> None:
    """Try a property on drawn logs. `number` tells sets of examples apart; `always`: all, in the fast run too."""
    most = examples if always else effort.share(examples)
    for each in effort.seeds(number):

        @seed(each)
        @settings(max_examples=most * (1 if each == number else effort.TIMES), phases=effort.PHASES)
        @given(logs() if drawn is None else drawn)
        def run(log: Log) -> None:
            check(log)

        run()


RARE = {"shadowed error", "dotted twin"}
"""What a few hundred logs need not show; that the strategies draw it is tested with them."""
SHORT = (1, 5, 36)
"""Seeds of which few logs show all else."""


@pytest.mark.parametrize("number", effort.numbers(3))
def test_states_are_those_of_the_reference(number: int) -> None:
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        seen.update(coverage(log))
        with engine(log) as made:
            assert not disagreements(replace(log, bounds=log.bounds[-2:]), made, ["replay"])

    hold(check, effort.examples(210, 32), SHORT[number], always=True)
    assert not sorted(LABELS - RARE - seen.keys())


@pytest.mark.parametrize("number", effort.numbers(3))
def test_trails_are_those_of_the_reference(number: int) -> None:
    def check(log: Log) -> None:
        with engine(log) as made:
            assert not disagreements(replace(log, bounds=log.bounds[-1:]), made, ["audit"])

    hold(check, 60, 100 + number)


@pytest.mark.parametrize("number", effort.numbers(3))
def test_diffs_are_those_of_the_reference(number: int) -> None:
    def check(log: Log) -> None:
        with engine(log) as made:
            assert not disagreements(replace(log, bounds=log.bounds[:2]), made, ["diff"])

    hold(check, 50, 200 + number)


@st.composite
def segmented(draw: DrawFn) -> Log:
    """Draw a log that came in anew batches."""
    log = draw(logs())
    cuts = sorted(draw(st.sets(st.integers(1, max(len(log.records) - 1, 1)), max_size=5)) - {len(log.records)})
    ends = [*cuts, len(log.records)]
    batches = [end - start for start, end in zip([0, *cuts], ends, strict=True)]
    times = [JANUARY + (50 + 20 * batch) * HOUR for batch, size in enumerate(batches) for _ in range(size)]
    return replace(log, batches=tuple(batches), recorded_at=tuple(times), bounds=log.bounds[:2])


@pytest.mark.parametrize("number", effort.numbers(2))
def test_batches_do_not_matter(number: int) -> None:
    def check(log: Log) -> None:
        with engine(log, eager=True) as made:
            assert not disagreements(log, made, ["replay", "audit"])

    hold(check, 25, 300 + number, segmented())


@pytest.mark.thorough
def test_files_of_the_index_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 4)
    merged: Counter[bool] = Counter()

    def check(log: Log) -> None:
        log = replace(log, bounds=log.bounds[-1:])
        files = []
        for most in (100, 2):
            monkeypatch.setattr(merge_policy, "MOST_SMALL", most)
            with engine(log, eager=True) as made:
                files.append(len(made.view.manifest.files))
                assert not disagreements(log, made, ["replay"])
                payloads = made.payloads()
                again = made.rebuilt()
                assert not disagreements(log, again, ["replay"])
                assert again.payloads() == payloads
        merged.update([files[1] < files[0]])

    hold(check, 15, 400, segmented())
    assert merged[True] > 3


def test_payloads_come_back_as_they_were() -> None:
    def check(log: Log) -> None:
        reference = Reference(log.projection, log.mapping)
        reference.events(log.records, log.recorded_at)
        wanted = {row.position: row.data for row in reference.rows if row.invalid is None}
        with engine(log) as made:
            given = made.payloads()
            assert given.keys() == wanted.keys()
            for position, data in wanted.items():
                found = given[position]
                assert found is ... if data is MISSING else found is not ... and same(found, data), (data, found)

    hold(check, effort.examples(100, 6), 500, logs(max_records=30), always=True)


@pytest.mark.thorough
def test_a_stream_folds_as_a_set_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "MOST_FIELDS", -1)  # everything is too much for a set

    def check(log: Log) -> None:
        with engine(log) as made:
            assert not disagreements(replace(log, bounds=log.bounds[-1:]), made)

    hold(check, effort.examples(80, 6), 600, always=True)


PORT = """
def merge(state, event):
    if not isinstance(event["data"], dict):
        return state
    return {**state, **event["data"]}
"""


@pytest.mark.thorough
def test_a_python_projection_folds_as_its_rules_do(tmp_path: Path) -> None:
    (tmp_path / "ported.py").write_text(PORT, encoding="utf-8")
    ported = Projection(name="p", python="ported:merge")

    def check(log: Log) -> None:
        log = replace(log, projection=None, bounds=log.bounds[-1:])
        with engine(log) as made:
            made = replace(made, projection=ported, config=tmp_path / "esctl.toml")
            assert not disagreements(log, made)

    hold(check, 40, 700)


Predicate = tuple[str, Callable[[Any, int, str], bool]]


def predicates(field: str) -> Iterator[Predicate]:
    quoted = '"' + field.replace('"', '""') + '"'

    def text(state: Mapping[str, Any]) -> str | None:
        return to_text(state.get(field))

    yield f"{quoted} is not null", lambda state, version, kind: text(state) is not None
    yield f"{quoted} is null or version > 1", lambda state, version, kind: text(state) is None or version > 1
    yield f"{quoted} = 'a'", lambda state, version, kind: text(state) == "a"
    yield f"{quoted} <> 'a'", lambda state, version, kind: text(state) not in (None, "a")
    yield f"{quoted} like '%1%'", lambda state, version, kind: "1" in (text(state) or "")
    yield "kind = 'account' and version >= 2", lambda state, version, kind: kind == "account" and version >= 2


@pytest.mark.thorough
def test_where_keeps_the_states_that_a_filter_keeps() -> None:
    kept: Counter[bool] = Counter()

    def check(log: Log) -> None:
        with engine(replace(log, projection=None)) as made:
            try:
                states = {key: state for key, state in made.replay({}).items() if state.state is not None}
            except UsageError:
                return
            field = next((name for name in ("note", "amount") for state in states.values() if name in state.state), "")
            for sql, holds in predicates(field) if field else ():
                wanted = {key for key, state in states.items() if holds(state.state, state.version, key[0])}
                assert made.replay({}, sql).keys() == wanted, sql
                kept.update([0 < len(wanted) < len(states)])

    hold(check, 30, 800)
    assert kept[True] > 10


def refusing(made: Engine, log: Log) -> bool:
    try:
        made.replay(log.bounds[-1])
    except UsageError:
        return True
    return False


def test_an_error_outside_the_bounds_is_none() -> None:
    """An event that no bound lets in, of a type no rule takes, or behind a false `when` is never read."""
    bad = {"type": "Bad", "stream": "account-1", "time": "2024-01-09T00:00:00Z", "data": {"amount": "abc", "flag": 5}}
    good = {"type": "Good", "stream": "account-1", "time": "2024-01-01T00:00:00Z", "data": {"amount": 1, "flag": True}}
    mapping = {"type": "type", "entity": "stream", "time": "time", "data": "data"}
    bodies: list[dict[str, Any]] = [
        {"add": {"n": "data.amount"}},
        {"set": {"n": "data.amount * 2"}},
        {"set": {"n": "cast(data.amount as decimal(9,2))"}},
        {"append": {"n": "[-data.amount]"}},
        {"count": {"n": "data.amount > 0"}},
        {"max": {"n": "case when data.flag then data.amount end"}},
        {"merge": "{'n': data.amount + 1}"},
    ]
    wheres: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("*", {}, {"at": JANUARY + 48 * HOUR}),
        ("*", {}, {"version": 1}),
        ("*", {}, {"position": 1}),
        ("Good", {}, {}),
        ("*", {"when": "type = 'Good'"}, {}),
        ("*", {"when": "type = 'Good' and data.amount > 0"}, {}),
    ]
    for number, body in enumerate(bodies):
        for at, (pattern, when, bounds) in enumerate(wheres):
            if not effort.ALL and (number + at) % 3:
                continue  # each body meets two of the six, each of the six two bodies at least
            log = Log((good, bad), mapping, {"on": {pattern: {**body, **when}}}, (bounds,), (2,), (JANUARY, JANUARY))
            with engine(log) as made:
                assert not refusing(made, log), (body, pattern, when, bounds)
                assert not disagreements(log, made)
        log = Log((good, bad), mapping, {"on": {"*": body}}, ({},), (2,), (JANUARY, JANUARY))
        with engine(log) as made:
            assert refusing(made, log), body
