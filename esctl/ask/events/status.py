"""status: head, sources, time range, sizes."""

from __future__ import annotations

import json

from msgspec.structs import asdict, replace

from esctl.ask.scope.bounds import COUNT_ENTITIES
from esctl.ask.scope.ignored import count_ignored
from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained, single_row
from esctl.engine.quoting import literal
from esctl.index.files.manifest import IndexFile
from esctl.index.pruning import ALWAYS, Predicate, Reach, Test
from esctl.index.scan import FIRST_DELIVERY, IndexView
from esctl.log.segments import bytes_of
from esctl.log.store_state import StoreState
from esctl.model import Answer, AsOf, Column, Cursor, FileCursor, PostgresCursor
from esctl.saved_states import files as shelf
from esctl.storage.mirrors import shown

COLUMNS = (
    Column("store", "text"), Column("head", "integer"), Column("root", "text"), Column("entities", "integer"),
    Column("types", "integer"), Column("first", "time"), Column("last", "time"), Column("duplicates", "integer"),
    Column("conflicts", "integer"), Column("invalid", "integer"), Column("erased", "integer"),
    Column("without_entity", "integer"), Column("ignored", "integer"),
    Column("log_bytes", "integer"), Column("index_bytes", "integer"),
    Column("snapshots", "integer"), Column("snapshot_bytes", "integer"), Column("sources", "json"),
)  # fmt: skip


def status(scope: Scope, store_state: StoreState) -> Answer:
    """Return one row about the whole store."""
    files = scope.view.manifest.files
    sources = [
        {"source": name, "format": cursor.format, "records": cursor.records} | _place(cursor)
        for name, cursor in store_state.cursors.items()
    ]
    kept = [found for _, found in shelf.list_snapshots(store_state.path) if found is not None]
    listed = json.dumps(sources, ensure_ascii=False, separators=(",", ":"))
    rows = scope.view.relation(["kind", "entity", "type", "time", "undated"], None, ["invalid IS NULL"])
    declared = count_ignored(scope)
    known: dict[str, str | int] = {
        "store": shown(store_state.path),
        "head": store_state.head,
        "root": store_state.root,
        "duplicates": sum(file.duplicates for file in files),
        "conflicts": sum(file.conflicts for file in files),
        "invalid": sum(file.invalid for file in files),
        "erased": store_state.erased,
        "without_entity": sum(file.homeless for file in files) - declared,
        "ignored": declared,
        "log_bytes": bytes_of(store_state.segments),
        "index_bytes": sum(file.bytes for file in files),
        "snapshots": len(kept),
        "snapshot_bytes": sum(found.cells.bytes + found.lines.bytes for found in kept),
        "sources": listed,
    }
    values = {name: f"{literal(value)}{'::BIGINT' * isinstance(value, int)}" for name, value in known.items()}
    values |= {
        "entities": COUNT_ENTITIES,
        "types": "count(DISTINCT type)",
        "first": "min(time) FILTER (undated IS NULL)",
        "last": "max(time) FILTER (undated IS NULL)",
    }
    items = ", ".join(f"{values[column.name]} AS {column.name}" for column in COLUMNS)
    return Answer(scope.session, f"SELECT {items} FROM ({rows})", COLUMNS, title="store")


def _place(cursor: Cursor) -> dict[str, object]:
    """Return how far a source was read: in bytes (or rows) of a file, else where the source has the next record."""
    if isinstance(cursor, FileCursor):
        return {"bytes": cursor.offset}
    if isinstance(cursor, PostgresCursor):
        from esctl.sources.postgres.lsn import lsn_text

        place = {name: getattr(cursor, name) for name in ("system", "timeline", "database", "slot", "publications")}
        return place | {"lsn": lsn_text(cursor.lsn)}
    return {name: value for name, value in asdict(cursor).items() if name not in Cursor.__struct_fields__}


def last_instant(scope: Scope) -> int | None:
    """Return the latest time of an event in microseconds since the epoch; None if there are no dated events."""
    view = scope.view
    dated = [file for file in view.manifest.files if _has_only_dated(view, file)]
    latest = [file.max_time for file in dated]
    if len(dated) < len(view.manifest.files):
        rest = replace(view, unread=view.unread.union(file.file for file in dated))
        rows = rest.relation(["time", "undated"], None, ["invalid IS NULL"])
        with explained():
            row = single_row(scope.connection, f"SELECT epoch_us(max(time) FILTER (undated IS NULL)) FROM ({rows})")
        latest += [row[0]] if row and row[0] is not None else []
    return max(latest, default=None)


def _has_only_dated(view: IndexView, file: IndexFile) -> bool:
    """Return whether a file has only dated events of the view, so that the manifest has the latest time among them."""
    whole = view.edits is None and view.within == ALWAYS and file.file not in view.unread
    known = view.upto is None or file.last <= view.upto
    return whole and known and not (file.undated or file.invalid or file.erased)


def find_event(scope: Scope, at: AsOf) -> tuple[int, int] | None:
    """Return the time (microseconds since the epoch) and position of the event a bound names; None if there is none."""
    place = int(at.number or 0)
    named: Test = Predicate(f"position = {place}", Reach(min_position=place, max_position=place))
    named = f"id = {literal(at.value)}" if at.kind == "event" else named
    rows = scope.view.relation(["time", "position"], None, [named, FIRST_DELIVERY])
    with explained():
        row = single_row(
            scope.connection, f"SELECT epoch_us(time), position FROM ({rows}) ORDER BY time DESC, position DESC LIMIT 1"
        )
    return (row[0], row[1]) if row else None
