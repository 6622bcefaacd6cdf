"""What can be wrong with live sources: records that were gone before they were read, entities in several partitions."""

from __future__ import annotations

from collections.abc import Mapping

from esctl.ask.health.checks import NONE, OCCURRENCE_COLUMNS, CheckContext
from esctl.ask.scope.notes import missed_of
from esctl.engine.duckdb import explained, single_row
from esctl.engine.quoting import literal
from esctl.index.scan import FOLDABLE
from esctl.model import KafkaCursor
from esctl.sources.postgres.lsn import lsn_text


def topics_of(context: CheckContext) -> Mapping[str, KafkaCursor]:
    """Return the cursors of the partitions of topics in the log, by source."""
    records = context.scope.records
    cursors = {} if records is None else records.cursors
    return {name: cursor for name, cursor in cursors.items() if isinstance(cursor, KafkaCursor)}


def lost(context: CheckContext) -> list[str]:
    """Select, for each gap in a partition, the first record after it, or the last one before it if none follows."""
    found = []
    for name, cursor in topics_of(context).items():
        for first, last in cursor.lost:
            position = _nearest_position(context, name, last)
            what = f"offset {first} is" if first == last else f"offsets {first} to {last} are"
            detail = f"{what} missing from {name}: the broker had deleted what was there before it was read"
            if position is not None:
                found.append(context.asked([f"position = {position}"], literal(detail), str(last - first + 1)))
    return found


def missed(context: CheckContext) -> list[str]:
    """Select, for each slot of a database that replaced a lost one, its first record."""
    found = []
    for name, (before, after) in missed_of(context.scope).items():
        rows = context.scope.view.relation(["position"], None, [f"source = {literal(name)}"])
        with explained():
            row = single_row(context.scope.connection, f"SELECT min(position) FROM ({rows})")
        detail = (
            f"what was committed from {lsn_text(before)} to {lsn_text(after)} is missing before {name}: no slot had it"
        )
        if row is not None and row[0] is not None:
            found.append(context.asked([f"position = {row[0]}"], literal(detail), str(after - before)))
    return found


def _nearest_position(context: CheckContext, source: str, last: int) -> int | None:
    rows = context.scope.view.relation(["position", "offset"], None, [f"source = {literal(source)}"])
    sql = f'SELECT coalesce(min(position) FILTER ("offset" > {last}), max(position)) FROM ({rows})'
    with explained():
        row = single_row(context.scope.connection, sql)
    return row[0] if row else None


def partitions(context: CheckContext) -> str:
    """Select the first event of an entity in each partition of a topic other than that of its first event."""
    topics: dict[tuple[str, str], list[str]] = {}
    for name, cursor in topics_of(context).items():
        topics.setdefault((cursor.cluster, cursor.topic), []).append(name)
    several = [names for names in topics.values() if len(names) > 1]
    parts = [f"SELECT * FROM ({_select_split(context, names)})" for names in several]
    return " UNION ALL ".join(parts) or NONE


def _select_split(context: CheckContext, sources: list[str]) -> str:
    listed = ", ".join(map(literal, sources))
    conditions = [f"source IN ({listed})", FOLDABLE]
    rows = context.events(OCCURRENCE_COLUMNS, conditions)
    per = "OVER (PARTITION BY kind, entity ORDER BY position)"
    detail = literal("its entity has events in another partition too, and between these there is no order by offset: ")
    columns = ", ".join(OCCURRENCE_COLUMNS)
    return f"""SELECT {columns}, {detail} || first_source AS detail, CAST(NULL AS DOUBLE) AS weight
        FROM (SELECT *, first_value(source) {per} AS first_source,
                     row_number() OVER (PARTITION BY kind, entity, source ORDER BY position) AS number FROM ({rows}))
        WHERE source <> first_source AND number = 1 AND wanted"""
