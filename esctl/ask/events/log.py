"""log and show: the events themselves, whatever became of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.ask.events.raw_fields import check_paths, raw_columns, with_records
from esctl.ask.events.raw_records import positions_holding, texts_of
from esctl.ask.scope.bounds import entity_conditions, known_conditions
from esctl.ask.scope.event_names import ambiguity_text, events_of, part_condition, text_values
from esctl.ask.scope.filters import Filters, check_filters, filter_conditions, one_of
from esctl.ask.scope.ignored import ignored_positions
from esctl.ask.scope.scope import Scope, check_entities
from esctl.engine.duckdb import explained
from esctl.engine.quoting import is_text, literal
from esctl.errors import UsageError
from esctl.index.files.manifest import IS_ERASED, UNREADABLE, PayloadPath
from esctl.index.pruning import Predicate, Reach, Test, all_of
from esctl.index.scan import FIRST_DELIVERY, OWN_TIME, Read
from esctl.model import Answer, Column
from esctl.projection.expressions import Expression
from esctl.projection.query_reads import Reads, measure_shapes

if TYPE_CHECKING:
    from esctl.log.store_state import StoreState

COLUMNS = (
    Column("position", "integer"), Column("source", "text"), Column("offset", "integer"), Column("time", "time"),
    Column("recorded_at", "time"), Column("id", "text"), Column("type", "text"), Column("kind", "text"),
    Column("entity", "text"), Column("role", "text"), Column("actor", "text"), Column("sequence", "text"),
    Column("correlation", "text"), Column("causation", "text"), Column("data", "json"), Column("invalid", "text"),
    Column("duplicate_of", "integer"),
)  # fmt: skip


SCANNED_BYTES = 64 << 20
"""The size of an index below which scanning all events takes less time than loading the code that looks up an id."""


class EventFilters(Struct, frozen=True):
    """Which events to list, and in which order.

    `where` is an SQL predicate over an event's columns, `data` and `raw`; `grep`: a text that the record's bytes hold;
    `tail`: how many of the last matching rows to keep (None: all); `backwards`: the last first; `raw`: more columns,
    of records as received: `raw`, `raw.user.name`.
    """

    filters: Filters = field(default_factory=Filters)
    where: str = ""
    only: str = ""  # invalid | duplicates | conflicts | erased | ignored
    sources: tuple[str, ...] = ()  # names or globs
    grep: str | None = None
    tail: int | None = None
    backwards: bool = False
    raw: tuple[str, ...] = ()


_ONLY = {
    "": "",
    "invalid": UNREADABLE,
    "erased": IS_ERASED,
    "duplicates": "duplicate_of IS NOT NULL AND NOT conflict",
    "conflicts": "conflict",
}


def log(scope: Scope, wanted: EventFilters, records: StoreState | None = None) -> Answer:
    """Return the events in order of position, one row per event and entity that it concerns.

    `records`: the evidence. With it, an answer of only invalid records has a column `raw`; `grep` needs it.
    Raises UsageError if `only` selects by nothing that is known, or no record can hold the text of `grep`.
    """
    _check_wanted(wanted)
    check_entities(scope)
    unmatched = check_filters(scope, wanted.filters)
    conditions = [
        *filter_conditions(scope, wanted.filters),
        *known_conditions(scope.connection, scope.view, scope.known_at),
    ]
    if wanted.only == "ignored":
        conditions.append(f"position IN ({ignored_positions(scope) or 'NULL'})")
    else:
        conditions += [_ONLY[wanted.only]] if wanted.only else []
    conditions += [entity_conditions(scope.entities)] if scope.entities else []
    conditions += [one_of("source", wanted.sources)] if wanted.sources else []
    if wanted.grep is not None and records is not None:
        conditions.append(f"position IN ({positions_holding(scope, records, wanted.grep)})")
    if wanted.only != "invalid" or records is None:
        return replace(_list_events(scope, conditions, wanted), notes=unmatched)
    listed = _list_events(scope, conditions, replace(wanted, raw=tuple(name for name in wanted.raw if name != "raw")))
    sql = f"""SELECT e.*, r.raw FROM ({listed.sql}) e LEFT JOIN ({texts_of(scope, records, listed.sql)}) r
        USING (position) ORDER BY position{" DESC" if wanted.backwards else ""}"""
    return replace(listed, sql=sql, columns=(*listed.columns, Column("raw", "text")), notes=unmatched)


def _check_wanted(wanted: EventFilters) -> None:
    if wanted.only != "ignored" and wanted.only not in _ONLY:
        names = ", ".join([*filter(None, _ONLY), "ignored"])
        raise UsageError(f"only={wanted.only!r} selects no events", f"it is one of: {names}")
    if wanted.grep is not None and not is_text(wanted.grep):
        raise UsageError(f"grep={wanted.grep!r} is no text", "it has half a character, which UTF-8 cannot encode")


def find_event(scope: Scope, event: str) -> list[int]:
    """Find the positions of an event named `@123`, `id:evt-9` or by its id.

    If no event has that id, the positions of those that have it as a part of their id or as an alias.
    """
    if re.fullmatch(r"@[0-9]{1,18}", event):
        return _positions(scope, _position_condition([int(event[1:])]))
    names = [event, event.removeprefix("id:")]
    found = _look_up_ids(scope, names)
    if found is None:
        found = _positions(scope, f"id IN ({text_values(names)})")
    return found or _positions(scope, part_condition(names))


def _look_up_ids(scope: Scope, ids: list[str]) -> list[int] | None:
    """Return the positions of the events with one of some ids; None if a scan is faster, or is needed."""
    if sum(file.bytes for file in scope.view.manifest.files) < SCANNED_BYTES:
        return None
    from esctl.index.seen_ids.lookup import positions_of

    with explained():
        return positions_of(scope.connection, scope.view, ids)


def _positions(scope: Scope, condition: Test) -> list[int]:
    rows = scope.view.relation(["position"], None, [condition])
    with explained():
        found = scope.connection.execute(f"SELECT DISTINCT position FROM ({rows}) ORDER BY 1").fetchall()
    return [position for (position,) in found]


def namesakes(scope: Scope, event: str, positions: list[int]) -> str:
    """Return a sentence that lists the folded events with an id, of those at some positions, if several; else empty."""
    ids = [event, event.removeprefix("id:")]
    folded = all_of([_position_condition(positions), FIRST_DELIVERY])
    return ambiguity_text(ids[1], events_of(scope.connection, scope.view, ids, folded))


def with_raw(answer: Answer, raws: Mapping[int, str | None]) -> Answer:
    """Add a column `raw` with the text of each event's record."""
    pairs = ", ".join(f"({int(position)}, {literal(text)})" for position, text in raws.items())
    sql = f"""SELECT e.*, CAST(r.raw AS VARCHAR) AS raw
        FROM ({answer.sql}) e JOIN (VALUES {pairs}) r(position, raw) USING (position)
        ORDER BY position, role"""
    return replace(answer, sql=sql, columns=(*answer.columns, Column("raw", "text")), title="event")


