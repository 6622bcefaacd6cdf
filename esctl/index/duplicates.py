"""Find the events of a chunk whose id was seen before: duplicates (the same bytes) and conflicts (others)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esctl.engine.quoting import text_list

if TYPE_CHECKING:
    import duckdb
    import numpy.typing as npt

_IDS = "esctl_ids"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What duplicate detection asks of the records before the chunk."""

    files: Sequence[str]  # index files to look ids up in
    raws: Callable[[Sequence[int]], Mapping[int, bytes]]  # trimmed bytes by position, of this chunk and earlier


@dataclass(frozen=True, slots=True)
class Repeats:
    """Events whose id was seen before: their rows in the chunk, the positions of the first, which are conflicts."""

    rows: npt.NDArray[np.int64]
    firsts: npt.NDArray[np.int64]
    conflicts: npt.NDArray[np.bool_]


def find_repeats(connection: duckdb.DuckDBPyConnection, events: pa.Table, earlier: Earlier) -> Repeats:
    """Look for the ids of events among themselves and among the earlier ones.

    `events`: position (ascending), stanza, scope, id, invalid. Ids of invalid events do not count.
    """
    rows = np.flatnonzero(pc.and_(events["id"].is_valid(), events["invalid"].is_null()).to_numpy())
    positions = events["position"].to_numpy()[rows]
    keys = events.select(["stanza", "scope", "id"])
    keys = keys.take(pa.array(rows)) if len(rows) < len(keys) else keys
    codes, count = _codes(keys)
    leading = np.empty(count, np.int64)  # of each id, the first event here
    leading[codes[::-1]] = np.arange(len(codes))[::-1]
    firsts = positions[leading]
    known = _earlier_firsts(connection, keys, leading, earlier.files) if earlier.files and count else {}
    if known:
        firsts[list(known)] = list(known.values())
    repeated = np.flatnonzero(firsts[codes] < positions) if known or count < len(codes) else np.empty(0, np.int64)
    own, first = positions[repeated], firsts[codes[repeated]]
    raws = earlier.raws([*own.tolist(), *first.tolist()]) if len(repeated) else {}
    conflicts = [raws[a] != raws[b] for a, b in zip(own.tolist(), first.tolist(), strict=True)]
    return Repeats(rows[repeated], first, np.array(conflicts, np.bool_))


def _codes(keys: pa.Table) -> tuple[npt.NDArray[np.int64], int]:
    """Number the different keys: a code for each row, and how many there are."""
    codes, count = np.zeros(len(keys), np.int64), 1
    for name in ("stanza", "scope", "id"):
        column = keys[name].combine_chunks()
        if column.null_count == len(column):
            continue
        encoded = column.dictionary_encode(null_encoding="encode")
        sizes = len(encoded.dictionary)
        if sizes > 1:
            both = codes * sizes + encoded.indices.to_numpy().astype(np.int64)
            codes, count = (both, sizes) if count == 1 else _renumbered(both)
    return codes, count if len(keys) else 0


def _renumbered(codes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    unique, inverse = np.unique(codes, return_inverse=True)
    return inverse.astype(np.int64), len(unique)


def _earlier_firsts(
    connection: duckdb.DuckDBPyConnection, keys: pa.Table, leading: npt.NDArray[np.int64], files: Sequence[str]
) -> dict[int, int]:
    """Give the first position of those keys that earlier index files have, by code."""
    table = keys.take(pa.array(leading)).append_column("code", pa.array(np.arange(len(leading))))
    connection.register(_IDS, table)
    try:
        found = connection.execute(f"""SELECT k.code, min(f.position)
            FROM read_parquet({text_list(list(files))}) f JOIN {_IDS} k
            ON f.id = k.id AND f.stanza = k.stanza AND f.scope IS NOT DISTINCT FROM k.scope
            WHERE f.duplicate_of IS NULL AND f.invalid IS NULL GROUP BY k.code""").fetchall()
    finally:
        connection.unregister(_IDS)
    return dict(found)
