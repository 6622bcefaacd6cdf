"""Run a SELECT and hand its rows on in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from esctl.engine.duckdb import explained

_PIECE = 1 << 20  # characters
_MOST_ROWS = 8192

Row = tuple[str | None, ...]


@contextmanager
def pieces(connection: Any, sql: str) -> Iterator[Iterator[list[Row]]]:
    """Run `sql`, whose columns are all VARCHAR, and yield its rows in lists of about a megabyte.

    The first list is small, so that a reader sees the first rows at once. On leaving, the connection is free again,
    whether all rows were read or not. Raises what DuckDB reports about the data as EsctlError.
    """
    try:
        with explained():
            connection.execute(sql)
        yield _fetch_pieces(connection)
    finally:
        connection.abort()


def _fetch_pieces(connection: Any) -> Iterator[list[Row]]:
    size = 64
    while True:
        with explained():
            rows: list[Row] = connection.fetchmany(size)
        if not rows:
            return
        yield rows
        length = sum([len(cell) for row in rows for cell in row if cell is not None])
        size = max(1, min(_MOST_ROWS, size * 8, _PIECE * len(rows) // (length + 1)))
