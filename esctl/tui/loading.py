"""Load the trail of an entity and the state at the cursor."""

from __future__ import annotations

from msgspec import Struct

from esctl.api import Store
from esctl.errors import EsctlError
from esctl.tui import questions
from esctl.tui.trail import Steps
from esctl.tui.values import Clock, Entity, Ground, Spot, View
from esctl.tui.walk import Walk


class Loaded(Struct, frozen=True):
    """The trail of an entity, and where one is in it."""

    steps: Steps
    spot: Spot
    view: View
    head: int
    note: str = ""
    kept: Spot | None = None  # where the cursor was when it was asked to stay there


def load(ground: Ground, entity: Entity, clock: Clock, pinned: str, position: int | None, store: Store) -> Loaded:
    """Load a trail, and the state at a position of it, else at a point that was typed, else at its end."""
    steps = Steps(questions.load_trail(store, ground, entity), clock)
    step = steps.of_position(position) if position is not None else len(steps) - 1
    spot, note = Spot(clock, steps.spec(step), step), ""
    if pinned:
        try:
            spot = questions.settle(store, ground, steps, clock, pinned)
        except EsctlError as error:
            note = f"{error.message}: this is the last event instead"
    return Loaded(steps, spot, questions.see(store, ground, steps, spot), store.snapshot.head, note)


def reload(ground: Ground, entity: Entity, walk: Walk, store: Store) -> Loaded:
    """Load a trail anew from a log that has grown, the cursor staying where it is."""
    before = walk.spot
    store.refresh()
    steps = Steps(questions.load_trail(store, ground, entity), walk.clock)
    spot = walk.kept(steps)
    if spot.free:
        spot = questions.settle(store, ground, steps, walk.clock, spot.spec)
    return Loaded(steps, spot, questions.see(store, ground, steps, spot), store.snapshot.head, kept=before)
