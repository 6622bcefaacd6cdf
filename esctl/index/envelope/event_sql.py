"""SQL that reads judged records: one row per event, its envelope and its payload in typed columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.engine.chains import join_as_tree
from esctl.engine.exact_text import canonical_json_sql, member_sql, members_sql, unmark_text_sql
from esctl.engine.native import Member, Places
from esctl.engine.quoting import identifier, literal, text_list
from esctl.index.envelope.envelope_sql import (
    NULL_TEXT,
    EnvelopeSql,
    Extractor,
    envelope_sql,
    mapped_fields,
    payload_paths,
    record_path,
)
from esctl.index.envelope.paths import json_pointer, parse_path
from esctl.index.files.payload_columns import FieldSample, PayloadColumn, choose_columns, null_mark
from esctl.model import TOMBSTONE, Stanza

if TYPE_CHECKING:
    import duckdb

READ_TABLE = "esctl_read"
"""The registered table of what the native core has read."""
SAMPLED_RECORDS = 20_000
"""Records sampled to choose the typed columns; every row is checked against the columns all the same."""


class Group(Struct, frozen=True):
    """Records of a chunk that are read the same way."""

    number: int  # value of the chunk's column `grp`
    stanza: Stanza
    stanza_number: int
    tz: str


class Payload:
    """SQL for the payload of a stanza's records, over the JSON text of an event."""

    def __init__(self, stanza: Stanza) -> None:
        paths = payload_paths(stanza)
        self.excluded = stanza.data_without if paths else mapped_fields(stanza)
        self.pointers = [json_pointer(path) for path in paths] or [""]
        # If so, the payload gets a JSON text of its own, and its members are taken from that.
        self.several = len(self.pointers) > 1 or (bool(self.excluded) and self.pointers != [""])

    def holder(self, event: str) -> str:
        """Return the JSON text in which the payload's fields are looked up (under `prefix`)."""
        if not self.several:
            return event
        found = [f"json_extract({event}, {literal(pointer)})" for pointer in self.pointers]
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"

    @property
    def prefix(self) -> str:
        """Return the JSON Pointer of the payload in its holder."""
        return "" if self.several else self.pointers[0]

    def field_pointer(self, field: str) -> str:
        """Return the JSON Pointer of a payload field in the holder."""
        return self.prefix + json_pointer((field,))

    def whole(self, event: str) -> str:
        """Return the payload as JSON text."""
        holder = self.holder(event)
        if not self.excluded:
            return f"json_extract({holder}, {literal(self.prefix)})"
        kept = f"list_filter({members_sql(holder)}, lambda m: m.key NOT IN ({self._excluded_list()}))"
        rebuilt = f"'{{' || array_to_string(list_transform({kept}, lambda m: {member_sql('m')}), ',') || '}}'"
        return f"CASE WHEN json_type({holder}) = 'OBJECT' THEN {rebuilt} ELSE json_extract({holder}, '') END"

    def key_count(self, holder: str) -> str:
        """Count the payload's keys."""
        keys = f"json_keys({holder}, {literal(self.prefix)})"
        if not self.excluded:
            return f"len({keys})"
        return f"len(list_filter({keys}, lambda k: k NOT IN ({self._excluded_list()})))"

    def _excluded_list(self) -> str:
        return ", ".join(literal(name) for name in self.excluded)


def sampled_columns(
    connection: duckdb.DuckDBPyConnection, groups: Sequence[Group], rows_held: int
) -> tuple[PayloadColumn, ...]:
    """Choose the typed columns of the registered table `chunk` from a sample of its records."""
    records, samples = 0, []
    # From all over the chunk: a log often begins with events of one type.
    spread = f"hash(position) % {max(rows_held // SAMPLED_RECORDS, 1)} = 0"
    whole_part, fraction = "regexp_extract(value, '^-?([0-9]+)', 1)", "regexp_extract(value, '[.]([0-9]+)$', 1)"
    for group in groups:
        payload = Payload(group.stanza)
        sql = f"""
            WITH sampled AS (
                SELECT {_event_text(group.stanza)} AS j FROM chunk
                WHERE grp = {group.number} AND NOT marked AND invalid IS NULL AND text IS NOT NULL AND {spread}
            ), payload AS MATERIALIZED (SELECT {payload.whole("j")} AS p FROM sampled),
            members AS (SELECT unnest({members_sql("p")}) AS m FROM payload WHERE json_type(p) = 'OBJECT'),
            typed AS (SELECT m.key AS key, coalesce(json_type(m.value), 'NULL') AS type, m.value::VARCHAR AS value
                      FROM members)
            SELECT key, type, count(*), max(length({whole_part})) FILTER (type IN ('BIGINT', 'UBIGINT', 'DOUBLE')),
                   max(length(rtrim({fraction}, '0'))) FILTER (type = 'DOUBLE'), (SELECT count(*) FROM payload)
            FROM typed GROUP BY ALL"""
        rows = connection.execute(sql).fetchall()
        records += rows[0][5] if rows else 0
        samples += [FieldSample(key, kind, count, whole or 0, scale or 0) for key, kind, count, whole, scale, _ in rows]
    return choose_columns(samples, records)


