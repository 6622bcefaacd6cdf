"""Ask the store for what is on the screen. The functions run in the thread of an Asker, and return values."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from esctl.api import Relation, Store
from esctl.errors import UsageError, shell_word
from esctl.model import AsOf
from esctl.output import Target, write
from esctl.output.writers.changes import compact, parse_exact
from esctl.timespec import parse_as_of, point_text
from esctl.tui.entity_list import ListedEntity
from esctl.tui.trail import Steps, Trail
from esctl.tui.values import NO_EVENT, Clock, Difference, Entity, Event, Field, Ground, ResultRow, Spot, StateAt

PAGE = 200
"""Rows of results asked for at a time."""


def rows_of(relation: Relation, columns: Sequence[str], offset: int = 0, limit: int | None = None) -> list[Any]:
    """Return rows as JSON objects, their numbers as texts that `compact` writes unchanged."""
    answer = relation.answer
    if offset:
        answer = replace(answer, sql=f"SELECT * FROM ({answer.sql}) OFFSET {int(offset)}", flat_sql="", ready=None)
    buffer = io.BytesIO()
    tz = relation.scope.tz if relation.scope is not None else "UTC"
    write(answer, Target("jsonl", buffer, tz=tz, columns=tuple(columns), limit=limit))
    return [parse_exact(line.decode()) for line in buffer.getvalue().splitlines()]


def own_rows(relation: Relation, entity: Entity, columns: Sequence[str]) -> list[Any]:
    """Return the rows of one entity: a name may be of several kinds, and one with wildcards matches others too."""
    rows = rows_of(relation, ("entity", "kind", *columns))
    return [row for row in rows if (row["entity"], row["kind"]) == (entity.name, entity.kind)]


def first_entities(store: Store, names: Sequence[str], known_at: str) -> list[ListedEntity]:
    """Return a page of the entities that come first."""
    rows = rows_of(store.first_entities(*names, known_at=known_at), ("entity", "kind", "events"), 0, PAGE)
    return [ListedEntity(Entity(row["entity"], row["kind"] or ""), int(row["events"]), None, None) for row in rows]


def load_trail(store: Store, ground: Ground, entity: Entity, known_at: str = "") -> Trail:
    """Return the trail of an entity."""
    names = ["position", "time", "recorded_at", "type", "actor", "id", "role", "changes"]
    known = known_at or ground.known_at
    return Trail(
        entity, _own_table(store.audit(entity.name, known_at=known, projection=ground.projection), entity, names)
    )


def _own_table(relation: Relation, entity: Entity, columns: Sequence[str]) -> Any:
    import pyarrow.compute as pc

    table = relation.arrow()
    mine = pc.and_(pc.equal(table["entity"], entity.name), pc.equal(table["kind"], entity.kind))
    return table.filter(mine).select(list(columns)).combine_chunks()


def ask_state(store: Store, ground: Ground, steps: Steps, spot: Spot) -> StateAt:
    """Return the state at a spot, with what the last event in it changed."""
    entity = steps.trail.entity
    view, fields = _state(store, ground, entity, spot)
    if spot.clock == "known":
        before = _state(store, ground, entity, replace(spot, spec=steps.spec(max(spot.step - 1, NO_EVENT))))[1]
        trail = load_trail(store, ground, entity, spot.spec)
        changes = {int(at): trail.text("changes", row) for row, at in enumerate(trail.positions)}
        return replace(view, fields=mark_changes(before, fields), changes=changes)
    if not steps.trail.stepped:
        before = _state(store, ground, entity, replace(spot, spec=steps.spec(max(spot.step - 1, NO_EVENT))))[1]
        return replace(view, fields=mark_changes(before, fields))
    if spot.step == NO_EVENT:
        return view
    made = {change.field: change for change in steps.trail.changes(int(steps.rows[spot.step]))}
    marked = [
        Field(name, value, made[name].before, True) if name in made else Field(name, value)
        for name, value in fields.items()
    ]
    gone = [Field(c.field, None, c.before, True) for c in made.values() if c.field not in fields]
    return replace(view, fields=(*marked, *gone))


def _state(store: Store, ground: Ground, entity: Entity, spot: Spot) -> tuple[StateAt, dict[str, str]]:
    known = spot.clock == "known"
    states = store.replay(
        entity.name,
        at="" if known else spot.spec,
        known_at=spot.spec if known else ground.known_at,
        projection=ground.projection,
        deleted=True,
    )
    rows = own_rows(states, entity, ["state", "version", "position"])
    if not rows:
        return StateAt(spot, missing="no state yet: there is no event before"), {}
    state, version = rows[0]["state"], rows[0]["version"]
    number = int(version) if version is not None else None
    if state is None:
        return StateAt(spot, missing="deleted", version=number), {}
    fields = {name: compact(value) for name, value in state.items()}
    return StateAt(spot, tuple(Field(*each) for each in fields.items()), version=number), fields


def mark_changes(before: dict[str, str], after: dict[str, str]) -> tuple[Field, ...]:
    """Return the fields of a state, changed ones marked, and then those that were removed."""
    fields = [
        Field(name, value, before.get(name), True) if before.get(name) != value else Field(name, value)
        for name, value in after.items()
    ]
    return (*fields, *(Field(name, None, value, True) for name, value in before.items() if name not in after))


def find_spot(store: Store, ground: Ground, steps: Steps, clock: Clock, text: str) -> Spot:
    """Read a point as `--at` or `--known-at` takes it. Raises UsageError or NotFoundError for one that is none.

    A point relative to now is made absolute. The step is that of the last event within the point.
    By the clock of what was known, `now` is the session's own `--known-at`. Raises UsageError for a point beyond that.
    """
    known = clock == "known"
    if known and ground.known_at and text.strip().lower() == "now":
        text = ground.known_at
    point = parse_as_of(text, "--known-at" if known else "--at", tz=store.tz)
    if known and ground.known_at:
        _check_known(store, point, ground.known_at)
    spot = Spot(clock, point_text(point), free=True)
    entity = steps.trail.entity
    if known:
        limits = store.audit(entity.name, known_at=spot.spec, projection=ground.projection)
        known_rows = own_rows(limits, entity, ["position"])
        positions = [int(row["position"]) for row in known_rows]
        return replace(spot, step=steps.step_of(max(positions, default=None)))
    states = store.replay(
        entity.name, at=spot.spec, known_at=ground.known_at, projection=ground.projection, deleted=True
    )
    rows = own_rows(states, entity, ["position"])
    return replace(spot, step=steps.step_of(int(rows[0]["position"]) if rows else None))


def _check_known(store: Store, point: AsOf, known_at: str) -> None:
    """Raise UsageError if records that count at a point do not count at `--known-at`."""
    limit = parse_as_of(known_at, "--known-at", tz=store.tz)
    if point.kind == limit.kind != "event":
        one, other = (point.instant, limit.instant) if point.kind == "time" else (point.number, limit.number)
    else:
        one, other = _last_known(store, point), _last_known(store, limit)
    if (one or 0) > (other or 0):
        raise UsageError(
            f"{point.text.strip()} is after --known-at {shell_word(known_at)}", "begin without --known-at, or later"
        )


def _last_known(store: Store, point: AsOf) -> int:
    """Return the position of the last record that counts at a point."""
    rows = rows_of(store.events(known_at=point_text(point), tail=1), ("position",))
    return int(rows[0]["position"]) if rows else 0


def differences(store: Store, ground: Ground, entity: Entity, one: Spot, other: Spot) -> list[Difference]:
    """Return what differs between two spots of one clock."""
    if one.clock == "known":
        relation = store.diff_known(one.spec, other.spec, entity.name, projection=ground.projection)
    else:
        relation = store.diff(one.spec, other.spec, entity.name, known_at=ground.known_at, projection=ground.projection)
    rows = own_rows(relation, entity, ["change", "field", "before", "after", "positions"])
    return [
        Difference(
            row["change"],
            row["field"] if row["field"] is not None else "",
            _json(row["before"]),
            _json(row["after"]),
            tuple(int(position) for position in row["positions"] or ()),
        )
        for row in rows
    ]


def _json(value: Any) -> str | None:
    return None if value is None else compact(value)


def find_blamed_event(store: Store, ground: Ground, entity: Entity, field: str, spot: Spot) -> int | None:
    """Return the position of the event that set a field as it is at a spot; None if the state has no such field."""
    known = spot.clock == "known"
    relation = store.blame(
        entity.name,
        field=field,
        at="" if known else spot.spec,
        known_at=spot.spec if known else ground.known_at,
        projection=ground.projection,
    )
    rows = own_rows(relation, entity, ["field", "position"])
    return next((int(row["position"]) for row in rows if row["field"] == field), None)


def next_known_change(store: Store, ground: Ground, steps: Steps, field: str, step: int, direction: int) -> int | None:
    """Return the next step, by what was known, at which a field changed, of those whose event touched it; or None."""
    entity = steps.trail.entity

    def value(at: int) -> str | None:
        return _state(store, ground, entity, Spot("known", steps.spec(at)))[1].get(field)

    touching = store.audit(entity.name, field=field, known_at=ground.known_at, projection=ground.projection)
    touched = sorted(steps.step_of(int(row["position"])) for row in own_rows(touching, entity, ["position"]))
    ahead = [at for at in touched if (at - step) * direction > 0]
    return next((at for at in ahead[::direction] if value(at) != value(at - 1)), None)


def moments(store: Store, ground: Ground, predicate: str, names: Sequence[str], known_at: str) -> Relation:
    """Return the intervals in which a condition held."""
    known = known_at or ground.known_at
    return store.when(predicate, *names, which="every", known_at=known, projection=ground.projection)


def moments_page(relation: Relation, offset: int) -> list[ResultRow]:
    """Return a page of intervals."""
    names = ("entity", "kind", "start", "end", "position", "type", "actor", "end_position")
    return [
        ResultRow(
            (
                _short_time(row["start"]),
                _short_time(row["end"]) if row["end_position"] is not None else "still",
                *(row[name] or "" for name in ("entity", "type", "actor")),
            ),
            Entity(row["entity"], row["kind"]),
            int(row["position"]),
        )
        for row in rows_of(relation, names, offset, PAGE)
    ]


def _short_time(time: str | None) -> str:
    """Shorten a time of an answer to the second, for people."""
    return "" if time is None else time[:19].replace("T", " ")


def trace_events(store: Store, ground: Ground, position: int) -> Relation:
    """Return the events that are tied to one."""
    return store.trace(f"@{position}", known_at=ground.known_at)


def trace_page(relation: Relation, offset: int) -> list[ResultRow]:
    """Return a page of tied events."""
    names = ("position", "time", "tree", "entity", "kind", "actor", "link")
    return [
        ResultRow(
            (
                f"@{row['position']}",
                _short_time(row["time"]),
                *(row[name] or "" for name in ("tree", "entity", "actor", "link")),
            ),
            Entity(row["entity"], row["kind"]) if row["entity"] is not None else None,
            int(row["position"]),
        )
        for row in rows_of(relation, names, offset, PAGE)
    ]


def record(store: Store, event: Event) -> list[tuple[str, str]]:
    """Return all that the log has of an event, by name, texts as they are and other values as JSON."""
    wanted = f"position = {event.position}"
    names = ("position", "source", "offset", "time", "recorded_at", "id", "type", "kind", "entity", "role", "actor",
             "sequence", "correlation", "causation", "data")  # fmt: skip
    rows = rows_of(store.events(where=wanted), names, 0, PAGE)
    return [
        (name, value if isinstance(value, str) else compact(value))
        for row in rows
        for name, value in row.items()
        if value is not None
    ]


def standing(store: Store) -> str:
    """Return a line on the records that are in no entity's trail; empty if there are none."""
    (row,) = store.status().rows()
    counts = {name: int(row[name] or 0) for name in ("without_entity", "invalid", "conflicts")}
    words = {"without_entity": "of no entity", "invalid": "invalid", "conflicts": "conflicting"}
    counted = [f"{count:,} {words[name]}" for name, count in counts.items() if count]
    return f"{', '.join(counted)}: esctl doctor" if counted else ""
