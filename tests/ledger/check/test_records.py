"""Positions that a segment's records say they have, against those that follow."""

from __future__ import annotations

import numpy as np

from esctl.ledger.check.records import _order_problem
from esctl.log.segments import SegmentEntry

SEGMENT = SegmentEntry("s.parquet", 1, "", first=5, last=8, min_recorded_at=0, max_recorded_at=0, ranges=())


def test_the_first_position_that_does_not_follow_is_named() -> None:
    def told(*positions: int) -> tuple[str, int] | None:
        found = _order_problem(np.array(positions, np.int64), SEGMENT)
        return None if found is None else (found.kind, found.position)

    assert told(5, 6, 7, 8) is None
    assert told(5, 7, 6, 8) == ("reordered", 6)
    assert told(6, 5, 7, 8) == ("reordered", 5)
    assert told(5, 7, 8) == ("removed", 6)
    assert told(5, 6, 7) == ("removed", 8)
    assert told(5, 6, 6, 7, 8) == ("inserted", 7)
    assert told(5, 6, 7, 8, 9) == ("inserted", 9)
    assert told(5, 6, 9, 9) == ("changed", 7)