def events_at(scope: Scope, positions: list[int]) -> Answer:
    """Return the rows of the events at some positions."""
    return _list_events(scope, [_position_condition(positions)], EventFilters())


def _position_condition(positions: list[int]) -> Predicate:
    test = f"position IN ({', '.join(str(int(p)) for p in positions) or 'NULL'})"
    reach = Reach(min_position=min(positions, default=None), max_position=max(positions, default=None))
    return Predicate(test, reach)


def _list_events(scope: Scope, conditions: list[Test], wanted: EventFilters) -> Answer:
    test = ""
    reads = Reads(scope.view, {}, records=scope.records is not None)
    raw_paths: list[PayloadPath] = []
    if wanted.where:
        expression = Expression(wanted.where, "--where")
        paths = [tuple(path[1:]) for path in expression.paths() if path[0] == "data" and len(path) > 1]
        reads.shapes = measure_shapes(scope.connection, scope.view, paths)
        test = f" WHERE {expression.condition(reads.resolve).sql}"
        raw_paths = [tuple(path[1:]) for path in expression.paths() if path[0] == "raw"]
    names = [column.name for column in COLUMNS if column.name != "data"]
    payload = {"data": Read((), "json"), **reads.by_alias()}
    rows = scope.view.relation([*names, "undated", "role_order"], payload, conditions)
    if raw_paths or wanted.raw:
        rows = with_records(scope, rows, conditions)
        check_paths(scope, rows, raw_paths, "--where")
    rows = f"SELECT * FROM ({rows}){test}"
    forth, back = "position, role_order", "position DESC, role_order DESC"
    if wanted.tail is not None:
        rows = f"SELECT * FROM ({rows}) ORDER BY {back} LIMIT {int(wanted.tail)}"
    more = raw_columns(scope, rows, wanted.raw)
    listed = [OWN_TIME if column.name == "time" else f'"{column.name}"' for column in COLUMNS]
    items = ", ".join([*listed, *(item for item, _ in more)])
    sql = f"SELECT {items} FROM ({rows}) ORDER BY {back if wanted.backwards else forth}"
    columns = (*COLUMNS, *(column for _, column in more))
    inner = {"data": frozenset(scope.view.fields)}
    return Answer(scope.session, sql, columns, title="events", inner=inner)
