"""Who made each field what it is: as the reference says that goes operation by operation, on drawn logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from esctl.ask.changes import blame as query
from esctl.errors import NotFoundError, UsageError
from esctl.projection import fold
from esctl.projection.spec import Projection
from tests.ask.states.test_engine_reference import PORT, hold
from tests.reference import FoldError, Reference, same
from tests.reference.blame import Blame, blame
from tests.support import effort
from tests.support.drawn_values import HOUR, JANUARY
from tests.support.engine_harness import Bounds, Engine, Entity, as_of, engine, exact, fetch, judged, micros
from tests.support.strategies import Log

Row = tuple[Any, ...]
"""(value, change, contributions, position, time, role, type, actor, id)"""
Found = dict[tuple[str, str, str | None], list[Row]]
"""By kind, entity and field, in the order of the answer."""


def asked(made: Engine, bounds: Bounds, every: bool, fields: tuple[str, ...] = ()) -> Found:
    answer = query.blame(made.scope(bounds.get("known_at")), as_of(bounds), fields, every=every)
    found: Found = {}
    for entity, kind, field, value, change, count, position, time, *rest in fetch(answer):
        row = (exact(value, ...), change, count, position, micros(time), *rest)
        found.setdefault((kind, entity, field), []).append(row)
    return found


def wanted(reference: Reference, bounds: Bounds) -> dict[Entity, Blame]:
    return blame(reference, **bounds)


def expected(blames: Mapping[Entity, Blame], every: bool) -> Found:
    found: Found = {}
    for (kind, entity), one in blames.items():
        if one.deleted is not None:
            found[kind, entity, None] = [(..., "deleted", 0, *_event(one.deleted))]
        for field, parts in one.fields.items():
            rows = [
                (part.value, "set" if part.anew else "contributed", number, *_event(part.row))
                for number, part in enumerate(parts, 1)
            ]
            found[kind, entity, field] = rows if every else rows[-1:]
    return found


def _event(row: Any) -> Row:
    return (row.position, row.time, row.role or None, row.type, row.actor, row.id)


def differences(every: bool, blames: Mapping[Entity, Blame], given: Found) -> list[str]:
    told = expected(blames, every)
    found = [f"{key}: {'missing' if key in told else 'unexpected'}" for key in told.keys() ^ given.keys()]
    for key in told.keys() & given.keys():
        xs, ys = told[key], given[key]
        if [x[1:] for x in xs] != [y[1:] for y in ys]:
            found.append(f"{key}: {xs} is {ys}")
        elif not all(x[0] is y[0] or same(x[0], y[0]) for x, y in zip(xs, ys, strict=True)):
            found.append(f"{key}: the values {[x[0] for x in xs]} are {[y[0] for y in ys]}")
    return found


def disagreements(log: Log, made: Engine, everies: tuple[bool, ...] = (False, True)) -> list[str]:
    reference = Reference(log.projection, log.mapping)
    reference.events(log.records, log.recorded_at)
    found: list[str] = []
    for bounds in log.bounds:
        for every in everies:
            ask = partial(asked, made, bounds, every)
            what = f"blame {bounds} {'--all' if every else ''}"
            found += judged(reference, what, partial(wanted, reference, bounds), ask, partial(differences, every))
    return found


@pytest.mark.parametrize("number", effort.numbers(2))
def test_blame_is_that_of_the_reference(number: int) -> None:
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        log = replace(log, bounds=(log.bounds[0], log.bounds[-1]))
        with engine(log) as made:
            assert not disagreements(log, made)
            seen.update(shown(log))

    hold(check, effort.examples(40, 8), 903 + number, always=True)
    assert not LABELS - seen.keys()


LABELS = {"several contributions", "deleted", "set", "contributed", "null value", "role"}


def shown(log: Log) -> set[str]:
    """Name what a log's blame shows, so that a test can say that everything that matters is drawn."""
    reference = Reference(log.projection, log.mapping)
    reference.events(log.records, log.recorded_at)
    try:
        blames = blame(reference)
    except FoldError:
        return set()
    labels = {"deleted"} if any(one.deleted for one in blames.values()) else set()
    for parts in (parts for one in blames.values() for parts in one.fields.values()):
        labels.add("set" if parts[-1].anew else "contributed")
        labels |= {"several contributions"} if len(parts) > 1 else set()
        labels |= {"null value"} if parts[-1].value is None else set()
        labels |= {"role"} if parts[-1].row.role else set()
    return labels


@pytest.mark.thorough
def test_a_stream_blames_as_a_set_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "MOST_FIELDS", -1)

    def check(log: Log) -> None:
        with engine(log) as made:
            assert not disagreements(replace(log, bounds=(log.bounds[0], log.bounds[-1])), made)

    hold(check, 25, 910)


def test_a_python_projection_is_blamed_on_what_changed_a_field_last(tmp_path: Path) -> None:
    (tmp_path / "ported.py").write_text(PORT, encoding="utf-8")
    ported = Projection(name="p", python="ported:merge")
    compared: Counter[str] = Counter()

    def check(log: Log) -> None:
        reference = Reference(None, log.mapping)
        reference.events(log.records, log.recorded_at)
        with engine(replace(log, projection=None)) as made:
            made = replace(made, projection=ported, config=tmp_path / "esctl.toml")
            try:
                states = reference.replay()
            except FoldError:
                return
            found = asked(made, {}, every=False)
            assert asked(made, {}, every=True) == found
        for _kind, entity in states:
            changes = [(row.position, change) for row in reference.audit(entity) for change in row.changes]
            last = {change["field"]: position for position, change in changes}
            assert {field: rows[0][3] for (_, name, field), rows in found.items() if name == entity} == last
            compared.update(last.keys())

    hold(check, 25, 920)
    assert compared.total() > 50


