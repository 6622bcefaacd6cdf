"""What drawn logs seldom show of a fold: one small log each, at the bound or in the event where it matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from esctl.ask.changes.diff import diff
from esctl.ask.scope.plans import plan_for
from esctl.ask.scope.scope import claims, event_rows
from esctl.ask.states import resume, save
from esctl.errors import UsageError
from esctl.index import chunks
from esctl.model import AsOf
from esctl.projection.sql import limits_sql
from esctl.projection.syntax import parse
from tests.support.drawn_values import HOUR, JANUARY, Log
from tests.support.engine_harness import Bounds, Engine, disagreements, engine, fetch, render

ENVELOPE = {"id": "id", "type": "type", "time": "time", "entity": "stream", "data": "data"}
Given = tuple[str, dict[str, Any]]
"""An event's type and data; a third item is its entity, else it is thing-1."""


def log_of(rules: dict[str, Any] | None, *events: Any, bounds: tuple[Bounds, ...] = ({},), **more: Any) -> Log:
    """Make a log of one commit an event, a second apart."""
    records = tuple(
        {
            "id": f"e{n}",
            "type": kind,
            "time": f"2024-01-01T00:00:{n:02d}Z",
            "stream": (*rest, "thing-1")[0],
            "data": data,
        }
        for n, (kind, data, *rest) in enumerate(events, 1)
    )
    recorded = tuple(JANUARY + n * HOUR for n in range(1, len(records) + 1))
    projection = None if rules is None else {"on": rules, **more}
    return Log(records, ENVELOPE, projection, bounds, (1,) * len(records), recorded)


def states(log: Log, bounds: Bounds | None = None) -> dict[str, Any]:
    """Give the states by entity, which are those of the reference, too."""
    with engine(log, eager=True) as made:
        assert not disagreements(log, made)
        return {entity: row.state for (_, entity), row in made.replay(bounds or {}).items()}


def error_of(log: Log) -> str:
    """Give the error of a replay, which is that of the reference, too."""
    with engine(log) as made:
        assert not disagreements(log, made)
        with pytest.raises(UsageError) as caught:
            made.replay({})
        return str(caught.value.message)


def second(number: int) -> int:
    return JANUARY + number * 1_000_000


MERGE = {"*": {"merge": "data"}}


@pytest.mark.parametrize("kind", ["at", "before"])
def test_a_bound_at_the_first_instant_of_a_file_has_its_event_or_has_not(kind: str) -> None:
    log = log_of(MERGE, ("A", {"a": 1}), ("A", {"a": 2}), ("A", {"a": 3}))
    with engine(log, eager=True) as made:
        assert len(made.view.manifest.files) == 3
        for number in (1, 2, 3):
            for beside in (-1, 0, 1):
                last = number - (beside < (kind == "before"))
                given = made.replay({kind: second(number) + beside})
                assert [row.state for row in given.values()] == ([{"a": last}] if last else []), (number, beside)


def test_a_state_saved_at_an_instant_is_not_gone_on_from_before_it() -> None:
    log = log_of(MERGE, ("A", {"a": 1}), ("A", {"a": 2}))

    def after(batch: int, made: Engine) -> None:
        if batch == 1:
            assert save.save_snapshots(made.scope(), None, "user", render)

    with engine(log, after=after) as made:
        assert [row.version for row in made.replay({"before": second(2)}).values()] == [1]
        assert [row.version for row in made.replay({"at": second(2)}).values()] == [2]
        at = AsOf("at", "time", inclusive=False, instant=second(2))
        assert not resume._is_within(at, second(2), 2)
        assert resume._is_within(at, second(2) - 1, 2)


# --- deletion --------------------------------------------------------------------------------------------------------


def test_a_field_set_by_the_event_that_deletes_does_not_come_back() -> None:
    rules = {"Closed": {"set": {"a": "data.a"}, "delete": True}, "Opened": {"set": {"b": "data.b"}}}
    assert states(log_of(rules, ("Closed", {"a": 1}), ("Opened", {"b": 2}))) == {"thing-1": {"b": 2}}
    assert states(log_of(rules, ("Opened", {"b": 1}), ("Closed", {"a": 1}))) == {"thing-1": None}


def test_what_the_event_that_deletes_adds_does_not_come_back() -> None:
    rules = {"Closed": {"add": {"n": "data.n"}, "delete": True}, "Added": {"add": {"n": "data.n"}}}
    closed, added = ("Closed", {"n": 5}), ("Added", {"n": 2})
    assert states(log_of(rules, added, closed, added, added)) == {"thing-1": {"n": 4}}
    rules["Set"] = {"set": {"n": "data.n"}}
    assert states(log_of(rules, ("Set", {"n": 1}), closed, added)) == {"thing-1": {"n": 2}}


