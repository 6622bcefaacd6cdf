"""Rows at hand: each changed line takes the place of its own, and the rows are counted as they are then."""

from __future__ import annotations

import io

import pytest

from esctl.model import Column, Ready
from esctl.output.ready import write_ready
from esctl.output.zone import Zone
from tests.support.output_answers import session

LINES = [b'{"a":1}\n{"a"', b':2}\n{"a":3}\n']
WIDTH = 8


@pytest.mark.parametrize(
    ("changes", "rows", "text"),
    [
        ("", 3, "123"),
        ("SELECT 9, 0, 0, false", 4, "9123"),
        ("SELECT 9, 8, 8, false", 4, "1923"),
        ("SELECT 9, 24, 24, false", 4, "1239"),
        ("SELECT 9, 8, 16, false", 3, "193"),
        ("SELECT 9, 8, 16, true", 2, "13"),
        ("SELECT 9, 8, 8, true", 3, "123"),
        ("FROM (VALUES (7, 0, 8, true), (8, 8, 8, false), (9, 16, 24, false))", 3, "829"),
    ],
)
def test_lines_are_put_in_their_place_and_counted(changes: str, rows: int, text: str) -> None:
    sink = io.BytesIO()
    ready = Ready(lambda: iter(LINES), 3, changes)
    written = write_ready(ready, [Column("a", "integer")], session().connection, Zone("UTC", 0), sink)
    assert sink.getvalue().decode() == "".join(f'{{"a":{number}}}\n' for number in text)
    assert written.rows == rows
