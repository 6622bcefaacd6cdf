"""Replay from a snapshot: its partial states, joined with those of the events that it does not have.

A snapshot can be used if all its events count for the question. The other events are folded by themselves. An entity
with one of these before its last event in the snapshot, in fold order, is folded anew from its first event, unless it
makes no difference to fold that one last.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.scope.bounds import entity_conditions, instant_literal, is_glob
from esctl.ask.scope.plans import plan_for
from esctl.ask.scope.scope import Claim, Scope, claim_of, event_rows
from esctl.engine.duckdb import explained, single_row
from esctl.engine.quoting import literal
from esctl.index.pruning import ALWAYS, Predicate, Reach, Test, all_of
from esctl.model import AsOf, Ready
from esctl.projection.fold import NotSetwiseError, Plan
from esctl.projection.partial import (
    KeptField,
    Meaning,
    can_continue,
    columns,
    composed_sql,
    joined_sql,
    kept_sql,
    partial_sql,
    slips_in_sql,
)
from esctl.projection.query_reads import EarlierShapes
from esctl.projection.values import Shape
from esctl.saved_states.files import Extent, StateSnapshot, lines_of

if TYPE_CHECKING:
    from esctl.saved_states.files import Shelf

MOST_NAMED = 10_000
"""The most entities to fold anew that are looked up by name, which lets row groups be skipped."""


class Resumed(Struct, frozen=True):
    """The partial states of a projection's entities, from a snapshot and the events after it.

    `changed` selects those that are not in the snapshot, or have changed since; empty if there are none.
    """

    plan: Plan
    events: int  # no more than this were counted
    snapshot: StateSnapshot
    folder: Path
    cells: str
    changed: str = ""
    again: str = ""  # of these, those that were folded from their first event
    later: str = ""  # the table of the entities that have changed
    new: int = 0  # how many of these are not in the snapshot


_LINES = ("line_start", "line_end")


def resume(
    scope: Scope, claim: Claim, at: AsOf | None, *, calculating: bool = False, lines: bool = True
) -> Resumed | None:
    """Return the partial states at a bound from the best snapshot; None if none can be used.

    `lines`: include the places of lines, for `ready`. Raises what the fold of the other events raises.
    """
    if scope.shelf is None or scope.without or claim.projection.sql or claim.projection.python:
        return None
    named = bool(scope.entities) and not any(is_glob(name) for name in scope.entities)
    if named and not scope.shelf.always:
        return None  # the index finds an entity's events faster
    try:
        places = _LINES if lines else ()
        found = best_snapshot(scope, claim, at, calculating=calculating, places=places)
        return None if found is None else _join_later_events(scope, claim, at, found, places)
    except NotSetwiseError:
        return None


def best_snapshot(
    scope: Scope, claim: Claim, at: AsOf | None, *, calculating: bool = False, places: Sequence[str] = _LINES
) -> Resumed | None:
    """Return the partial states of the snapshot that covers most of the events that count, with the places of lines.

    Raises NotSetwiseError if the projection is not a set-wise fold.
    """
    assert scope.shelf is not None
    folder = snapshot_folder(scope.shelf, claim)
    usable = [found for found in scope.shelf.found(folder) if _is_usable(found.extent, at, scope.known_at)]
    if not usable:
        return None
    events = scope.view.manifest.rows
    for found in sorted(usable, key=lambda found: (found.extent.events, found.extent.position), reverse=True):
        measured = _saved_measurements(scope, found)
        plan = plan_for(scope, claim.projection, calculating=calculating, before=measured)
        same = found.text_keys == scope.view.has_struct_keys and can_continue(meaning_of(found), plan, events)
        if same and scope.shelf.is_whole(folder, found, lines=bool(places)):
            return Resumed(plan, events, found, folder, _saved_cells(scope, claim, plan, found, folder, places))
    return None


def uncovered(scope: Scope, claim: Claim) -> int:
    """Count the events in index files that the best snapshot does not cover; 0 if the fold is not set-wise."""
    try:
        found = best_snapshot(scope, claim, None)
    except NotSetwiseError:
        return 0
    unread = frozenset[str]() if found is None else _uncovered_scope(scope, found.snapshot.extent).view.unread
    return sum(file.events for file in scope.view.manifest.files if file.file not in unread)


def unfit_notes(scope: Scope) -> tuple[str, ...]:
    """Return a note for each snapshot that could not be used."""
    found = dict.fromkeys(scope.shelf.unfit if scope.shelf is not None else ())
    return tuple(
        f"note: {name} is damaged or of another log, and was not used: esctl snapshot --drop" for name in found
    )


def whole_claim(claim: Claim) -> Claim:
    """Return the claim to make a snapshot for: as it is if its projection claims every entity, else on all it matches.

    So questions with and without `-p` use the same snapshot.
    """
    own = claim_of(claim.projection)
    return claim if claim.projection.claims_all else own


def snapshot_folder(shelf: Shelf, claim: Claim) -> Path:
    """Return the folder of the snapshots that a claim may use."""
    return shelf.folder(claim.projection.digest, whole_claim(claim).condition)


def meaning_of(snapshot: StateSnapshot) -> Meaning:
    """Return what a snapshot's fields were computed with."""
    return Meaning(tuple(KeptField(**field) for field in snapshot.meaning["fields"]), snapshot.meaning["dead"])


