"""The change of one row, in any dialect, and the JSON text that the index reads it from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from esctl.index.decode.rows import DELETE, MORE, ROWS, TRUNCATE, UNNAMED, UNTIL, UPDATE
from esctl.index.decode.strict_json import canonical_number
from esctl.model import MARK

Row = Mapping[str, Any]
Origin = tuple[str, ...]
"""Where a table is from: a server (or a connector's name for it) and a database; empty if not known.

The database is also empty if it takes the place of a schema.
"""

OTHER_RECORDS = ("begin", "commit", "message", "tombstone", "heartbeat", "schema change")
"""Types of records of a change log that are not changes of rows."""


class RowChange(Struct, frozen=True):
    """The change of a row, or of several (`others`).

    `row` is the row after the change; for a delete, what is known of the row. `partial`: columns missing in it keep
    their values. `patched`: `row` says which parts of a document changed. `key` names the key columns; None: the log
    does not say. `old` has their values from before, if they changed. `match` has values that identify the row if its
    key is not known; if empty, it is the row of the same table that ended right before. `tells_changed`: `old` has all
    columns that changed, and deletes have all columns, so neither says which are the key.
    """

    type: str
    schema: str = ""
    table: str = ""
    row: Row = {}
    partial: bool = False
    key: tuple[str, ...] | None = None
    named: Row | None = None  # the key's values, where the row may lack them
    old: Row | None = None
    match: Row | None = None
    order: tuple[int | str | None, ...] = ()
    time: int | str | None = None
    transaction: str | None = None
    id: str | None = None
    actor: str | None = None
    patched: bool = False
    others: tuple[tuple[Row, Row | None], ...] = ()  # more rows that change alike, each with its old values
    until: int | str | None = None  # when the row ends, unless another version of it begins by then
    server: object = None  # the server in whose log `order` is a place
    origin: Origin = ("", "")
    tells_changed: bool = False


class OtherRecord(Struct, frozen=True):
    """A record that is not a change of a row: of a type in OTHER_RECORDS, or held by an outbox besides events."""

    type: str
    time: int | str | None = None
    transaction: str | None = None
    data: Any = None


class DomainEvent(Struct, frozen=True):
    """An event that a change log carries: of an aggregate, not of a row. `data` is its payload."""

    type: str
    kind: str
    entity: str  # the aggregate's id
    data: Any
    id: str | None = None
    time: int | str | None = None
    transaction: str | None = None
    order: tuple[int | str | None, ...] = ()


ChangeLogRecord = RowChange | OtherRecord | DomainEvent
"""What a record of a change log is read as."""


class Naming(Struct, frozen=True):
    """How rows are named.

    `keys`: the key columns of tables whose records do not give them, by the table's `full_name` or, in a user's
    mapping, by the end of it. `home`: the origin whose tables have only a schema in front of their names; None: all
    origins. `own`: the origin of tables whose records do not give it.
    """

    keys: Mapping[str, Sequence[str]] = {}
    home: Origin | None = None
    own: Origin = ()

    def table_of(self, change: RowChange) -> str:
        """Return the name of a change's table, so that tables of two databases never share a name."""
        return self.name_with_origin(change.origin, table_name(change.schema, change.table))

    def name_with_origin(self, origin: Origin, short: str) -> str:
        """Return the name of a table: its short name, with its origin in front if that is not `home`."""
        server, database = origin if any(origin) else self.own or ("", "")
        if self.home is None:
            return short
        home_server, home_database = self.home or ("", "")
        if server and server != home_server:
            return ".".join(filter(None, (server, database, short)))
        return f"{database}.{short}" if database and database != home_database else short

    def key_of(self, change: RowChange) -> Sequence[str] | None:
        """Return the columns that name the row of a change, () without a key; None if they are not known."""
        names = full_name(change), table_name(change.schema, change.table), change.table
        found = next((self.keys[name] for name in names if name in self.keys), change.key)
        if found is None and change.tells_changed:  # its old rows are known in full, and are found without a key
            named = id_column(change.row)
            return () if named is None else (named,)
        return found


def full_name(change: RowChange) -> str:
    """Return the name of a change's table, with its origin and its schema."""
    return ".".join(filter(None, (*change.origin, table_name(change.schema, change.table))))


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def written(change: ChangeLogRecord, naming: Naming) -> str:
    """Return a change as the JSON text that the mapping of change logs reads. Numbers may be marked."""
    if isinstance(change, OtherRecord):
        told = {"type": change.type, "time": change.time, "tx": change.transaction, "row": change.data}
        return _ENCODER.encode({name: value for name, value in told.items() if value is not None}).decode()
    if isinstance(change, DomainEvent):
        return _ENCODER.encode(_event(change)).decode()
    table, names = naming.table_of(change), naming.key_of(change)
    found: dict[str, Any] = {"type": change.type, "kind": change.table or UNNAMED, **_entities(change, table, names)}
    found |= zip(("seq", "seq2", "seq3"), change.order, strict=False)
    found["time"], found["tx"] = change.time, change.transaction
    if change.type != TRUNCATE:
        found["row"] = _payload_of_rows(change, table, names) if change.others else change.row
    if change.until is not None:
        found["row"] = {**change.row, UNTIL: change.until}
    found |= {"id": change.id} if change.id is not None else {}
    found |= {"actor": change.actor} if change.actor is not None else {}
    return _ENCODER.encode(found).decode()


def _event(event: DomainEvent) -> dict[str, Any]:
    found: dict[str, Any] = {"type": event.type, "kind": event.kind, "entity": f"{event.kind}/{event.entity}"}
    found |= zip(("seq", "seq2", "seq3"), event.order, strict=False)
    found |= {"time": event.time, "tx": event.transaction, "row": event.data}
    return found if event.id is None else {**found, "id": event.id}


def _all_rows(change: RowChange) -> tuple[tuple[Row, Row | None], ...]:
    return (change.row, change.old), *change.others


def _names(change: RowChange, names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(guessed_key(change.row) if names is None else names) or tuple(change.row)


def _by_name(change: RowChange, table: str, names: Sequence[str] | None) -> dict[str, Row]:
    used = _names(change, names)
    return {row_name(table, used, row): row for row, _ in _all_rows(change)}


def _payload_of_rows(change: RowChange, table: str, names: Sequence[str] | None) -> dict[str, Any]:
    """Return the payload of a change of several rows: the rows by name and, without a key, how many more of each.

    `names` is empty if there is no key; if it is None, the key is guessed.
    """
    found: dict[str, Any] = {ROWS: _by_name(change, table, names)}
    if names is not None and not names:
        more, used = Counter[str](), _names(change, names)
        for row, old in _all_rows(change):
            more[row_name(table, used, row)] += -1 if change.type == DELETE else 1
            if change.type == UPDATE:
                more[row_name(table, used, {**row, **(old or {})})] -= 1
        found[MORE] = dict(more)
    return found


def _entities_of_rows(change: RowChange, table: str, names: Sequence[str] | None) -> dict[str, list[str]]:
    """Return the names of the rows that a change leaves, and of those that it ends under other names."""
    used, left = _names(change, names), _by_name(change, table, names)
    olds = (row_name(table, used, {**row, **old}) for row, old in _all_rows(change) if old)
    return {"each": [*left], "ended": [name for name in dict.fromkeys(olds) if name not in left]}


def table_name(schema: str, table: str) -> str:
    """Return the name of a table with its schema, if it has one."""
    return f"{schema}.{table}" if schema else table


def _entities(change: RowChange, table: str, names: Sequence[str] | None) -> Mapping[str, object]:
    """Return the name of the row that a change leaves, and of the one that it ends under another name, by role.

    `entity`: the row is whole; `partial`: what is missing in it keeps its value; `copy`: the table may hold it several
    times; `patch`: parts of a document change; `old`: the row ends; `match`: values name the row, its key may be
    invented; `table`: all its rows end; `each`, `ended`: rows of several. Empty if nothing says which row it is.
    """
    if change.type == TRUNCATE:
        return {"table": table}
    if change.others:
        return _entities_of_rows(change, table, names)
    if names is None:
        names = guessed_key(change.row)
    role = "entity" if names else "copy"
    names = tuple(names) or tuple(change.row)
    if not names and change.match is None:
        return {}  # nothing says which row it is
    if role == "entity" and change.type != DELETE:
        role = "patch" if change.patched else "partial" if change.partial else role
    old = None if change.old is None else row_name(table, names, {**change.row, **change.old})
    found = {}
    if change.match is not None and not all(name in change.match for name in names):
        found["match"], old = f"{table}?{_json_text(change.match)}", None
        if change.type == DELETE and not all(name in change.row for name in names):
            return found
    found[role] = entity = row_name(table, names, {**(change.named or {}), **change.row})
    return found if old in (None, entity) else {**found, "old": str(old)}


def _json_text(values: Row) -> str:
    return _ENCODER.encode(values).decode()


def id_column(row: Iterable[str]) -> str | None:
    """Return the column that is most likely the key, by its name; None if no name is like that of a key."""
    lower: dict[str, str] = {}
    for name in row:
        lower.setdefault(name.lower(), name)
    return next((lower[name] for name in ("id", "_id", "uuid", "guid") if name in lower), None)


def guessed_key(row: Sequence[str] | Row) -> tuple[str, ...]:
    """Return the columns to take as the key if no record gives it: `id` or the like, else all of them."""
    named = id_column(row)
    return tuple(row) if named is None else (named,)


def row_name(table: str, names: Sequence[str], row: Row) -> str:
    """Return the name of a row: its table, then the values of its key.

    A slash in one of several values is written %2F, so that no two keys have one name.
    """
    parts = [_text(row.get(name)) for name in names]
    if len(parts) > 1:
        parts = [part.replace("%", "%25").replace("/", "%2F") for part in parts]
    return "/".join([table, *parts] if table else parts)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value[1:] if value.startswith(MARK) else value
    if value is None:
        return "null"
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    return _ENCODER.encode(value).decode()


def unmarked(value: Any) -> Any:
    """Return a value of judged text without its mark: a marked number as int if it is whole, else as text."""
    if isinstance(value, str) and value.startswith(MARK):
        text = value[1:]
        digits = text.removeprefix("-")
        return int(text) if digits.isascii() and digits.isdigit() else text
    return value


def is_default(value: object) -> bool:
    """Return whether a value is what a column may be filled with if its value is not known: zero, false or empty."""
    return value in (0, False, "") if not isinstance(value, list | dict) else not value


def text_of(value: Any) -> str:
    """Return a value that is text; empty for any other value."""
    return value if isinstance(value, str) else ""


SAFE_DIGITS = 15
"""A number with no more digits than this is read as written."""


_PLAIN_PLACES = 60
"""Numbers of larger exponents are written in the canonical form of the index, which may have an exponent."""


def number(value: Decimal) -> Decimal | int | str:
    """Return a number as judged JSON text has it: marked where a DOUBLE would not keep it."""
    if not value.is_finite():
        return str(value)
    if value and abs(value.adjusted()) > _PLAIN_PLACES:
        return MARK + canonical_number(str(value).replace("E", "e"))
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text in ("-0", ""):
        text = "0"
    digits = text.lstrip("-").replace(".", "")
    small = text.lstrip("-").startswith("0.000")
    if len(digits) > SAFE_DIGITS or small:
        return MARK + text
    return Decimal(text) if "." in text else int(text)
