"""Find the events of a chunk whose id was seen before: duplicates (the same bytes) and conflicts (others)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from esctl.engine.quoting import text_list
from esctl.index.seen_ids.runs import hashes_in

if TYPE_CHECKING:
    import duckdb
    import numpy.typing as npt

    from esctl.index.seen_ids.run_file import HashedIds, Hashes
    from esctl.index.seen_ids.runs import IdsBefore

_IDS, _CANDIDATES = "esctl_ids", "esctl_candidates"


class Earlier(Struct, frozen=True):
    """What duplicate detection asks of the records before the chunk."""

    ids: IdsBefore
    raws: Callable[[Sequence[int]], Mapping[int, bytes]]  # trimmed bytes by position, of this chunk and earlier


class Repeats(Struct, frozen=True):
    """Events whose id was seen before: their rows in the chunk, the positions of the first, which are conflicts."""

    rows: npt.NDArray[np.int64]
    firsts: npt.NDArray[np.int64]
    conflicts: npt.NDArray[np.bool_]
    ids: HashedIds  # of the events that are first with theirs


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
    hashes, hashed = _hashed(connection, keys, leading)
    known = _earlier_firsts(connection, keys.take(pa.array(leading)), hashes, hashed, earlier.ids) if count else {}
    new = np.ones(count, np.bool_)
    if known:
        new[list(known)] = False
        firsts[list(known)] = list(known.values())
    repeated = np.flatnonzero(firsts[codes] < positions) if known or count < len(codes) else np.empty(0, np.int64)
    own, first = positions[repeated], firsts[codes[repeated]]
    raws = earlier.raws([*own.tolist(), *first.tolist()]) if len(repeated) else {}
    conflicts = [raws[a] != raws[b] for a, b in zip(own.tolist(), first.tolist(), strict=True)]
    ids = hashes[new[hashed]], firsts[hashed[new[hashed]]]
    return Repeats(rows[repeated], first, np.array(conflicts, np.bool_), ids)


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


def _hashed(
    connection: duckdb.DuckDBPyConnection, keys: pa.Table, leading: npt.NDArray[np.int64]
) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Hash each different key: hashes in ascending order, and the codes that they belong to."""
    table = keys.take(pa.array(leading)).append_column("position", pa.array(np.arange(len(leading))))
    connection.register(_IDS, table)
    try:
        return hashes_in(connection, _IDS)
    finally:
        connection.unregister(_IDS)


def _earlier_firsts(
    connection: duckdb.DuckDBPyConnection,
    keys: pa.Table,
    hashes: Hashes,
    codes: npt.NDArray[np.int64],
    before: IdsBefore,
) -> dict[int, int]:
    """Give the first position of those keys that earlier events have, by code. A hash that matches is not enough."""
    different, inverse = np.unique(hashes, return_inverse=True)
    hit, positions = before.find(different)
    if not len(positions):
        return {}
    suspects = codes[hit[inverse]]
    connection.register(_IDS, keys.take(pa.array(suspects)).append_column("code", pa.array(suspects)))
    connection.register(_CANDIDATES, pa.table({"position": positions}))
    try:
        found = connection.execute(f"""SELECT k.code, min(f.position)
            FROM (SELECT * FROM read_parquet({text_list(before.files_of(positions))}) SEMI JOIN {_CANDIDATES}
                  USING (position)) f JOIN {_IDS} k
            ON f.id = k.id AND f.stanza = k.stanza AND f.scope IS NOT DISTINCT FROM k.scope
            WHERE f.duplicate_of IS NULL AND f.invalid IS NULL GROUP BY k.code""").fetchall()
    finally:
        connection.unregister(_IDS)
        connection.unregister(_CANDIDATES)
    return dict(found)
