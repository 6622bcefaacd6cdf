"""Where one is: entity, clock, spot, marks, field. What the keys do to that, without asking anything. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from esctl.tui.trail import Steps, Trail
from esctl.tui.values import NO_EVENT, Clock, Difference, Entity, Spot, View


class Walk:
    """A walk through the events of one entity at a time.

    `pinned` is a point that was typed: it stays the point when another entity is chosen, until one steps on.
    """

    def __init__(self, clock: Clock = "valid", pinned: str = "") -> None:
        self.clock: Clock = clock
        self.entity: Entity | None = None
        self.steps: Steps | None = None
        self.spot = Spot(clock, "")
        self.view: View | None = None
        self.pinned = pinned
        self.marks: tuple[Spot, ...] = ()
        self.differences: tuple[Difference, ...] | None = None
        self.field = ""

    @property
    def position(self) -> int | None:
        """The position of the event at the cursor."""
        if self.steps is None or self.spot.step == NO_EVENT:
            return None
        return int(self.steps.positions[self.spot.step])

    @property
    def current(self) -> View | None:
        """The state at the cursor; None while it is asked for."""
        return self.view if self.view is not None and self.view.spot == self.spot else None

    def chosen(self, entity: Entity) -> None:
        """Go to another entity: marks of the one before are no points of it."""
        if entity != self.entity:
            self.marks, self.differences, self.steps, self.view = (), None, None, None
        self.entity = entity

    def arrived(self, steps: Steps, spot: Spot, view: View) -> None:
        """Take the trail of the entity, and where one is in it."""
        self.steps, self.spot, self.view = steps, spot, view

    def to_step(self, step: int) -> Spot | None:
        """Go to a step; None where one is there already, or there is none."""
        if self.steps is None:
            return None
        step = min(max(step, NO_EVENT), len(self.steps) - 1)
        self.pinned = ""
        spot = Spot(self.clock, self.steps.spec(step), step)
        if spot == self.spot:
            return None
        self.spot = spot
        return spot

    def beside(self, direction: int) -> int:
        """Return the step before or after the cursor. A point between events has its last event before it."""
        before = direction < 0 and self.spot.free and not self._is_at_event()
        return self.spot.step if before else self.spot.step + direction

    def _is_at_event(self) -> bool:
        return self.steps is not None and self.steps.spec(self.spot.step) == self.spot.spec

    def turned(self, trail: Trail) -> Steps:
        """Switch the clock, the event at the cursor staying where it is; gives the new order."""
        position = self.position
        self.clock = "known" if self.clock == "valid" else "valid"
        self.steps = Steps(trail, self.clock)
        step = self.steps.of_position(position)
        self.spot = Spot(self.clock, self.steps.spec(step), step)
        self.pinned, self.marks, self.differences = "", (), None
        return self.steps

    def mark(self) -> tuple[Spot, ...]:
        """Mark the cursor; a third mark is the first of a new pair. Gives the marks."""
        self.marks = (*self.marks, self.spot) if len(self.marks) < 2 else (self.spot,)
        self.differences = None
        return self.marks

    def unmark(self) -> bool:
        """Take the marks back; gives whether there were any."""
        had = bool(self.marks)
        self.marks, self.differences = (), None
        return had

    def kept(self, steps: Steps) -> Spot:
        """Return the spot in a trail that has grown: at the same event, or the same point as it was typed."""
        if self.spot.free:
            return self.spot
        step = steps.of_position(self.position)
        return replace(self.spot, spec=steps.spec(step), step=step)
