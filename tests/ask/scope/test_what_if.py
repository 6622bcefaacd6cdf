"""Events supposed away, other rules, and the two clocks: held against the reference with just these events."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.ask.states.test_engine_reference import hold
from tests.reference import Reference
from tests.support import effort
from tests.support.cli_harness import esctl, good, ingest_samples, plain_event, refused, write_lines
from tests.support.drawn_values import Log
from tests.support.engine_harness import diffs_differ, engine, judged, states_differ


def lived(log: Log) -> Reference:
    reference = Reference(log.projection, log.mapping)
    reference.events(log.records, log.recorded_at)
    return reference


def without(whole: Reference, gone: set[int]) -> Reference:
    reference = copy(whole)
    reference.rows = [row for row in whole.rows if row.position not in gone]
    return reference


@st.composite
def supposing(draw: DrawFn, logs: st.SearchStrategy[Log]) -> tuple[Log, set[int], tuple[str, ...]]:
    """Draw a log and some of its events, named in one of the ways that --without takes."""
    log = draw(logs)
    rows = [row for row in lived(log).rows if row.folded]
    positions = sorted({row.position for row in rows})
    if positions and draw(st.booleans()):
        gone = set(draw(st.lists(st.sampled_from(positions), min_size=1, max_size=4)))
        return log, gone, tuple(f"@{position}" for position in sorted(gone))
    kinds = sorted({row.type for row in rows if row.type is not None})
    kind = draw(st.sampled_from(kinds)) if kinds else "Deposited"
    actor = draw(st.sampled_from(["ann", "bob"]))
    gone = {row.position for row in rows if row.type == kind and row.actor == actor}
    quoted = kind.replace("'", "''")
    plain = f"type={kind} and actor={actor}"
    ways = [
        f"type = '{quoted}' and actor = '{actor}'",
        plain if " " not in kind else f"actor='{actor}' and type='{quoted}'",
    ]
    return log, gone, (draw(st.sampled_from(ways)),)


def check_supposed(drawn: tuple[Log, set[int], tuple[str, ...]]) -> None:
    log, gone, texts = drawn
    whole = lived(log)
    reference = without(whole, gone)
    bounds = log.bounds[-1]
    with engine(log) as made:
        supposed = replace(made, without=texts)
        assert not judged(
            reference, f"{bounds} {texts}", partial(reference.replay, **bounds), partial(supposed.replay, bounds),
            states_differ,
        )  # fmt: skip
        found = judged(
            reference, f"diff {bounds} {texts}", partial(differences, whole, reference, bounds),
            partial(made.diff_without, bounds, texts), _values_differ,
        )  # fmt: skip
        assert not found


def differences(whole: Reference, supposed: Reference, bounds: dict[str, Any]) -> dict[Any, Any]:
    """Give each field's value before and after, of the entities that one of the events concerns."""
    touched = {entity for entity, _ in whole._included(bounds) ^ supposed._included(bounds)}
    sides = [
        {
            (entity, name): value
            for entity, state in reference.replay(**bounds).items()
            if entity in touched and not state.deleted
            for name, value in state.state.items()
        }
        for reference in (only(whole, touched), only(supposed, touched))
    ]
    return {key: tuple(side.get(key, ...) for side in sides) for key in sides[0].keys() | sides[1].keys()}


def only(whole: Reference, entities: set[Any]) -> Reference:
    reference = copy(whole)
    reference.rows = [row for row in whole.rows if (row.kind, row.entity) in entities]
    return reference


def _values_differ(wanted: dict[Any, Any], given: list[tuple[Any, ...]]) -> list[str]:
    from tests.reference import same

    told = {((kind, entity), field): (x, y) for kind, entity, _, field, x, y, _ in given if field is not None}
    found = []
    for key in wanted.keys() | told.keys():
        before, after = wanted.get(key, (..., ...))
        equal = before is after or (before is not ... and after is not ... and same(before, after))
        if equal != (key not in told):
            found.append(f"{key}: {(before, after)} is {told.get(key)}")
        elif not equal and not all(x is y or same(x, y) for x, y in zip((before, after), told[key], strict=True)):
            found.append(f"{key}: {(before, after)} is {told[key]}")
    return found


@pytest.mark.parametrize("number", effort.numbers(2))
def test_without_some_events_is_as_if_they_had_never_come(number: int) -> None:
    from tests.support.strategies import logs

    hold(check_supposed, 40, 700 + number, supposing(logs()))  # type: ignore[arg-type]


