"""Temporary Parquet files of rows that are made in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Any

from esctl.ask.scope.lookups import Spooled
from esctl.ask.scope.scope import Scope
from esctl.engine.quoting import text_list

BATCH = 5000


def spool_rows(
    scope: Scope, schema: Any, rows: Callable[[], Iterable[tuple[Any, ...]]], names: Set[str] = frozenset()
) -> tuple[str, frozenset[str]]:
    """Write rows to a temporary Parquet file, in bounded memory. Return the SQL that reads them, and names.

    `names`: a set that is filled while the rows are made; what is in it then is returned.
    """

    def make() -> Spooled:
        path = _write_rows(scope, schema, rows())
        return Spooled(path, frozenset(names))

    parts = scope.lookups.spool(make)
    had = frozenset[str]().union(*(part.names for part in parts))
    return f"SELECT * FROM read_parquet({text_list([str(part.path) for part in parts])})", had


def _write_rows(scope: Scope, schema: Any, rows: Iterable[tuple[Any, ...]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = scope.session.new_parquet()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        held: list[tuple[Any, ...]] = []
        for row in rows:
            held.append(row)
            if len(held) >= BATCH:
                writer.write_table(_table(pa, schema, held))
                held = []
        writer.write_table(_table(pa, schema, held))
    return path


def _table(pa: Any, schema: Any, rows: list[tuple[Any, ...]]) -> Any:
    columns = zip(*rows, strict=True) if rows else [() for _ in schema]
    return pa.table(
        [pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