@pytest.mark.parametrize("later", [("Other", {"k": 1}), ("Moved", {"from": "thing-2", "to": "thing-1", "k": 2})])
def test_an_event_that_deletes_in_one_role_deletes_what_it_sets_in_another(later: Given) -> None:
    rules = {
        "Moved[from]": {"delete": True},
        "Moved[to]": {"set": {"k": "data.k"}},
        "Other": {"set": {"o": "data.k"}},
    }
    mapping = {**ENVELOPE, "entities": {"from": 'data."from"', "to": "data.to"}}
    log = log_of(rules, ("Moved", {"from": "thing-1", "to": "thing-1", "k": 1}), later)
    log = Log(log.records, mapping, log.projection, log.bounds, log.batches, log.recorded_at)
    assert states(log)["thing-1"] == ({"o": 1} if later[0] == "Other" else {"k": 2})


# --- accumulation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "best"), [("min", "a"), ("max", "c")])
@pytest.mark.parametrize("streamed", [False, True])
def test_the_least_and_greatest_of_texts_goes_on_from_what_was_set(
    kind: str, best: str, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from esctl.projection import fold

    if streamed:
        monkeypatch.setattr(fold, "MOST_FIELDS", -1)
    rules = {"Set": {"set": {"t": "data.t"}}, "Took": {kind: {"t": "cast(data.t as varchar)"}}}
    for order in (("a", "b", "c"), ("c", "b", "a"), ("b", "a", "c"), ("b", "c", "a")):
        first, *others = order
        with engine(log_of(rules, ("Set", {"t": first}), *(("Took", {"t": text}) for text in others))) as made:
            assert [row.state for row in made.replay({}).values()] == [{"t": best}], order


def test_an_error_about_a_sum_names_the_first_event_of_it() -> None:
    rules = {"Set": {"set": {"n": "data.n"}}, "Added": {"add": {"n": "data.n"}}}
    added = ("Added", {"n": 1})
    told = error_of(log_of(rules, added, ("Set", {"n": "text"}), added, added))
    assert told == 'event @3: n is not a number to add to: "text"'


def test_an_object_is_removed_from_a_list_whatever_the_order_of_its_keys() -> None:
    rules = {"Set": {"append": {"n": "data.item"}}, "Took": {"remove": {"n": "data.item"}}}
    added = [("Set", {"item": item}) for item in ({"a": 1, "b": [{"c": 2, "d": 3}]}, 5, {"a": 1})]
    took = ("Took", {"item": {"b": [{"d": 3, "c": 2.0}], "a": 1}})
    assert states(log_of(rules, *added, took)) == {"thing-1": {"n": [5, {"a": 1}]}}
    rules["Took"] = {"remove": {"n": "{'b': data.item.b, 'a': 1}"}}
    assert states(log_of(rules, *added, took)) == {"thing-1": {"n": [5, {"a": 1}]}}


def test_texts_are_removed_from_a_list_set_wise() -> None:
    rules = {"Set": {"append": {"n": "data.item"}}, "Took": {"remove": {"n": "data.item"}}}
    rules["Never"] = {"remove": {"n": "data.unheard"}}
    log = log_of(rules, ("Set", {"item": "a"}), ("Set", {"item": "b"}), ("Took", {"item": "a"}))
    assert states(log) == {"thing-1": {"n": ["b"]}}
    with engine(log) as made:
        (claim,) = claims(made.scope())
        assert plan_for(made.scope(), claim.projection).fields[0].removes


def test_an_error_about_a_list_names_the_first_event_of_it() -> None:
    rules = {"Set": {"set": {"n": "data.n"}}, "Took": {"append": {"n": "data.n"}}}
    took = ("Took", {"n": 1})
    assert error_of(log_of(rules, ("Set", {"n": 7}), took, took)) == "event @2: n is not a list to append to: 7"


@pytest.mark.parametrize("declared", ["decimal(3,1)", "numeric(3,1)", "bigint", "integer", "DECIMAL(3, 1)"])
def test_a_sum_that_outgrows_its_type_is_an_error(declared: str) -> None:
    large = {"bigint": 2**62, "integer": 2**30}.get(declared, 60)
    log = log_of({"*": {"add": {"n": "data.n"}}}, *[("A", {"n": large})] * 2, types={"n": declared})
    with engine(log) as made, pytest.raises(UsageError, match=rf"event @1: n is {2 * large}(\.0)?, which does not fit"):
        made.replay({})
    log = log_of({"*": {"add": {"n": "data.n"}}}, ("A", {"n": large}), types={"n": declared})
    assert states(log) == {"thing-1": {"n": large}}


def filters(log: Log) -> bool:
    """Say whether the pass that looks for resets leaves rows out by a condition."""
    with engine(log) as made:
        (claim,) = claims(made.scope())
        plan = plan_for(made.scope(), claim.projection)
        return "WHERE" in limits_sql(plan, event_rows(made.scope(), plan.reads, [claim.condition], None), "cell")


def test_a_condition_that_cannot_be_read_stands_in_no_filter() -> None:
    """An event that adds, and does not set, is read all the same: its condition to set is an error."""
    rules = {
        "Set": {"when": "data.sure", "set": {"n": "data.n"}},
        "Added": {"add": {"n": "data.n"}},
        "Closed": {"delete": True},
    }
    told = error_of(log_of(rules, ("Added", {"n": 1}), ("Set", {"sure": "perhaps", "n": 5}), ("Added", {"n": 1})))
    assert told == 'event @2: data.sure is neither true nor false: "perhaps"'
    assert filters(log_of(rules, ("Set", {"sure": True, "n": 5}), ("Added", {"n": 1})))
    assert not filters(log_of(rules, ("Set", {"sure": "perhaps", "n": 5}), ("Added", {"n": 1})))
    none = ("Unlike", {"sure": "perhaps"})
    assert states(log_of(rules, ("Set", {"sure": True, "n": 5}), none, ("Added", {"n": 1}))) == {"thing-1": {"n": 6}}


def test_an_expression_is_nested_within_bounds_and_as_long_as_it_likes() -> None:
    for deep in ("a" + " + 1" * 300, "not " * 150 + "a", "(" * 500 + "a" + ")" * 500):
        with pytest.raises(UsageError, match="--where: the expression is nested too deeply"):
            parse(deep, "--where")
    parse(" and ".join(["a = 1"] * 3_000), "--where")


# --- sequences -------------------------------------------------------------------------------------------------------


def test_a_bound_by_a_text_sequence_takes_in_its_own_event() -> None:
    log = log_of(MERGE, *((kind, {"a": kind}) for kind in "abc"))
    mapping = {**ENVELOPE, "sequence": "type", "order": "sequence"}
    for bound in "abc":
        log = Log(log.records, mapping, log.projection, ({}, {"sequence": bound}), log.batches, log.recorded_at)
        assert states(log, {"sequence": bound}) == {"thing-1": {"a": bound}}
    with engine(log, eager=True) as made:
        before = AsOf("seq:c", "sequence", inclusive=False, value="c")
        rows = fetch(diff(made.scope(), before, AsOf("seq:c", "sequence", value="c")))
    assert [row[4:] for row in rows] == [('"b"', '"c"', "[3]")]


def test_a_bound_by_the_first_part_of_a_sequence_takes_in_all_that_begin_with_it() -> None:
    parts = [("1", "x"), ("2", "x"), ("2", "y"), ("20", "x"), ("a", "x"), ("a", "y"), ("ab", "x")]
    log = log_of(MERGE, *(("A", {"a": n, "s": one, "t": two}) for n, (one, two) in enumerate(parts)))
    mapping = {**ENVELOPE, "sequence": ["data.s", "data.t"], "order": "sequence"}
    lasts = {"1": 0, "2": 2, "2,x": 1, "20": 3, "a": 5, "ab": 6}
    bounds = tuple({"sequence": bound} for bound in lasts)
    log = Log(log.records, mapping, log.projection, ({}, *bounds), log.batches, log.recorded_at)
    with engine(log, eager=True) as made:
        assert not disagreements(log, made)
        found = [row.state["a"] for bound in bounds for row in made.replay(bound).values()]
    assert found == [*lasts.values()]


def test_a_trail_is_in_the_order_of_text_sequences_step_by_step_too() -> None:
    for rules in (MERGE, {"*": {"merge_patch": "data"}}):
        log = log_of(rules, *((kind, {"a": kind}) for kind in "bca"))
        log = replace(log, mapping={**ENVELOPE, "sequence": "type", "order": "sequence"})
        with engine(log, eager=True) as made:
            assert not disagreements(log, made)
            assert [row.type for row in made.audit({})["thing", "thing-1"]] == ["a", "b", "c"]


# --- diff ------------------------------------------------------------------------------------------------------------


def test_a_diff_reads_no_entity_without_events_in_between() -> None:
    """What is wrong with others is not asked about, however few or many events there are."""
    rules = {"*": {"add": {"n": "data.n"}}}
    bad, good = ("A", {"n": "no number"}, "thing-2"), ("A", {"n": 1})
    log = log_of(rules, bad, good, good, bounds=({}, {"position": 2}))
    with engine(log) as made:
        assert made.diff({"position": 2}, {"position": 3}) == [
            ("thing", "thing-1", "changed", "n", 1, 2, (3,)),
        ]
        with pytest.raises(UsageError, match="event @1: "):
            made.diff({"position": 0}, {"position": 3})


def test_a_diff_between_versions_names_events_that_only_take_away() -> None:
    rules = {"Set": {"set": {"a": "data.a"}}, "Cleared": {"unset": ["a"]}, "Closed": {"delete": True}}
    events = ("Set", {"a": 1}), ("Cleared", {}), ("Set", {"a": 2}, "thing-2"), ("Closed", {}, "thing-2")
    with engine(log_of(rules, *events)) as made:
        assert made.diff({"version": 1}, {"version": 2}) == [
            ("thing", "thing-1", "changed", "a", 1, ..., (2,)),
            ("thing", "thing-2", "deleted", "a", 2, ..., (4,)),
        ]


def test_a_summary_counts_entities_once_and_fields_each() -> None:
    others = ("A", {"a": 1}, "thing-2"), ("A", {"c": 1}, "else-1"), ("A", {}, "else-2")
    with engine(log_of(MERGE, ("A", {"a": 1}), ("A", {"a": 2, "b": 1}), *others)) as made:
        ends = (AsOf("@1", "position", number=1), AsOf("@5", "position", number=5))
        rows = fetch(diff(made.scope(), *ends, summary=True))
    assert rows == [("else", "created", 2, 1), ("thing", "changed", 1, 2), ("thing", "created", 1, 1)]


def test_the_positions_of_a_difference_are_told_once_and_in_order() -> None:
    mapping = {name: path for name, path in ENVELOPE.items() if name != "entity"}
    mapping["entities"] = {"from": 'data."from"', "to": "data.to"}
    both = {"from": "thing-1", "to": "thing-1"}
    log = log_of({"*": {"add": {"n": "data.n"}}}, *[("A", {**both, "n": 1})] * 3, ("A", {**both, "n": 2}))
    log = Log(log.records, mapping, log.projection, ({}, {"position": 1}), log.batches, log.recorded_at)
    with engine(log) as made:
        assert not disagreements(log, made)
        assert [row[4:] for row in made.diff({"position": 1}, {"position": 4})] == [(2, 10, (2, 3, 4))]
    closing = log_of({"A": {"set": {"a": "1"}}, "Closed": {"delete": True}}, ("A", {}), ("A", {}), ("Closed", {}))
    with engine(closing) as made:
        rows = made.diff({"position": 1}, {"position": 3})
    assert [row[2:] for row in rows] == [("deleted", "a", 1, ..., (2, 3))]


# --- files -----------------------------------------------------------------------------------------------------------


def test_an_entity_is_found_in_each_of_the_files_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 2)
    names = ["a-1", "b-1", "c-1", "b-1", "a-1", "c-1"]
    log = log_of({"*": {"count": {"n": "1"}}}, *(("A", {}, name) for name in names))
    log = Log(
        log.records, log.mapping, log.projection, ({}, {"position": 4}), (3, 3), (JANUARY,) * 3 + (JANUARY + HOUR,) * 3
    )
    with engine(log, eager=True) as made:
        assert len(made.view.manifest.files) > 1
        assert not disagreements(log, made)


