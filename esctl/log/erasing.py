"""Erase records: their bytes are removed; their leaf hashes, and so the tree, stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec.structs import replace

from esctl.errors import InputError, UsageError
from esctl.log.merkle import HASH
from esctl.log.reader import read_table
from esctl.log.replacing import Replacement
from esctl.log.segment import SCHEMA, leaf_hashes
from esctl.log.store_state import Redaction, SegmentEntry, StoreState
from esctl.log.writer import LogWriter

if TYPE_CHECKING:
    import duckdb

Positions = npt.NDArray[np.int64]

CONTENT = ("raw", "key", "headers", "salt")
"""Columns that are emptied. Position, times, source, offset and the leaf hash stay."""


def check_erasable(store_state: StoreState) -> None:
    """Raise UsageError, saying why, for a store in which nothing can be erased."""
    if not store_state.erasable:
        raise UsageError(
            f"the store in {store_state.path} is not erasable: its records are hashed without a salt, so that what is "
            "erased could still be guessed from its hash",
            "that is settled when a store is made: esctl ingest --erasable, into a new store",
        )


def erase(
    writer: LogWriter,
    positions: Iterable[int],
    redaction: Redaction,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> StoreState:
    """Erase the records at some positions, in one commit; records erased before stay as they are.

    Segments are rewritten one at a time, and their old files unlinked once the commit is durable. Raises UsageError in
    a store that is not erasable, InputError for a segment that is not what was committed.
    """
    store_state = writer.store_state
    check_erasable(store_state)
    known = [at for at in positions if 1 <= at <= store_state.head and store_state.redaction_of(at) is None]
    wanted = np.unique(np.array(known, dtype=np.int64))
    if not len(wanted):
        return store_state
    affected = [segment for segment in store_state.segments if len(_positions_in(wanted, segment))]
    tables = _rewrite_segments(store_state, affected, wanted, connection)
    done = replace(redaction, positions=to_ranges(wanted.tolist()))
    return writer.replace(Replacement("redact", affected, tables, done))


def to_ranges(positions: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return ascending positions as inclusive ranges."""
    found: list[tuple[int, int]] = []
    for position in positions:
        if found and found[-1][1] == position - 1:
            found[-1] = (found[-1][0], position)
        else:
            found.append((position, position))
    return tuple(found)


def _positions_in(wanted: Positions, segment: SegmentEntry) -> Positions:
    return wanted[np.searchsorted(wanted, segment.first) : np.searchsorted(wanted, segment.last, side="right")]


def _rewrite_segments(
    store_state: StoreState,
    segments: Sequence[SegmentEntry],
    wanted: Positions,
    connection: duckdb.DuckDBPyConnection | None,
) -> Iterator[pa.Table]:
    for segment in segments:
        table = read_table(store_state, segment.first, segment.last)
        leaves = leaf_hashes(table, connection)
        erased = without_content(table, _positions_in(wanted, segment) - segment.first, leaves)
        if leaf_hashes(erased, connection) != leaves:
            raise InputError(
                f"log/{segment.file}: its records would not hash as before; nothing was erased",
                "see what is wrong with: esctl verify --full",
            )
        yield erased


def without_content(table: pa.Table, rows: Positions, leaves: bytes) -> pa.Table:
    """Return a segment without the content of some rows; `leaves` are the leaf hashes of all its rows."""
    gone = np.zeros(table.num_rows, dtype=bool)
    gone[rows] = True
    kept = pa.array(np.arange(table.num_rows), mask=gone)
    for name in CONTENT:
        table = table.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), table[name].take(kept))
    known = table["erased_leaf"].to_pylist()
    hashes = [
        leaves[row * HASH : (row + 1) * HASH] if is_gone else before
        for row, (is_gone, before) in enumerate(zip(gone.tolist(), known, strict=True))
    ]
    index = SCHEMA.get_field_index("erased_leaf")
    return table.set_column(index, SCHEMA.field(index), pa.array(hashes, SCHEMA.field(index).type))
