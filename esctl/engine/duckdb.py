"""Open DuckDB. No other module does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.engine import interrupts
from esctl.engine.sizes import parse_size
from esctl.errors import EsctlError, InputError, OutOfMemoryError, UsageError

if TYPE_CHECKING:
    import duckdb

EVENT_ERROR = "esctl-event:"
"""Start of the message of an `error()` call inside a compiled query; what follows is for the user."""
DUCKDB_SHARE = 0.7
"""DuckDB's share of the memory that a process may use; records and Arrow tables need the rest."""
HINT = "\x1f"
"""Separates the message of an `EVENT_ERROR` from its hint."""
CLOSED = ("the store was closed", "ask before it is: with Store.open() as store: ...")
"""The message and hint for a question that is asked after the store was closed."""


class Session(Struct, frozen=True):
    """One DuckDB connection for the questions of one command."""

    connection: duckdb.DuckDBPyConnection
    folder: Path  # temporary files of this session

    def new_parquet(self) -> Path:
        """Return the path of a temporary file to be written: `esctl sql` may read those that end in `.parquet`."""
        import secrets

        return self.folder / f"{secrets.token_hex(8)}.parquet"

    def close(self) -> None:
        """End the connection, and remove the temporary files."""
        import shutil

        self.connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def open_session(memory_limit: str | None = None, threads: int | None = None, *, lean: bool = False) -> Session:
    """Open a session for one command; DuckDB spills to a temporary folder that is removed when the process ends.

    `lean`: the connection only runs SQL; `relational` adds DuckDB's relations (`sql`, `register`, Arrow) to it.
    """
    import atexit
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="esctl-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    connection = _connect(_duckdb_module(), memory_limit, threads, folder)
    return Session(connection if lean else relational(connection), folder)


_SETTINGS = "SET TimeZone='UTC'; SET enable_progress_bar=false; SET parquet_metadata_cache=true"
"""Settings of each connection and cursor.

After two seconds a bar would be written to stdout, among the data. Footers are read once: index files never change.
"""


def connect(
    memory_limit: str | None = None, threads: int | None = None, temporary: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with UTC as its zone and no extension that is not built in.

    `memory_limit` ("1GiB") is meant for the process: DuckDB gets `DUCKDB_SHARE` of it. It may spill to `temporary`.
    Raises UsageError for a memory limit that is not a size.
    """
    return relational(_connect(_duckdb_module(), memory_limit, threads, temporary))


def relational(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Return a session's connection with DuckDB's relations, registered tables and Arrow."""
    import duckdb  # noqa: F401  # puts them into the connection's class

    return connection


def _duckdb_module() -> Any:
    """Return DuckDB's compiled module: loading the Python package takes longer than a small question."""
    try:
        import _duckdb
    except ImportError:
        import duckdb

        return duckdb
    return _duckdb


CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}


def duckdb_version() -> str:
    """Return the version of DuckDB."""
    return str(_duckdb_module().__version__)


class _Opening(Thread):
    """A thread that opens a connection, which stays None if that fails."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.connection: duckdb.DuckDBPyConnection | None = None

    def run(self) -> None:
        with suppress(Exception):  # whoever needs the connection tries again, and sees why
            self.connection = _duckdb_module().connect(config=CONFIG)


_openings: list[_Opening] = []


def open_ahead() -> None:
    """Open DuckDB in a thread, for the first session: it takes as long as loading the modules of a question."""
    if _openings:
        return
    opening = _Opening()
    with suppress(RuntimeError):  # no more threads
        opening.start()
        _openings[:] = [opening]


def _open_connection(module: Any) -> duckdb.DuckDBPyConnection:
    with suppress(IndexError):
        opening = _openings.pop()
        opening.join()
        if opening.connection is not None:
            return opening.connection
    opened: duckdb.DuckDBPyConnection = module.connect(config=CONFIG)
    return opened


def _connect(
    module: Any, memory_limit: str | None, threads: int | None, temporary: Path | None
) -> duckdb.DuckDBPyConnection:
    connection = _open_connection(module)
    interrupts.register(connection)
    connection.execute(_SETTINGS)
    if threads:
        connection.execute(f"SET threads={int(threads)}")
    if temporary is not None:
        connection.execute("SET temp_directory=?", [str(temporary)])
    if memory_limit:
        given = parse_size(memory_limit, "--memory-limit")
        connection.execute("SET memory_limit=?", [f"{int(given * DUCKDB_SHARE)}B"])
    return connection


def second_cursor(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Open a cursor to stream rows from while the connection runs other queries."""
    cursor = relational(connection).cursor()
    interrupts.register(cursor)
    cursor.execute(_SETTINGS)
    return cursor


def refusals() -> tuple[type[Exception], ...]:
    """Return the exceptions by which DuckDB's functions refuse a value, such as a text that is not JSON.

    UnicodeDecodeError is one, because the message shows the text's beginning, which may be cut within a character.
    """
    import duckdb

    return duckdb.InvalidInputException, UnicodeDecodeError


def single_row(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()
) -> tuple[Any, ...] | None:
    """Return the row of a query of at most one row, or None; all is fetched, as a rest would block the connection."""
    rows = connection.execute(sql, list(parameters)).fetchall()
    return rows[0] if rows else None


@contextmanager
def explained() -> Iterator[None]:
    """Turn DuckDB's errors about the data of a log into an EsctlError: one line that a person can act on."""
    try:
        yield
    except _duckdb_module().Error as error:
        raise explain(error) from error


def explain(error: Exception) -> EsctlError:
    """Return the EsctlError that explains an error of DuckDB to the user."""
    text = str(error)
    if EVENT_ERROR in text:
        message, _, hint = text.split(EVENT_ERROR, 1)[1].partition(HINT)
        return UsageError(message.strip(), hint.strip())
    first = text.splitlines()[0] if text else type(error).__name__
    if "Connection already closed" in text or "Connection has already been closed" in text:
        return UsageError(*CLOSED)
    if "Out of Memory" in text:
        return OutOfMemoryError(f"not enough memory: {first}", "give more with --memory-limit")
    if "IO Error" in text or ".parquet'" in first:
        return InputError(f"cannot read the index: {first}", "rebuild it with: esctl reindex")
    return EsctlError(f"DuckDB: {first}", "this is a bug in esctl: run it again with --debug and report what it shows")