def test_what_late_events_changed_about_the_past_is_a_diff_of_two_clocks() -> None:
    from tests.ask.states.test_engine_reference import segmented

    def check(log: Log) -> None:
        reference = lived(log)
        point = {key: value for key, value in log.bounds[-1].items() if key in ("at", "before")}
        with engine(log, eager=True) as made:
            for a, b in effort.some(list(combinations(sorted(set(log.recorded_at)), 2)), 3):
                sides = [{**point, "known_at": known} for known in (a, b)]
                differ = partial(diffs_differ, reference)
                found = judged(
                    reference, f"known {sides}", partial(changed, reference, *sides), partial(made.diff_known, *sides),
                    differ,
                )  # fmt: skip
                assert not found

    hold(check, 20, 720, segmented())


def changed(whole: Reference, a: dict[str, Any], b: dict[str, Any]) -> tuple[Any, Any]:
    touched = {entity for entity, _ in whole._included(a) ^ whole._included(b)}
    reference = only(whole, touched)
    return reference.diff(a, b), reference.changes(a, b)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ingest_samples(tmp_path_factory.mktemp("what-if"))


def test_the_disputed_charge_supposed_away(samples: Path) -> None:
    done = good("replay", "account-017", "--at", "2024-03-05", "--without", "evt-03494", cwd=samples)
    assert done.row["state"]["balance"] == 26276.9
    assert "without evt-03494: 1 event\n" in done.err
    rows = good("diff", "--what-if", "--at", "2024-03-05", "--without", "id:evt-03494", cwd=samples).rows
    assert [(row["entity"], row["field"], row["positions"]) for row in rows] == [
        ("account-017", field, [3494]) for field in ("balance", "charges", "largest_charge")
    ]
    first = good("diff", "2024-03-05", "--what-if", "--without", "@3494", cwd=samples).rows
    assert first == rows
    assert good("diff", "--what-if", "account-001", "--without", "@3494", cwd=samples).rows == []


def test_a_predicate_names_many_events(samples: Path) -> None:
    for text in ("type=CardCharged and actor=card-gateway", "data.amount > 0 and type = 'CardCharged'"):
        done = good("replay", "-p", "account", "--without", text, "--where", "charges > 0", cwd=samples)
        assert done.rows == []
        assert f"without {text}: 2005 events\n" in done.err


def test_bare_words_are_no_predicate_beside_a_condition(samples: Path) -> None:
    said = refused("replay", "--without", "type=CardCharged and data.amount > 0", code=2, cwd=samples)
    assert "CardCharged" in said[0]


def test_other_rules_are_compared_with_the_real_ones(samples: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    text = (samples / "esctl.toml").read_text(encoding="utf-8")
    other.write_text(text.replace('subtract = { balance = "data.amount" }\nmax', "max"), encoding="utf-8")
    arguments = ["account-017", "--at", "2024-03-05", "--projection-file", other]
    before = good("replay", "account-017", "--at", "2024-03-05", cwd=samples).row["state"]["balance"]
    after = good("replay", *arguments, cwd=samples).row["state"]["balance"]
    assert after > before
    row = good("diff", "--what-if", *arguments, cwd=samples).row
    assert (row["field"], row["before"], row["after"], row["positions"]) == ("balance", before, after, [])


def test_nothing_is_written_to_the_store(samples: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in (samples / ".esctl").rglob("*") if path.is_file()}

    before = content()
    good("diff", "--what-if", "--without", "evt-03494", cwd=samples)
    assert content() == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["replay", "--without", "id:evt-nowhere"], 4, "no event"),
        (["replay", "--without", "evt-nowhere"], 4, "no event"),
        (["replay", "--without", "@99999"], 4, "not an event"),
        (["replay", "--without", "select 1 from events"], 2, "--without"),
        (["replay", "--without", "data.nowhere = 1"], 2, "data.nowhere"),
        (["replay", "--projection-file", "nowhere.toml"], 2, "nowhere.toml"),
        (["diff", "--what-if"], 2, "--what-if"),
        (["diff", "2024-01-01", "2024-02-01", "--at", "2024-01-01"], 2, "--at"),
        (["diff", "2024-01-01"], 2, "missing argument 'B'"),
    ],
)
def test_what_cannot_be_supposed_is_told(samples: Path, arguments: list[str], code: int, message: str) -> None:
    assert message in refused(*arguments, code=code, cwd=samples)[0]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_late_events_change_a_past_answer_and_the_diff_says_how(tmp_path: Path, order: tuple[int, ...]) -> None:
    events = [plain_event(number, "thing-1", n=number, **{f"f{number}": True}) for number in range(3)]
    heads = []
    for place, number in enumerate(order):
        write_lines(tmp_path / f"{place}.jsonl", [events[number]])
        heads.append(good("ingest", f"{place}.jsonl", cwd=tmp_path).row["head"])
    known = [
        good("replay", "--known-at", f"@{head}", "--at", "2024-01-02T00:01:00Z", cwd=tmp_path).rows for head in heads
    ]
    for a, b in combinations(range(3), 2):
        two = ["--known-at", f"@{heads[a]}", f"@{heads[b]}", "--at", "2024-01-02T00:01:00Z"]
        rows = good("diff", *two, cwd=tmp_path).rows
        sides = [(known[side][0]["state"] if known[side] else {}) for side in (a, b)]
        fields = {name for name in {**sides[0], **sides[1]} if sides[0].get(name) != sides[1].get(name)}
        assert {row["field"] for row in rows} == fields
        for row in rows:
            assert (row.get("before"), row.get("after")) == tuple(side.get(row["field"]) for side in sides)
    whole = good("diff", "--known-at", "@1", "@3", "thing-1", cwd=tmp_path).rows
    assert {row["field"] for row in whole} >= {f"f{number}" for number in order[1:]}
    assert esctl("diff", "--known-at", "@3", "@3", "--exit-code", cwd=tmp_path).code == 0


