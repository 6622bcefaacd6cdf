"""The first records of a source as plain values, for the detection of its mapping."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from itertools import repeat
from typing import TYPE_CHECKING, Any

from esctl.engine.exact_text import is_shallow
from esctl.index.decode.surrounded import surrounded
from esctl.log.store_state import StoreState
from esctl.model import MESSAGE, Cursor

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.index.decode.exact_json import Judged


def sample_values(
    store_state: StoreState, cursor: Cursor, first: int, count: int, connection: duckdb.DuckDBPyConnection
) -> list[Any]:
    """Return the valid records among `count` from position `first` on, parsed."""
    from esctl.index.decode.exact_json import judge_records
    from esctl.log.reader import read_table

    if cursor.format == MESSAGE:
        from functools import partial

        from esctl.index.decode.exact_json import Judged
        from esctl.index.decode.framed import schemas_in, with_decoded_keys
        from esctl.index.decode.log_rows import judge_rows

        schemas = partial(schemas_in, store_state)
        rows = read_table(store_state, first, min(first + count - 1, store_state.head)).combine_chunks()
        rows = with_decoded_keys(rows, lambda _: cursor, schemas)
        found = judge_rows(connection, rows, lambda _: cursor, schemas)
        whole = (column.combine_chunks() for column in (found.text, found.invalid, found.marked))
        return sample_messages(connection, Judged(*whole), rows)
    table = read_table(store_state, first, min(first + count - 1, store_state.head), ["raw", "headers"])
    return [
        value
        for batch in table.to_batches()
        for value in parse_judged(judge_records(batch["raw"], cursor, connection).text, batch["headers"])
    ]


def sample_messages(connection: duckdb.DuckDBPyConnection, judged: Judged, rows: pa.Table) -> list[Any]:
    """Return judged values as parsed messages with all their parts."""
    from esctl.index.decode.messages import PARTS, messages

    return parse_judged(messages(connection, judged, rows, set(PARTS)).text)


def values_of(raws: pa.Array, cursor: Cursor, connection: duckdb.DuckDBPyConnection) -> list[Any]:
    """Return the valid records among some, parsed."""
    from esctl.index.decode.exact_json import judge_records

    return parse_judged(judge_records(raws, cursor, connection).text)


def parse_judged(texts: pa.Array | pa.ChunkedArray, headers: pa.Array | pa.ChunkedArray | None = None) -> list[Any]:
    """Parse judged texts, with what stood around them; texts that are null or nested too deep are left out."""
    if headers is None or headers.null_count == len(headers):
        surroundings: Iterable[Any] = repeat(None)
    else:
        surroundings = headers.to_pylist()
    pairs = zip(texts.to_pylist(), surroundings, strict=False)
    found = ((text, around) for text, around in pairs if text is not None)
    return [surrounded(json.loads(text, parse_float=Decimal), around) for text, around in found if is_shallow(text)]
