"""Turn judged records into index rows: envelope, typed payload, one row per event and entity, sorted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from esctl.engine.duckdb import single_row
from esctl.engine.exact_text import canonical_json_sql, pointer_sql, unmark_text_sql
from esctl.engine.quoting import identifier, literal, text_list
from esctl.index.catalog import IS_ERASED, UNREADABLE
from esctl.index.envelope import EnvelopeSql, envelope_sql, mapped_fields, payload_paths, sequence_text_key
from esctl.index.layout import FieldSample, PayloadColumn, choose_columns, json_kind_sql, null_mark
from esctl.index.mapping import json_pointer, parse_path
from esctl.model import Stanza

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SAMPLE = 20_000
"""Records looked at to choose the typed columns; every row is checked against them all the same."""

BIGINT_SEQUENCE = 2**62
"""Sequences below this fit a fold key beside a position."""


@dataclass(frozen=True, slots=True)
class Group:
    """Records of a chunk that are read the same way."""

    number: int  # value of the chunk's column `grp`
    stanza: Stanza
    stanza_number: int
    tz: str


@dataclass(frozen=True, slots=True)
class Built:
    """Index rows of one chunk, sorted by (kind, entity, position), with their counts."""

    table: pa.Table
    columns: tuple[PayloadColumn, ...]
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
    erased: int
    fields: tuple[tuple[str, tuple[str, ...]], ...]  # top-level payload field, the JSON types it has
    duplicate_positions: tuple[int, ...]  # duplicates proper, not conflicts


@dataclass(frozen=True, slots=True)
class Earlier:
    """What duplicate detection asks of the records before the chunk."""

    files: Sequence[str]  # index files to look ids up in
    raws: Callable[[Sequence[int]], Mapping[int, bytes]]  # trimmed bytes by position, of this chunk and earlier


def build(
    connection: duckdb.DuckDBPyConnection,
    chunk: pa.Table,
    groups: Sequence[Group],
    earlier: Earlier,
    reuse: tuple[PayloadColumn, ...] = (),
    layout: tuple[PayloadColumn, ...] | None = None,
) -> Built:
    """Build the index rows of a chunk.

    `chunk`: position, recorded_at, source_time, source, offset, text, invalid, marked, grp. `reuse` is the layout of
    the file before: taken again when at least nine rows in ten fit it, so that files stay alike. `layout` is taken
    whatever fits it.
    """
    connection.register("chunk", chunk)
    try:
        fixed = reuse or None if layout is None else layout
        columns = _sampled_columns(connection, groups, chunk.num_rows) if fixed is None else fixed
        _create_events(connection, groups, columns)
        if layout is None and reuse and not _fits(connection):
            columns = _sampled_columns(connection, groups, chunk.num_rows)
            _create_events(connection, groups, columns)
        conflicts = _mark_duplicates(connection, earlier)
        return _finish(connection, groups, columns, conflicts)
    finally:
        connection.unregister("chunk")
        for name in ("event", "repeated"):
            connection.execute(f"DROP TABLE IF EXISTS {name}")


def _fits(connection: duckdb.DuckDBPyConnection) -> bool:
    row = single_row(connection, "SELECT count(*) FILTER (data IS NOT NULL AND NOT marked), count(*) FROM event")
    return row is not None and row[0] * 10 <= row[1]


def _sampled_columns(
    connection: duckdb.DuckDBPyConnection, groups: Sequence[Group], rows_held: int
) -> tuple[PayloadColumn, ...]:
    records, samples = 0, []
    # From all over the chunk: a log often begins with events of one type.
    spread = f"hash(position) % {max(rows_held // SAMPLE, 1)} = 0"
    whole_part = "regexp_extract(e.atom::VARCHAR, '^-?([0-9]+)', 1)"
    fraction = "regexp_extract(e.atom::VARCHAR, '[.]([0-9]+)$', 1)"
    for group in groups:
        payload = _Payload(group.stanza)
        sql = f"""
            WITH sampled AS (
                SELECT {_event_text(group.stanza)} AS j FROM chunk
                WHERE grp = {group.number} AND NOT marked AND invalid IS NULL AND text IS NOT NULL AND {spread}
            ), payload AS MATERIALIZED (SELECT {payload.whole("j")} AS p FROM sampled),
            objects AS (SELECT p FROM payload WHERE json_type(p) = 'OBJECT')
            SELECT e.key, e.type, count(*),
                   max(length({whole_part})) FILTER (e.type IN ('BIGINT', 'UBIGINT', 'DOUBLE')),
                   max(length(rtrim({fraction}, '0'))) FILTER (e.type = 'DOUBLE'),
                   (SELECT count(*) FROM payload)
            FROM objects, json_each(objects.p) e GROUP BY ALL"""
        rows = connection.execute(sql).fetchall()
        records += rows[0][5] if rows else 0
        samples += [FieldSample(key, kind, count, whole or 0, scale or 0) for key, kind, count, whole, scale, _ in rows]
    return choose_columns(samples, records)


class _Payload:
    """Where a stanza keeps the payload, as SQL."""

    def __init__(self, stanza: Stanza) -> None:
        paths = payload_paths(stanza)
        self.excluded = () if paths else mapped_fields(stanza)
        self.pointers = [json_pointer(path) for path in paths] or [""]
        self.several = len(self.pointers) > 1

    def holder(self, event: str) -> str:
        """Give the JSON text in which the payload's fields are looked up (under `prefix`)."""
        if not self.several:
            return event
        return f"coalesce({', '.join(f'json_extract({event}, {literal(pointer)})' for pointer in self.pointers)})"

    @property
    def prefix(self) -> str:
        return "" if self.several else self.pointers[0]

    def field_pointer(self, field: str) -> str:
        return self.prefix + json_pointer((field,))

    def whole(self, event: str) -> str:
        """Give the payload as JSON text."""
        holder = self.holder(event)
        if not self.excluded:
            return f"json_extract({holder}, {literal(self.prefix)})"
        member = f"to_json(k) || ':' || json_extract({holder}, {pointer_sql('k')})"
        kept = f"list_filter(json_keys({holder}), lambda k: k NOT IN ({self._excluded_list()}))"
        rebuilt = f"'{{' || array_to_string(list_transform({kept}, lambda k: {member}), ',') || '}}'"
        return f"CASE WHEN json_type({holder}) = 'OBJECT' THEN {rebuilt} ELSE json_extract({holder}, '') END"

    def key_count(self, holder: str) -> str:
        """Count the payload's keys."""
        keys = f"json_keys({holder}, {literal(self.prefix)})"
        if not self.excluded:
            return f"len({keys})"
        return f"len(list_filter({keys}, lambda k: k NOT IN ({self._excluded_list()})))"

    def _excluded_list(self) -> str:
        return ", ".join(literal(name) for name in self.excluded)


