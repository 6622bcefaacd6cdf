"""Load the trail of an entity and the state at the cursor."""

from __future__ import annotations

from msgspec import Struct

from esctl.api import Store
from esctl.errors import EsctlError
from esctl.tui import questions
from esctl.tui.trail import Steps
from esctl.tui.values import Clock, Entity, Ground, Spot, StateAt
from esctl.tui.walk import Walk


class Loaded(Struct, frozen=True):
    """The trail of an entity, the spot of the cursor in it, and the state there."""

    steps: Steps
    spot: Spot
    view: StateAt
    head: int
    note: str = ""
    kept: Spot | None = None  # where the cursor was when the trail was loaded again


def load(ground: Ground, entity: Entity, clock: Clock, pinned: str, position: int | None, store: Store) -> Loaded:
    """Load a trail and the state at a point: one that was typed, else the event at a position, else the last event."""
    steps = Steps(questions.load_trail(store, ground, entity), clock)
    step = steps.step_of(position) if position is not None else len(steps) - 1
    spot, note = Spot(clock, steps.spec(step), step), ""
    if pinned:
        try:
            spot = questions.find_spot(store, ground, steps, clock, pinned)
        except EsctlError as error:
            note = f"{error.message}: this is the last event instead"
    return Loaded(steps, spot, questions.ask_state(store, ground, steps, spot), store.store_state.head, note)


def reload(ground: Ground, entity: Entity, walk: Walk, store: Store) -> Loaded:
    """Load a trail again from a log that has grown, with the cursor where it was."""
    before = walk.spot
    store.refresh()
    steps = Steps(questions.load_trail(store, ground, entity), walk.clock)
    spot = walk.spot_in(steps)
    if spot.free:
        spot = questions.find_spot(store, ground, steps, walk.clock, spot.spec)
    return Loaded(steps, spot, questions.ask_state(store, ground, steps, spot), store.store_state.head, kept=before)
