"""Find the events of a chunk whose id was seen before: duplicates (the same content) and conflicts (other content).

An id is given once in a numbering; the same content under it is the same event in all numberings of a family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esctl.index.seen_ids.find_divided import find_divided
from esctl.index.seen_ids.numberings import is_divided
from esctl.index.seen_ids.search import Earlier, Repeats, Search

if TYPE_CHECKING:
    import duckdb


def find_repeats(connection: duckdb.DuckDBPyConnection, events: pa.Table, earlier: Earlier) -> Repeats:
    """Find the events whose id was seen before, in the chunk or in earlier events.

    `events`: position (ascending), recorded_at, source, time, undated, stanza, scope, id, invalid. Ids of invalid
    events do not count.
    """
    rows = np.flatnonzero(pc.and_(events["id"].is_valid(), events["invalid"].is_null()).to_numpy())
    taken = events.select(["position", "recorded_at", "source", "time", "undated", "stanza", "scope", "id"])
    search = Search(connection, taken.take(pa.array(rows)) if len(rows) < len(taken) else taken, earlier)
    found = find_divided(search) if is_divided(earlier.stanzas) else search.find_undivided()
    return Repeats(rows[found.rows], found.firsts, found.conflicts, found.ids, found.meetings)
