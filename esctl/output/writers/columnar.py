"""Arrow record batches of an answer: what the Parquet and Arrow writers have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from esctl.engine.duckdb import explain, explained, relational
from esctl.index.scan import read_json
from esctl.output.cells import arrow_sql, text_sql
from esctl.output.selection import Selection
from esctl.output.zone import UTC
from esctl.projection.query_reads import digits_sql
from esctl.projection.values import Shape

_BATCH_ROWS = 65_536


@contextmanager
def record_batches(selection: Selection, connection: Any, limit: int | None) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Run the answer; yield its Arrow schema (times are timestamp[us, UTC]) and its batches, as they come."""
    import pyarrow as pa

    connection = relational(connection)
    with explained():
        types = [str(kind) for kind in connection.sql(selection.select([expr for expr, _ in selection.cells], 0)).types]
        values = _typed_values(selection, connection, limit)
        expressions = [
            values.get(expr) or arrow_sql(expr, column, kind)
            for (expr, column), kind in zip(selection.cells, types, strict=True)
        ]
        reader = connection.sql(selection.select(expressions, limit)).to_arrow_reader(_BATCH_ROWS)
    try:
        fields = [
            pa.field(column.name, pa.timestamp("us", tz="UTC") if column.kind == "time" else field.type)
            for column, field in zip(selection.columns, reader.schema, strict=True)
        ]
        schema = pa.schema(fields)
        yield schema, _cast_batches(reader, schema)
    finally:
        reader.close()


def _typed_values(selection: Selection, connection: Any, limit: int | None) -> dict[str, str]:
    """Return the SQL that casts cells of kind "value" to decimal or boolean, by expression, if a whole column can be.

    Other columns are left out: they stay text.
    """
    cells = [(expr, text_sql(expr, column, UTC)) for expr, column in selection.cells if column.kind == "value"]
    if not cells:
        return {}
    named = [sql for expr, text in cells for sql in (read_json(expr, (), "type", marked=True), text)]
    rows = f"({selection.select(named, limit)}) t({', '.join(f'v{i}' for i in range(len(named)))})"
    items = [f"list(distinct nullif(v{2 * i}, 'NULL')), {digits_sql(f'v{2 * i + 1}')}" for i in range(len(cells))]
    found = connection.execute(f"select {', '.join(items)} from {rows}").fetchall()[0]
    typed = {}
    for i, (expr, text) in enumerate(cells):
        kinds, whole, scale = found[3 * i : 3 * i + 3]
        shape = Shape(max(whole or 1, 1), max(scale or 0, 0)).or_wide
        only = {kind for kind in kinds or () if kind is not None}
        if only == {"BOOLEAN"}:
            typed[expr] = f"cast({text} as boolean)"
        elif only == {"NUMBER"} and not shape.is_wide:
            typed[expr] = f"cast({text} as {shape.sql_type})"
    return typed


def _cast_batches(reader: Any, schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:  # as Arrow passes on DuckDB's errors
            raise explain(error) from error
        arrays = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
