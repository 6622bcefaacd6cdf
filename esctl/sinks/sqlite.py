"""Keep states in a table of an SQLite file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from esctl.engine.duckdb import Session, explained
from esctl.engine.exact_text import time_text
from esctl.engine.quoting import identifier
from esctl.errors import InputError, UsageError
from esctl.sinks import kept
from esctl.sinks.columns import COLUMNS_AFTER, COLUMNS_BEFORE, Field
from esctl.sinks.kept import KeptProgress
from esctl.sinks.places import check_file
from esctl.sinks.protocol import EMPTY_CONTENT, Changes, Content, Progress
from esctl.sinks.spool import ROWS, fetch_pieces, spool_rows
from esctl.sinks.tabular import Staged, stage

_SIDE_FILES = ("-journal", "-wal", "-shm")


def column_type(field: Field) -> str:
    """Return the type of a field's column. SQLite has no exact decimals: these are text, with all their digits."""
    if field.is_integer:
        return "INTEGER"
    return "BOOLEAN" if field.kind == "boolean" else "TEXT"


class SqliteFile:
    """A view in a table of an SQLite file, its progress in the table `esctl_progress`; one transaction changes both."""

    def __init__(self, session: Session, path: Path, table: str, *, writing: bool) -> None:
        self._session = session
        self._path = path
        self._name = table
        self._table = identifier(table)
        self._writing = writing
        self._made = False  # by us, with nothing in it yet
        self._connection: sqlite3.Connection | None = None
        self._kept: KeptProgress | None = None

    def __enter__(self) -> Self:
        """Open the file; one that is written is locked until it is closed."""
        exists = check_file(self._path)
        for end in _SIDE_FILES:
            check_file(self._path.with_name(self._path.name + end))
        if "\0" in self._name:
            raise UsageError(f"no table of SQLite can be named {self._name!r}", "name another with --to")
        if not exists and not self._writing:
            return self
        # What a killed process left half done is rolled back by the next one, which has to write for that.
        reading = "rw" if os.access(self._path, os.W_OK) else "ro"
        address = f"{self._path.absolute().as_uri()}?mode={'rwc' if self._writing else reading}"
        self._made = not exists
        try:
            with self._explaining():
                self._connection = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None)
                self._connection.text_factory = lambda data: data.decode("utf-8", "replace")
                self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; one that was made and never filled is removed."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.rollback()
            self._connection.close()
            self._connection = None
        if self._made:
            with suppress(OSError):
                self._path.unlink()

    def progress(self) -> Progress | None:
        """Return the progress of the table; None if nothing is there yet."""
        return self._kept.read() if self._kept is not None else None

    def content(self) -> Content:
        """Return the rows of the table, after reading all of them."""
        if self._kept is None:
            return EMPTY_CONTENT
        self._kept.read()
        names = [*COLUMNS_BEFORE, *(field.column for field in self._kept.fields), *COLUMNS_AFTER]
        read = {field.column: _text_sql(field) for field in self._kept.fields}
        items = [read.get(name) or f"CAST({identifier(name)} AS TEXT)" for name in names]
        with self._explaining():
            rows = self._run(f"SELECT {', '.join(items)} FROM {self._table}")
            return Content(spool_rows(self._session, names, fetch_pieces(rows)), self._kept.fields)

    def apply(self, changes: Changes, progress: Progress) -> None:
        """Change the rows and their progress in one transaction."""
        staged = stage(self._session, changes.rows)
        old = self._kept
        known, fresh = kept.start_from(old, whole=changes.whole)
        fields = staged.columns(known, column_type, fresh=fresh)
        new = KeptProgress(progress, fields)
        with self._explaining():
            self._begin()
            try:
                self._write(staged, new, None if fresh else old)
                self._run("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._run("ROLLBACK")
                raise
        self._kept, self._made = new, False
        staged.discard()
        with suppress(sqlite3.Error):  # another writer may be quicker; the next change finds that
            self._run("BEGIN IMMEDIATE")

    def drop(self) -> None:
        """Drop the table and its progress."""
        if self._kept is None:
            return
        with self._explaining():
            self._begin()
            self._run(f"DROP TABLE IF EXISTS {self._table}")
            self._run(f"DELETE FROM {kept.TABLE} WHERE name = ?", [self._name])
            self._run("COMMIT")
        self._kept = None

    def _write(self, staged: Staged, new: KeptProgress, old: KeptProgress | None) -> None:
        if old is None:
            self._run(f"DROP TABLE IF EXISTS {self._table}")
            listed = ", ".join(f"{identifier(name)} {kind}" for name, kind in _columns(new.fields))
            self._run(f"CREATE TABLE {self._table} ({listed}, PRIMARY KEY (kind, entity))")
        else:
            for field in new.fields[len(old.fields) :]:
                self._run(f"ALTER TABLE {self._table} ADD COLUMN {identifier(field.column)} {column_type(field)}")
            for rows in self._rows(staged.removed_sql):
                self._many(f"DELETE FROM {self._table} WHERE kind = ? AND entity = ?", rows)
        columns = [name for name, _ in _columns(new.fields)]
        types = {"INTEGER": "BIGINT", "BOOLEAN": "BOOLEAN", "TEXT": "VARCHAR"}
        cells = staged.cells(new.fields, {field.column: types[column_type(field)] for field in new.fields})
        names, places = ", ".join(map(identifier, columns)), ", ".join("?" * len(columns))
        for rows in self._rows(f"SELECT * REPLACE ({time_text('time')} AS time) FROM ({cells})"):
            self._many(f"INSERT OR REPLACE INTO {self._table} ({names}) VALUES ({places})", rows)
        own = ", ".join(
            f"{name} {'INTEGER' if name == 'position' else 'TEXT'}{' PRIMARY KEY' * (name == 'name')}"
            for name in kept.COLUMNS
        )
        self._run(f"CREATE TABLE IF NOT EXISTS {kept.TABLE} ({own})")
        places = ", ".join("?" * len(kept.COLUMNS))
        self._run(f"INSERT OR REPLACE INTO {kept.TABLE} VALUES ({places})", kept.to_row(self._name, new))

    def _rows(self, sql: str) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query of the session, some at a time."""
        with explained():
            self._session.connection.execute(sql)
            while rows := self._session.connection.fetchmany(ROWS):
                yield rows

    def _begin(self) -> None:
        """Take the lock for writing, unless this process has it, and read the progress."""
        assert self._connection is not None
        if self._connection.in_transaction:
            return  # nobody else could write since it began
        self._run("BEGIN IMMEDIATE" if self._writing else "BEGIN")
        before = self._kept
        self._kept = None
        if self._has(kept.TABLE):
            found = self._run(f"SELECT {', '.join(kept.COLUMNS)} FROM {kept.TABLE} WHERE name = ?", [self._name])
            row = found.fetchone()
            self._kept = kept.from_row(row, f"{self._path}/{self._name}") if row is not None else None
        if self._kept is None and (self._has(self._name) or self._name == kept.TABLE):
            raise UsageError(
                f"{self._path} has a {self._name} that is not a view of esctl", "name another table with --to"
            )
        if before is not None and before != self._kept:
            raise InputError(f"{self._path} was written by another process meanwhile", "run it again")

    def _has(self, name: str) -> bool:
        return self._run("SELECT 1 FROM sqlite_master WHERE lower(name) = lower(?)", [name]).fetchone() is not None

    def _run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        assert self._connection is not None
        return self._connection.execute(sql, values)

    def _many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        assert self._connection is not None
        self._connection.executemany(sql, rows)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn SQLite's errors into InputErrors that name the file."""
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                hint = "wait until it is done, or stop it"
                raise InputError(f"{self._path} is being written by another process", hint) from error
            raise InputError(f"{self._path}: {error}", "it must be an SQLite file that you may write") from error


def _columns(fields: Sequence[Field]) -> list[tuple[str, str]]:
    return [
        ("entity", "TEXT NOT NULL"), ("kind", "TEXT NOT NULL"),
        *((field.column, column_type(field)) for field in fields),
        ("version", "INTEGER"), ("position", "INTEGER"), ("time", "TEXT"),
    ]  # fmt: skip


def _text_sql(field: Field) -> str:
    column = identifier(field.column)
    if field.kind == "boolean":
        return f"CASE {column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE CAST({column} AS TEXT) END"
    return f"CAST({column} AS TEXT)"
