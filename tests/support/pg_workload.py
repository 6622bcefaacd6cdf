"""A database with every trap that its changes hold, work on it, and its tables as an esctl store has to have them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from esctl.sources.postgres.records import Records
from esctl.sources.postgres.transactions import ReadUpTo, Transactions
from tests.support.cli_harness import good
from tests.support.postgres import USER, Server

SCHEMA = """
CREATE TYPE mood AS ENUM ('fine', '"so"');
CREATE DOMAIN small AS int CHECK (value < 1000);
CREATE SCHEMA "odd ""one";
CREATE TABLE orders (id int PRIMARY KEY, total numeric(12,2), note text, status mood, due date, at timestamptz,
    tags text[], js jsonb, raw bytea, ok bool, few small, f float8);
ALTER TABLE orders ALTER note SET STORAGE EXTERNAL;
CREATE TABLE pairs (b text, v int, a int, PRIMARY KEY (a, b));
CREATE TABLE whole (id int PRIMARY KEY, body text);
ALTER TABLE whole ALTER body SET STORAGE EXTERNAL;
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE "odd ""one"."a bag%" ("key" text, n int);
ALTER TABLE "odd ""one"."a bag%" REPLICA IDENTITY FULL;
CREATE TABLE lines (m text);
CREATE TABLE codes (id int PRIMARY KEY, code text NOT NULL UNIQUE, big text);
ALTER TABLE codes ALTER big SET STORAGE EXTERNAL;
ALTER TABLE codes REPLICA IDENTITY USING INDEX codes_code_key;
CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (50);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (50) TO (100000);
CREATE TABLE empty (id int PRIMARY KEY);
CREATE PUBLICATION pub FOR ALL TABLES;
"""
TABLES = {
    "public.orders": ("id",),
    "public.pairs": ("b", "a"),
    "public.whole": ("id",),
    'odd "one.a bag%': (),
    "public.lines": (),
    "public.codes": ("id",),
    "public.parted_low": ("id",),
    "public.parted_high": ("id",),
    "public.empty": ("id",),
}
"""Their keys, by columns in the order of the table; none where the rows have none."""
_BAG = '"odd ""one"."a bag%"'


class Work:
    """Statements that are drawn from a seed, each step a transaction or several."""

    def __init__(self, server: Server, seed: int) -> None:
        import psycopg

        self.random = random.Random(seed)
        self.server = server
        self._connection = psycopg.connect(conninfo(server), autocommit=True)
        self._number = 0
        self._columns = 0
        self._steps: list[Callable[[], str]] = [
            self._orders, self._orders, self._orders, self._keys, self._pairs, self._whole, self._bag, self._bag,
            self._codes, self._codes, self._parted, self._rollback, self._several, self._lines, self._message,
        ]  # fmt: skip

    def __call__(self, sql: str) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self._connection.close()

    def step(self) -> None:
        """Do some work. What breaks a rule of the tables is rolled back by the server, as it would be."""
        import psycopg

        try:
            self(self.random.choice(self._steps)())
        except psycopg.IntegrityError:
            self("ROLLBACK")
        if self.random.random() < 0.03:
            self(self._truncate())
        if self.random.random() < 0.03:
            self._alter()

    def _id(self) -> int:
        return self.random.randrange(60)

    def _text(self) -> str:
        self._number += 1
        kinds = [f"t{self._number}", "'' \\ \t\n\r Ωß😀", "", "x" * 40 * self.random.randrange(1, 100) * 2, "a/b%2F"]
        return self.random.choice(kinds)

    def _value(self, column: str) -> str:
        r = self.random
        values: dict[str, Callable[[], str]] = {
            "total": lambda: r.choice(["NULL", "0", "-0.05", "12345678.90", f"{r.randrange(10**6)}.5", "'NaN'"]),
            "note": lambda: r.choice(["NULL", f"'{self._text()}'", f"'{self._text()}'"]),
            "status": lambda: r.choice(["NULL", "'fine'", "'\"so\"'"]),
            "due": lambda: r.choice(["NULL", "'2024-02-29'", "'infinity'", "'0044-03-15 BC'"]),
            "at": lambda: r.choice(["NULL", "'2024-03-31 02:30:00.123456+02'", "'infinity'", "now()"]),
            "tags": lambda: r.choice(["NULL", "'{}'", "ARRAY['a', NULL, 'b,\"c']"]),
            "js": lambda: r.choice(["NULL", '\'{"a": 1.10, "b": null}\'', "'null'", "'[1, 2]'"]),
            "raw": lambda: r.choice(["NULL", "'\\x'", "'\\xdeadbeef00'"]),
            "ok": lambda: r.choice(["NULL", "true", "false"]),
            "few": lambda: r.choice(["NULL", "7", "-3"]),
            "f": lambda: r.choice(["NULL", "1e300", "0.1", "'Infinity'", "-0.0", "1e-300"]),
        }
        return values[column]()

    def _orders(self) -> str:
        names = ["total", "note", "status", "due", "at", "tags", "js", "raw", "ok", "few", "f"]
        if self.random.random() < 0.4:
            listed = ", ".join(self._value(name) for name in names)
            return f"INSERT INTO orders (id, {', '.join(names)}) VALUES ({self._id()}, {listed})"
        if self.random.random() < 0.2:
            return f"DELETE FROM orders WHERE id = {self._id()}"
        sets = ", ".join(f"{name} = {self._value(name)}" for name in self.random.sample(names, 3))
        return f"UPDATE orders SET {sets} WHERE id % 7 = {self.random.randrange(7)}"

    def _keys(self) -> str:
        if self.random.random() < 0.3:
            return "UPDATE orders SET id = id + 1000"
        return f"UPDATE orders SET id = {self._id()} WHERE id = (SELECT id FROM orders ORDER BY id LIMIT 1)"

    def _pairs(self) -> str:
        a, b, v = self.random.randrange(4), self.random.choice(["x", "y/z", "%", ""]), self.random.randrange(9)
        return self.random.choice(
            [
                f"INSERT INTO pairs VALUES ('{b}', {v}, {a})",
                f"UPDATE pairs SET v = {v} WHERE a = {a}",
                f"UPDATE pairs SET b = '{b}' WHERE a = {a} AND v < 5",
                f"DELETE FROM pairs WHERE b = '{b}'",
            ]
        )

    def _whole(self) -> str:
        return self.random.choice(
            [
                f"INSERT INTO whole VALUES ({self._id()}, '{self._text()}')",
                f"INSERT INTO whole SELECT i, repeat('b', 3000) FROM generate_series({self._id()} + 100, 162) i",
                f"UPDATE whole SET id = id + 500 WHERE id % 3 = {self.random.randrange(3)}",
                f"UPDATE whole SET body = '{self._text()}' WHERE id % 3 = {self.random.randrange(3)}",
                f"DELETE FROM whole WHERE id % 5 = {self.random.randrange(5)}",
            ]
        )

    def _bag(self) -> str:
        key, n = self.random.choice(["'a'", "'b'", "NULL"]), self.random.choice(["1", "2", "NULL"])
        one = f"(SELECT ctid FROM {_BAG} ORDER BY ctid LIMIT 1)"
        return self.random.choice(
            [
                f"INSERT INTO {_BAG} VALUES ({key}, {n}), ({key}, {n})",
                f"UPDATE {_BAG} SET n = {n} WHERE ctid = {one}",
                f"UPDATE {_BAG} SET n = n WHERE n = 1",
                f"DELETE FROM {_BAG} WHERE ctid = {one}",
            ]
        )

    def _codes(self) -> str:
        number, code = self._id() % 12, f"c{self.random.randrange(15)}"
        return self.random.choice(
            [
                f"INSERT INTO codes VALUES ({number}, '{code}', '{self._text()}')",
                f"INSERT INTO codes VALUES ({number}, '{code}', repeat('g', 3000))",
                f"UPDATE codes SET code = '{code}' WHERE id = {number}",
                f"UPDATE codes SET id = {number} WHERE code = '{code}'",
                f"UPDATE codes SET id = {number}, code = '{code}' WHERE id = {self._id() % 12}",
                f"DELETE FROM codes WHERE code = '{code}'",
            ]
        )

    def _parted(self) -> str:
        return self.random.choice(
            [
                f"INSERT INTO parted VALUES ({self._id()}, '{self._text()}')",
                f"UPDATE parted SET id = id + 30 WHERE id = {self._id()}",
                f"DELETE FROM parted WHERE id % 9 = {self.random.randrange(9)}",
            ]
        )

    def _rollback(self) -> str:
        lost = self._orders()
        if self.random.random() < 0.5:
            return f"BEGIN; {lost}; {self._bag()}; ROLLBACK"
        return f"BEGIN; {self._bag()}; SAVEPOINT a; {self._lines()}; ROLLBACK TO a; {self._lines()}; COMMIT"

    def _several(self) -> str:
        return f"BEGIN; {self._bag()}; {self._lines()}; UPDATE orders SET ok = NOT ok; {self._whole_delete()}; COMMIT"

    def _whole_delete(self) -> str:
        return f"DELETE FROM whole WHERE id = {self._id()}"

    def _lines(self) -> str:
        return f"INSERT INTO lines VALUES ('{self._text()}')"

    def _message(self) -> str:
        inside = self.random.choice(["true", "false"])
        return f"SELECT pg_logical_emit_message({inside}, 'p', 'c{self.random.random()}')"

    def _truncate(self) -> str:
        return self.random.choice(
            ["TRUNCATE orders", f"TRUNCATE {_BAG}, whole", "TRUNCATE lines", "TRUNCATE codes, pairs", "TRUNCATE parted"]
        )

    def _alter(self) -> None:
        """Change the columns of orders, and then write all its rows: no change tells what the server did to them."""
        self._columns += 1
        added = f"extra{self._columns}"
        for sql in (
            f"ALTER TABLE orders ADD COLUMN {added} text DEFAULT 'new'",
            "UPDATE orders SET ok = ok",
            f"ALTER TABLE orders ALTER {added} DROP DEFAULT, ALTER {added} TYPE int USING length({added})",
            f"UPDATE orders SET {added} = {added} + 1",
            f"ALTER TABLE orders DROP COLUMN {added}" if self.random.random() < 0.5 else "SELECT 1",
            "UPDATE orders SET ok = ok",
        ):
            self(sql)


def conninfo(server: Server) -> str:
    return f"host={server.folder} user={USER} dbname=postgres"


def url(server: Server, slot: str = "s") -> str:
    return f"postgres://{USER}@/postgres?host={server.folder}&slot={slot}&publication=pub"


@contextmanager
def working(server: Server, seed: int) -> Iterator[Work]:
    """Make the tables and a slot that tells what was done to them in all, `told`."""
    work = Work(server, seed)
    for sql in SCHEMA.split(";"):
        if sql.strip():
            work(sql)
    work("SELECT pg_create_logical_replication_slot('told', 'pgoutput')")
    try:
        yield work
    finally:
        work.close()


def told(work: Work, *, whole: bool = False) -> list[bytes]:
    """Return the records of all that was done, as one session reads them from a slot of its own.

    `whole`: those of tables too.
    """
    rows = work(
        "SELECT data FROM pg_logical_slot_peek_binary_changes('told', NULL, NULL, 'proto_version', '1', "
        "'publication_names', 'pub', 'messages', 'true')"
    )
    keys = {oid: key for table, key in TABLES.items() for ((oid,),) in [work(_oid(table))]}
    read = Transactions(ReadUpTo(0), 0, Records(lambda relation: keys.get(relation.oid, ())), "told")
    found = [row.raw for (data,) in rows for row in read.take(bytes(data))]
    if whole:
        return found
    return [raw for raw in found if not raw.startswith(b'{"action":"R"')]


def _oid(table: str) -> str:
    schema, _, name = table.partition(".")
    of = "pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    return f"SELECT c.oid FROM {of} WHERE nspname = '{schema}' AND relname = '{name}'"


def kept(folder: Path) -> list[bytes]:
    """Return the records of changes in a store, in order."""
    raws = good("export", "--raw", "--source", "postgres:postgres/s", cwd=folder).out.splitlines(keepends=True)
    return [raw for raw in raws if not raw.startswith((b'{"action":"R"', b'{"action":"S"'))]


def assert_states_are_the_tables(work: Work, folder: Path) -> None:
    """Compare the states of a store with the server's own tables, value by value."""
    rows = good("replay", "-f", "jsonl", cwd=folder).text.splitlines()
    found: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for line in rows:
        told = json.loads(line, parse_float=Decimal)
        table = max((name for name in TABLES if told["entity"].startswith(f"{name}/")), key=len)
        found[table].append(told["state"])
    for table, key in TABLES.items():
        schema, _, name = table.partition(".")
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))
        columns = [
            column
            for (column,) in work(
                "SELECT attname FROM pg_attribute WHERE attrelid = "
                f"'{quoted}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            )
        ]
        listed = ", ".join(f'"{column}"::text' for column in columns)
        expected = Counter(tuple(map(_plain, row)) for row in work(f"SELECT {listed} FROM {quoted}"))
        actual: Counter[tuple[Any, ...]] = Counter()
        for state in found[table]:
            actual[tuple(_plain(state.get(column)) for column in columns)] += int(state.get("_copies", 1))
        missing, extra = expected - actual, actual - expected
        assert not missing, (table, list(missing)[:3], list(extra)[:3])
        assert not extra, (table, list(extra)[:3])
        assert not key or len(found[table]) == sum(expected.values())


def _plain(value: Any) -> Any:
    """Return a value as text in one form, whoever wrote it: the server, or esctl as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return f"n{Decimal(value).normalize():f}" if value else "n0"
    if isinstance(value, str):
        try:
            number = Decimal(value)
        except ArithmeticError:
            return value
        return (f"n{number.normalize():f}" if number else "n0") if number.is_finite() else value
    return value
