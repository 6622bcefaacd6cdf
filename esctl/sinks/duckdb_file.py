"""Keep states in a table of a DuckDB file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from esctl.engine.attached import ALIAS, attach, detach, naming_file, transaction
from esctl.engine.duckdb import Session
from esctl.engine.quoting import identifier, literal
from esctl.errors import UsageError
from esctl.sinks import kept
from esctl.sinks.columns import Field
from esctl.sinks.kept import KeptProgress
from esctl.sinks.places import check_file
from esctl.sinks.protocol import EMPTY_CONTENT, Changes, Content, Progress
from esctl.sinks.tabular import Staged, content_sql, duckdb_type, stage

_PROGRESS = f"{ALIAS}.main.{kept.TABLE}"
_SELECT_IN_UTC = "SELECT * REPLACE (timezone('UTC', time) AS time) FROM"


class DuckdbFile:
    """A view in a table of a DuckDB file, its progress in the table `esctl_progress`; one transaction changes both."""

    def __init__(self, session: Session, path: Path, table: str, *, writing: bool) -> None:
        self._session = session
        self._path = path
        self._name = table
        self._table = f"{ALIAS}.main.{identifier(table)}"
        self._writing = writing
        self._made = False  # by us, with nothing in it yet
        self._attached = False
        self._kept: KeptProgress | None = None

    def __enter__(self) -> Self:
        """Attach the file; its lock keeps other processes out."""
        exists = check_file(self._path)
        check_file(self._path.with_name(f"{self._path.name}.wal"))
        if not exists and not self._writing:
            return self
        attach(self._session, self._path, writing=self._writing)
        self._attached, self._made = True, not exists
        try:
            self._read()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Detach the file; one that was made and never filled is removed."""
        if self._attached:
            detach(self._session)
            self._attached = False
        if self._made:
            with suppress(OSError):
                self._path.unlink()

    def progress(self) -> Progress | None:
        """Return the progress of the table; None if nothing is there yet."""
        return self._kept.read() if self._kept is not None else None

    def content(self) -> Content:
        """Return the rows of the table."""
        if self._kept is None:
            return EMPTY_CONTENT
        self._kept.read()
        sql = content_sql(self._table, self._kept.fields)
        with naming_file(self._path):
            self._session.connection.execute(f"SELECT * FROM ({sql}) LIMIT 0").fetchall()
        return Content(sql, self._kept.fields)

    def apply(self, changes: Changes, progress: Progress) -> None:
        """Change the rows and their progress in one transaction."""
        staged = stage(self._session, changes.rows)
        old = self._kept
        known, fresh = kept.start_from(old, whole=changes.whole)
        fields = staged.columns(known, duckdb_type, fresh=fresh)
        types = {field.column: duckdb_type(field) for field in fields}
        new = KeptProgress(progress, fields)
        with transaction(self._session, self._path):
            if fresh:
                self._run(f"DROP TABLE IF EXISTS {self._table}")
                self._run(f"CREATE TABLE {self._table} AS {_SELECT_IN_UTC} ({staged.cells(fields, types)})")
            else:
                self._replace_rows(staged, fields, types, len(known))
            self._run(f"CREATE TABLE IF NOT EXISTS {_PROGRESS} ({_columns()})")
            self._run(f"DELETE FROM {_PROGRESS} WHERE name = {literal(self._name)}")
            self._run(f"INSERT INTO {_PROGRESS} VALUES ({', '.join(map(literal, kept.to_row(self._name, new)))})")
        self._kept, self._made = new, False
        staged.discard()

    def drop(self) -> None:
        """Drop the table and its progress."""
        if self._kept is None:
            return
        with transaction(self._session, self._path):
            self._run(f"DROP TABLE IF EXISTS {self._table}")
            self._run(f"DELETE FROM {_PROGRESS} WHERE name = {literal(self._name)}")
        self._kept = None

    def _replace_rows(self, staged: Staged, fields: tuple[Field, ...], types: dict[str, str], known: int) -> None:
        for field in fields[known:]:
            self._run(f"ALTER TABLE {self._table} ADD COLUMN {identifier(field.column)} {types[field.column]}")
        self._run(
            f"DELETE FROM {self._table} WHERE (kind, entity) IN (SELECT kind, entity FROM ({staged.touched_sql}))"
        )
        self._run(f"INSERT INTO {self._table} BY NAME {_SELECT_IN_UTC} ({staged.cells(fields, types)})")

    def _read(self) -> None:
        with naming_file(self._path):
            self._kept = None
            if self._has(kept.TABLE):
                listed = ", ".join(kept.COLUMNS)
                found = self._run(f"SELECT {listed} FROM {_PROGRESS} WHERE name = {literal(self._name)}").fetchall()
                self._kept = kept.from_row(found[0], f"{self._path}/{self._name}") if found else None
            if self._kept is None and (self._has(self._name) or self._name == kept.TABLE):
                raise UsageError(
                    f"{self._path} has a {self._name} that is not a view of esctl", "name another table with --to"
                )

    def _has(self, name: str) -> bool:
        wanted = f"database_name = '{ALIAS}' AND lower({{}}_name) = lower({literal(name)})"
        found = self._run(
            f"SELECT 1 FROM duckdb_tables() WHERE {wanted.format('table')} "
            f"UNION ALL SELECT 1 FROM duckdb_views() WHERE {wanted.format('view')}"
        ).fetchall()
        return bool(found)

    def _run(self, sql: str) -> Any:
        return self._session.connection.execute(sql)


def _columns() -> str:
    types = {"position": "BIGINT", "fields": "JSON", "basis": "JSON"}
    return ", ".join(f"{name} {types.get(name, 'VARCHAR')}" for name in kept.COLUMNS)
