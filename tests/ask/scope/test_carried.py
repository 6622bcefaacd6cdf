"""Which names an expression only carries into a state, and where to: their digits need not be looked for."""

from __future__ import annotations

import pytest

from esctl.projection.expressions import Expression


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("data.x", {"x": {""}}),
        ("1", {}),
        ("data.x + 1", {}),
        ("{'a': data.x, 'b': data.x, 'c': 1}", {"x": {"a", "b"}}),
        ("{'b': data.x, 'a': data.x}", {"x": {"a", "b"}}),
        ("{'a': {'b': data.x, 'c': [data.y]}}", {"x": {"a"}, "y": {"a"}}),
        ("{'a': data.x, 'b': data.x + data.y}", {}),
        ("[data.x, data.y * 2]", {"x": {""}}),
    ],
)
def test_names_that_are_only_carried(text: str, members: dict[str, set[str]]) -> None:
    assert {path[-1]: found for path, found in Expression(text, "here").copied_paths().items()} == members