def _event_text(stanza: Stanza) -> str:
    if not stanza.unwrap:
        return "text"
    pointer = literal(json_pointer(parse_path(stanza.unwrap)))
    return f"coalesce(CASE WHEN json_type(text, {pointer}) = 'OBJECT' THEN json_extract(text, {pointer}) END, text)"


def places_of(group: Group, columns: Sequence[PayloadColumn], listed: Set[int] = frozenset()) -> Places | None:
    """Return the places that the events of a group are read from; None if one pass cannot read them."""
    payload, texts = Payload(group.stanza), Extractor()
    envelope_sql(group.stanza, texts, listed)
    own = [(column, payload.field_pointer(column.field)) for column in _included_columns(payload, columns)]
    if payload.several or group.stanza.unwrap or any("\0" in at for at in (*texts.pointers, *(at for _, at in own))):
        return None
    members = tuple(
        Member(at, column.kind, column.arrow_type, null_mark(column), column.precision, column.scale)
        for column, at in own
    )
    return Places(tuple(texts.pointers), payload.prefix, tuple(payload.excluded), members)


class EventSelect(Struct, frozen=True):
    """A query of the events of a group, one row each: its columns (name, SQL), and what they are selected from."""

    columns: tuple[tuple[str, str], ...]
    source: str

    def sql(self, but: Collection[str] = ()) -> str:
        """Write the query without the columns in `but`."""
        taken = [f"{sql} AS {identifier(name)}" for name, sql in self.columns if name not in but]
        return f"SELECT {', '.join(taken)} FROM ({self.source})"


def event_select(
    group: Group, columns: Sequence[PayloadColumn], roles: int, listed: Set[int] = frozenset()
) -> EventSelect:
    """Write the query of a group's events in the registered table `chunk`.

    Columns: `position`, those of `EnvelopeSql`, `entity_<i>` and `kind_<i>` (null for the default kind) of `roles`
    roles (LISTs in those that are `listed`), `data`, `nulls`, and the payload columns.
    """
    payload, texts = Payload(group.stanza), Extractor()
    envelope = _with_tombstones(group.stanza, envelope_sql(group.stanza, texts, listed))
    own = _included_columns(payload, columns)
    pointers = [payload.field_pointer(column.field) for column in own]
    # One parse reads envelope and payload, unless the payload has its own JSON text.
    held = Extractor("v") if payload.several else texts
    values = list(map(held.at, pointers))
    source = f"""SELECT *, CASE WHEN fits THEN NULL ELSE {payload.whole("j")} END AS p
        FROM (SELECT *, coalesce(NOT marked AND keys > 0 AND ({_kept_count_sql(own, values)}) = keys, false) AS fits
            FROM ({_extraction_sql(group, payload, texts, held, pointers)}))"""
    typed = _payload_columns(columns, dict(zip(own, values, strict=True)))
    return EventSelect((*_envelope_columns(envelope, roles, listed), *typed), source)


def read_select(group: Group, roles: int, listed: Set[int] = frozenset()) -> EventSelect:
    """Write the query of `position` and the envelopes of a group's events, the first columns of `event_select`.

    The table `READ_TABLE` has their records (position, marked, text) and the texts of `places_of` (x_1, ...).
    """
    texts = Extractor()
    envelope = _with_tombstones(group.stanza, envelope_sql(group.stanza, texts, listed))
    found = ["position", "marked", "text AS j", *(f"x_{i}" for i in range(1, len(texts.pointers) + 1))]
    source = f"SELECT {', '.join(found)}{_tombstone_sql(group.stanza)} FROM {READ_TABLE}"
    return EventSelect(_envelope_columns(envelope, roles, listed), source)


def loose_select(group: Group) -> EventSelect:
    """Write the query of `position` and `data` of the records in `READ_TABLE`, none of which fits the columns."""
    source = f"SELECT position, {Payload(group.stanza).whole('text')} AS p FROM {READ_TABLE}"
    return EventSelect((("position", "position"), ("data", canonical_json_sql(_sorted_members_sql("p")))), source)


def _included_columns(payload: Payload, columns: Sequence[PayloadColumn]) -> list[PayloadColumn]:
    return [column for column in columns if column.field not in payload.excluded]


def _extraction_sql(group: Group, payload: Payload, texts: Extractor, held: Extractor, pointers: Sequence[str]) -> str:
    """Select the texts and types that DuckDB extracts from the records."""
    lists = [
        f"{_unmarked_sql(texts.sql('j'))} AS x",
        f"{_types_sql('h', pointers)} AS t",
        *_own_payload_texts(payload, held),
    ]
    gone = ["gone"] if group.stanza.tombstone else []
    taken = [*gone, *texts.columns(), *(held.columns() if payload.several else ()), *_type_columns(pointers)]
    return f"""SELECT {", ".join(["position", "marked", "j", "keys", *taken])}
        FROM (SELECT {", ".join(["position", "marked", "j", *gone, *lists])}, {payload.key_count("h")} AS keys
            FROM (SELECT *, {payload.holder("j")} AS h
                FROM (SELECT position, marked, {_event_text(group.stanza)} AS j{_tombstone_sql(group.stanza)}
                      FROM chunk WHERE grp = {group.number})))"""


