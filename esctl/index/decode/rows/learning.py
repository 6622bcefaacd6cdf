"""Learn from a sample of a change log its dialect, and which columns name the rows of its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from esctl.index.decode.rows import DELETE, DIALECTS, HISTORY, TRUNCATE, UPDATE
from esctl.index.decode.rows.change import (
    DomainEvent,
    Origin,
    OtherRecord,
    Row,
    RowChange,
    full_name,
    id_column,
    is_default,
)
from esctl.index.decode.rows.reading import READERS, UNREADABLE
from esctl.index.decode.rows.versions import learned_key

TableKeys = tuple[tuple[str, tuple[str, ...]], ...]


class Learned(Struct, frozen=True):
    """A dialect, how many sampled records are in it, the keys that no record gives, and how it is ordered."""

    dialect: str
    matching: int
    keys: TableKeys
    order: int  # parts of the place in the database's log that all changes have
    home: Origin = ()  # the first origin that a record gives
    open_keys: tuple[tuple[str, str], ...] = ()  # (table, a column), if nothing says which row an update is of


class _Table(Struct):
    """What was seen of a table whose key no record gives."""

    rows: list[Row] = field(default_factory=list)
    old: list[tuple[Row, Row | None]] = field(default_factory=list)  # before, and after where it was updated
    is_open: bool = False  # some update does not say which row it is of


def learn(samples: Sequence[object], dialects: Iterable[str] = DIALECTS) -> Learned | None:
    """Return the first dialect of more than half of the parsed records, with changes among them; None without one."""
    whole = [sample for sample in samples if sample is not None]
    for dialect in dialects:
        found = [told for sample in whole if (told := _read(dialect, sample)) is not None]
        changes = [each for each in found if not isinstance(each, OtherRecord)]
        if changes and 2 * len(found) > len(whole):
            rows = [each for each in changes if isinstance(each, RowChange)]
            tables = {} if dialect == HISTORY else _tables(rows)
            keys = _key_of_versions(whole) if dialect == HISTORY else _keys(tables)
            return Learned(dialect, len(found), keys, _order_parts(changes), _home(rows), _open_keys(tables, keys))
    return None


def _key_of_versions(samples: Sequence[object]) -> TableKeys:
    names = learned_key(samples)
    return (("", names),) if names else ()


def _home(changes: Sequence[RowChange]) -> Origin:
    return next((change.origin for change in changes if any(change.origin)), ())


def _order_parts(changes: Sequence[RowChange | DomainEvent]) -> int:
    """Return how many parts of `order` all changes have; 0 if they are from the logs of several servers."""
    servers = {change.server for change in changes if isinstance(change, RowChange) and change.server is not None}
    if len(servers) > 1:
        return 0
    return min(len(change.order) if None not in change.order else 0 for change in changes)


def _read(dialect: str, sample: Any) -> Any:
    try:
        return READERS[dialect](sample)
    except UNREADABLE:
        return None


def _tables(changes: Sequence[RowChange]) -> dict[str, _Table]:
    tables: dict[str, _Table] = {}
    for change in changes:
        if change.key is not None or change.type == TRUNCATE:
            continue
        table = tables.setdefault(full_name(change), _Table())
        table.is_open |= change.type == UPDATE and not change.tells_changed and not _names_its_row(change)
        if change.tells_changed:
            table.rows.append(change.row)
        elif change.type == DELETE:
            table.old.append((change.row, None))
        else:
            table.rows.append(change.row)
            table.old += [(change.old, change.row)] if change.old else []
    return tables


def _names_its_row(change: RowChange) -> bool:
    """Return whether an update says which row it is of: by the whole old row, or by values that name it."""
    return change.match is not None or (change.old is not None and change.row.keys() <= change.old.keys())


def _keys(tables: Mapping[str, _Table]) -> TableKeys:
    return tuple((name, _key(table)) for name, table in sorted(tables.items()))


def _open_keys(tables: Mapping[str, _Table], keys: TableKeys) -> tuple[tuple[str, str], ...]:
    """List the tables without a key in which an update does not say which row it is of, with the likeliest column."""
    found = [
        (name, tables[name].rows) for name, columns in keys if not columns and name in tables and tables[name].is_open
    ]
    return tuple(
        (name, next(iter(_shortest_key(rows, tuple(rows[0]))), next(iter(rows[0]), ""))) for name, rows in found
    )


def _key(table: _Table) -> tuple[str, ...]:
    """Return the columns that a table's old rows have, else those that seem to tell its rows apart."""
    columns = tuple(dict.fromkeys(name for row in table.rows for name in row))
    told = [[name for name, value in old.items() if value is not None] for old, _ in table.old]
    named = [name for name in (told[0] if told else ()) if all(name in each for each in told)]
    kept = [name for name in named if not all(is_default(old.get(name)) for old, _ in table.old)]
    if kept and len(kept) < len(columns) and not _is_full(table, columns):
        return tuple(kept)
    called = id_column(columns)
    if called is not None or not table.old:
        return () if called is None else (called,)
    return _shortest_key(table.rows, columns)


def _is_full(table: _Table, columns: Sequence[str]) -> bool:
    """Return whether old rows hold more than a key: the one of some update has values in over half of the columns."""
    return any(
        after is not None and len([value for value in old.values() if value is not None]) * 2 > len(columns)
        for old, after in table.old
    )


def _shortest_key(rows: Sequence[Row], columns: Sequence[str]) -> tuple[str, ...]:
    """Return the fewest leading columns that tell rows apart; none if it takes all columns, or even these do not."""
    for count in range(1, len(columns)):
        seen = [tuple(repr(row.get(name)) for name in columns[:count]) for row in rows]
        if len(set(seen)) == len(seen):
            return tuple(columns[:count])
    return ()
