"""Cut the records of a log into chunks: tables that are understood together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from esctl.log.store_state import StoreState

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 500_000
CHUNK_BYTES = 48 << 20
READ_ROWS = 65_536
"""Rows that are read at once, as a segment may be larger than a chunk."""
FRESH_ROWS = 1_000_000
"""Most rows of a chunk of records in memory: a commit is limited by bytes, not rows."""


def chunks(store_state: StoreState, first: int, last: int) -> Iterator[pa.Table]:
    """Read positions [first, last] of the log, a chunk at a time."""
    import pyarrow as pa

    from esctl.log.reader import iter_batches

    held: list[pa.RecordBatch] = []
    for batch in iter_batches(store_state, first, last, min(READ_ROWS, CHUNK_ROWS)):
        held.append(batch)
        if sum(b.num_rows for b in held) >= CHUNK_ROWS or sum(b.nbytes for b in held) >= CHUNK_BYTES:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def fresh_chunks(fresh: Sequence[pa.Table], first: int, store_state: StoreState) -> list[pa.Table]:
    """Cut records in memory into chunks; return none unless they are exactly what the index lacks."""
    import pyarrow as pa

    count = sum(table.num_rows for table in fresh)
    if not count or (fresh[0]["position"][0].as_py(), count) != (first, store_state.head + 1 - first):
        return []
    table = pa.concat_tables(fresh)
    return [table.slice(start, FRESH_ROWS) for start in range(0, count, FRESH_ROWS)]


def ends(table: pa.Table) -> tuple[int, int]:
    """Return the first and the last position of a chunk."""
    return int(table["position"][0].as_py()), int(table["position"][-1].as_py())
