"""The primary keys of tables, as the database has them now, for tables whose changes do not include them."""

from __future__ import annotations

from collections.abc import Callable

from esctl.sources.postgres.address import SlotAddress
from esctl.sources.postgres.pgoutput import Relation
from esctl.sources.postgres.replication import Replication


def primary_key(replication: Replication, oid: int) -> tuple[str, ...] | None:
    """Return the columns of a table's primary key, in the order of the table, or None if there is no such table."""
    rows = replication.ask(f"""SELECT a.attname FROM pg_catalog.pg_class c
        LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
        WHERE c.oid = {oid} ORDER BY a.attnum""")
    return tuple(name for row in rows if (name := row["attname"]) is not None) if rows else None


class PrimaryKeys:
    """Looks up primary keys, over a connection that is opened for the first of them."""

    def __init__(self, address: SlotAddress, note: Callable[[str], None]) -> None:
        self._address = address
        self._note = note
        self._connection: Replication | None = None

    def __call__(self, relation: Relation) -> tuple[str, ...] | None:
        """Return the columns of a table's primary key, in the order of the table, or None if the table is gone."""
        where = self._address.where
        if self._connection is None:
            self._connection = Replication(self._address.address.conninfo(), where, for_replication=False)
        found = primary_key(self._connection, relation.oid)
        if found is None:
            self._note(
                f"{where}: the table {relation.schema}.{relation.table} is gone, and its key with it: its rows are "
                "told apart by all that is known of them"
            )
        return found

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
