"""The first records of a source as plain values, for the detection of its mapping."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from itertools import repeat
from typing import TYPE_CHECKING, Any

from esctl.index.decode.surrounded import surrounded
from esctl.log.store_state import StoreState
from esctl.model import MESSAGE, Cursor

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.index.decode.exact_json import Judged

MOST_BRACKETS = 900
"""Python's JSON parser recurses; texts with more brackets than this might be nested too deep for it."""


def sample_values(
    snapshot: StoreState, cursor: Cursor, first: int, count: int, connection: duckdb.DuckDBPyConnection
) -> list[Any]:
    """Return the valid records among `count` from position `first` on, parsed."""
    from esctl.index.decode.exact_json import judge
    from esctl.log.reader import read_table

    if cursor.format == MESSAGE:
        from functools import partial

        from esctl.index.decode.exact_json import Judged
        from esctl.index.decode.framed import schemas_in, with_decoded_keys
        from esctl.index.decode.log_rows import judge_rows

        schemas = partial(schemas_in, snapshot)
        rows = read_table(snapshot, first, min(first + count - 1, snapshot.head)).combine_chunks()
        rows = with_decoded_keys(rows, lambda _: cursor, schemas)
        found = judge_rows(connection, rows, lambda _: cursor, schemas)
        whole = (column.combine_chunks() for column in (found.text, found.invalid, found.marked))
        return sample_messages(connection, Judged(*whole), rows)
    table = read_table(snapshot, first, min(first + count - 1, snapshot.head), ["raw", "headers"])
    return [
        value
        for batch in table.to_batches()
        for value in parsed(judge(batch["raw"], cursor, connection).text, batch["headers"])
    ]


def sample_messages(connection: duckdb.DuckDBPyConnection, judged: Judged, rows: pa.Table) -> list[Any]:
    """Return judged values as parsed messages with all their parts."""
    from esctl.index.decode.messages import PARTS, messages

    return parsed(messages(connection, judged, rows, set(PARTS)).text)


def values_of(raws: pa.Array, cursor: Cursor, connection: duckdb.DuckDBPyConnection) -> list[Any]:
    """Return the valid records among some, parsed."""
    from esctl.index.decode.exact_json import judge

    return parsed(judge(raws, cursor, connection).text)


def parsed(texts: pa.Array | pa.ChunkedArray, headers: pa.Array | pa.ChunkedArray | None = None) -> list[Any]:
    """Parse judged texts, with what stood around them; texts that are null or nested too deep are left out."""
    if headers is None or headers.null_count == len(headers):
        around: Iterable[Any] = repeat(None)
    else:
        around = headers.to_pylist()
    found = ((text, beside) for text, beside in zip(texts.to_pylist(), around, strict=False) if text is not None)
    shallow = (each for each in found if each[0].count("[") + each[0].count("{") < MOST_BRACKETS)
    return [surrounded(json.loads(text, parse_float=Decimal), beside) for text, beside in shallow]
