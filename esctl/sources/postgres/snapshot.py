"""The rows that published tables hold, all as of one place in the server's log."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence

from msgspec import Struct

from esctl.sources.postgres.lsn import lsn_number
from esctl.sources.postgres.pgoutput import IDENTITIES, Column, Relation, Type, Value, Values, value_of
from esctl.sources.postgres.records import Around, Records, record
from esctl.sources.postgres.replication import Replication, quote_name, quote_text
from esctl.sources.postgres.transactions import Row

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class Snapshot(Struct, frozen=True):
    """What a transaction sees: what was committed before `lsn`. `time` is microseconds since 1970."""

    lsn: int
    time: int


class Published(Struct, frozen=True):
    """A table, and the SQL conditions of its published rows: any of them; without any, all rows."""

    relation: Relation
    is_whole_tree: bool  # a partitioned table, whose rows are in its partitions
    filters: tuple[str, ...] = ()


def begin_snapshot(replication: Replication) -> Snapshot:
    """Begin a transaction that sees the tables as of a known place, which a temporary slot provides.

    It waits for open transactions. Raises ServerError if the server refuses such a slot.
    """
    replication.ask("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
    name = f"esctl_{secrets.token_hex(8)}"
    (row,) = replication.ask(f"CREATE_REPLICATION_SLOT {quote_name(name)} TEMPORARY LOGICAL pgoutput USE_SNAPSHOT")
    (now,) = replication.ask("SELECT CAST(extract(epoch FROM now()) * 1000000 AS bigint) AS now")
    return Snapshot(lsn_number(row["consistent_point"] or "0/0"), int(now["now"] or 0))


def list_published(replication: Replication, publications: Sequence[str], version: int) -> list[Published]:
    """List the tables of some publications, with the columns and rows that are published."""
    names = ", ".join(map(quote_text, publications))
    rule = "p.rowfilter" if version >= 150000 else "NULL"
    rows = replication.ask(f"""SELECT c.oid, n.nspname, c.relname, c.relreplident, c.relkind, {rule} AS rule
        FROM pg_catalog.pg_publication_tables p
        JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
        WHERE p.pubname IN ({names}) ORDER BY n.nspname, c.relname""")
    rules: dict[str, list[str | None]] = {}
    for row in rows:
        rules.setdefault(row["oid"] or "", []).append(row["rule"])
    found = {row["oid"]: row for row in rows}
    return [
        Published(
            relation_of(replication, row, names if version >= 150000 else ""),
            row["relkind"] == "p",
            # If one publication has the table without a filter, the filters of others take nothing away.
            () if None in rules[row["oid"] or ""] else tuple(filter(None, rules[row["oid"] or ""])),
        )
        for row in found.values()
    ]


def relation_of(replication: Replication, row: dict[str, str | None], publications: str) -> Relation:
    """Return the definition of a table in pg_class, with the columns that `publications` publish ("" for all)."""
    oid, schema, table = int(row["oid"] or 0), row["nspname"] or "", row["relname"] or ""
    identity = IDENTITIES[(row["relreplident"] or "d").encode()]
    marked = "indisreplident" if identity == "index" else "indisprimary"
    is_key = {"full": "true", "nothing": "false"}.get(identity, "coalesce(a.attnum = ANY (i.indkey), false)")
    only = f"""AND a.attname = ANY (SELECT unnest(p.attnames) FROM pg_catalog.pg_publication_tables p
        WHERE p.pubname IN ({publications}) AND p.schemaname = {quote_text(schema)}
        AND p.tablename = {quote_text(table)})"""
    rows = replication.ask(f"""SELECT a.attname, a.atttypid, a.atttypmod, {is_key} AS is_key
        FROM pg_catalog.pg_attribute a
        LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.{marked}
        WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        {only * bool(publications)} ORDER BY a.attnum""")
    columns = tuple(
        Column(each["attname"] or "", int(each["atttypid"] or 0), int(each["atttypmod"] or -1), each["is_key"] == "t")
        for each in rows
    )
    return Relation(oid, schema, table, identity, columns)


def types_of(replication: Replication, relations: Sequence[Relation]) -> list[Type]:
    """List the types of columns; for a domain, its base type, as pgoutput does."""
    oids = sorted({column.type for relation in relations for column in relation.columns})
    if not oids:
        return []
    rows = replication.ask(f"""WITH RECURSIVE base AS (
            SELECT oid AS domain, oid FROM pg_catalog.pg_type WHERE oid IN ({", ".join(map(str, oids))})
            UNION ALL SELECT b.domain, t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid
            WHERE t.typtype = 'd')
        SELECT b.domain, n.nspname, t.typname FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid
        JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype <> 'd'""")
    return [Type(int(row["domain"] or 0), row["nspname"] or "", row["typname"] or "") for row in rows]


def read_tables(
    replication: Replication, tables: Sequence[Published], snapshot: Snapshot, known: Records, *, anew: bool, over: bool
) -> Iterator[list[Row]]:
    """Yield the rows of tables as records, some at a time.

    `anew`: the tables may have been read before, and rows without a key must not count twice. `over`: changes since
    then are missing, so known rows may be gone. Such a table begins with a record that ends its known rows.
    """
    for each in types_of(replication, [table.relation for table in tables]):
        known.learn(each)
    start = Around(snapshot.lsn, None, snapshot.time).start()
    for table in tables:
        known.describe(table.relation)
        described = known.description_if_new(table.relation.oid)
        rows = [Row(record("R", start, described) + b"\n", snapshot.time)] if described is not None else []
        if over or (anew and not known.has_key(table.relation.oid)):
            rows.append(Row(record("T", start, known.end_body(table.relation.oid)) + b"\n", snapshot.time))
        for line in replication.copy_out(copy_sql(table)):
            raw = record("S", start, known.row_body(table.relation.oid, copied_row(line)))
            rows.append(Row(raw + b"\n", snapshot.time))
            if len(rows) >= 1000:
                yield rows
                rows = []
        yield rows


def copy_sql(table: Published) -> str:
    """Return the command that copies the published rows of a table."""
    relation = table.relation
    columns = ", ".join(quote_name(column.name) for column in relation.columns)
    where = " WHERE " + " OR ".join(f"({rule})" for rule in table.filters) if table.filters else ""
    only = "" if table.is_whole_tree else "ONLY "
    table_name = f"{quote_name(relation.schema)}.{quote_name(relation.table)}"
    return f"COPY (SELECT {columns} FROM {only}{table_name}{where}) TO STDOUT"


def copied_row(line: bytes) -> Values:
    """Parse a row in COPY's text format."""
    return tuple(map(_copied_value, line.removesuffix(b"\n").split(b"\t")))


def _copied_value(text: bytes) -> Value:
    if text == b"\\N":
        return None
    if b"\\" in text:
        text = _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), text)
    return value_of(text)
