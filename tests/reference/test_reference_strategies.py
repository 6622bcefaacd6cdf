"""The strategies draw everything that matters, and the reference is at one with itself on all of it."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from tests.reference import MISSING, FoldError, Reference, same
from tests.support.strategies import LABELS, Log, coverage, logs, to_jsonl

PROPERTY = settings(max_examples=150)


def loaded(log: Log) -> Reference:
    reference = Reference(log.projection, log.mapping)
    reference.events(log.records, log.recorded_at)
    return reference


@pytest.mark.thorough
def test_every_label_is_drawn() -> None:
    seen: Counter[str] = Counter()

    @settings(PROPERTY, max_examples=800)
    @given(logs())
    def draw(log: Log) -> None:
        seen.update({*coverage(log), "logs"})

    draw()
    assert not LABELS - seen.keys()
    assert 0.02 < seen["error"] / seen["logs"] < 0.25


def test_jsonl_has_each_record_on_its_line() -> None:
    records: list[Any] = [{"n": Decimal("1.50"), "e": Decimal("1E+3"), "t": "a\nb"}, b" [1] ", '{"x": "\u00e9"}']
    assert to_jsonl(records) == '{"n": 1.50, "e": 1E+3, "t": "a\\nb"}\n [1] \n{"x": "\u00e9"}\n'.encode()


@pytest.mark.thorough
@PROPERTY
@given(logs())
def test_the_trail_ends_in_the_state(log: Log) -> None:
    reference = loaded(log)
    for bounds in log.bounds:
        try:
            states = reference.replay(**bounds)
        except FoldError:
            continue
        for (_, entity), state in states.items():
            rebuilt: dict[str, Any] = {}
            trail = reference.audit(entity, **bounds)
            for change in (change for row in trail for change in row.changes):
                assert same(rebuilt.pop(change["field"], MISSING), change.get("before", MISSING))
                if "after" in change:
                    rebuilt[change["field"]] = change["after"]
            assert same(rebuilt, state.state)
            assert (
                (trail[-1].version, trail[-1].position)
                == (state.version, state.position)
                == (len(trail), trail[-1].position)
            )


@pytest.mark.thorough
@PROPERTY
@given(logs())
def test_a_diff_leads_from_one_state_to_the_other(log: Log) -> None:
    reference = loaded(log)
    for a in log.bounds:
        try:
            before, after = reference.replay(**a), reference.replay()
            found, back = reference.diff(a, {}), reference.diff({}, a)
        except FoldError:
            continue
        assert not reference.diff(a, a)
        assert {key: (d.before, d.after, d.positions) for key, d in found.items()} == {
            key: (d.after, d.before, d.positions) for key, d in back.items()
        }
        for entity, state in after.items():
            patched = dict(before[entity].state) if entity in before else {}
            for (name, field), d in found.items():
                if name == entity[1]:
                    assert same(patched.pop(field, MISSING), d.before)
                    patched |= {} if d.after is MISSING else {field: d.after}
            assert same(patched, state.state)


@pytest.mark.thorough
@PROPERTY
@given(logs())
def test_a_position_is_a_prefix_of_the_log(log: Log) -> None:
    whole = loaded(log)
    for n in range(len(log.records) + 1):
        part = Reference(log.projection, log.mapping)
        part.events(log.records[:n], log.recorded_at[:n])
        try:
            expected = part.replay()
        except FoldError:
            with pytest.raises(FoldError):
                whole.replay(position=n)
        else:
            assert whole.replay(position=n) == expected
