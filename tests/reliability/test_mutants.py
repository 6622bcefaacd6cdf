"""The changes that `make mutants` makes: of what means something, none of what is for people, each one still Python."""

from __future__ import annotations

import ast

from reliability.mutant_operators import mutants_of
from reliability.mutants import ROOT, TESTS, drawn, related_tests

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
'''


def test_python_is_changed_and_the_sql_in_strings() -> None:
    made = {(one.line, one.before.strip(), one.text.strip()) for one in mutants_of("m.py", SOURCE)}
    assert made == {
        (4, "1", "2"), (4, "True", "False"), (7, "<", "<="), (7, "and", "or"), (7, "not", ""),
        (7, "a < b and not c", "not (a < b and not c)"), (10, "note(each)", "pass"),
        (12, "min(", "max("), (12, "<=", "<"), (12, "AND", "OR"),
    }  # fmt: skip


def test_each_is_one_change_of_the_bytes() -> None:
    for one in mutants_of("m.py", SOURCE):
        changed = one.applied(SOURCE)
        ast.parse(changed)
        assert changed != SOURCE
        assert changed[: one.start] == SOURCE[: one.start]
        assert changed.endswith(SOURCE[one.end :])


def test_the_same_seed_draws_the_same_and_there_are_tests_for_each() -> None:
    part = "esctl/log/writer.py"
    assert drawn(9, 3, part) == drawn(9, 3, part) != drawn(9, 4, part)
    assert related_tests("esctl/projection/blame.py") != related_tests("esctl/projection/sql.py")
    for places in TESTS.values():
        for place in places:
            assert (ROOT / place).exists(), place
