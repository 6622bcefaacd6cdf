"""The list of entities: which names a filter leaves."""

from __future__ import annotations

import pyarrow as pa
import pytest

from esctl.tui.entity_list import EntityList

NAMES = ["a-1", "a-12", "a%1", "b\\", "b\\a", "é-1"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", NAMES),
        ("-1", ["a-1", "a-12", "é-1"]),
        ("a-?", ["a-1"]),
        ("?-1", ["a-1", "é-1"]),
        ("*%*", ["a%1"]),
        ("*\\", ["b\\"]),
        ("*\\a", ["b\\a"]),
        ("b\\*", ["b\\", "b\\a"]),
    ],
)
def test_a_filter_is_part_of_a_name_or_a_glob(text: str, left: list[str]) -> None:
    ones = [1] * len(NAMES)
    whole = EntityList(pa.table({"entity": NAMES, "kind": ["k"] * len(NAMES), "events": ones, "first": ones}))
    found = whole.arrange(text)
    assert [found.entity(i).name for i in range(len(found))] == left
