"""Rows that were read from a target, in a temporary file of the session that asked."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from esctl.engine.duckdb import Session
from esctl.engine.quoting import identifier, literal

ROWS = 4096
"""Rows that are moved between a target and the session at once."""


class Cursor(Protocol):
    """The rows of a query, as DB-API 2.0 has them (PEP 249)."""

    def fetchmany(self, size: int, /) -> list[Any]:
        """Return the next rows, none at the end."""


def fetch_pieces(rows: Cursor) -> Iterator[list[Any]]:
    """Yield the rows of a query, some at a time."""
    while piece := rows.fetchmany(ROWS):
        yield piece


def spool_rows(session: Session, names: Sequence[str], fetch_pieces: Iterable[Sequence[Sequence[Any]]]) -> str:
    """Write rows of texts to a temporary file of the session; return SQL that reads them, as in `Content`.

    The columns are named `names`; `version` and `position` are whole numbers, `time` is RFC 3339 in UTC.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = session.folder / f"{secrets.token_hex(8)}.parquet"
    plain = [f"c{number}" for number in range(len(names))]
    schema = pa.schema([(name, pa.string()) for name in plain])
    with pq.ParquetWriter(file, schema) as writer:
        for piece in fetch_pieces:
            columns = [pa.array(column, pa.string()) for column in zip(*piece, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    types = {"version": "BIGINT", "position": "BIGINT", "time": "TIMESTAMP"}
    items = [f"{_cast(name, types.get(text))} AS {identifier(text)}" for name, text in zip(plain, names, strict=True)]
    return f"SELECT {', '.join(items)} FROM read_parquet({literal(str(file))})"


def _cast(column: str, kind: str | None) -> str:
    if kind is None:
        return column
    return f"TRY_CAST(rtrim({column}, 'Z') AS {kind})"
