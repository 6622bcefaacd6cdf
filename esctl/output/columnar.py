"""Arrow record batches of an answer: what the Parquet and Arrow writers have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from esctl.engine.duckdb import explain, explained, relational
from esctl.output.cells import arrow_sql
from esctl.output.selection import Selection

_BATCH_ROWS = 65_536


@contextmanager
def record_batches(selection: Selection, connection: Any, limit: int | None) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Run the answer and give its Arrow schema (times are timestamp[us, UTC]) and its batches, as they come."""
    import pyarrow as pa

    connection = relational(connection)
    with explained():
        types = [str(kind) for kind in connection.sql(selection.select([expr for expr, _ in selection.cells], 0)).types]
        expressions = [
            arrow_sql(expr, column, kind) for (expr, column), kind in zip(selection.cells, types, strict=True)
        ]
        reader = connection.sql(selection.select(expressions, limit)).to_arrow_reader(_BATCH_ROWS)
    try:
        fields = [
            pa.field(column.name, pa.timestamp("us", tz="UTC") if column.kind == "time" else field.type)
            for column, field in zip(selection.columns, reader.schema, strict=True)
        ]
        schema = pa.schema(fields)
        yield schema, _cast(reader, schema)
    finally:
        reader.close()


def _cast(reader: Any, schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:  # how DuckDB's own errors come through Arrow
            raise explain(error) from error
        arrays = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
