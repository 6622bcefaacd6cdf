"""The cursor: entity, clock, spot, marks, field; and how the keys move it, without asking anything. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from esctl.tui.trail import Steps, Trail
from esctl.tui.values import NO_EVENT, Clock, Difference, Entity, Spot, StateAt


class Walk:
    """A walk through the events of one entity at a time.

    `pinned` is a point that was typed: it stays when another entity is chosen, until the cursor is moved to a step.
    """

    def __init__(self, clock: Clock = "valid", pinned: str = "") -> None:
        self.clock: Clock = clock
        self.entity: Entity | None = None
        self.steps: Steps | None = None
        self.spot = Spot(clock, "")
        self.view: StateAt | None = None
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
    def current(self) -> StateAt | None:
        """The state at the cursor; None while it is asked for."""
        return self.view if self.view is not None and self.view.spot == self.spot else None

    def choose(self, entity: Entity) -> None:
        """Go to another entity; the marks, which were points of the one before, are dropped."""
        if entity != self.entity:
            self.marks, self.differences, self.steps, self.view = (), None, None, None
        self.entity = entity

    def take(self, steps: Steps, spot: Spot, view: StateAt) -> None:
        """Take the trail of the entity, the spot of the cursor in it, and the state there."""
        self.steps, self.spot, self.view = steps, spot, view

    def to_step(self, step: int) -> Spot | None:
        """Go to a step, and return its spot; None if the cursor is there already, or there is no trail."""
        if self.steps is None:
            return None
        step = min(max(step, NO_EVENT), len(self.steps) - 1)
        self.pinned = ""
        spot = Spot(self.clock, self.steps.spec(step), step)
        if spot == self.spot:
            return None
        self.spot = spot
        return spot

    def step_beside(self, direction: int) -> int:
        """Return the step before or after the cursor. Before a point between events, that is its last event."""
        before = direction < 0 and self.spot.free and not self._is_at_event()
        return self.spot.step if before else self.spot.step + direction

    def _is_at_event(self) -> bool:
        return self.steps is not None and self.steps.spec(self.spot.step) == self.spot.spec

    def turn(self, trail: Trail) -> Steps:
        """Switch the clock, with the cursor on the same event; return the steps in the new order."""
        position = self.position
        self.clock = "known" if self.clock == "valid" else "valid"
        self.steps = Steps(trail, self.clock)
        step = self.steps.step_of(position)
        self.spot = Spot(self.clock, self.steps.spec(step), step)
        self.pinned, self.marks, self.differences = "", (), None
        return self.steps

    def mark(self) -> tuple[Spot, ...]:
        """Mark the cursor, a third mark being the first of a new pair; return the marks."""
        self.marks = (*self.marks, self.spot) if len(self.marks) < 2 else (self.spot,)
        self.differences = None
        return self.marks

    def unmark(self) -> bool:
        """Remove the marks; return whether there were any."""
        had = bool(self.marks)
        self.marks, self.differences = (), None
        return had

    def spot_in(self, steps: Steps) -> Spot:
        """Return the spot in a trail that has grown: at the same event, or the point that was typed."""
        if self.spot.free:
            return self.spot
        step = steps.step_of(self.position)
        return replace(self.spot, spec=steps.spec(step), step=step)
