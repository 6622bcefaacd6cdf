"""Messages of the output plugin pgoutput, protocol version 1: bytes in, values out.

https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

EPOCH_MICROSECONDS = 946_684_800_000_000
"""2000-01-01T00:00:00Z, from which PostgreSQL counts times, in microseconds since 1970."""


class DecodeError(ValueError):
    """Report bytes that are not a message of pgoutput."""


class Unchanged:
    """The value of a column that did not change and is not sent, because it is kept outside its row (TOAST)."""

    def __repr__(self) -> str:
        """Return "UNCHANGED"."""
        return "UNCHANGED"


UNCHANGED = Unchanged()
Value = str | bytes | None | Unchanged
"""A column's value: the text of its type (bytes if it is not UTF-8), null, or unchanged."""
Values = tuple[Value, ...]


class Begin(Struct, frozen=True):
    """A transaction begins; `lsn` is the place of its commit, `time` microseconds since 1970."""

    lsn: int
    time: int
    xid: int


class Commit(Struct, frozen=True):
    """A transaction ends; `lsn` is the place of its commit, `end` the first place after it."""

    lsn: int
    end: int
    time: int


class Origin(Struct, frozen=True):
    """A transaction was replicated from elsewhere; `lsn` is the place of its commit there."""

    lsn: int
    name: str


Identity = Literal["default", "nothing", "full", "index"]


class Column(Struct, frozen=True):
    """A column of a table; `is_key`: whether it is part of the replica identity."""

    name: str
    type: int
    modifier: int
    is_key: bool


class Relation(Struct, frozen=True):
    """The definition of a table from here on; `identity` is its replica identity."""

    oid: int
    schema: str
    table: str
    identity: Identity
    columns: tuple[Column, ...]


class Type(Struct, frozen=True):
    """A type that is not built in; for a domain, the name is that of its base type."""

    oid: int
    schema: str
    name: str


class Insert(Struct, frozen=True):
    """A row is inserted."""

    relation: int
    new: Values


class Update(Struct, frozen=True):
    """A row changes. `old` are the values of its key, if these changed, or the whole row (`old_is_whole`)."""

    relation: int
    new: Values
    old: Values | None = None
    old_is_whole: bool = False


class Delete(Struct, frozen=True):
    """A row is deleted. `old` are the values of its key, null for other columns, or the whole row (`old_is_whole`)."""

    relation: int
    old: Values
    old_is_whole: bool = False


class Truncate(Struct, frozen=True):
    """All rows of some tables are deleted."""

    relations: tuple[int, ...]
    cascade: bool
    restart_identity: bool


class Message(Struct, frozen=True):
    """A message that `pg_logical_emit_message` wrote; `transactional`: whether as part of a transaction."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes


AnyMessage = Begin | Commit | Origin | Relation | Type | Insert | Update | Delete | Truncate | Message

IDENTITIES: dict[bytes, Identity] = {b"d": "default", b"n": "nothing", b"f": "full", b"i": "index"}
"""The replica identities by their letters, as messages and pg_class have them."""


_NUMBERS = {kind: struct.Struct(f">{kind}") for kind in "BHiIqQ"}


class _Reader:
    """The bytes of one message, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, kind: str) -> int:
        """Take a number in one of struct's formats B, H, i, I, q or Q."""
        form = _NUMBERS[kind]
        return int(form.unpack(self.take(form.size))[0])

    def take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise DecodeError(f"it is cut off at byte {len(self._data)}")
        found = self._data[self._at : end]
        self._at = end
        return found

    def rest(self) -> tuple[bytes, int]:
        """Return all bytes, and the offset of the first that was not taken."""
        return self._data, self._at

    def go_to(self, at: int) -> None:
        self._at = at

    def text(self) -> str:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise DecodeError(f"a name at byte {self._at} has no end")
        found = self.take(end - self._at)
        self._at += 1
        return _text(found)

    def finish(self) -> None:
        if self._at != len(self._data):
            raise DecodeError(f"{len(self._data) - self._at} bytes are left over")


def decode(data: bytes) -> AnyMessage:
    """Decode one message. Raises DecodeError for bytes that are not one."""
    reader = _Reader(data)
    tag = reader.take(1)
    read = _MESSAGES.get(tag)
    if read is None:
        raise DecodeError(f"there are no messages of kind {tag!r} in version 1 of pgoutput")
    try:
        found = read(reader)
        reader.finish()
    except DecodeError as error:
        raise DecodeError(f"a message {tag.decode()!r} of {len(data)} bytes: {error}") from None
    return found


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"a text is not UTF-8: {error.reason}") from None


