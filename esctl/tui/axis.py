"""Where the events of a trail lie along a line: the histogram of the time bar. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.tui.trail import Steps

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LEVELS = " ▁▂▃▄▅▆▇█"


class Axis(Struct, frozen=True):
    """The place of each step, ascending or not, and the instants at both ends; None if no event has a time.

    Places are microseconds, or numbers of steps if all events are at one instant or have no time.
    """

    places: npt.NDArray[np.float64]
    first: int | None
    last: int | None

    @property
    def low(self) -> float:
        """The place of the left end."""
        return float(self.places.min()) if len(self.places) else 0.0

    @property
    def high(self) -> float:
        """The place of the right end."""
        return float(self.places.max()) if len(self.places) else 0.0

    def column(self, step: int, width: int) -> int | None:
        """Return the column of a step on a line of `width` columns; None if it is before the first event."""
        if not 0 <= step < len(self.places):
            return None
        span = self.high - self.low
        share = (float(self.places[step]) - self.low) / span if span else 0.5
        return min(int(share * width), width - 1)

    def step_at(self, column: int, width: int) -> int:
        """Return the step nearest to a column."""
        place = (column + 0.5) / width * (self.high - self.low) + self.low
        return int(abs(self.places - place).argmin()) if len(self.places) else -1

    def bars(self, width: int) -> str:
        """Draw the number of events in each column as bars; the highest fills its cell."""
        import numpy as np

        if not len(self.places) or width < 1:
            return " " * width
        if self.high == self.low:
            counts = np.zeros(width, dtype=np.int64)
            counts[width // 2] = len(self.places)
        else:
            counts, _ = np.histogram(self.places, bins=width, range=(self.low, self.high))
        heights = np.ceil(counts / counts.max() * (len(LEVELS) - 1)).astype(int)
        return "".join(LEVELS[height] for height in heights)


def axis_of(steps: Steps) -> Axis:
    """Lay out the steps by the clock's own time: when events happened, or when their records came."""
    import numpy as np

    trail = steps.trail
    known = steps.clock == "known"
    instants, dated = (trail.recorded, trail.dated_records) if known else (trail.times, trail.dated)
    instants, dated = instants[steps.rows], dated[steps.rows]
    if not dated.any():
        return Axis(np.arange(len(steps), dtype=float), None, None)
    first, last = int(instants[dated].min()), int(instants[dated].max())
    if first == last:
        return Axis(np.arange(len(steps), dtype=float), first, last)
    # An event without a time of its own has the place of the event before it.
    carried = np.maximum.accumulate(np.where(dated, np.arange(len(steps)), -1))
    return Axis(np.where(carried < 0, first, instants[np.maximum(carried, 0)]).astype(float), first, last)
