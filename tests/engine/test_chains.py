"""Many expressions joined by one operator."""

from __future__ import annotations

import pytest

from esctl.engine.chains import join_as_tree
from esctl.engine.duckdb import connect
from esctl.engine.quoting import literal


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 1000])
def test_a_chain_is_what_its_parts_are_one_after_the_other(count: int) -> None:
    parts = [f"<{number}>" for number in range(count)]
    joined = join_as_tree([literal(part) for part in parts], "||")
    assert connect().execute(f"SELECT {joined}").fetchall() == [("".join(parts),)]


def test_a_chain_nests_no_deeper_than_halving_its_parts_does() -> None:
    depth = deepest = 0
    for character in join_as_tree(["x"] * 1024, "+"):
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    assert deepest == 10