def _event_text(stanza: Stanza) -> str:
    if not stanza.unwrap:
        return "text"
    pointer = literal(json_pointer(parse_path(stanza.unwrap)))
    return f"coalesce(CASE WHEN json_type(text, {pointer}) = 'OBJECT' THEN json_extract(text, {pointer}) END, text)"


def _create_events(
    connection: duckdb.DuckDBPyConnection, groups: Sequence[Group], columns: Sequence[PayloadColumn]
) -> None:
    widest = _widest(groups)
    selects = [_group_select(group, columns, widest) for group in groups]
    connection.execute("CREATE OR REPLACE TEMP TABLE event AS " + "\nUNION ALL ".join(selects))


def _widest(groups: Sequence[Group]) -> int:
    """Count the roles of the stanza that has most; at least one."""
    return max(1, *(bool(group.stanza.entity) + len(group.stanza.entities) for group in groups))


def _group_select(group: Group, columns: Sequence[PayloadColumn], widest: int) -> str:
    envelope = envelope_sql(group.stanza, group.tz)
    payload = _Payload(group.stanza)
    own = [column for column in columns if column.field not in payload.excluded]
    pointers = text_list([payload.field_pointer(column.field) for column in own])
    texts = f"json_extract_string(h, {pointers})" if own else "[]::VARCHAR[]"
    types = f"json_type(h, {pointers})" if own else "[]::VARCHAR[]"
    held = [column.holds(f"v[{i}]", f"t[{i}]") for i, column in enumerate(own, 1)]
    kept = " + ".join(
        f"CAST(t[{i}] IS NOT NULL AND (t[{i}] = 'NULL' OR {condition}) AS INTEGER)"
        for i, condition in enumerate(held, 1)
    )
    nulls = " || ".join(
        f"CASE WHEN t[{i}] = 'NULL' THEN {literal(null_mark(column))} ELSE '' END" for i, column in enumerate(own, 1)
    )
    typed = [
        f"CASE WHEN fits THEN {_typed_value(column, i)} END AS {identifier(column.name)}"
        for i, column in enumerate(own, 1)
    ]
    by_name = dict(zip((column.name for column in own), typed, strict=True))
    typed = [by_name.get(c.name, f"CAST(NULL AS {c.sql_type}) AS {identifier(c.name)}") for c in columns]
    names = ", ".join(["", *typed])
    envelope_columns = ", ".join(f"{sql} AS {name}" for name, sql in envelope.columns)
    unmarked = f"list_transform({envelope.extracted}, lambda e: {unmark_text_sql('e')})"
    sequence_key = sequence_text_key(envelope.sequence) if envelope.sequence else "CAST(NULL AS VARCHAR)"
    return f"""SELECT position, recorded_at, source, "offset", marked,
        coalesce(invalid, CASE WHEN time_text IS NOT NULL AND event_time IS NULL
                               THEN 'unreadable time ' || to_json(left(time_text, 60)) END) AS invalid,
        coalesce(event_time, source_time, recorded_at) AS time,
        id, scope, type, actor, correlation, causation, aliases, sequence, sequence_key,
        {group.stanza_number}::USMALLINT AS stanza, {literal(group.stanza.order)} AS ordering,
        CAST(NULL AS BIGINT) AS duplicate_of, false AS conflict,
        {_entity_columns(envelope, widest)},
        CASE WHEN NOT fits THEN {canonical_json_sql(_by_name("p"))} END AS data,
        CASE WHEN fits THEN nullif({nulls or "''"}, '') END AS nulls{names}
    FROM (SELECT *, coalesce(NOT marked AND keys > 0 AND ({kept or "0"}) = keys, false) AS fits,
            CASE WHEN fits THEN NULL ELSE {payload.whole("j")} END AS p
        FROM (SELECT *, {envelope_columns}, {sequence_key} AS sequence_key,
                     {_entity_values(envelope)}
            FROM (SELECT *, CASE WHEN marked THEN {unmarked} ELSE {envelope.extracted} END AS x,
                        {texts} AS v, {types} AS t, {payload.key_count("h")} AS keys
                FROM (SELECT *, {payload.holder("j")} AS h
                    FROM (SELECT * REPLACE (recorded_at::TIMESTAMP AS recorded_at,
                                            source_time::TIMESTAMP AS source_time),
                                 CASE WHEN invalid IS NULL THEN {_event_text(group.stanza)} END AS j
                          FROM chunk WHERE grp = {group.number})))))"""