def test_a_reader_sees_just_the_records_of_its_own_head() -> None:
    log = log_of(MERGE, ("A", {"a": 1}), ("A", {"a": 2}), ("A", {"a": 3}))
    with engine(log, eager=True) as made:
        for head in (1, 2, 3):
            view = structs.replace(made.view, upto=head)
            assert [row.state for row in replace(made, view=view).replay({}).values()] == [{"a": head}]


@pytest.mark.parametrize(
    "listed",
    [
        lambda rules: {"T*": rules},
        lambda rules: [{"type": "T*", **rule} for rule in rules],
        lambda rules: {"T*": [*rules, {"when": "data.n < -9", "merge_patch": "data"}]},
    ],
)
def test_rules_of_one_pattern_apply_in_the_order_of_the_file(listed: Any) -> None:
    small, large = (
        {"set": {"size": "'small'"}, "add": {"n": "data.n"}},
        {"when": "data.n > 5", "set": {"size": "'large'"}},
    )
    events = [("Took", {"n": 7}), ("Took", {"n": 2}, "thing-2")]
    assert states(log_of(listed([small, large]), *events)) == {
        "thing-1": {"size": "large", "n": 7}, "thing-2": {"size": "small", "n": 2},
    }  # fmt: skip
    assert states(log_of(listed([large, small]), *events))["thing-1"] == {"size": "small", "n": 7}
