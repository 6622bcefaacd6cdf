"""Search for the ids of a chunk in the chunk and in earlier events, and compare the records that share one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from esctl.engine.arrow_lists import one_array
from esctl.engine.duckdb import relational
from esctl.engine.quoting import text_list
from esctl.index.seen_ids.contents import Contents
from esctl.index.seen_ids.numberings import by_stanza, families, numberings
from esctl.index.seen_ids.runs import hashes_in
from esctl.model import Cursor, Stanza

if TYPE_CHECKING:
    import duckdb
    import numpy.typing as npt

    from esctl.index.seen_ids.run_file import HashedIds, Hashes
    from esctl.index.seen_ids.runs import IdsBefore

    Numbers = npt.NDArray[np.int64]
    Raws = Callable[[Sequence[int]], Mapping[int, bytes]]

_IDS, _CANDIDATES = "esctl_ids", "esctl_candidates"


class Earlier(Struct, frozen=True):
    """What duplicate detection needs of the records before the chunk."""

    ids: IdsBefore
    raws: Raws  # bytes by position, of this chunk and earlier
    cursors: Mapping[str, Cursor]  # by source

    @property
    def stanzas(self) -> tuple[Stanza, ...]:
        """Return the stanzas, which events name by number."""
        return self.ids.manifest.stanzas


class Meeting(Struct, frozen=True):
    """How many events of a source in a commit have ids that other sources of a numbering gave before (`known`).

    `same` counts those with the same content. `commit`: when it was recorded, in microseconds since the epoch.
    """

    commit: int
    source: str
    numbering: int
    known: int
    same: int


class Repeats(Struct, frozen=True):
    """Events whose id was seen before: rows in the chunk, positions of the first events, which are conflicts."""

    rows: Numbers
    firsts: Numbers
    conflicts: npt.NDArray[np.bool_]
    ids: HashedIds  # of the first event with each id
    meetings: tuple[Meeting, ...] = ()


class KnownIds(Struct):
    """The first earlier events with the ids of the chunk: one for each id and numbering."""

    codes: Numbers  # of the id in its family
    numberings: Numbers
    positions: Numbers
    sources: list[str]
    times: pa.Array  # microseconds since the epoch; null if the event has none of its own


def _nothing_known() -> KnownIds:
    empty = np.empty(0, np.int64)
    return KnownIds(empty, empty, empty, [], pa.nulls(0, pa.int64()))


class Search:
    """The ids of a chunk, each with a code: one for each id in a family."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, events: pa.Table, earlier: Earlier) -> None:
        self.connection, self.events, self.earlier = connection, events, earlier
        self.positions: Numbers = events["position"].to_numpy()
        keys = events.select(["scope", "id"]).add_column(0, "stanza", _family_column(events, families(earlier.stanzas)))
        self.codes, self.count, (self.hashes, self.hashed) = _hash_distinct(connection, keys)
        once = self.count == len(keys)
        self.keys = keys if once else keys.take(pa.array(first_rows(self.codes, self.count)))
        self.known = self._earlier_firsts() if self.count else _nothing_known()

    def find_undivided(self) -> Repeats:
        """Find repeats if each family has only one numbering."""
        firsts, new = self.positions[first_rows(self.codes, self.count)], np.ones(self.count, np.bool_)
        new[self.known.codes] = False
        firsts[self.known.codes] = self.known.positions
        is_known = len(self.known.codes) or self.count < len(self.codes)
        repeated = np.flatnonzero(firsts[self.codes] < self.positions) if is_known else np.empty(0, np.int64)
        first = firsts[self.codes[repeated]]
        conflicts = self.have_other_content(self.positions[repeated], first)
        ids = self.hashes[new[self.hashed]], firsts[self.hashed[new[self.hashed]]]
        return Repeats(repeated, first, conflicts, ids, count_meetings(self, repeated, first, ~conflicts))

    def have_other_content(self, own: Numbers, first: Numbers) -> npt.NDArray[np.bool_]:
        """Return for each pair of positions whether their records have different content."""
        contents = self.contents(np.concatenate([own, first]))
        pairs = zip(own.tolist(), first.tolist(), strict=True)
        return np.array([not contents.is_same(a, b) for a, b in pairs], np.bool_)

    def contents(self, positions: Numbers) -> Contents:
        """Return what the records at some positions say, of the chunk or among the known ones."""
        if not len(positions):
            return Contents(self.connection, {}, {}, {})
        asked = positions.tolist()
        sources = dict(zip(asked, self.sources_of(positions).to_pylist(), strict=True))
        return Contents(self.connection, self.earlier.cursors, self.earlier.raws(asked), sources)

    def sources_of(self, positions: Numbers) -> pa.Array:
        """Return the sources of events by position, of the chunk or among the known ones."""
        inside = np.searchsorted(self.positions, positions).clip(max=max(len(self.positions) - 1, 0))
        here = self.positions[inside] == positions
        sources = one_array(self.events["source"]).cast(pa.string())
        found = sources.take(pa.array(inside, mask=~here))
        if here.all():
            return found
        order = np.argsort(self.known.positions)
        at = order[np.searchsorted(self.known.positions[order], positions[~here])]
        outside = pa.array(self.known.sources, pa.string()).take(pa.array(at))
        return pc.replace_with_mask(found, pa.array(~here), outside)

    def _earlier_firsts(self) -> KnownIds:
        """Find the first earlier events with the ids of the chunk. Ids are compared, as hashes are not enough."""
        before = self.earlier.ids
        is_new = np.append(True, self.hashes[1:] != self.hashes[:-1])  # they are in ascending order
        hit, positions = before.find(self.hashes[is_new])
        if not len(positions):
            return _nothing_known()
        suspects = self.hashed[hit[np.cumsum(is_new) - 1]]
        stanzas = self.earlier.stanzas
        self.connection.register(_IDS, self.keys.take(pa.array(suspects)).append_column("code", pa.array(suspects)))
        self.connection.register(_CANDIDATES, pa.table({"position": positions}))
        try:
            found = (
                relational(self.connection)
                .sql(f"""SELECT k.code::BIGINT AS code,
                    {by_stanza(numberings(stanzas), "f.stanza")}::BIGINT AS numbering,
                    min(f.position) AS position, arg_min(f.source, f.position) AS source,
                    min(CASE WHEN f.undated IS NULL THEN epoch_us(f.time) END) AS time
                FROM (SELECT * FROM read_parquet({text_list(before.files_of(positions))}) SEMI JOIN {_CANDIDATES}
                      USING (position)) f JOIN {_IDS} k
                ON f.id = k.id AND {by_stanza(families(stanzas), "f.stanza")} = k.stanza
                AND f.scope IS NOT DISTINCT FROM k.scope
                WHERE f.duplicate_of IS NULL AND f.invalid IS NULL GROUP BY ALL""")
                .to_arrow_table()
            )
        finally:
            self.connection.unregister(_IDS)
            self.connection.unregister(_CANDIDATES)
        codes, numbers, firsts = (found[name].to_numpy().astype(np.int64) for name in ("code", "numbering", "position"))
        return KnownIds(codes, numbers, firsts, found["source"].to_pylist(), one_array(found["time"]))


