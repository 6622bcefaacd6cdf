"""Read the events of a group with the native core: texts that are taken as they stand go through no query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from esctl.engine import native
from esctl.engine.native import Places
from esctl.index.envelope.envelope_sql import PlainSql
from esctl.index.envelope.event_sql import READ, Group, event_select, places_of, read_columns
from esctl.index.files.payload_columns import PayloadColumn

if TYPE_CHECKING:
    import duckdb

_ROWS = 16_384  # read at once; DuckDB's threads take whole batches too


def read_rows(
    connection: duckdb.DuckDBPyConnection,
    chunk: pa.Table,
    group: Group,
    columns: Sequence[PayloadColumn],
    roles: int,
    listed: Set[int],
) -> pa.Table | None:
    """Return what the query of `event_select` gives, in order of position; None where it takes more than one reading.

    `chunk` is in that order.
    """
    places = places_of(group, columns, listed)
    own = chunk.select(["position", "marked", "text", "grp"])
    if pc.any(pc.not_equal(own["grp"], group.number)).as_py():
        own = own.filter(pc.equal(own["grp"], group.number))
    if places is None or not len(own):
        return None
    read = pa.Table.from_batches(native.each(partial(_read, places), own.combine_chunks().to_batches(_ROWS)))
    select = event_select(group, columns, roles, listed, is_read=True)
    plain = {name: sql for name, sql in select.columns if isinstance(sql, PlainSql)}
    asked = replace(select, columns=(*select.columns, ("fits", "fits"))).sql(plain)
    connection.register(READ, read)
    try:
        found = connection.sql(asked).to_arrow_table()
    finally:
        connection.unregister(READ)
    positions = found["position"].to_numpy()
    if not (np.diff(positions) > 0).all():
        found = found.take(pa.array(np.argsort(positions, kind="stable")))
    columns_by_name = {name: found[name] for name in found.schema.names} | _taken(read, found["fits"], plain)
    return pa.table({name: columns_by_name[name] for name, _ in select.columns})


def _taken(
    read: pa.Table, fits: pa.ChunkedArray, plain: Mapping[str, PlainSql]
) -> dict[str, pa.ChunkedArray | pa.Array]:
    """Return the columns that are texts as they stand."""
    nothing = pa.nulls(len(read), pa.string())
    all_fit = pc.all(fits).as_py()
    taken = {}
    for name, sql in plain.items():
        text = read[sql.text] if sql.text else nothing
        if sql.if_fits and not all_fit:
            text = pc.if_else(fits.combine_chunks(), text.combine_chunks(), None)
        elif not sql.if_fits and pc.any(pc.equal(text, "")).as_py():
            text = pc.if_else(pc.equal(text, ""), None, text)
        taken[name] = text
    return taken


def _read(places: Places, batch: pa.RecordBatch) -> pa.RecordBatch:
    found, members = native.read(batch["text"], batch["marked"], places)
    columns = {name: batch[name] for name in ("position", "marked", "text")} | {"keys": members}
    for names, pair in zip(read_columns(places), found, strict=True):
        columns |= dict(zip(names, pair, strict=True))
    return pa.RecordBatch.from_pydict(columns)