def test_some_fields_are_blamed_as_among_all() -> None:
    def check(log: Log) -> None:
        with engine(log) as made:
            for every in (False, True):
                try:
                    whole = asked(made, {}, every)
                except UsageError:
                    return
                names = sorted({field for _, _, field in whole if field is not None})[:2]
                if names:
                    kept = {key: rows for key, rows in whole.items() if key[2] is None or key[2] in names}
                    assert asked(made, {}, every, tuple(names)) == kept

    hold(check, 15, 930)


ENVELOPE = {"id": "id", "type": "type", "time": "time", "entity": "stream", "actor": "actor", "data": "data"}


def blamed(rules: dict[str, Any], *events: tuple[str, dict[str, Any]], every: bool = False) -> dict[Any, Any]:
    """Blame one thing after some (type, data): field -> (value, change, contributions, position), or a list of them."""
    records = tuple(
        {"id": f"e{n}", "type": kind, "time": "2024-01-01T00:00:00Z", "stream": "thing-1", "data": data}
        for n, (kind, data) in enumerate(events, 1)
    )
    log = Log(records, ENVELOPE, {"on": rules}, ({},), (len(records),), (JANUARY + HOUR,) * len(records))
    with engine(log) as made:
        assert not disagreements(log, made)
        found = {field: [row[:4] for row in rows] for (_, _, field), rows in asked(made, {}, every).items()}
    return found if every else {field: rows[0] for field, rows in found.items()}


SUM = {"Set": {"set": {"n": "data.n"}}, "Add": {"add": {"n": "data.n"}}, "Unset": {"unset": ["n"]}}


def test_a_sum_counts_what_it_is_made_of_since_it_was_set() -> None:
    rules = {**SUM, "Closed": {"delete": True}}
    add, close = ("Add", {"n": 1}), ("Closed", {})
    assert blamed(rules, add, add) == {"n": (2, "contributed", 2, 2)}
    assert blamed(rules, add, ("Set", {"n": 5})) == {"n": (5, "set", 1, 2)}
    assert blamed(rules, add, ("Set", {"n": 5}), add, add) == {"n": (7, "contributed", 3, 4)}
    assert blamed(rules, add, ("Unset", {}), add) == {"n": (1, "contributed", 1, 3)}
    assert blamed(rules, add, ("Unset", {})) == {}
    assert blamed(rules, add, ("Add", {"n": None}), ("Other", {})) == {"n": (1, "contributed", 1, 1)}
    assert blamed(rules, add, close) == {None: (..., "deleted", 0, 2)}
    assert blamed(rules, ("Set", {"n": 5}), close, add) == {"n": (1, "contributed", 1, 3)}
    assert blamed(rules, ("Set", {"n": 5}), close, ("Other", {})) == {}
    parts = blamed(rules, add, ("Set", {"n": 5}), add, ("Add", {"n": 3}), every=True)
    assert parts == {"n": [(5, "set", 1, 2), (6, "contributed", 2, 3), (9, "contributed", 3, 4)]}


def test_a_field_is_blamed_on_what_set_it_last_though_it_was_so_before() -> None:
    merge = {"*": {"merge": "data"}}
    assert blamed(merge, ("A", {"x": 1, "y": 1}), ("A", {"x": 1})) == {"x": (1, "set", 1, 2), "y": (1, "set", 1, 1)}
    assert blamed(merge, ("A", {"x": 1}), ("A", {"x": None})) == {"x": (None, "set", 1, 2)}
    replace_all = {"*": {"replace": "data"}}
    assert blamed(replace_all, ("A", {"x": 1, "y": 1}), ("A", {"x": 1})) == {"x": (1, "set", 1, 2)}


def test_a_patch_that_goes_into_an_object_contributes() -> None:
    patch = {"*": {"merge_patch": "data"}}
    parts = blamed(patch, ("A", {"o": {"a": 1}}), ("A", {"o": {"b": 2}}), ("A", {"p": 1}), every=True)
    assert parts["o"] == [({"a": 1}, "set", 1, 1), ({"a": 1, "b": 2}, "contributed", 2, 2)]
    assert blamed(patch, ("A", {"o": {"a": 1}}), ("A", {"o": None}), ("A", {"o": {"c": 1}}))["o"][1:] == ("set", 1, 3)


def test_an_event_that_removes_a_field_is_still_to_blame_for_what_it_set() -> None:
    rules = {"Put": {"merge_patch": "data"}, "Move": {"set": {"to": "data.to"}, "unset": ["from"]}}
    put, move = ("Put", {"from": 1, "to": 1}), ("Move", {"to": 2})
    assert blamed(rules, put, move) == {"to": (2, "set", 1, 2)}
    assert blamed(rules, put, move, ("Move", {"to": 2})) == {"to": (2, "set", 1, 3)}


def test_a_field_that_no_state_has_is_named() -> None:
    log = Log(({"id": "e1", "type": "Add", "time": "2024-01-01T00:00:00Z", "stream": "thing-1", "data": {"n": 1}},),
              ENVELOPE, {"on": SUM}, ({},), (1,), (JANUARY,))  # fmt: skip
    with engine(log) as made, pytest.raises(NotFoundError, match="no field 'm'"):
        asked(made, {}, False, ("m",))
