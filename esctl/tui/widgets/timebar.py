"""The time bar: a histogram of the events over time, with the cursor and the marks; a click goes there."""

from __future__ import annotations

from datetime import tzinfo

from textual import events
from textual.message import Message

from esctl.tui.axis import Axis, axis_of
from esctl.tui.look import Part, fit, moment, width_of
from esctl.tui.trail import Steps
from esctl.tui.values import Spot
from esctl.tui.widgets.rows import Bar


class TimeBar(Bar):
    """Three lines: a histogram, the cursor and the marks, and the ends of the time that it shows."""

    class Picked(Message):
        """The bar was clicked; `step` is the one nearest to that place."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, id: str) -> None:  # noqa: A002  # Textual's name
        super().__init__(id)
        self._axis: Axis | None = None
        self._steps: Steps | None = None
        self._shown: tuple[Spot, tuple[Spot, ...], tzinfo] | None = None

    def place(self, steps: Steps | None, spot: Spot, marks: tuple[Spot, ...], zone: tzinfo) -> None:
        """Show where the cursor is among the events."""
        if steps is not self._steps:
            self._steps = steps
            self._axis = axis_of(steps) if steps is not None else None
        self._shown = (spot, marks, zone)
        self._draw()

    def on_resize(self) -> None:
        """Draw again."""
        self._draw()

    def _draw(self) -> None:
        width = self.size.width
        if self._axis is None or self._shown is None or self._steps is None or not len(self._steps) or width < 8:
            self.show()
            return
        spot, marks, zone = self._shown
        line = [" "] * width
        for name, mark in (*zip("AB", marks, strict=False), ("▲", spot)):
            column = self._axis.column(mark.step, width)
            line[0 if column is None else column] = name if column is not None else "◀"
        self.show([(self._axis.bars(width), "cyan")], [("".join(line), "bold yellow")], self._ends(spot, zone, width))

    def _ends(self, spot: Spot, zone: tzinfo, width: int) -> list[Part]:
        axis, steps = self._axis, self._steps
        if axis is None or steps is None:
            return []
        short = width < 100
        low, high = (moment(end, zone, short=True)[: 10 if short else 19] for end in (axis.first, axis.last))
        if spot.clock == "known":
            low, high = f"@{steps.positions[0]} {low}", f"@{steps.positions[-1]} {high}"
        here = f"{spot.step + 1:,} of {len(steps):,} event{'s' * (len(steps) != 1)}"
        room = width - width_of(low) - width_of(high)
        pad = max((room - width_of(here)) // 2, 1)
        middle = fit(" " * pad + here, room) if room > width_of(here) else " " * max(room, 0)
        return [(low, "dim"), (middle, ""), (high, "dim")]

    def on_click(self, event: events.Click) -> None:
        """Go to where it was clicked."""
        if self._axis is not None and self.size.width:
            self.post_message(self.Picked(self._axis.step_at(event.x, self.size.width)))
