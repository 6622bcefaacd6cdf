"""Lay events out as index rows: one for each entity an event concerns, sorted by kind, entity, position, role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from esctl.engine.arrow_lists import one_array
from esctl.engine.quoting import identifier, literal
from esctl.index.envelope.envelope_sql import kind_sql

if TYPE_CHECKING:
    import duckdb
    import numpy.typing as npt

    Numbers = npt.NDArray[np.int64]

_ENTITIES = "esctl_entities"
_MOST_ROWS = 256
"""Most rows of one event."""
_MOST_DIFFERENT = 4096
"""Most different texts of a column that is dictionary-encoded: Parquet writes them all into each row group."""
_REPEATED_TEXTS = ("source", "scope", "type", "actor", "ordering", "undated", "wall", "invalid", "nulls")
_SOURCES = ("position", "source", "offset")
_COMMON = ("time", "undated", "tie", "wall", "recorded_at", "id", "scope", "stanza", "type")
_FURTHER = (
    "actor", "correlation", "causation", "aliases", "sequence", "sequence_key", "ordering", "invalid", "duplicate_of",
    "conflict", "data", "nulls",
)  # fmt: skip


class Rows(Struct, frozen=True):
    """Index rows in order, as numbers: the event and role of each, its kind and entity.

    `named` are indexes into `kinds` and `entities`; one past the last means none. `labels` are the names of the roles,
    `roles` for each stanza, by stanza number; `unlabelled` marks those without a name.
    """

    events: pa.Table
    payload: tuple[str, ...]  # names of the payload columns
    event: Numbers
    role: Numbers
    order: Numbers  # among the rows of its event
    named: Numbers
    kinds: pa.Array
    entities: pa.Array
    labels: pa.Array
    unlabelled: npt.NDArray[np.bool_]
    roles: int

    def __len__(self) -> int:
        return len(self.event)

    @property
    def twice(self) -> bool:
        """Return whether an event has two rows of one entity, which then follow one another."""
        return bool(((np.diff(self.event) == 0) & (np.diff(self.named) == 0)).any())

    def tables(self, size: int) -> Iterator[pa.Table]:
        """Yield the rows as tables of at most `size` rows."""
        for start in range(0, len(self), size):
            yield self._table(slice(start, start + size))

    def _table(self, part: slice) -> pa.Table:
        event, role, order = pa.array(self.event[part]), self.role[part], self.order[part]
        stanza = self.events["stanza"].to_numpy()[self.event[part]].astype(np.int64)
        named = pa.array(self.named[part], mask=self.named[part] == len(self.entities))

        nothing: dict[pa.DataType, pa.Array] = {}  # by type: shared by all columns that are null throughout

        def taken(names: Sequence[str]) -> dict[str, pa.Array]:
            return {name: _take(self.events[name], event, nothing) for name in names}

        columns = taken(_SOURCES)
        label = stanza * self.roles + role
        columns["role"] = pa.DictionaryArray.from_arrays(pa.array(label, mask=self.unlabelled[label]), self.labels)
        columns["role_order"] = pa.array(order.astype(np.uint8))
        columns |= taken(_COMMON)
        columns["kind"] = self.kinds.take(named)
        columns["entity"] = self.entities.take(named)
        return pa.table(columns | taken(_FURTHER) | taken(self.payload))


def arrange(
    connection: duckdb.DuckDBPyConnection,
    events: pa.Table,
    payload: Sequence[str],
    role_names: Sequence[Sequence[str]],
    roles: int,
) -> Rows:
    """Sort the events of a chunk into index rows; `role_names` by stanza number, `roles` the most of any stanza."""
    rows = _rows_by_role(events, roles)
    named, kind, entity = _number_entities(connection, rows.entities, rows.kinds)
    named = np.concatenate([named, np.full(len(rows.event) - len(named), len(entity))])
    # One number is the sort key: kind and entity, event, row of the event.
    most = roles if rows.order is None else _MOST_ROWS
    places = rows.role if rows.order is None else rows.order
    key = (named * len(events) + rows.event) * most + places
    if rows.order is None:
        key.sort()
        which = key % most
    else:
        sorting = np.argsort(key)
        key, which = key[sorting], rows.role[sorting]
    named, inside = np.divmod(key, max(len(events), 1) * most)
    at, places = np.divmod(inside, most)
    labels = _role_labels(role_names, roles)
    unlabelled = np.array([not label for label in labels])
    return Rows(
        _dictionary_encoded(events),
        tuple(payload),
        at,
        which,
        places,
        named,
        kind,
        entity,
        pa.array(labels),
        unlabelled,
        roles,
    )


class _RoleRows(Struct, frozen=True):
    """Rows role by role, those of no entity last; `order` is the place among the rows of an event (None: the role)."""

    event: Numbers
    role: Numbers
    order: Numbers | None
    entities: pa.Array  # of the rows that have one
    kinds: pa.Array


def _rows_by_role(events: pa.Table, roles: int) -> _RoleRows:
    """List the rows of each role; an event that has several entities in a role has a row for each."""
    event, role, order, found, kinds = [], [], [], [], []
    entityless = np.ones(len(events), np.bool_)
    before: Numbers | None = None  # rows of each event for the roles so far; a role without an entity keeps its number
    for i in range(roles):
        entity, kind = one_array(events[f"entity_{i}"]), one_array(events[f"kind_{i}"])
        present = entity.is_valid()
        there = np.flatnonzero(present.to_numpy(zero_copy_only=False))
        entityless[there] = False
        names, own = entity.drop_null(), kind.filter(present)
        start = np.full(len(there), i) if before is None else before[there]
        width: Numbers | int = 1
        if pa.types.is_list(entity.type):
            before = np.full(len(events), i) if before is None else before
            width = pc.fill_null(pc.list_value_length(entity), 1).to_numpy().astype(np.int64)
            which, place = _list_places(names)
            there, start = there[which], start[which] + place
            names, own = names.flatten(), own.flatten()
        before = None if before is None else before + width
        event.append(there)
        role.append(np.full(len(there), i))
        order.append(start)
        found.append(names)
        kinds.append(own)
    homeless = np.flatnonzero(entityless)
    none = np.zeros(len(homeless), np.int64)
    places = None if before is None else np.concatenate([*order, none])
    rows = (np.concatenate([*event, homeless]), np.concatenate([*role, none]))
    return _RoleRows(*rows, places, pa.concat_arrays(found), pa.concat_arrays(kinds))


def _list_places(lists: pa.Array) -> tuple[Numbers, Numbers]:
    """Return for each element of some lists the number of its list, and its place in that list."""
    widths = pc.list_value_length(lists).to_numpy().astype(np.int64)
    starts = np.cumsum(widths) - widths
    return np.repeat(np.arange(len(widths)), widths), np.arange(widths.sum()) - np.repeat(starts, widths)


def unsorted_rows_sql(
    table: str, payload: Sequence[str], role_names: Sequence[Sequence[str]], roles: int, listed: Set[int]
) -> str:
    """Write a SELECT of the rows that `arrange` makes of the events registered as `table`, in no order.

    In the roles that are `listed`, entities and kinds are LISTs.
    """
    labels = [literal(label) if label else "NULL" for label in _role_labels(role_names, roles)]
    shared = ", ".join(identifier(name) for name in (*_SOURCES, *_COMMON, *_FURTHER, *payload))

    def rows(role: int, order: str, kind: str, entity: str, source: str) -> str:
        label = f"([{', '.join(labels)}]::VARCHAR[])[stanza * {roles} + {role + 1}]"
        return f"""SELECT {shared}, {label} AS role, ({order})::UTINYINT AS role_order,
            {kind} AS kind, {entity} AS entity FROM {source}"""

    def of_role(i: int) -> str:
        before = [f"coalesce(len(entity_{k}), 1)" if k in listed else "1" for k in range(i)]
        there = f"FROM {table} WHERE entity_{i} IS NOT NULL"
        if i not in listed:
            there = f"(SELECT *, entity_{i} AS e, kind_{i} AS k, 0 AS place {there})"
        else:
            place = f"generate_subscripts(entity_{i}, 1) - 1 AS place"
            there = f"(SELECT *, unnest(entity_{i}) AS e, unnest(kind_{i}) AS k, {place} {there})"
        return rows(i, " + ".join([*before, "place"]), f"coalesce(k, {kind_sql('e')})", "e", there)

    homeless = " AND ".join(f"entity_{i} IS NULL" for i in range(roles))
    nothing = "CAST(NULL AS VARCHAR)"
    return " UNION ALL ".join(
        [*map(of_role, range(roles)), rows(0, "0", nothing, nothing, f"{table} WHERE {homeless}")]
    )


def _role_labels(role_names: Sequence[Sequence[str]], roles: int) -> list[str]:
    return [label for names in role_names for label in (*names, *[""] * (roles - len(names)))]


def _number_entities(
    connection: duckdb.DuckDBPyConnection, entities: pa.Array, kinds: pa.Array
) -> tuple[Numbers, pa.Array, pa.Array]:
    """Return the number of each row's entity, in the order of kind and entity, and kinds and entities by number.

    A null kind becomes the default one, from the entity's name.
    """
    encoded = entities.dictionary_encode()
    codes, names = encoded.indices.to_numpy().astype(np.int64), encoded.dictionary
    usual = _usual_kinds(connection, names)
    if kinds.null_count < len(kinds):  # the same entity may be of several kinds
        coded = pc.coalesce(kinds, usual.take(encoded.indices)).dictionary_encode()
        both = coded.indices.to_numpy() * np.int64(len(names)) + codes
        pairs, codes = np.unique(both, return_inverse=True)
        usual = coded.dictionary.take(pa.array(pairs // len(names)))
        names = names.take(pa.array(pairs % len(names)))
    order = pc.sort_indices(pa.table({"k": usual, "e": names}), [("k", "ascending"), ("e", "ascending")])
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return rank[codes], usual.take(order).dictionary_encode(), names.take(order)


def _usual_kinds(connection: duckdb.DuckDBPyConnection, entities: pa.Array) -> pa.Array:
    connection.register(_ENTITIES, pa.table({"i": pa.array(np.arange(len(entities))), "e": entities}))
    try:
        found = connection.sql(f"SELECT {kind_sql('e')} AS kind FROM {_ENTITIES} ORDER BY i").to_arrow_table()
    finally:
        connection.unregister(_ENTITIES)
    return one_array(found["kind"])


def _dictionary_encoded(events: pa.Table) -> pa.Table:
    """Dictionary-encode texts that repeat, so that they are copied and compared once."""
    for name in _REPEATED_TEXTS:
        column = one_array(events[name])
        if pa.types.is_dictionary(column.type) or column.null_count == len(column):
            continue
        encoded = column.dictionary_encode()
        if len(encoded.dictionary) <= _MOST_DIFFERENT:
            events = events.set_column(events.schema.get_field_index(name), name, encoded)
    return events


def _take(column: pa.ChunkedArray, rows: pa.Array, nothing: dict[pa.DataType, pa.Array]) -> pa.Array:
    if column.null_count < len(column):
        return column.take(rows)
    if column.type not in nothing:
        nothing[column.type] = pa.nulls(len(rows), column.type)
    return nothing[column.type]
