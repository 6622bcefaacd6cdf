"""Turn judged records into events: envelope, typed payload, duplicates and conflicts, entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from esctl.engine.duckdb import relational, single_row
from esctl.engine.exact_text import members_sql, unmark_text_sql
from esctl.index.decode.log_positions import is_position_sql, position_number_sql
from esctl.index.envelope.envelope_sql import listed_roles, stanza_roles
from esctl.index.envelope.event_columns import batched, read_events
from esctl.index.envelope.event_sql import Group, sampled_columns
from esctl.index.files.last_placed import Before
from esctl.index.files.manifest import ERASED, NONE_NEEDED
from esctl.index.files.payload_columns import PayloadColumn, json_kind_sql, null_mark
from esctl.index.files.sort_rows import Rows, arrange, unsorted_rows_sql
from esctl.index.seen_ids.find import find_repeats
from esctl.index.seen_ids.search import Earlier, Meeting, Repeats

if TYPE_CHECKING:
    import duckdb

    from esctl.index.seen_ids.run_file import HashedIds

BIGINT_SEQUENCE = 2**62
"""Sequences below this fit into a fold key together with a position."""


class ChunkEvents(Struct, frozen=True):
    """The events of one chunk, one row each, and counts of them."""

    table: pa.Table
    columns: tuple[PayloadColumn, ...]
    role_names: tuple[tuple[str, ...], ...]  # by stanza number
    most_roles: int
    events: int
    untyped: int
    orderings: tuple[str, ...]
    sequence_key: str
    unsequenced: int
    roles: bool
    duplicates: int
    conflicts: int
    invalid: int
    homeless: int
    shapeless: int
    erased: int
    undated: int
    untimed: int
    ties: bool
    fields: tuple[tuple[str, tuple[str, ...]], ...]  # top-level payload field, the JSON types it has
    loose: tuple[str, ...]  # the fields of payloads that fit no columns
    duplicate_positions: tuple[int, ...]  # duplicates proper, not conflicts
    ids: HashedIds  # of the first event with each id
    meetings: tuple[Meeting, ...] = ()  # with the ids of other sources

    def rows(self, connection: duckdb.DuckDBPyConnection) -> Rows:
        """Sort the events into the rows of an index file."""
        names = [column.name for column in self.columns]
        return arrange(connection, self.table, names, self.role_names, self.most_roles)

    def unsorted_rows(self, table: str) -> str:
        """Write a SELECT of the same rows, unsorted, from the events registered as `table`."""
        names = [column.name for column in self.columns]
        listed = {i for i in range(self.most_roles) if pa.types.is_list(self.table.schema.field(f"entity_{i}").type)}
        return unsorted_rows_sql(table, names, self.role_names, self.most_roles, listed)


def build(
    connection: duckdb.DuckDBPyConnection,
    chunk: pa.Table,
    groups: Sequence[Group],
    earlier: Earlier,
    reuse: tuple[PayloadColumn, ...] = (),
    layout: tuple[PayloadColumn, ...] | None = None,
    before: Before | None = None,
) -> ChunkEvents:
    """Read the records of a chunk as events.

    `chunk`: position, recorded_at, source_time, source, offset, text, invalid, marked, grp. `reuse` is the layout of
    the previous file, which is used again if at least nine rows in ten fit it, so that files stay alike. `layout`, if
    given, is used however few rows fit it.
    """
    roles = max(1, *(len(stanza_roles(group.stanza)) for group in groups))
    relational(connection).register("chunk", batched(chunk.select(["position", "text", "invalid", "marked", "grp"])))
    try:
        fixed = reuse or None if layout is None else layout
        columns = sampled_columns(connection, groups, chunk.num_rows) if fixed is None else fixed
        events = read_events(connection, chunk, groups, columns, roles, before)
        if layout is None and reuse and not _is_aligned(events, chunk):
            columns = sampled_columns(connection, groups, chunk.num_rows)
            events = read_events(connection, chunk, groups, columns, roles, before)
    finally:
        connection.unregister("chunk")
    repeats = find_repeats(connection, events, earlier)
    key, events = _with_sequence_key(connection, _with_repeats(events, repeats))
    return _chunk_events(connection, events, groups, columns, roles, repeats, key)


def _is_aligned(events: pa.Table, chunk: pa.Table) -> bool:
    untyped = pc.and_(events["data"].is_valid(), pc.invert(chunk["marked"]))
    return int(pc.sum(untyped).as_py() or 0) * 10 <= len(events)


def _with_repeats(events: pa.Table, repeats: Repeats) -> pa.Table:
    """Add `duplicate_of` and `conflict` to events."""
    first = np.zeros(len(events), np.int64)
    conflict = np.zeros(len(events), np.bool_)
    first[repeats.rows], conflict[repeats.rows] = repeats.firsts, repeats.conflicts
    events = events.append_column("duplicate_of", pa.array(first, mask=first == 0))
    return events.append_column("conflict", pa.array(conflict))


def _with_sequence_key(connection: duckdb.DuckDBPyConnection, events: pa.Table) -> tuple[str, pa.Table]:
    """Cast `sequence_key` to the type that holds all sequences; return the type (none, bigint, text) and the events."""
    sequence = events["sequence"]
    if sequence.null_count == len(sequence):
        return "none", events
    connection.register("esctl_sequences", events.select(["sequence"]))
    try:
        row = single_row(connection, f"SELECT count(*) FILTER ({_no_bigint('sequence')}) FROM esctl_sequences")
        if row is not None and row[0]:
            sequence = _positions(connection)
    finally:
        connection.unregister("esctl_sequences")
    if sequence is None:
        return "text", events
    at = events.schema.get_field_index("sequence_key")
    return "bigint", events.set_column(at, "sequence_key", sequence.cast(pa.int64()))


def _no_bigint(sequence: str) -> str:
    magnitude = f"abs(coalesce(try_cast({sequence} AS HUGEINT), {BIGINT_SEQUENCE}))"
    return f"NOT regexp_matches({sequence}, '^(0|-?[1-9][0-9]*)$') OR {magnitude} >= {BIGINT_SEQUENCE}"


def _positions(connection: duckdb.DuckDBPyConnection) -> pa.ChunkedArray | None:
    """Return the sequences as numbers if all are integers or positions in a database's log; None otherwise."""
    number = (
        f"CASE WHEN {is_position_sql('sequence')} THEN {position_number_sql('sequence')}::VARCHAR ELSE sequence END"
    )
    numbers = f"(SELECT {number} AS n FROM esctl_sequences)"
    row = single_row(connection, f"SELECT count(*) FILTER ({_no_bigint('n')}) FROM {numbers}")
    if row is None or row[0]:
        return None
    return connection.sql(f"SELECT n FROM {numbers}").to_arrow_table()["n"]