def _is_usable(extent: Extent, at: AsOf | None, known: AsOf | None) -> bool:
    """Return whether all events of a snapshot lie within the bounds of a question."""
    return _is_within(at, extent.latest, extent.last) and _is_within(known, extent.known, extent.last)


def _is_within(point: AsOf | None, time: int, position: int) -> bool:
    if point is None:
        return True
    greatest, limit = (time, point.instant) if point.kind == "time" else (position, point.number)
    if point.kind not in ("time", "position") or limit is None:
        return False
    return greatest <= limit if point.inclusive else greatest < limit


def _saved_cells(
    scope: Scope, claim: Claim, plan: Plan, snapshot: StateSnapshot, folder: Path, places: Sequence[str]
) -> str:
    test = all_of([claim.condition, entity_conditions(scope.entities)])
    where = "" if test == ALWAYS else f" WHERE {test.sql}"
    source = f"read_parquet({literal(str(folder / snapshot.cells.file))}){where}"
    key = "CAST(high AS HUGEINT)"
    high = f"{{'s': high_text, 'n': {key}}}" if snapshot.text_keys else key
    return kept_sql(plan, meaning_of(snapshot).fields, source, high, scope.view.manifest.rows, places)


def _join_later_events(scope: Scope, claim: Claim, at: AsOf | None, kept: Resumed, places: Sequence[str]) -> Resumed:
    extent, beyond = kept.snapshot.extent, _uncovered_scope(scope, kept.snapshot.extent)
    if len(beyond.view.unread) == len(scope.view.manifest.files):
        return kept
    rows = event_rows(beyond, kept.plan.reads, [claim.condition, other_events(extent)], at)
    import secrets

    later = f"later_{secrets.token_hex(4)}"
    # What has changed is computed once, with the place of each line, as several queries ask for it.
    earlier = "coalesce(a.high >= b.low, false)"
    slips_in = "false" if kept.snapshot.text_keys else slips_in_sql(kept.plan)
    more = [
        f"{earlier} AND NOT {slips_in} AS late",
        f"{earlier} AS earlier",
        "a.entity IS NULL AS new",
        *(f"a.{name}" for name in places),
    ]
    joined = joined_sql(kept.plan, kept.cells, partial_sql(kept.plan, rows), kept.events, more)
    with explained():
        scope.connection.execute(f"CREATE TEMP TABLE {later} AS {joined}")
        counts = single_row(
            scope.connection,
            f"SELECT count(*), count(*) FILTER (late), count(*) FILTER (new) FROM {later}",
        )
    assert counts is not None
    if not counts[0]:
        return kept
    names = ", ".join(columns(kept.plan))
    changed, again = f"SELECT {names} FROM {later} WHERE NOT late", ""
    if counts[1]:
        # They are known to be of the scope's entities; testing that again takes as long as finding them.
        named = replace(scope, entities=())
        whole = event_rows(named, kept.plan.reads, [claim.condition, _late_condition(scope, later, counts[1])], at)
        whole = replace(whole, few=counts[1] <= MOST_NAMED)
        again = f"SELECT {names} FROM ({partial_sql(kept.plan, whole)})"
        changed += f" UNION ALL {again}"
    known = f"SELECT 1 FROM {later} b WHERE b.kind = a.kind AND b.entity = a.entity"
    same = f"SELECT {names} FROM ({kept.cells}) a WHERE NOT EXISTS ({known})"
    return replace(kept, cells=f"{same} UNION ALL {changed}", changed=changed, again=again, later=later, new=counts[2])


