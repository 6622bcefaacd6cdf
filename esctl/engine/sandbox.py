"""The child process that a user's SQL runs in: it can read the files that the request names, and nothing else.

Run as `python -P -m esctl.engine.sandbox` by `esctl.engine.isolated`: a request as JSON on stdin, rows as Parquet on
stdout, one JSON document on stderr: the columns, or what went wrong.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.engine.duckdb import connect
from esctl.engine.plain import Kind, plain_value
from esctl.engine.quoting import text_list

if TYPE_CHECKING:
    import duckdb

FAILED = 3
"""Exit code of a query that DuckDB reports an error for."""
ROOM, ROOM_PER_CORE = 1 << 30, 256 << 20
"""Address space beyond the memory that is used: code, stacks, and what allocators reserve for each thread."""

_OUTPUT = "/dev/stdout"
_LONGEST_TEXT = 8000  # of an error: it fits into a pipe that nobody reads yet


class Request(Struct, frozen=True):
    """What to run: statements that make the relations, the SELECT, and the limits."""

    setup: tuple[str, ...]
    query: str  # as a subquery
    paths: tuple[str, ...]  # all that may be read
    memory: int  # bytes
    seconds: int  # of processor time
    rows: int | None


def main() -> None:
    """Answer one request."""
    # An interrupt is the parent's to answer: it ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import duckdb

    request = Request(**json.load(sys.stdin.buffer))
    try:
        limit_process(request)
        report: Any = _write(open_locked(request), request)
    except (duckdb.Error, MemoryError, RecursionError, OSError) as error:
        report = {"type": type(error).__name__, "text": str(error)[:_LONGEST_TEXT]}
    sys.stderr.write(json.dumps(report))
    sys.stderr.flush()
    # Do not wait for what is left of a failed query.
    os._exit(0 if isinstance(report, list) else FAILED)


def limit_process(request: Request) -> None:
    """Limit the resources of this process; it cannot make any file grow."""
    bounds = {
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: request.seconds,
        resource.RLIMIT_AS: _address_space() + ROOM + ROOM_PER_CORE * (os.cpu_count() or 1) + request.memory,
    }
    for kind, most in bounds.items():
        hard = resource.getrlimit(kind)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):  # macOS bounds no address space
            resource.setrlimit(kind, (least, least))


def _address_space() -> int:
    """Return the bytes of address space in use already; 4 GiB if that is not known."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 4 << 30


def open_locked(request: Request) -> duckdb.DuckDBPyConnection:
    """Open DuckDB with access to the files of the request alone, make the relations, and lock the settings."""
    connection = connect(f"{request.memory}")
    connection.execute("SET temp_directory=''")
    connection.execute("SET python_enable_replacements=false")
    connection.execute(f"SET allowed_paths={text_list([*request.paths, _OUTPUT])}")
    connection.execute("SET enable_external_access=false")
    for statement in request.setup:
        connection.execute(statement)
    connection.execute("SET lock_configuration=true")
    return connection


def _write(connection: duckdb.DuckDBPyConnection, request: Request) -> list[tuple[str, Kind]]:
    """Write the rows to stdout as columns c0, c1, ...; return the name and kind of each."""
    relation = connection.sql(request.query)
    cells = [plain_value(f"c{i}", kind) for i, kind in enumerate(relation.types)]
    items = ", ".join(f"{cell.sql} AS c{i}" for i, cell in enumerate(cells))
    columns = ", ".join(f"c{i}" for i in range(len(cells)))
    limit = "" if request.rows is None else f" LIMIT {int(request.rows)}"
    rows = f"SELECT {items} FROM ({request.query}) r({columns}){limit}"
    connection.execute(f"COPY ({rows}) TO '{_OUTPUT}' (FORMAT parquet)")
    return [(name, cell.kind) for name, cell in zip(_make_unique(relation.columns), cells, strict=True)]


def _make_unique(names: Iterable[str]) -> list[str]:
    """Return the names, made unique by appended numbers."""
    taken: dict[str, Any] = {}
    for name in names:
        number, candidate = 1, name
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken[candidate] = None
    return list(taken)


if __name__ == "__main__":
    main()