def _chunk_events(
    connection: duckdb.DuckDBPyConnection,
    events: pa.Table,
    groups: Sequence[Group],
    columns: tuple[PayloadColumn, ...],
    roles: int,
    repeats: Repeats,
    sequence_key: str,
) -> ChunkEvents:
    valid, erased = events["invalid"].is_null(), _count_true(pc.equal(events["invalid"], ERASED))
    entityless = _is_homeless(events, roles)
    unsequenced = pc.and_(pc.equal(events["ordering"], "sequence"), events["sequence"].is_null())
    foldable = pc.and_(pc.and_(valid, events["duplicate_of"].is_null()), pc.invert(entityless))
    loose = _loose_fields(connection, events)
    return ChunkEvents(
        table=events,
        columns=columns,
        role_names=_role_names(groups),
        most_roles=roles,
        events=len(events),
        untyped=len(events) - events["data"].null_count,
        orderings=tuple(sorted({group.stanza.order for group in groups})),
        sequence_key=sequence_key,
        unsequenced=_count_true(pc.and_(unsequenced, foldable)),
        roles=any(group.stanza.entities for group in groups) or bool(listed_roles(g.stanza for g in groups)),
        duplicates=len(repeats.rows[~repeats.conflicts]),
        conflicts=int(repeats.conflicts.sum()),
        invalid=len(events) - _count_true(valid) - erased,
        homeless=_count_true(pc.and_(valid, entityless)),
        shapeless=_shapeless(connection, events, foldable),
        erased=erased,
        undated=len(events) - events["undated"].null_count,
        untimed=_count_true(pc.equal(events["undated"], NONE_NEEDED)),
        ties=events["tie"].null_count < len(events),
        fields=_fields(events, columns, loose),
        loose=tuple(loose),
        duplicate_positions=tuple(events["position"].to_numpy()[repeats.rows[~repeats.conflicts]].tolist()),
        ids=repeats.ids,
        meetings=repeats.meetings,
    )


