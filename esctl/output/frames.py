"""Answers as Python values and Arrow tables, for notebooks."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from esctl.output.cells import text_sql
from esctl.output.rows import Row, pieces
from esctl.output.selection import select_columns
from esctl.output.target import Target
from esctl.output.writers.columnar import record_batches
from esctl.output.writing import write
from esctl.output.zone import zone_called

if TYPE_CHECKING:
    import pyarrow as pa

    from esctl.model import Answer, Column


_KEPT = 16 << 20
"""The most bytes of rows that are kept in memory and not in a file."""


def to_arrow(answer: Answer) -> pa.Table:
    """Return an answer as an Arrow table, with a column per field of a state; times are timestamp[us, UTC]."""
    import pyarrow as pa

    selection = select_columns(answer, Target("arrow"))
    answer.prepare(selection.sql)
    with record_batches(selection, answer.session.connection, None) as (schema, batches):
        return pa.Table.from_batches(list(batches), schema)


def to_rows(answer: Answer, tz: str = "UTC") -> list[dict[str, Any]]:
    """Return an answer as the dicts that JSON Lines hold, times in a zone; numbers with a fraction are Decimal."""
    buffer = io.BytesIO()
    write(answer, Target("jsonl", buffer, tz=tz))
    return [json.loads(line, parse_float=Decimal) for line in buffer.getvalue().splitlines()]


def to_texts(
    answer: Answer, limit: int, tz: str = "UTC", *, rfc3339: bool = False
) -> tuple[tuple[Column, ...], list[Row]]:
    """Return the columns and first rows of an answer as a table shows them, a column per field of a state.

    A cell without a value is None. `rfc3339`: times as in JSON.
    """
    selection = select_columns(answer, Target("csv"))
    answer.prepare(selection.sql)
    zone = zone_called(tz)
    texts = [text_sql(expr, column, zone, rfc3339=rfc3339) for expr, column in selection.cells]
    with pieces(answer.session.connection, selection.select(texts, limit)) as found:
        return selection.columns, [row for piece in found for row in piece]


def iterate_rows(answer: Answer) -> Iterator[dict[str, Any]]:
    """Yield the rows of `to_rows` one by one, from a temporary file: other questions can be asked meanwhile."""
    with tempfile.SpooledTemporaryFile(_KEPT, dir=answer.session.folder) as buffer:
        write(answer, Target("jsonl", cast(BinaryIO, buffer)))
        buffer.seek(0)
        for line in buffer:
            yield json.loads(line, parse_float=Decimal)
