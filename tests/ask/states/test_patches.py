"""What becomes of a document whose parts are updated."""

from __future__ import annotations

from typing import Any

import pytest

from esctl.projection.row_changes.patches import apply_update

ROW = {"a": {"b": 1, "c.d": 2}, "l": [1, {"x": 1}, 3], "n": None}


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({"$set": {"a.b": 5}}, {**ROW, "a": {"b": 5, "c.d": 2}}),
        ({"$set": {"a.c.d": 5}}, {**ROW, "a": {"b": 1, "c.d": 5}}),
        ({"$set": {"l.1.x": 5}}, {**ROW, "l": [1, {"x": 5}, 3]}),
        ({"$set": {"l.4": 5}}, {**ROW, "l": [1, {"x": 1}, 3, None, 5]}),
        ({"$set": {"new.inner": 5}}, {**ROW, "new": {"inner": 5}}),
        ({"$set": {"n": 0, "1": "one"}}, {**ROW, "n": 0, "1": "one"}),
        ({"$unset": ["a.b", "n", "none.here"]}, {"a": {"c.d": 2}, "l": ROW["l"]}),
        ({"$unset": ["l.0"]}, {**ROW, "l": [None, {"x": 1}, 3]}),
        ({"$truncate": {"l": 1}, "$set": {"l.0": 7}}, {**ROW, "l": [7]}),
        ({"$set": {"a.0": 5}, "$paths": {"a.0": ["a", "0"]}}, {**ROW, "a": {"b": 1, "c.d": 2, "0": 5}}),
        ({"$set": {"l.99999999999": 5}}, ROW),
    ],
)
def test_parts_change_and_the_rest_stays(update: Any, expected: Any) -> None:
    before = repr(ROW)
    assert apply_update(ROW, update) == expected
    assert repr(ROW) == before
