"""Tell which events of a chunk were seen before: the same id in the same stanza, and then the same bytes or others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from esctl.engine.quoting import text_list

if TYPE_CHECKING:
    import duckdb

    from esctl.index.idruns import Hashes, Positions
    from esctl.index.ids import IdsBefore

_IDENTIFIED = "id IS NOT NULL AND invalid IS NULL"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What duplicate detection asks of the records before the chunk."""

    ids: IdsBefore
    raws: Callable[[Sequence[int]], Mapping[int, bytes]]  # trimmed bytes by position, of this chunk and earlier


@dataclass(frozen=True, slots=True)
class Marks:
    """What became of a chunk's ids."""

    conflicts: int
    duplicates: tuple[int, ...]  # positions
    ids: tuple[Hashes, Positions]  # of the events that are first with theirs


def mark_duplicates(connection: duckdb.DuckDBPyConnection, earlier: Earlier) -> Marks:
    """Set `duplicate_of` and `conflict` on the events whose id was seen before."""
    import numpy as np

    from esctl.index.ids import hashes_in

    hashes, positions = hashes_in(connection, f"event WHERE {_IDENTIFIED}")
    different, counts = np.unique(hashes, return_counts=True)
    seen, before = earlier.ids.find(different)
    suspects = positions[np.repeat(seen | (counts > 1), counts)]
    repeated = _repeated(connection, earlier, suspects, before) if len(suspects) else []
    conflicts, duplicates = _mark(connection, earlier, repeated) if repeated else ([], [])
    first = ~np.isin(positions, [position for position, _ in repeated])
    return Marks(len(conflicts), tuple(duplicates), (hashes[first], positions[first]))


def _repeated(
    connection: duckdb.DuckDBPyConnection, earlier: Earlier, suspects: Positions, before: Positions
) -> list[tuple[int, int]]:
    """List the events whose id is that of an earlier one, each with the first that has it."""
    import pyarrow as pa

    connection.register("suspect", pa.table({"position": suspects}))
    connection.register("candidate", pa.table({"position": before}))
    known = "SELECT stanza, scope, id, position FROM suspected"
    if len(before):
        files = text_list(earlier.ids.files_of(before))
        known += f""" UNION ALL
            SELECT DISTINCT stanza, scope, id, position
            FROM read_parquet({files}) f SEMI JOIN candidate USING (position)
            WHERE f.duplicate_of IS NULL AND f.invalid IS NULL"""
    try:
        return connection.execute(f"""WITH suspected AS MATERIALIZED (
            SELECT e.stanza, e.scope, e.id, position FROM event e SEMI JOIN suspect USING (position))
        SELECT e.position, k.first FROM suspected e JOIN (
            SELECT stanza, scope, id, min(position) AS first FROM ({known}) GROUP BY ALL HAVING count(*) > 1
        ) k ON e.stanza = k.stanza AND e.scope IS NOT DISTINCT FROM k.scope AND e.id = k.id
        WHERE e.position > k.first ORDER BY 1""").fetchall()
    finally:
        for name in ("suspect", "candidate"):
            connection.unregister(name)


def _mark(
    connection: duckdb.DuckDBPyConnection, earlier: Earlier, repeated: Sequence[tuple[int, int]]
) -> tuple[list[int], list[int]]:
    """Mark repeated events; gives the positions of the conflicts, and of the duplicates."""
    import pyarrow as pa

    raws = earlier.raws([position for pair in repeated for position in pair])
    other = [raws[position] != raws[first] for position, first in repeated]
    positions, firsts = zip(*repeated, strict=True)
    connection.register("repeated", pa.table({"position": positions, "first": firsts, "conflict": other}))
    try:
        connection.execute("""UPDATE event SET duplicate_of = r.first, conflict = r.conflict
            FROM repeated r WHERE event.position = r.position""")
    finally:
        connection.unregister("repeated")
    told = list(zip(positions, other, strict=True))
    return [position for position, is_other in told if is_other], [at for at, is_other in told if not is_other]
