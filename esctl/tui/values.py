"""What the browser holds: entities, events, points in time, states. Values only."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Clock = Literal["valid", "known"]
"""`valid`: by when events happened; `known`: by when their records came."""
Sort = Literal["name", "events", "first", "last"]

NO_EVENT = -1
"""The step before the first event."""


class Entity(Struct, frozen=True):
    """An entity of the list: its name and its kind; both are needed to tell it from others."""

    name: str
    kind: str


class Event(Struct, frozen=True):
    """One event of a trail. Times are microseconds since the epoch; None: it has none of its own."""

    position: int
    time: int | None
    recorded: int | None
    type: str
    actor: str
    id: str
    role: str
    changes: str  # JSON text


class Spot(Struct, frozen=True):
    """Where the cursor is: the point as `--at` or, by the clock of what was known, `--known-at` takes it.

    `step` is that of the last event within the point; `free`: the point was typed, and need not be at an event.
    """

    clock: Clock
    spec: str
    step: int = NO_EVENT
    free: bool = False


class Field(Struct, frozen=True):
    """A field of a state, with its value as JSON text now and before; None: the state has, or had, no such field.

    `changed`: the last event within the point changed it.
    """

    name: str
    value: str | None
    before: str | None = None
    changed: bool = False


class StateAt(Struct, frozen=True):
    """The state at a spot: its fields, or why there are none."""

    spot: Spot
    fields: tuple[Field, ...] = ()
    missing: str = ""
    version: int | None = None
    changes: dict[int, str] | None = None  # by position, of the events known at the spot; None: as the trail has them


class Difference(Struct, frozen=True):
    """A field that differs between two points, and the events that changed it."""

    change: str
    field: str
    before: str | None
    after: str | None
    positions: tuple[int, ...]


class Ground(Struct, frozen=True):
    """What all questions of a session have in common."""

    entities: tuple[str, ...] = ()  # names or globs of the list
    projection: str = ""
    known_at: str = ""  # no later records count


class ResultRow(Struct, frozen=True):
    """A row of results: texts to show, and the entity and event that it leads to."""

    cells: tuple[str, ...]
    entity: Entity | None
    position: int | None
