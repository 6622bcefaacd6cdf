"""status: head, sources, time range, sizes."""

from __future__ import annotations

import json

from esctl.engine.duckdb import explained, single_row
from esctl.engine.quoting import literal
from esctl.log.snapshot import Snapshot
from esctl.model import Answer, AsOf, Column
from esctl.queries.scope import Scope

COLUMNS = (
    Column("store", "text"), Column("head", "integer"), Column("root", "text"), Column("entities", "integer"), Column("types", "integer"),
    Column("first", "time"), Column("last", "time"), Column("duplicates", "integer"), Column("conflicts", "integer"),
    Column("invalid", "integer"), Column("without_entity", "integer"), Column("log_bytes", "integer"),
    Column("index_bytes", "integer"), Column("sources", "json"),
)  # fmt: skip


def status(scope: Scope, snapshot: Snapshot) -> Answer:
    """Answer with one row about the whole store."""
    files = scope.view.manifest.files
    sources = [
        {"source": name, "format": cursor.format, "records": cursor.records, "bytes": cursor.offset}
        for name, cursor in snapshot.cursors.items()
    ]
    listed = json.dumps(sources, ensure_ascii=False, separators=(",", ":"))
    rows = scope.view.relation(["kind", "entity", "type", "time"], None, ["invalid IS NULL"])
    values = [
        f"{literal(str(snapshot.path))} AS store", f"{snapshot.head}::BIGINT AS head", f"{literal(snapshot.root)} AS root",
        "count(DISTINCT CASE WHEN entity IS NOT NULL THEN {'k': kind, 'e': entity} END) AS entities", "count(DISTINCT type) AS types",
        "min(time) AS first", "max(time) AS last",
        f"{sum(f.duplicates for f in files)}::BIGINT AS duplicates", f"{sum(f.conflicts for f in files)}::BIGINT AS conflicts",
        f"{sum(f.invalid for f in files)}::BIGINT AS invalid", f"{sum(f.homeless for f in files)}::BIGINT AS without_entity",
        f"{sum(s.size for s in snapshot.segments)}::BIGINT AS log_bytes", f"{sum(f.bytes for f in files)}::BIGINT AS index_bytes",
        f"{literal(listed)} AS sources",
    ]  # fmt: skip
    return Answer(scope.session, f"SELECT {', '.join(values)} FROM ({rows})", COLUMNS, title="store")


def last_instant(scope: Scope) -> int | None:
    """Give the latest event's time in microseconds since the epoch; None without events."""
    rows = scope.view.relation(["time"], None, ["invalid IS NULL"])
    with explained():
        row = single_row(scope.connection, f"SELECT epoch_us(max(time)) FROM ({rows})")
    return row[0] if row else None


def placed_at(scope: Scope, at: AsOf) -> tuple[int, int] | None:
    """Give the time (microseconds since the epoch) and position of the event that a bound names; None if it names none."""
    named = f"id = {literal(at.value)}" if at.kind == "event" else f"position = {int(at.number or 0)}"
    rows = scope.view.relation(["time", "position"], None, [named, "invalid IS NULL", "duplicate_of IS NULL"])
    with explained():
        row = single_row(
            scope.connection, f"SELECT epoch_us(time), position FROM ({rows}) ORDER BY time DESC, position DESC LIMIT 1"
        )
    return (row[0], row[1]) if row else None