def _by_name(payload: str) -> str:
    """Write a payload's members in the order of their names, as those of typed rows are read."""
    names = f"list_sort(json_keys({payload}))"
    member = f"to_json(k)::VARCHAR || ':' || json_extract({payload}, {pointer_sql('k')})::VARCHAR"
    ordered = f"'{{' || array_to_string(list_transform({names}, lambda k: {member}), ',') || '}}'"
    return f"CASE WHEN json_type({payload}) = 'OBJECT' THEN {ordered} ELSE {payload}::VARCHAR END"


def _typed_value(column: PayloadColumn, number: int) -> str:
    if column.kind == "string":
        return f"v[{number}]"
    if column.kind == "container":
        return canonical_json_sql(f"v[{number}]")
    return f"CAST(v[{number}] AS {column.sql_type})"


def _entity_values(envelope: EnvelopeSql) -> str:
    pairs = [f"{entity} AS e{i}, {kind} AS k{i}" for i, (_, entity, kind) in enumerate(envelope.entities)]
    return ", ".join(pairs) or "NULL AS no_entity"


def _entity_columns(envelope: EnvelopeSql, widest: int) -> str:
    parts = []
    for i in range(widest):
        entity = kind = role = "NULL"
        if i < len(envelope.entities):
            entity, kind = f"e{i}", f"CASE WHEN e{i} IS NOT NULL THEN k{i} END"
            role = literal(envelope.entities[i][0] or None)
        named = {"entity": entity, "kind": kind, "role": role}
        parts += [f"CAST({sql} AS VARCHAR) AS {name}_{i}" for name, sql in named.items()]
    return ", ".join(parts)


