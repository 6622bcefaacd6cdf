"""The change of one row, whoever told it, and the JSON text that the index reads it from."""

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
"""Whose a table is: a server (or the name that a connector has for it) and a database; empty where that is not told.

The database is empty too where it takes the place of a schema.
"""

BESIDE = ("begin", "commit", "message", "tombstone", "heartbeat", "schema change")
"""Types of records that are no change of a row, but belong to such a log."""


class RowChange(Struct, frozen=True):
    """One change.

    `row` is the row after it, of a delete what is known of it. `partial`: columns that are missing in it keep their
    values; `patched`: `row` says which parts of a document changed. `key` names the columns that tell rows apart;
    None: the log does not say. `old` are the values of these before a change of them. `match` are values that name
    the row where its key is not told; none at all: it is the row of the same table that ended right before.
    `tells_changed`: `old` has whatever columns changed, and deletes have all: neither says which are the key.
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
    server: object = None  # whose log `order` is a place in
    origin: Origin = ("", "")
    tells_changed: bool = False


class Beside(Struct, frozen=True):
    """A record that is not a change of a row: one of BESIDE, or what an outbox has beside events."""

    type: str
    time: int | str | None = None
    transaction: str | None = None
    data: Any = None


class DomainEvent(Struct, frozen=True):
    """An event that a log of changes carries: no change of a row, but of its aggregate. `data` is its payload."""

    type: str
    kind: str
    entity: str  # the aggregate's id
    data: Any
    id: str | None = None
    time: int | str | None = None
    transaction: str | None = None
    order: tuple[int | str | None, ...] = ()


Told = RowChange | Beside | DomainEvent
"""What a record of a change log tells."""


class Naming(Struct, frozen=True):
    """How rows are named.

    `keys`: the columns that tell the rows of a table apart where no record says it, by the table's `full_name`, or by
    the end of that where somebody says so. `home`:
    whose tables have no more in front of their names than a schema; None: all. `own`: whose those are of which records
    do not tell it.
    """

    keys: Mapping[str, Sequence[str]] = {}
    home: Origin | None = None
    own: Origin = ()

    def table_of(self, change: RowChange) -> str:
        """Name the table of a change, so that no tables of two databases have one name."""
        return self.named(change.origin, table_name(change.schema, change.table))

    def named(self, origin: Origin, short: str) -> str:
        """Name a table of a database by its short name, and by whose it is where that is not home."""
        server, database = origin if any(origin) else self.own or ("", "")
        if self.home is None:
            return short
        home_server, home_database = self.home or ("", "")
        if server and server != home_server:
            return ".".join(filter(None, (server, database, short)))
        return f"{database}.{short}" if database and database != home_database else short

    def key_of(self, change: RowChange) -> Sequence[str] | None:
        """Return the columns that name the row of a change; None where nothing tells them."""
        names = full_name(change), table_name(change.schema, change.table), change.table
        found = next((self.keys[name] for name in names if name in self.keys), change.key)
        if found is None and change.tells_changed:  # so its old rows are known whole, and need no key to be found
            named = id_column(change.row)
            return () if named is None else (named,)
        return found


def full_name(change: RowChange) -> str:
    """Write a table's name with whose it is."""
    return ".".join(filter(None, (*change.origin, table_name(change.schema, change.table))))


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def written(change: Told, naming: Naming) -> str:
    """Write a change as the JSON text that the mapping of such logs reads. Numbers may be marked."""
    if isinstance(change, Beside):
        told = {"type": change.type, "time": change.time, "tx": change.transaction, "row": change.data}
        return _ENCODER.encode({name: value for name, value in told.items() if value is not None}).decode()
    if isinstance(change, DomainEvent):
        return _ENCODER.encode(_event(change)).decode()
    table, names = naming.table_of(change), naming.key_of(change)
    found: dict[str, Any] = {"type": change.type, "kind": change.table or UNNAMED, **_entities(change, table, names)}
    found |= zip(("seq", "seq2", "seq3"), change.order, strict=False)
    found["time"], found["tx"] = change.time, change.transaction
    if change.type != TRUNCATE:
        found["row"] = _rows(change, table, names) if change.others else change.row
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


def _rows(change: RowChange, table: str, names: Sequence[str] | None) -> dict[str, Any]:
    """Return the payload of a change of several rows: the rows by name; how many more of each, where they have no key.

    No key is an empty one; where it is not known, all columns are taken for it.
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


def _several(change: RowChange, table: str, names: Sequence[str] | None) -> dict[str, list[str]]:
    """Name the rows that a change leaves, and those that it ends where they have other names."""
    used, left = _names(change, names), _by_name(change, table, names)
    olds = (row_name(table, used, {**row, **old}) for row, old in _all_rows(change) if old)
    return {"each": [*left], "ended": [name for name in dict.fromkeys(olds) if name not in left]}


def table_name(schema: str, table: str) -> str:
    """Write a table's full name."""
    return f"{schema}.{table}" if schema else table


def _entities(change: RowChange, table: str, names: Sequence[str] | None) -> Mapping[str, object]:
    """Name the row that a change leaves, and the one that it ends where that is another, by role.

    `entity`: the row is whole; `partial`: what is missing in it keeps its value; `copy`: the table may hold it several
    times; `patch`: parts of a document change; `old`: the row ends; `match`: values name the row, its key may be
    invented; `table`: all its rows end; `each`, `ended`: rows of several. None where nothing says which row it is.
    """
    if change.type == TRUNCATE:
        return {"table": table}
    if change.others:
        return _several(change, table, names)
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
        found["match"], old = f"{table}?{_listed(change.match)}", None
        if change.type == DELETE and not all(name in change.row for name in names):
            return found
    found[role] = entity = row_name(table, names, {**(change.named or {}), **change.row})
    return found if old in (None, entity) else {**found, "old": str(old)}


def _listed(values: Row) -> str:
    return _ENCODER.encode(values).decode()


def id_column(row: Iterable[str]) -> str | None:
    """Name the column that most likely tells rows apart where no record says it; None where none is called so."""
    lower: dict[str, str] = {}
    for name in row:
        lower.setdefault(name.lower(), name)
    return next((lower[name] for name in ("id", "_id", "uuid", "guid") if name in lower), None)


def guessed_key(row: Sequence[str] | Row) -> tuple[str, ...]:
    """Name the columns that tell rows apart where no record says it: `id`, or else all of them."""
    named = id_column(row)
    return tuple(row) if named is None else (named,)


def row_name(table: str, names: Sequence[str], row: Row) -> str:
    """Name a row: its table, then the values of its key.

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


def plain(value: Any) -> Any:
    """Return the value of a judged text without its mark: an integer where it is the number of one."""
    if isinstance(value, str) and value.startswith(MARK):
        text = value[1:]
        digits = text.removeprefix("-")
        return int(text) if digits.isascii() and digits.isdigit() else text
    return value


def text_of(value: Any) -> str:
    """Return a name that a log gives as text; empty where it gives none."""
    return value if isinstance(value, str) else ""


SAFE_DIGITS = 15
"""A number with no more digits than this is read as written."""


_PLAIN_PLACES = 60
"""Beyond so many places a number is written as all numbers of the index are: with an exponent, where it needs one."""


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
