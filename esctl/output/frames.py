"""An answer as values of Python and Arrow, for notebooks."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from esctl.output.selection import select_columns
from esctl.output.target import Target
from esctl.output.writers.columnar import record_batches
from esctl.output.writing import write

if TYPE_CHECKING:
    import pyarrow as pa

    from esctl.model import Answer


def to_arrow(answer: Answer) -> pa.Table:
    """Return an answer as an Arrow table, with a column per field of a state; times are timestamp[us, UTC]."""
    import pyarrow as pa

    selection = select_columns(answer, Target("arrow"))
    with record_batches(selection, answer.session.connection, None) as (schema, batches):
        return pa.Table.from_batches(list(batches), schema)


def to_rows(answer: Answer, tz: str = "UTC") -> list[dict[str, Any]]:
    """Return an answer as the dicts that JSON Lines hold, times in a zone; numbers with a fraction are Decimal."""
    buffer = io.BytesIO()
    write(answer, Target("jsonl", buffer, tz=tz))
    return [json.loads(line, parse_float=Decimal) for line in buffer.getvalue().splitlines()]
