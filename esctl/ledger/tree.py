"""The tree of a store, for proofs: its block roots from the commits, leaves from the log where they are needed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from esctl.log.merkle import BLOCK, BLOCK_LEVEL, HASH, Tree
from esctl.log.snapshot import Snapshot

if TYPE_CHECKING:
    import duckdb

_KEPT = 256


def store_tree(snapshot: Snapshot, connection: duckdb.DuckDBPyConnection | None = None) -> Tree:
    """Make the tree of a store. A proof costs the records of a block or two; their hashes are kept meanwhile.

    Its functions raise InputError for a segment that is missing or damaged.
    """

    @lru_cache(_KEPT)
    def block(number: int) -> bytes:
        from esctl.log.reader import read_table
        from esctl.log.segment import leaf_hashes

        first = (number << BLOCK_LEVEL) + 1
        return leaf_hashes(read_table(snapshot, first, min(first + BLOCK - 1, snapshot.head)), connection)

    def leaves(start: int, stop: int) -> bytes:
        numbers = range(start >> BLOCK_LEVEL, (stop - 1 >> BLOCK_LEVEL) + 1) if start < stop else range(0)
        hashes = b"".join(map(block, numbers))
        skip = start % BLOCK
        return hashes[skip * HASH : (skip + stop - start) * HASH]

    return Tree(leaves, snapshot.blocks)