def _tombstone_sql(stanza: Stanza) -> str:
    """Write whether a record is a tombstone: the whole record says so, even if the event is only a part of it."""
    places = [literal(json_pointer(record_path(path))) for path in stanza.tombstone]
    tests = [f"json_type(text, {place}) IS NOT DISTINCT FROM 'NULL'" for place in places]
    return f", ({' OR '.join(tests)}) AS gone" if tests else ""


def _with_tombstones(stanza: Stanza, envelope: EnvelopeSql) -> EnvelopeSql:
    if not stanza.tombstone:
        return envelope
    columns = dict(envelope.columns)
    columns["type"] = f"CASE WHEN gone THEN {literal(TOMBSTONE)} ELSE {columns['type']} END"
    return EnvelopeSql(tuple(columns.items()), envelope.entities)


def _envelope_columns(envelope: EnvelopeSql, roles: int, listed: Set[int]) -> tuple[tuple[str, str], ...]:
    return (("position", "position"), *envelope.columns, *_entity_columns(envelope, roles, listed))


def _payload_columns(columns: Sequence[PayloadColumn], values: dict[PayloadColumn, str]) -> tuple[tuple[str, str], ...]:
    typed = {column: _typed_value(column, values[column]) if column in values else "NULL" for column in columns}
    return (
        ("data", f"CASE WHEN NOT fits THEN {canonical_json_sql(_sorted_members_sql('p'))} END"),
        ("nulls", f"CASE WHEN fits THEN {_null_marks_sql(list(values))} END"),
        *((column.name, f"CASE WHEN fits THEN CAST({sql} AS {column.sql_type}) END") for column, sql in typed.items()),
    )


def _own_payload_texts(payload: Payload, held: Extractor) -> list[str]:
    return [f"{held.sql('h')} AS v"] if payload.several else []


def _type_columns(pointers: Sequence[str]) -> list[str]:
    return [f"t[{i}] AS t_{i}" for i in range(1, len(pointers) + 1)]


def _entity_columns(envelope: EnvelopeSql, roles: int, listed: Set[int]) -> list[tuple[str, str]]:
    nothing = [("CAST(NULL AS VARCHAR[])" if i in listed else NULL_TEXT,) * 2 for i in range(roles)]
    given = [*envelope.entities, *nothing[len(envelope.entities) :]]
    pairs = (((f"entity_{i}", entity), (f"kind_{i}", kind)) for i, (entity, kind) in enumerate(given))
    return [column for pair in pairs for column in pair]


def _kept_count_sql(own: Sequence[PayloadColumn], values: Sequence[str]) -> str:
    """Count the payload's members that their columns keep exactly."""
    kept = [
        f"CASE WHEN t_{i} IS NULL THEN 0 WHEN t_{i} = 'NULL' OR {column.holds(value, f't_{i}')} THEN 1 ELSE 0 END"
        for i, (column, value) in enumerate(zip(own, values, strict=True), 1)
    ]
    return join_as_tree(kept, "+") if kept else "0"


def _types_sql(json: str, pointers: Sequence[str]) -> str:
    return f"json_type({json}, {text_list(list(pointers))})" if pointers else "[]::VARCHAR[]"


def _unmarked_sql(texts: str) -> str:
    """Undo the marks of the envelope's texts; the payload of a marked record is never taken from here."""
    return f"CASE WHEN marked THEN list_transform({texts}, lambda e: {unmark_text_sql('e')}) ELSE {texts} END"


def _null_marks_sql(own: Sequence[PayloadColumn]) -> str:
    marks = [
        f"CASE WHEN t_{i} = 'NULL' THEN {literal(null_mark(column))} ELSE '' END" for i, column in enumerate(own, 1)
    ]
    some = " OR ".join(f"t_{i} = 'NULL'" for i in range(1, len(own) + 1))
    return f"CASE WHEN {some} THEN {join_as_tree(marks, '||')} END" if marks else NULL_TEXT


def _sorted_members_sql(payload: str) -> str:
    """Write a payload with its members sorted by name, as those of typed rows are."""
    members = f"list_sort({members_sql(payload)})"
    ordered = f"'{{' || array_to_string(list_transform({members}, lambda m: {member_sql('m')}), ',') || '}}'"
    return f"CASE WHEN json_type({payload}) = 'OBJECT' THEN {ordered} ELSE {payload}::VARCHAR END"


def _typed_value(column: PayloadColumn, text: str) -> str:
    return canonical_json_sql(text) if column.kind == "container" else text
