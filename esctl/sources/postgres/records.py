"""Messages of pgoutput as records: one JSON object each, with fields from its transaction and its table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct, field

from esctl.sources.postgres.lsn import lsn_text
from esctl.sources.postgres.pgoutput import (
    UNCHANGED,
    AnyMessage,
    DecodeError,
    Delete,
    Insert,
    Message,
    Relation,
    Truncate,
    Type,
    Update,
    Value,
    Values,
)

Keys = Callable[[Relation], tuple[str, ...] | None]
"""Returns the primary key of a table as the database has it now, or None if the table no longer exists."""

_BUILT_IN = {
    16: "bool", 17: "bytea", 18: "char", 19: "name", 20: "int8", 21: "int2", 23: "int4", 25: "text", 26: "oid",
    114: "json", 142: "xml", 700: "float4", 701: "float8", 790: "money", 869: "inet", 1042: "bpchar", 1043: "varchar",
    1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 1186: "interval", 1266: "timetz",
    1560: "bit", 1562: "varbit", 1700: "numeric", 2950: "uuid", 3802: "jsonb",
}  # fmt: skip
_NUMBERS = frozenset({"int8", "int2", "int4", "oid", "float4", "float8", "numeric"})
_NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class Table(Struct):
    """A table as in its last relation message, and how its records are written."""

    relation: Relation
    key: tuple[str, ...]
    start: bytes  # of records, after their transaction: schema, table, key
    described: bytes  # what a record that describes the table has after that
    names: tuple[bytes, ...]
    writers: tuple[Callable[[str], bytes], ...]  # of texts, by column
    identity: tuple[int, ...]  # the columns that old rows have


class Records(Struct):
    """The tables and types that messages refer to, by number, and how their records are written.

    `key` looks up the primary key of a table; `described_digests` has, by number, a digest of the record that
    described each table.
    """

    key: Keys
    described_digests: Mapping[str, str] = {}
    tables: dict[int, Table] = field(default_factory=dict)
    types: dict[int, str] = field(default_factory=dict)
    described: set[int] = field(default_factory=set)  # tables to describe again, as their definition changed

    def learn(self, message: Type) -> None:
        """Remember the name of a type."""
        self.types[message.oid] = message.name if message.schema == "pg_catalog" else f"{message.schema}.{message.name}"

    def describe(self, relation: Relation) -> None:
        """Remember the definition of a table from here on."""
        known = self.tables.get(relation.oid)
        if known is not None and known.relation == relation:
            return
        flagged = tuple(column.name for column in relation.columns if column.is_key)
        key = flagged if relation.identity == "default" else self._primary_key(relation, flagged)
        named = {"relation": relation.oid, "schema": relation.schema, "table": relation.table, "key": key}
        if relation.identity == "index" and flagged != key:
            named["identity"] = flagged
        kinds = tuple(self.types.get(c.type) or _BUILT_IN.get(c.type, str(c.type)) for c in relation.columns)
        start = _encode(named)[1:-1]
        names = tuple(_encode(column.name) + b":" for column in relation.columns)
        identity = tuple(i for i, column in enumerate(relation.columns) if column.is_key)
        columns = [
            {"name": column.name, "type": kind, "type_modifier": column.modifier}
            for column, kind in zip(relation.columns, kinds, strict=True)
        ]
        described = _encode({"replica_identity": relation.identity, "columns": columns})[1:-1]
        self.described.add(relation.oid)
        self.tables[relation.oid] = Table(
            relation, key, start, described, names, tuple(map(_writer_of, kinds)), identity
        )

    def description_if_new(self, oid: int) -> bytes | None:
        """Return the body of a record that describes a table, or None if a record already described it so."""
        table = self._table(oid)
        if oid not in self.described:
            return None
        self.described.discard(oid)
        body = b",".join([table.start, table.described])
        digest = hashlib.sha256(body).hexdigest()[:16]
        if self.described_digests.get(str(oid)) == digest:
            return None
        self.described_digests = {**self.described_digests, str(oid): digest}
        return body

    def _primary_key(self, relation: Relation, flagged: tuple[str, ...]) -> tuple[str, ...]:
        """Return the primary key, as the database has it now, of a table with another replica identity.

        If the table is gone, return the columns of its identity's index, or else none: a row is then all its values.
        """
        there = {column.name for column in relation.columns}
        found = self.key(relation)
        if found is not None and all(name in there for name in found):
            return found
        return flagged if relation.identity == "index" else ()

    def change_body(self, message: Insert | Update | Delete) -> bytes:
        """Return the body of a change of a row. Raises DecodeError if its table was not described, or not so."""
        table = self._table(message.relation)
        if isinstance(message, Delete):
            return b"".join([table.start, b',"old":', self._write_old(table, message.old, whole=message.old_is_whole)])
        old = message.old if isinstance(message, Update) else None
        whole = isinstance(message, Update) and message.old_is_whole
        new = _fill_unchanged(message.new, old) if whole and old is not None else message.new
        parts = [table.start, b',"row":', _write_row(table, new)]
        if old is not None:
            parts += [b',"old":', self._write_old(table, old, whole=whole)]
        if UNCHANGED in new:
            unchanged = [table.relation.columns[i].name for i, value in enumerate(new) if value is UNCHANGED]
            parts += [b',"unchanged":', _encode(unchanged)]
        return b"".join(parts)

    def truncation_bodies(self, message: Truncate) -> list[bytes]:
        """Return the body of a truncation, for each of its tables."""
        return [self._table(oid).start for oid in message.relations]

    def has_key(self, oid: int) -> bool:
        """Return whether the rows of a table have a key."""
        return bool(self._table(oid).key)

    def end_body(self, oid: int) -> bytes:
        """Return the body that ends the known rows of a table, before the table is read."""
        return self._table(oid).start + b',"snapshot":true'

    def row_body(self, oid: int, values: Values) -> bytes:
        """Return the body of a row that was read from a table."""
        table = self._table(oid)
        return b"".join([table.start, b',"row":', _write_row(table, values)])

    def _table(self, oid: int) -> Table:
        found = self.tables.get(oid)
        if found is None:
            raise DecodeError(f"a change of the table {oid}, which no message describes")
        return found

    def _write_old(self, table: Table, values: Values, *, whole: bool) -> bytes:
        return _write_row(table, values, None if whole else table.identity)


def message_body(message: Message) -> bytes:
    """Return the body of an emitted message: its content as text, or as hexadecimal digits if it is not UTF-8."""
    try:
        content: dict[str, str] = {"content": message.content.decode()}
    except UnicodeDecodeError:
        content = {"hex": message.content.hex()}
    return _encode({"prefix": message.prefix, "transactional": message.transactional, **content})[1:-1]


class Around(Struct, frozen=True):
    """The fields that a transaction gives each of its records; `time` is microseconds since 1970."""

    lsn: int
    xid: int | None = None
    time: int | None = None
    origin: str = ""

    def start(self) -> bytes:
        """Return the members that records begin with, after their action."""
        members: dict[str, object] = {"lsn": lsn_text(self.lsn)}
        if self.xid is not None:
            members["xid"] = self.xid
        if self.time is not None:
            members["time"] = time_text(self.time)
        if self.origin:
            members["origin"] = self.origin
        return _encode(members)[1:-1]


def record(action: str, around: bytes, rest: bytes) -> bytes:
    """Return a record as a JSON object."""
    return b'{"action":"%b",%b,%b}' % (action.encode(), around, rest)


def records_of(message: AnyMessage, known: Records, around: bytes) -> Sequence[bytes]:
    """Return the records of a message in a transaction. Raises DecodeError if no message described its table."""
    if isinstance(message, Insert):
        return (record("I", around, known.change_body(message)),)
    if isinstance(message, Update):
        return (record("U", around, known.change_body(message)),)
    if isinstance(message, Delete):
        return (record("D", around, known.change_body(message)),)
    if isinstance(message, Truncate):
        return [record("T", around, each) for each in known.truncation_bodies(message)]
    return (record("M", around, message_body(message)),) if isinstance(message, Message) else ()


def descriptions_of(message: AnyMessage, known: Records, around: bytes) -> list[bytes]:
    """Return records that describe the tables that a message changes, of those that are new or were redefined."""
    oids: Sequence[int] = ()
    if isinstance(message, Insert | Update | Delete):
        oids = (message.relation,)
    elif isinstance(message, Truncate):
        oids = message.relations
    return [record("R", around, described) for oid in oids if (described := known.description_if_new(oid)) is not None]


def time_text(micros: int) -> str:
    """Return microseconds since 1970 as RFC 3339 in UTC, or as a number beyond the years 1 to 9999."""
    try:
        return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except OverflowError:
        return str(micros)


def _fill_unchanged(new: Values, old: Values) -> Values:
    """Return a new row with its unchanged values taken from the old row, which is whole."""
    return tuple(old[i] if value is UNCHANGED and i < len(old) else value for i, value in enumerate(new))


def _write_row(table: Table, values: Values, only: Sequence[int] | None = None) -> bytes:
    if len(values) != len(table.names):
        named = f"{table.relation.schema}.{table.relation.table}"
        raise DecodeError(f"a row of {len(values)} values, where {named} has {len(table.names)} columns")
    rows = zip(table.names, values, table.writers, strict=True)
    chosen = rows if only is None else (row for i, row in enumerate(rows) if i in only)
    return b"{%b}" % b",".join(
        [
            name + (write(value) if isinstance(value, str) else _write_other(value))
            for name, value, write in chosen
            if value is not UNCHANGED
        ]
    )


def _write_number(value: str) -> bytes:
    return _encode(value) if value in _NO_NUMBERS else value.encode()


def _write_boolean(value: str) -> bytes:
    return b"true" if value == "t" else b"false"


def _write_other(value: Value) -> bytes:
    return _write_undecoded(value) if isinstance(value, bytes) else b"null"


def _writer_of(kind: str) -> Callable[[str], bytes]:
    return _write_number if kind in _NUMBERS else _write_boolean if kind == "bool" else _encode


def _write_undecoded(value: bytes) -> bytes:
    """Write a text that is not UTF-8 with its bytes as they are: its record is then invalid, and loses nothing."""
    escaped = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"%b"' % b"".join(b"\\u%04x" % byte if byte < 0x20 else bytes([byte]) for byte in escaped)