def _uncovered_scope(scope: Scope, extent: Extent) -> Scope:
    """Return the scope without the files all of whose events a snapshot has."""
    files = scope.view.manifest.files
    covered = frozenset(file.file for file in files if _covers(extent, file.last, file.max_time))
    return replace(scope, view=replace(scope.view, unread=covered))


def _saved_measurements(scope: Scope, snapshot: StateSnapshot) -> EarlierShapes | None:
    """Return what was measured when a snapshot was made, if it has no more events than are asked about; else None.

    With more events, numbers would get wider columns than without the snapshot.
    """
    assert scope.shelf is not None
    if scope.entities or scope.known_at is not None or scope.shelf.log.seq < snapshot.seq:
        return None
    shapes = {tuple(path): Shape(whole, scale) for path, whole, scale in snapshot.meaning["shapes"]}
    return EarlierShapes(shapes, _uncovered_scope(scope, snapshot.extent).view)


def _covers(extent: Extent, last: int, max_time: int) -> bool:
    return last <= extent.position and (extent.until is None or max_time <= extent.until)


def other_events(extent: Extent) -> str:
    """Write the condition that an event, as stored, is not in a snapshot."""
    later = f"position > {extent.position}"
    return later if extent.until is None else f"({later} OR time > {instant_literal(extent.until)})"


def _late_condition(scope: Scope, later: str, count: int) -> Test:
    pairs = f"(kind, entity) IN (SELECT kind, entity FROM {later} WHERE late)"
    if count > MOST_NAMED:
        return pairs
    with explained():
        found = scope.connection.execute(f"SELECT entity FROM {later} WHERE late").fetchall()
    names = sorted({name for (name,) in found})
    # Unlike in `entity_conditions`, a name is not a glob here, whatever characters are in it.
    return Predicate(f"entity IN ({', '.join(map(literal, names))}) AND {pairs}", Reach(entities=tuple(names)))


def states_of(found: Resumed) -> str:
    """Write the states: kind, entity, version, position, time, deleted and a column per field."""
    return composed_sql(found.plan, found.cells, found.events)


def ready_rows(found: Resumed, row: str) -> Ready:
    """Return the rows of all states that are not deleted. `row`: SQL for the columns of one, over those of states."""
    lines = lines_of(found.folder, found.snapshot.lines)
    if not found.changed:
        return Ready(lines, found.snapshot.alive)
    names = ", ".join(columns(found.plan))
    parts = [f"SELECT {names}, line_start, line_end FROM {found.later} WHERE NOT late AND line_start IS NOT NULL"]
    if found.new:
        # A new entity is put in after the last one before it.
        file = literal(str(found.folder / found.snapshot.cells.file))
        parts.append(f"""SELECT {names}, coalesce(p.line, 0) AS line_start, coalesce(p.line, 0) AS line_end
            FROM (SELECT {names} FROM {found.later} WHERE line_start IS NULL) n ASOF LEFT JOIN
            (SELECT kind AS k, entity AS e, line_end AS line FROM read_parquet({file})) p
            ON row(n.kind, n.entity) > row(p.k, p.e)""")
    if found.again:
        parts.append(f"""SELECT {names}, line_start, line_end FROM ({found.again})
            JOIN (SELECT kind, entity, line_start, line_end FROM {found.later}) USING (kind, entity)""")
    placed = " UNION ALL ".join(parts)
    states = composed_sql(found.plan, placed, found.events, ("line_start", "line_end"))
    changes = f"SELECT {row}, line_start, line_end, deleted AS gone FROM ({states}) ORDER BY kind, entity"
    return Ready(lines, found.snapshot.alive, changes)
