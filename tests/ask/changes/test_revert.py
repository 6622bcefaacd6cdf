"""What revert says, done after the log, gives the states of then: on drawn logs, and by the program on the bank's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from decimal import Decimal, localcontext
from functools import partial
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from esctl.ask.changes.event_template import read_template
from esctl.ask.changes.revert import revert
from esctl.errors import EsctlError, UsageError
from esctl.projection import fold
from tests.ask.changes.test_blame import ENVELOPE
from tests.ask.changes.test_blame import disagreements as blame_disagreements
from tests.ask.states.test_engine_reference import hold
from tests.reference import Reference, same
from tests.reference.values import EXACT
from tests.support.drawn_values import EXACT_NUMBERS
from tests.support.engine_harness import Bounds, Engine, Entity, exact, fetch, judged
from tests.support.engine_harness import engine as made_engine
from tests.support.strategies import Log

Row = tuple[Any, ...]
"""(kind, entity, op, field, value, from, to, undoes, undoes_ids)"""
States = dict[Entity, dict[str, Any]]


def asked(made: Engine, bounds: Bounds) -> list[Row]:
    answer = revert(made.scope(bounds.get("known_at")), made._point(bounds))
    return [
        (kind, entity, op, field, *(exact(side, ...) for side in sides), exact(undoes), exact(ids))
        for entity, kind, op, field, *sides, undoes, ids in fetch(answer)
    ]


class Expected:
    """The live states now and then, of the entities with events in between."""

    def __init__(self, whole: Reference, bounds: Bounds) -> None:
        known = {"known_at": bounds["known_at"]} if "known_at" in bounds else {}
        self.undone = whole._included(bounds) ^ whole._included(known)
        chosen = {entity for entity, _ in self.undone}
        reference = copy(whole)
        reference.rows = [row for row in whole.rows if (row.kind, row.entity) in chosen]
        self.now, self.then = _live(reference, known), _live(reference, bounds)
        self.touching = {key: set(diff.positions) for key, diff in reference.diff(known, bounds).items()}
        self.ids = {row.position: row.id for row in reference.rows}


def _live(reference: Reference, bounds: Bounds) -> States:
    return {key: dict(one.state) for key, one in reference.replay(**bounds).items() if not one.deleted}


def applied(states: States, rows: list[Row]) -> States:
    """Do what the rows say, one after the other."""
    after = {entity: dict(state) for entity, state in states.items()}
    for kind, entity, op, field, value, *_ in rows:
        if op == "create":
            assert (kind, entity) not in after
            after[kind, entity] = {}
        elif op == "delete":
            del after[kind, entity]
        elif op == "unset":
            del after[kind, entity][field]
        elif op == "add":
            with localcontext(EXACT):
                after[kind, entity][field] = Decimal(after[kind, entity][field]) + value
        else:
            assert op == "set"
            after[kind, entity][field] = value
    return after


def differences(wanted: Expected, rows: list[Row]) -> list[str]:
    found = []
    done = applied(wanted.now, rows)
    if done.keys() != wanted.then.keys():
        found.append(f"{wanted.then.keys()} are {done.keys()}")
    found += [f"{key}: {wanted.then[key]} is {done[key]}" for key in done.keys() & wanted.then.keys()
              if not same(wanted.then[key], done[key])]  # fmt: skip
    for kind, entity, op, field, _, before, after, undoes, ids in rows:
        events = {position for key, position in wanted.undone if key == (kind, entity)}
        least = wanted.touching[entity, field] if field is not None else events
        if not least <= set(undoes) <= events or undoes != sorted(set(undoes)):
            found.append(f"{entity} {op} {field}: undoes {least} of {events} is {undoes}")
        if ids != [wanted.ids[position] for position in undoes]:
            found.append(f"{entity} {op} {field}: ids {ids}")
        sides = [states.get((kind, entity), {}).get(field, ...) for states in (wanted.now, wanted.then)]
        if field is not None and not all(x is y or same(x, y) for x, y in zip(sides, (before, after), strict=True)):
            found.append(f"{entity} {op} {field}: {sides} are {[before, after]}")
    return found


def disagreements(log: Log, made: Engine) -> list[str]:
    reference = Reference(log.projection, log.mapping)
    reference.events(log.records, log.recorded_at)
    found: list[str] = []
    for bounds in log.bounds[1:]:
        wanted, given = partial(Expected, reference, bounds), partial(asked, made, bounds)
        found += judged(reference, f"revert {bounds}", wanted, given, differences)
    return found


OPERATIONS = {"set", "unset", "add", "create", "delete"}


def halfway(log: Log) -> Log:
    """Ask a log for its last bound and for the middle of its records."""
    return replace(log, bounds=({}, {"position": len(log.records) // 2}, log.bounds[-1]))


def test_reverting_gives_the_states_of_then() -> None:
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        log = halfway(log)
        with made_engine(log) as made:
            assert not disagreements(log, made)
            seen.update(operations(made, log.bounds[1]))

    hold(check, 24, 1000)
    assert seen.keys() >= OPERATIONS - {"add"}


SUMS = {
    "Set": {"set": {"n": "data.n", "last": "data.n"}},
    "Add": {"add": {"n": "data.n", "m": "data.n * 2"}, "count": {"times": True}},
    "Subtract": {"subtract": {"n": "data.n"}},
    "Unset": {"unset": ["n"]},
    "Closed": {"delete": True},
}


@st.composite
def sums(draw: DrawFn) -> Log:
    """Draw a log of two things that are mostly added to, and a position in the middle of it."""
    kinds = st.sampled_from(["Add", "Add", "Add", "Subtract", "Subtract", "Set", "Unset", "Closed"])
    numbers = st.sampled_from([n for n in EXACT_NUMBERS if abs(n) < 10**20])
    things = st.integers(1, 2)
    same = {"time": "2024-01-01T00:00:00Z"}
    records = tuple(
        {**same, "id": f"e{n}", "type": draw(kinds), "stream": f"thing-{draw(things)}", "data": {"n": draw(numbers)}}
        for n in range(1, draw(st.integers(4, 12)))
    )
    bounds = ({}, {"position": draw(st.integers(1, len(records)))})
    return Log(records, ENVELOPE, {"on": SUMS}, bounds, (len(records),), (0,) * len(records))


@pytest.mark.thorough
def test_reverting_sums_gives_the_sums_of_then() -> None:
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        with made_engine(log) as made:
            assert not disagreements(log, made)
            assert not blame_disagreements(log, made)
            seen.update(operations(made, log.bounds[1]))

    hold(check, 30, 1020, sums())
    assert seen.keys() == OPERATIONS
    assert seen["add"] > 20


def operations(made: Engine, bounds: Mapping[str, Any]) -> list[str]:
    try:
        return [row[2] for row in asked(made, bounds)]
    except EsctlError:
        return []


@pytest.mark.thorough
def test_a_stream_reverts_as_a_set_does_but_by_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "MOST_FIELDS", -1)
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        log = replace(log, bounds=halfway(log).bounds[:2])
        with made_engine(log) as made:
            assert not disagreements(log, made)
            seen.update(operations(made, log.bounds[1]))

    hold(check, 15, 1010)
    assert seen["set"] > 5
    assert "add" not in seen


def reverted(rules: dict[str, Any], *events: tuple[str, dict[str, Any]], to: int) -> list[Row]:
    """Revert one thing after some (type, data) to a position: its rows from `op` on."""
    records = tuple(
        {"id": f"e{n}", "type": kind, "time": "2024-01-01T00:00:00Z", "stream": "thing-1", "data": data}
        for n, (kind, data) in enumerate(events, 1)
    )
    log = Log(records, ENVELOPE, {"on": rules}, ({}, {"position": to}), (len(records),), (0,) * len(records))
    with made_engine(log) as made:
        assert not disagreements(log, made)
        return [row[2:] for row in asked(made, {"position": to})]


def test_only_a_sum_that_was_only_added_to_is_added_to() -> None:
    rules = {
        "Set": {"set": {"n": "data.n", "x": "data.n"}}, "Add": {"add": {"n": "data.n"}, "max": {"top": "data.n"}},
        "Closed": {"delete": True}, "Unset": {"unset": ["n"]},
    }  # fmt: skip
    one, add = ("Set", {"n": 1}), ("Add", {"n": Decimal("0.1")})
    both = reverted(rules, one, add, ("Add", {"n": Decimal("2.25")}), to=2)
    assert both == [
        ("add", "n", Decimal("-2.25"), Decimal("3.35"), Decimal("1.1"), [3], ["e3"]),
        ("set", "top", Decimal("0.1"), Decimal("2.25"), Decimal("0.1"), [3], ["e3"]),
    ]
    assert reverted(rules, one, add, one, add, add, to=2)[0] == (
        "set", "n", Decimal("1.1"), Decimal("1.2"), Decimal("1.1"), [3, 4, 5], ["e3", "e4", "e5"],
    )  # fmt: skip
    assert reverted(rules, add, add, ("Unset", {}), to=2)[0][:3] == ("set", "n", Decimal("0.2"))
    assert reverted(rules, one, ("Closed", {}), add, to=1)[0][:3] == ("set", "n", 1)
    assert [row[:3] for row in reverted(rules, one, add, to=1)] == [
        ("add", "n", Decimal("-0.1")),
        ("unset", "top", ...),
    ]


def test_an_entity_comes_before_its_fields_and_goes_as_a_whole() -> None:
    rules = {"Set": {"set": {"n": "data.n"}}, "Closed": {"delete": True}}
    events = ("Set", {"n": None}), ("Other", {}), ("Closed", {})
    assert reverted(rules, *events, to=1) == [
        ("create", None, ..., ..., ..., [2, 3], ["e2", "e3"]),
        ("set", "n", None, ..., None, [3], ["e3"]),
    ]
    assert reverted(rules, *events[:2], to=0) == [("delete", None, ..., ..., ..., [1, 2], ["e1", "e2"])]
    assert reverted(rules, *events, to=0) == []


def test_a_template_with_a_number_that_no_decimal_holds_is_refused() -> None:
    with pytest.raises(UsageError, match="--event: a number in it has too long an exponent"):
        read_template('{"a":1e1000000000000000000}', "--event")
