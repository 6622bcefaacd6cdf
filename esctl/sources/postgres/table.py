"""The rows of one table of a database, as of one place in the server's log."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit, urlunsplit

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import InputError, UsageError
from esctl.sources.postgres.address import Address, parse_address
from esctl.sources.postgres.keys import primary_key
from esctl.sources.postgres.lsn import lsn_number
from esctl.sources.postgres.pgoutput import Relation
from esctl.sources.postgres.records import Records
from esctl.sources.postgres.replication import Replication, ServerError, quote_text
from esctl.sources.postgres.server import server_of
from esctl.sources.postgres.snapshot import (
    Published,
    Snapshot,
    begin_snapshot,
    read_tables,
    relation_of,
)

_HINT = "write 'postgres://USER@HOST/DATABASE/SCHEMA.TABLE'"


class TableAddress(Struct, frozen=True):
    """A table, and how to connect to its database."""

    address: Address
    schema: str
    table: str

    @property
    def where(self) -> str:
        """Return its name in errors."""
        return f"{self.address.where.rstrip('/')}/{self.schema}.{self.table}"


class OpenTable(Struct, frozen=True):
    """A table that is open for reading. `why_approximate` says why its place is only approximate, or is ""."""

    replication: Replication
    relation: Relation
    known: Records
    snapshot: Snapshot
    system: str
    database: str
    why_approximate: str = ""

    def rows(self) -> Iterator[list[bytes]]:
        """Yield the rows as records, some at a time. Iterate it within `open_table`."""
        table = Published(self.relation, is_whole_tree=True)
        for rows in read_tables(self.replication, [table], self.snapshot, self.known, anew=False, over=False):
            yield [row.raw for row in rows if row.raw.startswith(b'{"action":"S"')]


def parse_table_address(url: str) -> TableAddress:
    """Parse the URL of a table. Raises UsageError if it does not name one, or has a secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError(f"postgres://...: {error}", _HINT) from None
    database, _, name = parts.path.removeprefix("/").rpartition("/")
    schema, dot, table = unquote(name).rpartition(".")
    address = parse_address(urlunsplit(parts._replace(path=f"/{database}")), frozenset())
    if not table or "/" in database:
        raise UsageError(f"{address.where}: it does not name one table", _HINT)
    return TableAddress(address, schema if dot else "public", table)


@contextmanager
def open_table(address: TableAddress, left_out: Collection[str]) -> Iterator[OpenTable]:
    """Open a table without the columns `left_out`, except those of its key; without a key it keeps all columns.

    Raises InputError if there is no such table.
    """
    replication, snapshot, why_approximate, system = _begin(address)
    try:
        rows = replication.ask(f"""SELECT c.oid, n.nspname, c.relname, c.relreplident, current_database() AS db
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = {quote_text(address.schema)} AND c.relname = {quote_text(address.table)}
            AND c.relkind IN ('r', 'p', 'v', 'm', 'f')""")
        if not rows:
            raise InputError(f"{address.where}: there is no such table", "see what there is with: psql -c '\\dt'")
        key = primary_key(replication, int(rows[0]["oid"] or 0)) or ()
        relation = relation_of(replication, rows[0], "")
        columns = tuple(c for c in relation.columns if not key or c.name in key or c.name not in left_out)
        relation = replace(relation, columns=columns, identity="full")
        known = Records(lambda _: key)
        yield OpenTable(replication, relation, known, snapshot, system, rows[0]["db"] or "", why_approximate)
    finally:
        replication.close()


def _begin(address: TableAddress) -> tuple[Replication, Snapshot, str, str]:
    """Begin a transaction that sees the table as of a place, which is exact if the server allows us replication."""
    conninfo, where = address.address.conninfo(), address.where
    try:
        replication = Replication(conninfo, where)
    except ServerError as error:
        if not error.state and "replication" not in error.message:
            raise
        return _begin_without_slot(conninfo, where, error)
    try:
        return replication, begin_snapshot(replication), "", server_of(replication).system
    except ServerError as error:
        replication.close()
        return _begin_without_slot(conninfo, where, error)


def _begin_without_slot(conninfo: str, where: str, why: ServerError) -> tuple[Replication, Snapshot, str, str]:
    replication = Replication(conninfo, where, for_replication=False)
    replication.ask("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
    (row,) = replication.ask("""SELECT CAST(extract(epoch FROM now()) * 1000000 AS bigint) AS now, CASE WHEN
        pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS place""")
    snapshot = Snapshot(lsn_number(row["place"] or "0/0"), int(row["now"] or 0))
    return replication, snapshot, why.message.removeprefix(f"{where}: "), ""