def _mark_duplicates(connection: duckdb.DuckDBPyConnection, earlier: Earlier) -> int:
    """Set `duplicate_of` and `conflict` on the events whose id was seen before. Returns how many are conflicts."""
    known = "SELECT stanza, scope, id, position FROM event WHERE id IS NOT NULL AND invalid IS NULL"
    if earlier.files:
        files = text_list(list(earlier.files))
        known += f""" UNION ALL
            SELECT DISTINCT f.stanza, f.scope, f.id, f.position FROM read_parquet({files}) f
            SEMI JOIN event ON f.id = event.id
            WHERE f.duplicate_of IS NULL AND f.invalid IS NULL"""
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE repeated AS
        SELECT e.position, k.first, false AS conflict FROM event e JOIN (
            SELECT stanza, scope, id, min(position) AS first FROM ({known}) GROUP BY ALL HAVING count(*) > 1
        ) k ON e.stanza = k.stanza AND e.scope IS NOT DISTINCT FROM k.scope AND e.id = k.id
        WHERE e.position > k.first AND e.invalid IS NULL""")
    pairs = connection.execute("SELECT position, first FROM repeated").fetchall()
    if not pairs:
        return 0
    raws = earlier.raws([position for pair in pairs for position in pair])
    conflicts = [position for position, first in pairs if raws[position] != raws[first]]
    connection.execute("UPDATE repeated SET conflict = true WHERE position IN (SELECT unnest(?))", [conflicts])
    connection.execute("""UPDATE event SET duplicate_of = r.first, conflict = r.conflict
        FROM repeated r WHERE event.position = r.position""")
    return len(conflicts)


def _finish(
    connection: duckdb.DuckDBPyConnection,
    groups: Sequence[Group],
    columns: tuple[PayloadColumn, ...],
    conflicts: int,
) -> Built:
    sequence_key = _sequence_key_kind(connection)
    key = {"bigint": "CAST(sequence AS BIGINT)", "text": "sequence_key", "none": "CAST(NULL AS VARCHAR)"}[sequence_key]
    roles = range(_widest(groups))
    rows = " UNION ALL ".join(_role_select(i, roles, key, columns) for i in roles)
    table = connection.sql(f"SELECT * FROM ({rows}) ORDER BY kind, entity, position, role_order").to_arrow_table()
    entityless = _entityless(roles)
    has_role = " OR ".join(f"role_{i} IS NOT NULL" for i in roles)
    foldable = f"invalid IS NULL AND duplicate_of IS NULL AND NOT ({entityless})"
    row = single_row(
        connection,
        f"""SELECT count(*),
        count(*) FILTER (data IS NOT NULL),
        list(DISTINCT ordering),
        count(*) FILTER (ordering = 'sequence' AND sequence IS NULL AND {foldable}),
        bool_or({has_role}),
        count(*) FILTER (duplicate_of IS NOT NULL AND NOT conflict),
        count(*) FILTER ({UNREADABLE}),
        count(*) FILTER (invalid IS NULL AND {entityless}),
        count(*) FILTER ({IS_ERASED})
        FROM event""",
    )
    assert row is not None
    events, untyped, orderings, unsequenced, has_roles, duplicates, invalid, homeless, erased = row
    duplicate_rows = connection.execute("SELECT position FROM repeated WHERE NOT conflict ORDER BY 1").fetchall()
    return Built(
        table=table,
        columns=columns,
        events=events,
        untyped=untyped,
        orderings=tuple(sorted(orderings or ())),
        sequence_key=sequence_key,
        unsequenced=unsequenced,
        roles=bool(has_roles),
        duplicates=duplicates,
        conflicts=conflicts,
        invalid=invalid,
        homeless=homeless,
        erased=erased,
        fields=_fields(connection, columns),
        duplicate_positions=tuple(position for (position,) in duplicate_rows),
    )


def _entityless(roles: range) -> str:
    """Write whether an event names no entity in any role."""
    return " AND ".join(f"entity_{i} IS NULL" for i in roles)


def _fields(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[PayloadColumn]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """List the payload fields seen, each with the JSON types it had."""
    seen: dict[str, set[str]] = {}
    for name, kind in _typed_fields(connection, columns):
        seen.setdefault(name, set()).add(kind)
    for name, kinds in connection.execute(_UNTYPED_FIELDS).fetchall():
        seen.setdefault(name, set()).update(kinds)
    return tuple((name, tuple(sorted(kinds))) for name, kinds in seen.items())


_FIELD_TYPE, _FIELD_TEXT = (f"{read}(data, {pointer_sql('k')})" for read in ("json_type", "json_extract_string"))
_UNTYPED_FIELDS = f"""SELECT {unmark_text_sql("k")}, list(DISTINCT kind ORDER BY kind) FROM (
    SELECT k, {json_kind_sql(_FIELD_TYPE, _FIELD_TEXT)} AS kind
    FROM (SELECT data, unnest(json_keys(data)) AS k FROM event WHERE json_type(data) = 'OBJECT')
) GROUP BY k ORDER BY k"""


def _typed_fields(connection: duckdb.DuckDBPyConnection, columns: Sequence[PayloadColumn]) -> list[tuple[str, str]]:
    """List the fields seen in the typed columns, each with its JSON type, and with NULL where it was null."""
    if not columns:
        return []
    counts = ", ".join(f"count({identifier(column.name)})" for column in columns)
    row = single_row(connection, f"SELECT {counts} FROM event")
    assert row is not None
    null = "".join(
        marks for (marks,) in connection.execute("SELECT DISTINCT nulls FROM event WHERE nulls IS NOT NULL").fetchall()
    )
    found = [(column.field, column.json_kind) for column, count in zip(columns, row, strict=True) if count]
    return found + [(column.field, "NULL") for column in columns if null_mark(column) in null]


def _sequence_key_kind(connection: duckdb.DuckDBPyConnection) -> str:
    magnitude = f"abs(coalesce(try_cast(sequence AS HUGEINT), {BIGINT_SEQUENCE}))"
    no_bigint = f"NOT regexp_matches(sequence, '^(0|-?[1-9][0-9]*)$') OR {magnitude} >= {BIGINT_SEQUENCE}"
    row = single_row(connection, f"SELECT count(sequence), count(sequence) FILTER ({no_bigint}) FROM event")
    if row is None or row[0] == 0:
        return "none"
    return "text" if row[1] else "bigint"


def _role_select(role: int, roles: range, key: str, columns: Sequence[PayloadColumn]) -> str:
    names = ", ".join(["", *(identifier(column.name) for column in columns)])
    homeless = f" OR ({_entityless(roles)})" if role == 0 else ""
    where = "" if len(roles) == 1 else f" WHERE entity_{role} IS NOT NULL{homeless}"
    return f"""SELECT position, source, "offset", role_{role} AS role, {role}::UTINYINT AS role_order,
        timezone('UTC', time) AS time, timezone('UTC', recorded_at) AS recorded_at, id, scope, stanza, type,
        kind_{role} AS kind, entity_{role} AS entity, actor, correlation, causation, aliases,
        sequence, {key} AS sequence_key, ordering, invalid, duplicate_of, conflict, data, nulls{names}
        FROM event{where}"""
