"""Read the events of a group with the native core; texts that are taken unchanged need no query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from esctl.engine import native
from esctl.engine.arrow_lists import one_array
from esctl.engine.native import Places
from esctl.index.envelope.envelope_sql import NO_ALIASES, PlainSql
from esctl.index.envelope.event_sql import READ_TABLE, Group, loose_select, places_of, read_select
from esctl.index.files.payload_columns import PayloadColumn, null_mark

if TYPE_CHECKING:
    import duckdb

_BATCH_ROWS = 16_384  # read at once, so that they stay in the processor's cache
_ALIASES = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))


class _Rows(Struct, frozen=True):
    """Records of a group, and what the core has read from them; `blank` names texts that are empty in some record."""

    records: pa.Table
    texts: Mapping[str, pa.Array]
    blank: Set[str]
    fits: pa.Array
    nulls: pa.Array
    members: Sequence[pa.Array]


def read_rows(
    connection: duckdb.DuckDBPyConnection,
    chunk: pa.Table,
    group: Group,
    columns: Sequence[PayloadColumn],
    roles: int,
    listed: Set[int],
) -> pa.Table | None:
    """Return the rows of `event_select`, in order of position; None if there are none or one pass cannot read them.

    `chunk` is in order of position.
    """
    places = places_of(group, columns, listed)
    own = chunk.select(["position", "marked", "text", "grp"])
    if pc.any(pc.not_equal(own["grp"], group.number)).as_py():
        own = own.filter(pc.equal(own["grp"], group.number))
    if places is None or not len(own):
        return None
    rows = _read(own.select(["position", "marked", "text"]), places)
    found = {"position": own["position"], **_envelopes(connection, rows, group, roles, listed)}
    found |= {"data": _loose_payloads(connection, rows, group), "nulls": rows.nulls}
    typed = {member.mark: column for member, column in zip(places.members, rows.members, strict=True)}
    for column in columns:
        values = typed.get(null_mark(column))
        found[column.name] = pa.nulls(len(own), column.arrow_type) if values is None else values
    return pa.table(found)


def _read(records: pa.Table, places: Places) -> _Rows:
    read = native.map_in_threads(
        lambda batch: native.read(batch["text"], batch["marked"], places), records.to_batches(max_chunksize=_BATCH_ROWS)
    )

    def whole(parts: Sequence[pa.Array]) -> pa.Array:
        return one_array(pa.chunked_array(parts))

    names = [f"x_{i}" for i in range(1, len(places.pointers) + 1)]
    return _Rows(
        records,
        {name: whole([part.texts[i] for part in read]) for i, name in enumerate(names)},
        {name for i, name in enumerate(names) if any(part.blank[i] for part in read)},
        whole([part.fits for part in read]),
        whole([part.nulls for part in read]),
        [whole([part.members[i] for part in read]) for i in range(len(places.members))],
    )


def _envelopes(
    connection: duckdb.DuckDBPyConnection, rows: _Rows, group: Group, roles: int, listed: Set[int]
) -> dict[str, pa.ChunkedArray | pa.Array]:
    select = read_select(group, roles, listed)
    taken = {name: _unchanged_text(rows, sql) for name, sql in select.columns if isinstance(sql, PlainSql)}
    taken |= {name: pa.nulls(len(rows.fits), _ALIASES) for name, sql in select.columns if sql == NO_ALIASES}
    if len(taken) + 1 < len(select.columns):
        asked = _query_in_order(
            connection, pa.table({**_columns_by_name(rows.records), **rows.texts}), select.sql(taken)
        )
        taken |= _columns_by_name(asked)
    return {name: taken[name] for name, _ in select.columns if name != "position"}


def _columns_by_name(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _unchanged_text(rows: _Rows, sql: PlainSql) -> pa.Array:
    """Return a column of unchanged texts, null where they are empty."""
    if not sql.text:
        return pa.nulls(len(rows.fits), pa.string())
    text = rows.texts[sql.text]
    return pc.if_else(pc.equal(text, ""), None, text) if sql.text in rows.blank else text


def _loose_payloads(connection: duckdb.DuckDBPyConnection, rows: _Rows, group: Group) -> pa.Array:
    """Return the payloads that do not fit the columns as JSON text; null for the others."""
    nothing, loose = pa.nulls(len(rows.fits), pa.string()), pc.invert(rows.fits)
    if not pc.any(loose).as_py():
        return nothing
    payloads = _query_in_order(connection, rows.records.filter(loose), loose_select(group).sql())
    return pc.replace_with_mask(nothing, loose, one_array(payloads["data"]))


def _query_in_order(connection: duckdb.DuckDBPyConnection, read: pa.Table, sql: str) -> pa.Table:
    """Return the rows of a query over what was read, in order of position."""
    connection.register(READ_TABLE, pa.Table.from_batches(read.to_batches(max_chunksize=_BATCH_ROWS), read.schema))
    try:
        found = connection.sql(sql).to_arrow_table()
    finally:
        connection.unregister(READ_TABLE)
    positions = found["position"].to_numpy()
    return found if (np.diff(positions) > 0).all() else found.take(pa.array(np.argsort(positions, kind="stable")))
