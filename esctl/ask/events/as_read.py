"""A few records of a source as a stanza would read them, whatever is configured."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.engine.duckdb import explained
from esctl.index.update import Updater
from esctl.log.reader import read_table
from esctl.log.store_state import StoreState
from esctl.model import MappingConfig, Stanza

if TYPE_CHECKING:
    import duckdb


class ReadEvent(Struct, frozen=True):
    """A record read as an event: parts of its envelope, its entities, and the record itself as text."""

    position: int
    time: datetime | None
    type: str | None
    actor: str | None
    invalid: str | None
    entities: tuple[str, ...]
    text: str


def read_as_events(
    connection: duckdb.DuckDBPyConnection,
    store_state: StoreState,
    positions: Sequence[int],
    source: str,
    stanza: Stanza,
) -> list[ReadEvent]:
    """Read some records of a source as events, in order of position; times are in UTC, None for an undated event."""
    import pyarrow as pa

    table = pa.concat_tables([read_table(store_state, position, position) for position in positions])
    texts = {
        position: raw.decode(errors="replace").strip() if raw else ""
        for position, raw in zip(table["position"].to_pylist(), table["raw"].to_pylist(), strict=True)
    }
    one = "any_value(CASE WHEN undated IS NULL THEN time END), any_value(type), any_value(actor), any_value(invalid)"
    with tempfile.TemporaryDirectory(prefix="esctl-as-read-") as folder, explained():
        view = Updater(connection, MappingConfig(), Path(folder)).over(store_state, [table], {source: stanza}, {})
        rows = view.relation(["position", "time", "undated", "type", "entity", "actor", "invalid"])
        listed = "list(DISTINCT entity) FILTER (entity IS NOT NULL)"
        sql = f"SELECT position, {one}, {listed} FROM ({rows}) GROUP BY position ORDER BY position"
        found = connection.execute(sql).fetchall()
    return [
        ReadEvent(position, time, kind, actor, invalid, tuple(sorted(entities or ())), texts[position])
        for position, time, kind, actor, invalid, entities in found
    ]


def first_positions(
    connection: duckdb.DuckDBPyConnection, relation: str, sources: Sequence[str], count: int
) -> dict[str, list[int]]:
    """Return the first `count` positions of each of some sources, from a relation with `source` and `position`."""
    sql = f"SELECT source, list_sort(list(DISTINCT position))[:{count:d}] FROM ({relation}) GROUP BY source"
    with explained():
        found = dict(connection.execute(sql).fetchall())
    return {source: found[source] for source in sources if source in found}
