"""The changes that `make mutants` makes: of what means something, none of what is for people, each one still Python."""

from __future__ import annotations

import ast
import sys
from types import ModuleType
from typing import Any

import pytest

from reliability.mutant_operators import mutants_of
from reliability.mutants import drawn, modules
from reliability.reached import Function, Reached, gather, with_reports

SOURCE = b'''
"""A module where a < b is said of a docstring."""

def f(a: int, b: int = 1, *, c: bool = True) -> str | None:
    """Give it: 1 = 1 AND 2."""
    assert a < 3
    if a < b and not c:
        raise ValueError("a < b AND NOT c = 5")
    for each in range(a):
        note(each)
        d: int | None = None
    return f"SELECT \xc3\xa9, min({a + b}) FILTER (x <= {a}) FROM t WHERE {{'k': 1}} AND y"

class Kept(Struct, frozen=True):
    n: int = 1
'''


def test_python_is_changed_and_the_sql_in_strings() -> None:
    made = {(one.line, one.before.strip(), one.text.strip()) for one in mutants_of("m.py", SOURCE)}
    assert made == {
        (4, "1", "2"), (4, "True", "False"), (7, "<", "<="), (7, "and", "or"), (7, "not", ""),
        (7, "a < b and not c", "not (a < b and not c)"), (10, "note(each)", "pass"),
        (12, "min(", "max("), (12, "<=", "<"), (12, "AND", "OR"), (15, "1", "2"),
    }  # fmt: skip


def test_each_is_one_change_of_the_bytes() -> None:
    for one in mutants_of("m.py", SOURCE):
        changed = one.applied(SOURCE)
        ast.parse(changed)
        assert changed != SOURCE
        assert changed[: one.start] == SOURCE[: one.start]
        assert changed.endswith(SOURCE[one.end :])


def test_the_same_seed_draws_the_same() -> None:
    part = "esctl/log/writer.py"
    assert modules(part) == [part]
    assert drawn(9, 3, part) == drawn(9, 3, part) != drawn(9, 4, part)


MODULE = '''
"""A module."""

from __future__ import annotations


class Each:
    """A class."""

    def both(self) -> int:
        """Return it."""
        return one(lambda: 2)


def one(inner):
    def held():
        return inner()

    return held()
'''


def test_each_function_reports_that_it_runs() -> None:
    text, spans = with_reports(MODULE, 5)
    assert sorted(spans) == [(10, 12), (15, 19), (16, 17)]
    reports = list[int]()
    stand_in = ModuleType("esctl._reports")
    stand_in.report = reports.append  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "esctl._reports", stand_in)
        names: dict[str, Any] = {"__name__": "m"}
        exec(compile(text, "m", "exec"), names)
    assert reports == []
    assert names["Each"]().both() == 2
    assert sorted(reports) == [5, 6, 7]
    assert [spans[number - 5] for number in reports] == [(10, 12), (15, 19), (16, 17)]


A, B, C = "tests/ask/changes/test_a.py::a", "tests/ask/test_b.py::b[x y]", "tests/ask/test_b.py::c"
PLACE = "esctl/ask/changes/diff.py"
FUNCTIONS = [Function(PLACE, 1, 20), Function(PLACE, 5, 9), Function(PLACE, 30, 40), Function("other.py", 1, 99)]


def gathered() -> Reached:
    outcomes = [
        (A, True, 0.5),
        (A, True, 3.0),
        (B, True, 1.0),
        (C, True, 2.0),
        (f"{C}2", True, 1.0),
        (f"{C}2", False, 9.0),
    ]
    lines = [f"0 {A} (call)", f"1 {B} (setup)", f"2 {C} (call)", f"2 {C}2 (call)", f"3 {C} (teardown)"]
    return gather(FUNCTIONS, outcomes, lines)


def test_what_is_set_up_for_one_test_may_be_for_all_of_its_file() -> None:
    found = gathered()
    assert found.seconds == {A: 3.5, B: 1.0, C: 2.0}
    assert found.tests == [[A], [B, C], [C], [C]]


def test_a_line_is_that_of_the_innermost_function() -> None:
    found = gathered()
    assert [found.of_line(PLACE, line) for line in (1, 5, 9, 10, 30)] == [[A], [B, C], [B, C], [A], [C]]
    assert found.of_line(PLACE, 25) == [A, B, C]  # of no function: whatever reaches the module


def test_quick_tests_are_chosen_of_each_file_and_near_ones_first() -> None:
    found = gathered()
    assert found.choose(PLACE, 25, 99) == [A, B, C]
    assert found.choose("esctl/log/writer.py", 25, 99) == []
    assert found.choose(PLACE, 25, 4.6) == [A, B]
    assert found.choose(PLACE, 25, 3) == [B, C]