def _role_names(groups: Sequence[Group]) -> tuple[tuple[str, ...], ...]:
    """List the roles of each stanza, by its number."""
    names = {group.stanza_number: [role for role, _ in stanza_roles(group.stanza)] for group in groups}
    return tuple(tuple(names.get(number, ())) for number in range(max(names) + 1))


def _is_homeless(events: pa.Table, roles: int) -> pa.ChunkedArray:
    """Return for each event whether it names no entity in any role."""
    found = events["entity_0"].is_null()
    for i in range(1, roles):
        found = pc.and_(found, events[f"entity_{i}"].is_null())
    return found


def _count_true(true: pa.ChunkedArray) -> int:
    return int(pc.sum(true).as_py() or 0)


def _fields(
    events: pa.Table, columns: Sequence[PayloadColumn], loose: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """List the payload fields seen, each with the JSON types it had."""
    seen: dict[str, set[str]] = {}
    for name, kind in _typed_fields(events, columns):
        seen.setdefault(name, set()).add(kind)
    for name, kinds in loose.items():
        seen.setdefault(name, set()).update(kinds)
    return tuple((name, tuple(sorted(kinds))) for name, kinds in seen.items())


def _loose_fields(connection: duckdb.DuckDBPyConnection, events: pa.Table) -> Mapping[str, Sequence[str]]:
    """Return the fields of payloads that fit no columns, each with the JSON types it had."""
    if events["data"].null_count == len(events):
        return {}
    connection.register("esctl_untyped", batched(events.select(["data"]).filter(events["data"].is_valid())))
    try:
        return dict(connection.execute(_UNTYPED_FIELDS).fetchall())
    finally:
        connection.unregister("esctl_untyped")


def _shapeless(connection: duckdb.DuckDBPyConnection, events: pa.Table, foldable: pa.ChunkedArray) -> int:
    """Count the folded events whose payload is neither an object nor null."""
    asked = pc.and_(foldable, events["data"].is_valid())
    if not pc.any(asked).as_py():
        return 0
    connection.register("esctl_untyped", batched(events.select(["data"]).filter(asked)))
    try:
        found = connection.execute(
            "SELECT count(*) FROM esctl_untyped WHERE left(ltrim(data), 1) <> '{' AND json_type(data) <> 'NULL'"
        ).fetchall()
        return int(found[0][0])
    finally:
        connection.unregister("esctl_untyped")


_UNTYPED_KIND = json_kind_sql("coalesce(json_type(m.value), 'NULL')", "json_extract_string(m.value, '$')")
_UNTYPED_FIELDS = f"""SELECT {unmark_text_sql("k")}, list(DISTINCT kind ORDER BY kind) FROM (
    SELECT m.key AS k, {_UNTYPED_KIND} AS kind
    FROM (SELECT unnest({members_sql("data")}) AS m FROM esctl_untyped WHERE json_type(data) = 'OBJECT')
) GROUP BY k ORDER BY k"""


def _typed_fields(events: pa.Table, columns: Sequence[PayloadColumn]) -> list[tuple[str, str]]:
    """List the fields seen in the typed columns, each with its JSON type, and with NULL if it was ever null."""
    null = "".join(events["nulls"].unique().drop_null().to_pylist())
    found = [(column.field, column.json_kind) for column in columns if events[column.name].null_count < len(events)]
    return found + [(column.field, "NULL") for column in columns if null_mark(column) in null]
