"""Drawn logs that lie in many commits and many files of the index, and bounds that are the instants of their events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from esctl.index import chunks, merge_policy
from esctl.index.files import merge
from esctl.model import AsOf
from tests.reference import Event, Reference
from tests.support.drawn_values import HOUR, JANUARY, Log
from tests.support.strategies import logs


@dataclass(frozen=True)
class Scattered:
    """A log in small commits, the cut of its index, and after which commits its states are saved, each at a bound."""

    log: Log
    rows: int  # of a chunk, which is a file
    fan: int  # so many files of one size are merged
    saved: tuple[tuple[int, AsOf | None], ...]

    def cut(self, patch: pytest.MonkeyPatch) -> None:
        """Let the index be cut so: a merged file is of another size than those that it is made of."""
        patch.setattr(chunks, "CHUNK_ROWS", self.rows)
        patch.setattr(chunks, "FRESH_ROWS", self.rows)
        patch.setattr(merge_policy, "MOST_SMALL", self.fan)
        patch.setattr(merge, "SIZE_UNIT", 1)


@st.composite
def scattered(draw: DrawFn) -> Scattered:
    """Draw a log of up to 20 records in commits of one to four, two bounds to ask at, and up to two saved states."""
    log = draw(logs(max_records=18))
    sizes = [0]
    while sum(sizes) < len(log.records):
        sizes.append(min(draw(st.integers(1, 4)), len(log.records) - sum(sizes)))
    batches = tuple(sizes[1:])
    recorded = tuple(JANUARY + (7 + 30 * batch) * HOUR for batch, size in enumerate(batches) for _ in range(size))
    reference = Reference(log.projection, log.mapping)
    events = [row for row in reference.events(log.records, recorded) if row.folded] or reference.rows
    bounds = [draw(bound_at_an_event(events, batches)) for _ in range(2)]
    log = replace(log, batches=batches, recorded_at=recorded, bounds=({}, *bounds))
    moment = st.tuples(st.integers(0, len(batches) - 1), saved_at(events))
    saved = tuple(draw(st.lists(moment, min_size=1, max_size=2)))
    return Scattered(log, draw(st.sampled_from([2, 4, 8])), draw(st.sampled_from([100, 3, 3, 2])), saved)


@st.composite
def bound_at_an_event(draw: DrawFn, events: Sequence[Event], batches: Sequence[int]) -> dict[str, Any]:
    """Draw a bound just before, at, or just behind an event or a commit's first or last record."""
    event = draw(st.sampled_from(events))
    beside = draw(st.sampled_from([0, 0, 0, -1, 1]))
    edge = sum(batches[: draw(st.integers(0, len(batches) - 1))]) + draw(st.integers(0, 1))
    kind = draw(st.sampled_from(["at", "at", "before", "before", "before", "known_at", "position", "both"]))
    match kind:
        case "position":
            return {"position": max(edge, 1)}
        case "known_at":
            return {"known_at": event.recorded_at + beside}
        case "both":
            return {"before": event.time + beside, "known_at": draw(st.sampled_from(events)).recorded_at}
        case _:
            return {kind: event.time + beside}


@st.composite
def saved_at(draw: DrawFn, events: Sequence[Event]) -> AsOf | None:
    """Draw the bound of a saved state: none for half of them."""
    event = draw(st.sampled_from(events))
    instant, place = AsOf("at", "time", instant=event.time), AsOf("at", "position", number=event.position)
    return draw(st.sampled_from([None, None, instant, place]))
