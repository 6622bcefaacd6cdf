"""The primary keys of tables, as the database has them now, for tables whose changes do not tell them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from esctl.sources.postgres.address import SlotAddress
from esctl.sources.postgres.pgoutput import Relation
from esctl.sources.postgres.replication import connect, told

if TYPE_CHECKING:
    import psycopg

_SQL = """SELECT (SELECT array_agg(a.attname ORDER BY a.attnum)
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid
        WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))
    FROM pg_catalog.pg_class c WHERE c.oid = %s"""


class PrimaryKeys:
    """Looks up primary keys, on a connection that is opened where the first is asked for."""

    def __init__(self, address: SlotAddress, note: Callable[[str], None]) -> None:
        self._address = address
        self._note = note
        self._connection: psycopg.Connection[Any] | None = None

    def __call__(self, relation: Relation) -> tuple[str, ...] | None:
        """Return the columns of a table's primary key, in the order of the table; None where the table is gone."""
        where = self._address.where
        if self._connection is None:
            self._connection = connect(self._address.address.conninfo(), where)
        with told(where):
            row = self._connection.execute(_SQL, [relation.oid]).fetchone()
        if row is None:
            self._note(
                f"{where}: the table {relation.schema}.{relation.table} is gone, and its key with it: its rows are "
                "told apart by all that is known of them"
            )
            return None
        return tuple(row[0] or ())

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
