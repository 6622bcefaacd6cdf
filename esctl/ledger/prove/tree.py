"""The tree of a store, for proofs: block roots come from the commits, leaves from the log if they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from esctl.log.leaves.leaf import leaf_of
from esctl.log.merkle import BLOCK, BLOCK_LEVEL, HASH, Tree
from esctl.log.store_state import StoreState

if TYPE_CHECKING:
    import pyarrow as pa

_CACHED_BLOCKS = 256


def store_tree(store_state: StoreState) -> Tree:
    """Return the tree of a store. A proof reads the records of a block or two, whose hashes are cached.

    The leaves of a block are hashed in Python, which takes 25 ms; opening DuckDB for them would take ten times that.
    The tree raises InputError for a segment that is missing or damaged.
    """

    @lru_cache(_CACHED_BLOCKS)
    def block(number: int) -> bytes:
        from esctl.log.reader import read_table

        first = (number << BLOCK_LEVEL) + 1
        table = read_table(store_state, first, min(first + BLOCK - 1, store_state.head))
        return b"".join(row["erased_leaf"] or leaf_of(row).hash for row in rows_of(table))

    def leaves(start: int, stop: int) -> bytes:
        numbers = range(start >> BLOCK_LEVEL, (stop - 1 >> BLOCK_LEVEL) + 1) if start < stop else range(0)
        hashes = b"".join(map(block, numbers))
        skip = start % BLOCK
        return hashes[skip * HASH : (skip + stop - start) * HASH]

    return Tree(leaves, store_state.blocks)


def rows_of(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of a segment's table, with times in microseconds."""
    import pyarrow as pa

    for name in ("recorded_at", "source_time"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.int64()))
    for batch in table.to_batches():
        yield from batch.to_pylist()