def test_an_event_of_no_entity_may_be_supposed_away(tmp_path: Path) -> None:
    homeless = {name: value for name, value in plain_event(2, n=2).items() if name != "stream"}
    write_lines(tmp_path / "a.jsonl", [plain_event(1, n=1), homeless])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    for name in ("id:evt-2", "evt-2", "@2"):
        done = good("replay", "--without", name, cwd=tmp_path)
        assert f"without {name}: 1 event\n" in done.err
        assert done.row["state"] == {"n": 1}


def test_rules_may_ask_for_what_no_event_has_had_yet(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1, n=1), plain_event(2, n=2)])
    rules = (
        '[projections.p.on."*"]\nset = { n = "data.n", later = "data.nn" }\nadd = { sum = "data.\\"a b\\"" }\n'
        'when = "data.foo is null or data.foo.bar > 3"\n[projections.p.on.Closed]\nset = { status = "\'closed\'" }\n'
    )
    (tmp_path / "esctl.toml").write_text(rules)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    told = 'note: projection p asks for data.foo, data.nn, data."a b", which no event has had yet'
    for extra in ("", '[projections.p.on.Other]\nmerge_patch = "data"\n'):  # stepped
        (tmp_path / "esctl.toml").write_text(rules + extra)
        done = good("replay", cwd=tmp_path)
        assert {name: done.row["state"].get(name) for name in ("n", "later", "status")} == {
            "n": 2, "later": None, "status": None,
        }  # fmt: skip
        assert told in done.err
        assert good("replay", "--where", "status = 'closed'", cwd=tmp_path).rows == []
        for question in (
            ["when", "status = 'closed'"],
            ["series", "count(*)", "--every", "1d"],
            ["audit"],
            ["blame", "thing-1"],
        ):
            assert told in good(*question, cwd=tmp_path).err
        assert told in good("sql", "from p()", cwd=tmp_path).err
        if not extra:
            assert "no field 'nosuch'" in refused("replay", "--where", "nosuch = 1", code=2, cwd=tmp_path)[0]
    assert "never had" not in good("log", cwd=tmp_path).err
    assert "has ever had" in refused("log", "--where", "data.foo = 1", code=2, cwd=tmp_path)[0]
    write_lines(tmp_path / "b.jsonl", [plain_event(3, n=3, foo=9)])
    good("ingest", "b.jsonl", "-q", cwd=tmp_path)
    assert good("replay", cwd=tmp_path).row["state"]["n"] == 2


def test_what_counts_for_no_state_cannot_be_supposed_away(tmp_path: Path) -> None:
    event = json.dumps(plain_event(1, n=1))
    (tmp_path / "a.jsonl").write_text(f"{event}\n{event}\nnot an event\n")
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    for position in (2, 3):  # a duplicate, and an invalid record
        message, _ = refused("replay", "--without", f"@{position}", code=4, cwd=tmp_path)
        assert message == f"--without '@{position}' is not an event"
