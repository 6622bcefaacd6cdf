"""redact: which records are to be erased, which others hold the same, and what has become of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from esctl.ask.events.log import EventFilters, find_event, log
from esctl.ask.scope.event_names import events_hint
from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained
from esctl.engine.quoting import literal
from esctl.errors import NotFoundError, UsageError
from esctl.index.decode.log_rows import trimmed, trimmed_column
from esctl.index.files.manifest import IS_ERASED
from esctl.index.pruning import any_of
from esctl.index.seen_ids.numberings import by_stanza, numberings
from esctl.log.erasing import to_ranges
from esctl.log.reader import iter_batches, raw_of
from esctl.log.store_state import StoreState
from esctl.model import Answer, Column

PLAN = (
    Column("position", "integer"), Column("source", "text"), Column("offset", "integer"), Column("time", "time"),
    Column("id", "text"), Column("type", "text"), Column("kind", "text"), Column("entity", "text"),
    Column("role", "text"), Column("actor", "text"), Column("duplicate_of", "integer"),
)  # fmt: skip
DONE = (
    Column("position", "integer"), Column("source", "text"), Column("offset", "integer"),
    Column("recorded_at", "time"), Column("result", "text"),
)  # fmt: skip
_BATCH = 100_000


class ErasureSelection(Struct, frozen=True):
    """Positions of the records to erase, and of those that were asked for and are erased already."""

    positions: tuple[int, ...]
    already: tuple[int, ...]


def select_records(scope: Scope, store_state: StoreState, events: Sequence[str], where: str) -> ErasureSelection:
    """Find the records to erase: those named, else those that `log` would list for the scope's entities and `where`.

    Raises NotFoundError for an event or entity that does not exist, UsageError if neither or both of these are given.
    """
    if events and (scope.entities or where):
        raise UsageError("events are named and --entity or --where is given", "give one or the other")
    if not (events or scope.entities or where):
        raise UsageError("nothing to erase is named", "name events, or give --entity or --where")
    if events:
        found = {position for event in events for position in _find_positions(scope, store_state, event)}
    else:
        listed = log(scope, EventFilters(where=where))
        with explained():
            rows = scope.connection.execute(f"SELECT DISTINCT position FROM ({listed.sql})").fetchall()
        found = {position for (position,) in rows}
    already = {position for position in found if store_state.redaction_of(position)}
    return ErasureSelection(tuple(sorted(found - already)), tuple(sorted(already)) if events else ())


def _find_positions(scope: Scope, store_state: StoreState, event: str) -> list[int]:
    if re.fullmatch(r"@[0-9]{1,18}", event) and 1 <= int(event[1:]) <= store_state.head:
        return [int(event[1:])]
    found = find_event(scope, event)
    if not found:
        hint = f"it may be one of the {store_state.erased} that were erased: esctl log --erased"
        raise NotFoundError(f"no event {event!r}", hint if store_state.erased else events_hint(event))
    return found


def same_bytes(store_state: StoreState, positions: Sequence[int]) -> tuple[int, ...]:
    """Find the other records, whatever their ids, that equal one of these but for what stands around their text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    contents = {trimmed(raw) for raw in raw_of(store_state, positions).values()} - {b""}
    values = pa.array(sorted(contents), pa.large_binary())
    equal: set[int] = set()
    for batch in iter_batches(store_state, 1, store_state.head, _BATCH, ["position", "raw"]) if contents else ():
        equal.update(batch["position"].filter(pc.is_in(trimmed_column(batch["raw"]), value_set=values)).to_pylist())
    return tuple(sorted(equal - set(positions)))


def same_id(scope: Scope, positions: Sequence[int]) -> tuple[int, ...]:
    """Find the other events with the id of one of these."""
    columns = ["stanza", "scope", "id", "position"]
    own = scope.view.relation(columns, None, [position_condition(positions), "id IS NOT NULL"])
    others = scope.view.relation(columns, None, [f"NOT {position_condition(positions)}", "invalid IS NULL"])
    numbers = numberings(scope.view.manifest.stanzas)
    sql = f"""SELECT DISTINCT o.position FROM ({others}) o JOIN ({own}) e
        ON o.id = e.id AND {by_stanza(numbers, "o.stanza")} = {by_stanza(numbers, "e.stanza")}
        AND o.scope IS NOT DISTINCT FROM e.scope ORDER BY 1"""
    with explained():
        return tuple(position for (position,) in scope.connection.execute(sql).fetchall())


def position_condition(positions: Iterable[int]) -> str:
    """Write the condition that a record is at one of these positions."""
    ranges = to_ranges(sorted(set(positions)))
    return any_of(f"position BETWEEN {first} AND {last}" for first, last in ranges).sql


def list_planned(scope: Scope, positions: Sequence[int]) -> Answer:
    """Return what would be erased: one row per event and entity that it concerns."""
    names = [column.name for column in PLAN]
    rows = scope.view.relation([*names, "role_order"], None, [position_condition(positions)])
    listed = ", ".join(f'"{name}"' for name in names)
    return Answer(
        scope.session, f"SELECT {listed} FROM ({rows}) ORDER BY position, role_order", PLAN, title="to be erased"
    )


def list_erased(scope: Scope, selection: ErasureSelection) -> Answer:
    """Return one row per record, in a store in which they are erased: whether it was erased now or before."""
    every = [*selection.positions, *selection.already]
    before = position_condition(selection.already)
    result = f"CASE WHEN {before} THEN {literal('erased before')} ELSE {literal('erased')} END"
    rows = scope.view.relation(
        ["position", "source", "offset", "recorded_at"],
        None,
        [position_condition(every), IS_ERASED],
        f"{result} AS result",
    )
    listed = ", ".join(f'"{column.name}"' for column in DONE)
    return Answer(scope.session, f"SELECT {listed} FROM ({rows}) ORDER BY position", DONE, title="erased")
