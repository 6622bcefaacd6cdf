"""Predicates keep, joined and turned round, what is known of the rows that they let through."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from esctl.engine.quoting import may_fail
from esctl.index.files.groups import RowGroup
from esctl.index.pruning import ALWAYS, ANYWHERE, NEVER, Predicate, Reach, all_of, any_of, between, negated
from esctl.log.ranges import ByteRange

EARLY = Predicate("time <= 5", Reach(max_time=5), outside=Reach(min_time=5))
EARLIER = Predicate("time <= 3", Reach(max_time=3), outside=Reach(min_time=3))
OF_A = Predicate("entity IN ('a')", Reach(entities=("a",)))
OF_BC = Predicate("entity IN ('b', 'c')", Reach(entities=("b", "c")))
FAILS = Predicate("error('x')", may_fail=True)


def test_a_predicate_is_not_put_into_a_text() -> None:
    with pytest.raises(TypeError, match=r"predicate\.sql"):
        f"SELECT 1 WHERE {EARLY}"


def test_what_joins_nothing_is_neutral() -> None:
    assert all_of([]) == all_of([ALWAYS, "true"]) == ALWAYS
    assert any_of([]) == any_of([NEVER, "false"]) == NEVER
    assert all_of([ALWAYS, EARLY]) == any_of([NEVER, EARLY]) == all_of([EARLY, EARLY]) == EARLY


def test_all_of_reaches_no_farther_than_each() -> None:
    both = all_of([EARLY, EARLIER, OF_A])
    assert both.sql == "((time <= 5) AND (time <= 3) AND (entity IN ('a')))"
    assert both.reach == Reach(entities=("a",), max_time=3)
    assert all_of([OF_BC, OF_A]).reach.entities == ("a",)


def test_any_of_reaches_as_far_as_the_farthest() -> None:
    assert any_of([EARLY, EARLIER]).reach == Reach(max_time=5)
    assert any_of([OF_A, OF_BC]).reach.entities == ("a", "b", "c")
    assert any_of([EARLY, OF_A]).reach == any_of([EARLY, "x = 1"]).reach == ANYWHERE


def test_negated_reaches_where_the_condition_does_not() -> None:
    assert negated(EARLY) == Predicate("NOT (time <= 5)", Reach(min_time=5), outside=Reach(max_time=5))
    assert negated(any_of([EARLY, EARLIER])).reach == Reach(min_time=5)
    assert negated(all_of([EARLY, EARLIER])).reach == Reach(min_time=3)
    assert negated(OF_A).reach == negated("x = 1").reach == ANYWHERE


def test_what_may_fail_does_so_joined() -> None:
    assert all(made.may_fail for made in (all_of([FAILS, EARLY]), any_of([EARLY, FAILS]), negated(FAILS)))
    assert not all_of([EARLY, OF_A]).may_fail


def test_only_a_call_may_fail() -> None:
    assert may_fail("CASE WHEN a THEN error('no ' || 'error') END")
    assert not may_fail("type = 'error('")
    assert not may_fail("type = 'it''s error(1)'")
    assert may_fail("type = 'a' OR error('b')")


@pytest.mark.parametrize(
    ("reach", "lies"),
    [
        (Reach(max_time=9), False),
        (Reach(max_time=10), True),
        (Reach(min_time=20), True),
        (Reach(min_time=21), False),
        (Reach(max_position=2), False),
        (Reach(max_position=3), True),
        (Reach(min_position=8), True),
        (Reach(min_position=9), False),
        (Reach(), True),
    ],
)
def test_bounds_lie_in_a_file_or_do_not(reach: Reach, lies: bool) -> None:
    file: Any = SimpleNamespace(first=3, last=8, min_time=10, max_time=20)
    assert reach.may_lie_in(file) is lies


def test_names_lie_in_a_group_or_do_not() -> None:
    group = RowGroup(ByteRange(0, 1, ""), "b", "b")
    assert Reach(entities=("a", "b")).may_lie_in_group(group)
    assert not Reach(entities=("a",)).may_lie_in_group(group)


@pytest.mark.parametrize(
    ("low", "high", "lies"),
    [
        (None, None, True),
        ("b", None, True),
        ("d", None, True),
        ("da", None, False),
        (None, "b", True),
        (None, "az", False),
        ("a", "z", True),
        ("c", "c", True),
    ],
)
def test_a_range_of_names_lies_in_a_group_or_does_not(low: str | None, high: str | None, lies: bool) -> None:
    assert between(low, high).reach.may_lie_in_group(RowGroup(ByteRange(0, 1, ""), "b", "d")) is lies
    assert between(low, high).reach.may_lie_in_group(RowGroup(ByteRange(0, 1, ""), None, None))


def test_ranges_of_names_hold_together() -> None:
    wide, narrow = between("a", "m").reach, between("c", "z").reach
    assert wide.intersection(narrow) == Reach(min_entity="c", max_entity="m")
    assert wide.union(narrow) == Reach(min_entity="a", max_entity="z")
    assert between("a", None).reach.union(narrow) == Reach(min_entity="a")
    assert between(None, None) == ALWAYS
    assert between("o'b", "\x00").sql == "((entity >= 'o''b') AND (entity < ('' || chr(0) || '')))"


def test_the_fewer_names_and_the_nearer_bounds_hold_together() -> None:
    wide, narrow = Reach(("a", "b"), 1, 9, 5, 2), Reach(("c",), 2, 8, 4, 3)
    assert wide.intersection(narrow) == narrow.intersection(wide) == Reach(("c",), 2, 8, 4, 3)
    assert wide.union(narrow) == narrow.union(wide) == Reach(("a", "b", "c"), 1, 9, 5, 2)
