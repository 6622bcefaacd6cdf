"""What opening a store costs as it grows: counted in bytes and memory, of stores without their records."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliability import growth

MB = 1_000_000


CASES = [
    (400_000_000, False),
    *(
        pytest.param(events, compacted, marks=pytest.mark.thorough)
        for events in (1_000_000_000, 10_000_000_000)
        for compacted in (False, True)
    ),
]


@pytest.mark.parametrize(("events", "compacted"), CASES)
def test_one_entity_of_a_large_store_opens_a_small_part(tmp_path: Path, events: int, compacted: bool) -> None:
    growth.make(tmp_path / ".esctl", events, compacted=compacted)
    figures = growth.measure_opening(tmp_path / ".esctl")
    rows = growth.COMPACTED if compacted else growth.MERGED
    assert figures.kept > events / 50
    assert figures.memory < 16 * MB
    assert figures.bytes < min(figures.kept / 8, 16 * MB)
    assert figures.groups == figures.files == -(-(events // growth.COMMIT * growth.COMMIT) // rows)


def test_a_small_store_opens_as_it_is(tmp_path: Path) -> None:
    growth.make(tmp_path / ".esctl", 5_000_000)
    figures = growth.measure_opening(tmp_path / ".esctl")
    assert figures.bytes < MB
    assert (figures.groups, figures.files) == (3, 3)
    assert not list(tmp_path.rglob("*.groups"))
