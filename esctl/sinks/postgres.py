"""Keep states in a table of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from esctl.engine.duckdb import Session, explained, single_row
from esctl.engine.quoting import identifier
from esctl.errors import InputError, UsageError
from esctl.sinks import kept
from esctl.sinks.columns import COLUMNS_AFTER, COLUMNS_BEFORE, Field
from esctl.sinks.kept import KeptProgress
from esctl.sinks.protocol import EMPTY_CONTENT, Changes, Content, Progress
from esctl.sinks.spool import ROWS, fetch_pieces, spool_rows
from esctl.sinks.tabular import STAGED, Staged, stage

if TYPE_CHECKING:
    import psycopg

_LONGEST = 63
"""The most bytes of a name; PostgreSQL cuts off what is longer."""
_KEY = "kind, entity"


def column_type(field: Field) -> str:
    """Return the type of a field's column. A numeric holds every number exactly."""
    return {"number": "numeric", "boolean": "boolean", "json": "json"}.get(field.kind, "text")


class PostgresTable:
    """A view in a table of a database, its progress in `esctl_progress` of the schema; one transaction changes both."""

    def __init__(self, session: Session, address: str, table: str, *, writing: bool) -> None:
        self._session = session
        self._address = address
        self._schema, _, self._name = table.rpartition(".")
        self._prefix = f"{identifier(self._schema)}." if self._schema else ""
        self._table = f"{self._prefix}{identifier(self._name)}"
        self._progress = f"{self._prefix}{kept.TABLE}"
        self._where = f"the table {table} of the database"
        self._writing = writing
        self._connection: psycopg.Connection[Any] | None = None
        self._kept: KeptProgress | None = None

    def __enter__(self) -> Self:
        """Connect; a table that is written is locked until it is closed."""
        try:
            import psycopg
        except ImportError:
            raise UsageError("--to postgres://... needs psycopg", "pip install 'esctl-audit[postgres]'") from None
        if "\0" in self._table or max(len(self._name.encode()), len(self._schema.encode())) > _LONGEST:
            raise UsageError(f"{self._where}: PostgreSQL has no such names", f"give one of at most {_LONGEST} bytes")
        try:
            with self._explaining():
                self._connection = psycopg.connect(self._address, application_name="esctl", client_encoding="UTF8")
                self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; what was not committed is rolled back."""
        if self._connection is not None:
            import psycopg

            with suppress(psycopg.Error):  # the connection may be lost
                self._connection.rollback()  # else the lock outlives the connection for a while
            self._connection.close()
            self._connection = None

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
        read["time"] = "to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
        items = [read.get(name) or f"{identifier(name)}::text" for name in names]
        with self._explaining(), self._cursor("esctl_rows") as cursor:
            cursor.execute(f"SELECT {', '.join(items)} FROM {self._table}".encode())
            return Content(spool_rows(self._session, names, fetch_pieces(cursor)), self._kept.fields)

    def apply(self, changes: Changes, progress: Progress) -> None:
        """Change the rows and their progress in one transaction."""
        staged = stage(self._session, changes.rows)
        known, fresh = kept.start_from(self._kept, whole=changes.whole)
        fields = staged.columns(known, column_type, fresh=fresh, longest=_LONGEST)
        new = KeptProgress(progress, fields)
        assert self._connection is not None
        with self._explaining():
            try:
                self._begin()
                is_other = self._kept is not None and fresh and not self._is_as_made(known)
                if is_other:
                    self._run(f"DROP TABLE IF EXISTS {self._table}")
                if self._kept is None or is_other:
                    self._run(f"CREATE TABLE {self._table} ({_columns(fields)}, PRIMARY KEY ({_KEY}))")
                else:
                    self._alter(known, fields)
                self._replace_rows(staged, fields, whole=fresh)
                self._keep(new)
                self._connection.commit()
            except BaseException:
                self._connection.rollback()
                raise
        self._kept = new
        with self._explaining():
            self._begin()
        staged.discard()

    def drop(self) -> None:
        """Drop the table and its progress."""
        if self._kept is None:
            return
        assert self._connection is not None
        with self._explaining():
            self._run(f"DROP TABLE IF EXISTS {self._table}")
            self._run(f"DELETE FROM {self._progress} WHERE name = %s", [self._name])
            self._connection.commit()
            self._kept = None
            self._begin()

    def _begin(self) -> None:
        """Set the zone of the times and take the lock, both until the transaction ends, and read the progress.

        Raises InputError if another process has the lock, or wrote the table since it was read.
        """
        self._run("SET LOCAL TIME ZONE 'UTC'")  # else times are taken to be of the zone of the user or database
        if self._writing:
            lock = f"esctl:{self._schema}.{self._name}"
            free = self._run("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [lock]).fetchone()
            if free is None or not free[0]:
                raise InputError(f"{self._where} is being written by another process", "wait until it is done")
        before, self._kept = self._kept, None
        if self._has(kept.TABLE):
            listed = ", ".join(f"{name}::text" if name in ("basis", "fields") else name for name in kept.COLUMNS)
            row = self._run(f"SELECT {listed} FROM {self._progress} WHERE name = %s", [self._name]).fetchone()
            self._kept = kept.from_row(row, self._where) if row is not None else None
        if self._kept is None and (self._name == kept.TABLE or self._has(self._name)):
            raise UsageError(f"{self._where} is not a view of esctl", "name another with --to")
        if before is not None and before != self._kept:
            raise InputError(f"{self._where} was written by another process meanwhile", "run it again")

    def _has(self, name: str) -> bool:
        row = self._run("SELECT to_regclass(%s) IS NOT NULL", [f"{self._prefix}{identifier(name)}"]).fetchone()
        return bool(row and row[0])

    def _is_as_made(self, known: Sequence[Field]) -> bool:
        """Return whether the table still has all the columns that it was given."""
        listed = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
        there = {name for (name,) in self._run(listed, [self._table])}
        # Of one whose progress is damaged nobody knows which it was given.
        return bool(known) and there >= {*COLUMNS_BEFORE, *(field.column for field in known), *COLUMNS_AFTER}

    def _alter(self, known: Sequence[Field], fields: Sequence[Field]) -> None:
        """Change the table's columns from `known` to `fields`; one whose type changes is dropped and added again."""
        old = {field.column: field for field in known}
        stay = {f.column for f in fields if f.column in old and column_type(old[f.column]) == column_type(f)}
        parts = [f"DROP COLUMN {identifier(column)}" for column in old if column not in stay]
        parts += [f"ADD COLUMN {identifier(f.column)} {column_type(f)}" for f in fields if f.column not in stay]
        if parts:
            self._run(f"ALTER TABLE {self._table} {', '.join(parts)}")

    def _replace_rows(self, staged: Staged, fields: Sequence[Field], *, whole: bool) -> None:
        """Replace rows by the staged ones; `whole`: delete all others."""
        columns = [identifier(name) for name in (*COLUMNS_BEFORE, *(f.column for f in fields), *COLUMNS_AFTER)]
        listed = ", ".join(columns)
        self._run(f"CREATE TEMP TABLE esctl_new ON COMMIT DROP AS SELECT {listed} FROM {self._table} LIMIT 0")
        self._run("CREATE TEMP TABLE esctl_gone (kind text, entity text) ON COMMIT DROP")
        self._copy("esctl_new", columns, staged.cells(fields, {}))
        self._copy("esctl_gone", ["kind", "entity"], staged.removed_sql)
        self._run("ANALYZE esctl_new")
        if whole:
            # NOT IN searches its whole list for each row, if that is larger than work_mem.
            same = "n.kind = t.kind AND n.entity = t.entity"
            self._run(f"DELETE FROM {self._table} t WHERE NOT EXISTS (SELECT FROM esctl_new n WHERE {same})")
        self._run(f"DELETE FROM {self._table} WHERE ({_KEY}) IN (SELECT {_KEY} FROM esctl_gone)")
        sets = ", ".join(f"{column} = excluded.{column}" for column in columns[2:])
        put = f"INSERT INTO {self._table} ({listed}) SELECT {listed} FROM esctl_new"
        self._run(f"{put} ON CONFLICT ({_KEY}) DO UPDATE SET {sets}")

    def _copy(self, table: str, columns: Sequence[str], sql: str) -> None:
        with explained():
            self._session.connection.execute(sql)
            with (
                self._cursor() as cursor,
                cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as out,
            ):
                while rows := self._session.connection.fetchmany(ROWS):
                    for row in rows:
                        out.write_row(row)

    def _keep(self, new: KeptProgress) -> None:
        types = {"position": "bigint", "basis": "json", "fields": "json"}
        listed = ", ".join(f"{name} {types.get(name, 'text')}" for name in kept.COLUMNS)
        self._run(f"CREATE TABLE IF NOT EXISTS {self._progress} ({listed}, PRIMARY KEY (name))")
        places = ", ".join(["%s"] * len(kept.COLUMNS))
        self._run(f"DELETE FROM {self._progress} WHERE name = %s", [self._name])
        self._run(f"INSERT INTO {self._progress} VALUES ({places})", kept.to_row(self._name, new))

    def _run(self, sql: str, values: Sequence[Any] | None = None) -> psycopg.Cursor[Any]:
        assert self._connection is not None
        return self._connection.execute(sql.encode(), values)

    def _cursor(self, name: str = "") -> Any:
        assert self._connection is not None
        return self._connection.cursor(name) if name else self._connection.cursor()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn the errors of the database into ours, with no address in them: it may hold a password."""
        import psycopg

        try:
            yield
        except psycopg.DataError as error:
            if "NUL" in str(error):
                entity = self._entity_with_nul()
                raise UsageError(
                    f"{self._where} cannot hold the states of {entity}: PostgreSQL has no text with NUL",
                    "keep them in another kind of target",
                ) from error
            raise self._failure(error) from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise self._failure(error, "others changed it; to make it anew: esctl view rebuild") from error
        except psycopg.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception, hint: str = "look at --to") -> InputError:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return InputError(f"{self._where}: {lines[0] if lines else 'it cannot be reached'}", hint)

    def _entity_with_nul(self) -> str:
        """Name the first staged entity whose state or name has a NUL."""
        tests = " OR ".join(f"contains({text}, chr(0))" for text in ("entity", "kind"))
        sql = f"SELECT to_json(entity)::VARCHAR FROM {STAGED} WHERE {tests} OR contains(state, '\\u0000')"
        row = single_row(self._session.connection, f"{sql} ORDER BY 1 LIMIT 1")
        return str(row[0]) if row is not None else "some entity"


def _columns(fields: Sequence[Field]) -> str:
    listed = [f"{identifier(field.column)} {column_type(field)}" for field in fields]
    own = ["version bigint", "position bigint", "time timestamptz"]
    return ", ".join(["entity text NOT NULL", "kind text NOT NULL", *listed, *own])


def _text_sql(field: Field) -> str:
    column = identifier(field.column)
    if field.kind == "number":
        return f"trim_scale({column})::text"
    return f"{column}::text"