def count_meetings(search: Search, rows: Numbers, firsts: Numbers, same: npt.NDArray[np.bool_]) -> tuple[Meeting, ...]:
    """Count the repeats whose first event is of another source, unless `scope` decides their numbering."""
    if not len(rows):
        return ()
    stanzas = search.earlier.stanzas
    shared = np.array([not stanza.scope for stanza in stanzas])
    own = search.events.select(["recorded_at", "source", "stanza"]).take(pa.array(rows))
    sources = one_array(own["source"]).cast(pa.string())
    stanza = own["stanza"].to_numpy()
    remote = pc.not_equal(sources, search.sources_of(firsts)).to_numpy(zero_copy_only=False) & shared[stanza]
    if not remote.any():
        return ()
    table = pa.table(
        {
            "commit": one_array(own["recorded_at"]).cast(pa.int64()),
            "source": sources,
            "numbering": np.array(numberings(stanzas))[stanza],
            "same": same.astype(np.int64),
        }
    ).filter(pa.array(remote))
    return sum_meetings(table)


def sum_meetings(table: pa.Table) -> tuple[Meeting, ...]:
    """Add rows (commit, source, numbering, same: 0 or 1) up into meetings."""
    found = table.group_by(["commit", "source", "numbering"]).aggregate([("same", "count"), ("same", "sum")])
    names = ("commit", "source", "numbering", "same_count", "same_sum")
    return tuple(Meeting(*row) for row in zip(*(found[name].to_pylist() for name in names), strict=True))


def renumber(codes: Numbers) -> tuple[Numbers, Numbers, int]:
    """Renumber codes without gaps: return the distinct codes, the new code of each row, and how many there are."""
    unique, inverse = np.unique(codes, return_inverse=True)
    return unique, inverse.astype(np.int64), len(unique)


def first_rows(codes: Numbers, count: int) -> Numbers:
    """Return the first row of each code."""
    found = np.empty(count, np.int64)
    found[codes[::-1]] = np.arange(len(codes))[::-1]
    return found


def _family_column(events: pa.Table, numbers: Sequence[int]) -> pa.Array:
    column = one_array(events["stanza"])
    if tuple(numbers) == tuple(range(len(numbers))):
        return column
    return pa.array(np.array(numbers, np.uint16)[column.to_numpy()])


def _hash_distinct(connection: duckdb.DuckDBPyConnection, keys: pa.Table) -> tuple[Numbers, int, HashedIds]:
    """Return a code for the key of each row, the number of different keys, and their hashes with these codes.

    Keys are compared only where their hashes are equal, which is rare.
    """
    hashes, rows = _hash_keys(connection, keys)
    again = np.flatnonzero(hashes[1:] == hashes[:-1])
    first = np.arange(len(keys))  # row with the same key
    if not len(again):
        return first, len(keys), (hashes, rows)
    alike = np.sort(rows[np.union1d(again, again + 1)])
    codes, count = _codes(keys.take(pa.array(alike)))
    first[alike] = alike[first_rows(codes, count)[codes]]
    leads = first == np.arange(len(keys))
    numbers = np.cumsum(leads) - 1
    kept = leads[rows]
    return numbers[first], int(leads.sum()), (hashes[kept], numbers[rows[kept]])


def _codes(keys: pa.Table) -> tuple[Numbers, int]:
    """Return a code for the key of each row, and the number of different keys."""
    codes, count = np.zeros(len(keys), np.int64), 1
    for name in ("stanza", "scope", "id"):
        column = one_array(keys[name])
        if column.null_count == len(column):
            continue
        encoded = column.dictionary_encode(null_encoding="encode")
        sizes = len(encoded.dictionary)
        if sizes > 1:
            both = codes * sizes + encoded.indices.to_numpy().astype(np.int64)
            codes, count = (both, sizes) if count == 1 else renumber(both)[1:]
    return codes, count if len(keys) else 0


def _hash_keys(connection: duckdb.DuckDBPyConnection, keys: pa.Table) -> tuple[Hashes, Numbers]:
    """Return the hashes of the rows' keys in ascending order, and the rows that they belong to."""
    connection.register(_IDS, keys.append_column("position", pa.array(np.arange(len(keys)))))
    try:
        return hashes_in(connection, _IDS)
    finally:
        connection.unregister(_IDS)
