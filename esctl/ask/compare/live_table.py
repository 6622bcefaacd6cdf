"""Rows of a live database: a table of a PostgreSQL server, read in the form of its changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.compare.external_table import ForeignTable, keys_of
from esctl.engine.quoting import literal
from esctl.errors import InputError
from esctl.index.decode.rows.change import Naming, table_name
from esctl.index.scan import read_json
from esctl.model import Cursor, PostgresCursor, Stanza

if TYPE_CHECKING:
    import pyarrow as pa

    from esctl.engine.duckdb import Session
    from esctl.sources.postgres.table import OpenTable

_BATCH = 20_000


class LiveTable(Struct, frozen=True):
    """The rows of a table as of a place in the server's log, and the glob of their entities ("": the key names them).

    `before`: that place as a bound on the log, if all its sources are of the same database; else empty.
    """

    table: ForeignTable
    entities: str
    before: str


def is_live(text: str) -> bool:
    """Return whether a text is the URL of a database table, not the name of a file."""
    return text.lower().startswith(("postgres://", "postgresql://"))


def read_live(
    session: Session,
    url: str,
    ignored: Sequence[str],
    key: str,
    cursors: Mapping[str, Cursor],
    stanzas: Sequence[Stanza],
) -> LiveTable:
    """Read a table into a temporary file, as of one place in the server's log. `key`: that of the comparison.

    Raises UsageError if the URL names no table, InputError if the table cannot be read.
    """
    from esctl.sources.postgres.lsn import lsn_text
    from esctl.sources.postgres.table import open_table, parse_table_address

    address = parse_table_address(url)
    with open_table(address, ignored if not key else ()) as table:
        naming = _naming(table, stanzas)
        spool = _write_rows(session, table, address.where, naming)
        columns = tuple(column.name for column in table.relation.columns)
        place = lsn_text(table.snapshot.lsn)
        before, notes = _bound_and_notes(table, place, cursors)
    foreign = ForeignTable(address.where, _sql(spool, plain=bool(key)), ("entity", "kind", "state"), False, notes)
    if key:
        foreign = replace(foreign, columns=keys_of(session, foreign.sql, ()) or columns)
    return LiveTable(
        foreign, "" if key else f"{naming.name_with_origin((), table_name(address.schema, address.table))}/*", before
    )


def _naming(table: OpenTable, stanzas: Sequence[Stanza]) -> Naming:
    """Return how the log names the rows of a table: with its database, if another one has the short names."""
    homes = sorted((each for each in stanzas if each.row_home), key=lambda each: not each.row_origin)
    if not homes:
        return Naming()
    server = table.system if homes[0].row_origin else ""  # other logs call it something else
    return Naming(home=homes[0].row_home, own=(server, table.database))


def _bound_and_notes(table: OpenTable, place: str, cursors: Mapping[str, Cursor]) -> tuple[str, tuple[str, ...]]:
    """Return the bound on the log to compare with (empty: none), and a note on the place that the table is as of."""
    ours = [
        cursor
        for cursor in cursors.values()
        if isinstance(cursor, PostgresCursor)
        and cursor.database == table.database
        and table.system in ("", cursor.system)
    ]
    if table.why_approximate:
        return "", (f"note: the table is as of about {place}: {table.why_approximate}",)
    if not ours:
        return "", (f"note: the table is as of {place}",)
    read = max(cursor.lsn for cursor in ours)
    behind = table.snapshot.lsn - read
    if behind > 0:
        return "", (f"note: the table is as of {place}, {behind} bytes of its log after what was read: esctl ingest",)
    alone = len(ours) == len(cursors)
    return (f"seq:{place}" if alone else ""), (f"note: the table is as of {place}",)


def _write_rows(session: Session, table: OpenTable, where: str, naming: Naming) -> str:
    """Write the rows to a temporary file as changes in the log's form (row, JSON text). Return SQL to read it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from esctl.index.decode.exact_json import judge_records
    from esctl.index.decode.rows.reading import read_rows

    spool = session.new_parquet()
    schema = pa.schema([("row", pa.int64()), ("t", pa.large_string())])
    count = 0
    with pq.ParquetWriter(spool, schema, compression="zstd") as writer:
        for raws in _batches(table.rows()):
            judged = judge_records(pa.array(raws, pa.binary()), Cursor(format="jsonl"), session.connection)
            if judged.invalid.null_count < len(raws):
                raise InputError(f"{where}: a row cannot be read: it has text that is not UTF-8", "")
            texts, _ = read_rows(judged.text, judged.marked, "pgoutput", naming)
            writer.write_table(pa.table([_number_rows(count, len(raws)), texts], schema=schema))
            count += len(raws)
    return f"read_parquet({literal(str(spool))})"


def _number_rows(count: int, more: int) -> pa.Array:
    import pyarrow as pa

    return pa.array(range(count + 1, count + 1 + more), pa.int64())


def _batches(parts: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    held: list[bytes] = []
    for part in parts:
        held += part
        if len(held) >= _BATCH:
            yield held
            held = []
    if held:
        yield held


def _sql(spool: str, *, plain: bool) -> str:
    """Write SQL for the rows as states of entities, equal rows as one with their count; `plain`: for the rows alone."""
    row = read_json("t", ("row",), "json", marked=True)
    if plain:
        return f"SELECT row, {row} AS j FROM {spool}"
    entity, copy = (read_json("t", (name,), "json", marked=True) for name in ("entity", "copy"))
    kind = read_json("t", ("kind",), "json", marked=True)
    rows = f"SELECT row, coalesce({entity}, {copy}) AS e, {kind} AS k, {row} AS s, {copy} IS NOT NULL AS c FROM {spool}"
    counted = f"""SELECT min(row) AS row, e, any_value(k) AS k, any_value(s) AS s, count(*) AS n FROM ({rows})
        GROUP BY e, CASE WHEN c THEN 0 ELSE row END"""
    state = "CASE WHEN n > 1 THEN substr(s, 1, length(s) - 1) || ',\"_copies\":' || n || '}' ELSE s END"
    return f"""SELECT row, '{{"entity":' || e || ',"kind":' || k || ',"state":' || {state} || '}}' AS j
        FROM ({counted})"""