def _read_begin(reader: _Reader) -> Begin:
    return Begin(reader.number("Q"), _read_time(reader), reader.number("I"))


def _read_commit(reader: _Reader) -> Commit:
    reader.take(1)  # flags, none of which is in use
    return Commit(reader.number("Q"), reader.number("Q"), _read_time(reader))


def _read_time(reader: _Reader) -> int:
    return reader.number("q") + EPOCH_MICROSECONDS


def _read_origin(reader: _Reader) -> Origin:
    return Origin(reader.number("Q"), reader.text())


def _read_relation(reader: _Reader) -> Relation:
    oid, schema, table = reader.number("I"), _read_schema(reader), reader.text()
    identity = IDENTITIES.get(code := reader.take(1))
    if identity is None:
        raise DecodeError(f"there is no replica identity {code!r}")
    columns = []
    for _ in range(reader.number("H")):
        flags, name = reader.number("B"), reader.text()
        columns.append(Column(name, reader.number("I"), reader.number("i"), bool(flags & 1)))
    return Relation(oid, schema, table, identity, tuple(columns))


def _read_schema(reader: _Reader) -> str:
    return reader.text() or "pg_catalog"


def _read_type(reader: _Reader) -> Type:
    return Type(reader.number("I"), _read_schema(reader), reader.text())


def _read_insert(reader: _Reader) -> Insert:
    oid, tag = reader.number("I"), reader.take(1)
    if tag != b"N":
        raise DecodeError(f"there is {tag!r} where the new row begins")
    return Insert(oid, _read_values(reader))


def _read_update(reader: _Reader) -> Update:
    oid, tag, old = reader.number("I"), reader.take(1), None
    whole = tag == b"O"
    if tag in (b"K", b"O"):
        old = _read_values(reader)
        tag = reader.take(1)
    if tag != b"N":
        raise DecodeError(f"there is {tag!r} where the new row begins")
    return Update(oid, _read_values(reader), old, whole)


def _read_delete(reader: _Reader) -> Delete:
    oid, tag = reader.number("I"), reader.take(1)
    if tag not in (b"K", b"O"):
        raise DecodeError(f"there is {tag!r} where the old row begins")
    return Delete(oid, _read_values(reader), tag == b"O")


def _read_values(reader: _Reader) -> Values:
    count = reader.number("H")
    data, at = reader.rest()
    found: list[Value] = []
    for _ in range(count):  # most of what is decoded is values, so no call for each number
        tag = data[at : at + 1]
        at += 1
        if tag == b"t":
            start = at + 4
            at = start + int.from_bytes(data[at:start], "big", signed=True)
            if not start <= at <= len(data):
                raise DecodeError(f"it is cut off at byte {len(data)}")
            found.append(value_of(data[start:at]))
        elif tag == b"n":
            found.append(None)
        elif tag == b"u":
            found.append(UNCHANGED)
        else:
            raise DecodeError(f"there is no value of kind {tag!r}" if tag else f"it is cut off at byte {len(data)}")
    reader.go_to(at)
    return tuple(found)


def value_of(text: bytes) -> Value:
    """Return the value whose text a server sent."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def _read_truncate(reader: _Reader) -> Truncate:
    count, flags = reader.number("I"), reader.number("B")
    # The count may be hostile: `take` first checks it against the bytes that are there.
    oids = struct.unpack(f">{count}I", reader.take(4 * count))
    return Truncate(oids, bool(flags & 1), bool(flags & 2))


def _read_message(reader: _Reader) -> Message:
    flags, lsn, prefix = reader.number("B"), reader.number("Q"), reader.text()
    return Message(bool(flags & 1), lsn, prefix, reader.take(reader.number("i")))


_MESSAGES: dict[bytes, Callable[[_Reader], AnyMessage]] = {
    b"B": _read_begin,
    b"C": _read_commit,
    b"O": _read_origin,
    b"R": _read_relation,
    b"Y": _read_type,
    b"I": _read_insert,
    b"U": _read_update,
    b"D": _read_delete,
    b"T": _read_truncate,
    b"M": _read_message,
}
