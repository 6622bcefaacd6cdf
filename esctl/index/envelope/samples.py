"""The first records of a source as plain values, for the detection of its mapping."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from esctl.log.store_state import StoreState
from esctl.model import Cursor

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MOST_BRACKETS = 900
"""Python's JSON parser recurses; texts with more brackets than this might be nested too deep for it."""


def sample_values(
    snapshot: StoreState, cursor: Cursor, first: int, count: int, connection: duckdb.DuckDBPyConnection
) -> list[Any]:
    """Parse the valid ones of `count` records from position `first` on."""
    from esctl.log.reader import read_table

    table = read_table(snapshot, first, min(first + count - 1, snapshot.head), ["raw"])
    return [value for raws in table["raw"].chunks for value in values_of(raws, cursor, connection)]


def values_of(raws: pa.Array, cursor: Cursor, connection: duckdb.DuckDBPyConnection) -> list[Any]:
    """Parse the valid ones of some records."""
    from esctl.index.decode.exact_json import judge

    return parsed(judge(raws, cursor, connection).text)


def parsed(texts: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Parse judged texts; null ones and ones nested too deep to be looked at are left out."""
    found = (text for text in texts.to_pylist() if text is not None)
    shallow = (text for text in found if text.count("[") + text.count("{") < MOST_BRACKETS)
    return [json.loads(text, parse_float=Decimal) for text in shallow]
