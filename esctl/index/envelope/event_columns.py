"""Read the events of a chunk: one row each, in order of position."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esctl.engine import native
from esctl.engine.arrow_lists import one_array, repeated
from esctl.index.decode.times.columns import placeholder_mask, read_nanos, read_times
from esctl.index.decode.times.reading import reading_of
from esctl.index.envelope.clock_changes import wall_columns
from esctl.index.envelope.envelope_sql import listed_roles
from esctl.index.envelope.event_places import place_events
from esctl.index.envelope.event_read import read_rows
from esctl.index.envelope.event_sql import Group, event_select
from esctl.index.files.last_placed import Before
from esctl.index.files.payload_columns import PayloadColumn

if TYPE_CHECKING:
    import duckdb

BATCH_ROWS = 16_384
"""Rows of an Arrow batch: DuckDB hands whole batches to its threads, so one batch would keep only one core busy."""

MOST_ENTITIES = 250
"""Most entities of one event: its rows are numbered in a byte."""
_UNREADABLE = "esctl_unreadable"
_CONSUMED = ("position", "event_time", "unreadable", "nanos", "second_pass")


def batched(table: pa.Table) -> pa.Table:
    """Cut a table so that all of DuckDB's threads get some of it."""
    return pa.Table.from_batches(table.to_batches(max_chunksize=BATCH_ROWS), table.schema)


def read_events(
    connection: duckdb.DuckDBPyConnection,
    chunk: pa.Table,
    groups: Sequence[Group],
    columns: Sequence[PayloadColumn],
    roles: int,
    before: Before | None = None,
) -> pa.Table:
    """Read the events of `chunk`, which is also registered under that name.

    `before` gives the time of the record before the chunk in a source. Columns: position, recorded_at, source, offset,
    time, undated, tie, wall, invalid, stanza, ordering, those of `event_sql`.
    """
    listed = listed_roles(group.stanza for group in groups)
    parts = [_group_events(connection, chunk, group, columns, roles, listed) for group in groups]
    found = parts[0] if len(parts) == 1 else pa.concat_tables(parts)
    positions = found["position"].to_numpy()
    if not (np.diff(positions) > 0).all():
        found = found.take(pa.array(np.argsort(positions, kind="stable")))
    known = {name: one_array(chunk[name]) for name in ("position", "recorded_at", "source", "offset")}
    known["invalid"] = one_array(chunk["invalid"])
    if listed:
        found, known["invalid"] = _mark_crowded_events(found, known["invalid"], roles, listed)
    known |= place_events(chunk, found, groups, before)
    rest = {name: one_array(found[name]) for name in found.schema.names if name not in _CONSUMED}
    return pa.table({**known, **rest})


def _group_events(
    connection: duckdb.DuckDBPyConnection,
    chunk: pa.Table,
    group: Group,
    columns: Sequence[PayloadColumn],
    roles: int,
    listed: Set[int],
) -> pa.Table:
    found = _group_rows(connection, chunk, group, columns, roles, listed)
    count = found.num_rows
    texts = one_array(found["time_text"])
    reading = reading_of(group.stanza)
    times = read_times(connection, texts, group.tz, reading)
    none = None if group.stanza.old_times else placeholder_mask(times)
    times = times if none is None else pc.if_else(none, pa.scalar(None, times.type), times)
    found = found.drop_columns("time_text").append_column("event_time", times)
    found = found.append_column("unreadable", _unreadable_reasons(connection, texts, times, none))
    found = found.append_column("nanos", read_nanos(connection, texts, times, reading))
    walls, seconds = wall_columns(connection, texts, times, group.tz, reading)
    found = found.append_column("wall", walls).append_column("second_pass", seconds)
    found = found.append_column("stanza", pa.repeat(pa.scalar(group.stanza_number, pa.uint16()), count))
    return found.append_column("ordering", repeated(group.stanza.order, count))


def _group_rows(
    connection: duckdb.DuckDBPyConnection,
    chunk: pa.Table,
    group: Group,
    columns: Sequence[PayloadColumn],
    roles: int,
    listed: Set[int],
) -> pa.Table:
    if native.is_available() and (found := read_rows(connection, chunk, group, columns, roles, listed)) is not None:
        return found
    return connection.sql(event_select(group, columns, roles, listed).sql()).to_arrow_table()


def _mark_crowded_events(found: pa.Table, invalid: pa.Array, roles: int, listed: Set[int]) -> tuple[pa.Table, pa.Array]:
    """Mark events that have too many entities to number their rows as invalid, and remove their entities."""
    count = pa.array(np.full(len(found), roles - len(listed)))
    for i in listed:
        count = pc.add(count, pc.fill_null(pc.list_value_length(found[f"entity_{i}"]).combine_chunks(), 1))
    crowded = pc.greater(count, MOST_ENTITIES)
    if not pc.any(crowded).as_py():
        return found, invalid
    for name in [f"{part}_{i}" for i in range(roles) for part in ("entity", "kind")]:
        column = one_array(found[name])
        none = pa.nulls(len(column), column.type)
        found = found.set_column(found.schema.get_field_index(name), name, pc.if_else(crowded, none, column))
    reasons = pc.binary_join_element_wise(
        "of ", pc.cast(count, pa.string()), f" entities, more than the {MOST_ENTITIES} that an event may have", ""
    )
    return found, pc.if_else(pc.and_(crowded, invalid.is_null()), reasons.cast(invalid.type), invalid)


def _unreadable_reasons(
    connection: duckdb.DuckDBPyConnection, texts: pa.Array, times: pa.Array, none: pa.Array | None
) -> pa.Array:
    """Return why the time of each record is unreadable; null if it can be read or there is none.

    `none` is true for a time that means no time.
    """
    bad = pc.and_(texts.is_valid(), times.is_null())
    if not pc.any(bad).as_py():
        return pa.nulls(len(texts), pa.string())
    is_none = pa.repeat(pa.scalar(False), len(texts)) if none is None else pc.fill_null(none, False)
    table = pa.table({"i": pc.indices_nonzero(bad), "t": texts.filter(bad), "is_none": is_none.filter(bad)})
    connection.register(_UNREADABLE, table)
    try:
        shown = "to_json(left(t, 60))"
        reason = f"CASE WHEN is_none THEN {shown} || ' stands for no time' ELSE 'unreadable time ' || {shown} END"
        sql = f"SELECT {reason} AS reason FROM {_UNREADABLE} ORDER BY i"
        reasons = connection.sql(sql).to_arrow_table()["reason"].combine_chunks()
    finally:
        connection.unregister(_UNREADABLE)
    return pc.replace_with_mask(pa.nulls(len(texts), pa.string()), bad, reasons.cast(pa.string()))
