"""Find repeats in families of several numberings, where an id may have different content in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, field

from esctl.index.seen_ids.numberings import numberings
from esctl.index.seen_ids.search import (
    Meeting,
    Repeats,
    Search,
    count_meetings,
    first_rows,
    renumber,
    sum_meetings,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from esctl.index.seen_ids.contents import Contents
    from esctl.index.seen_ids.search import Numbers

_EVENTS, _KNOWN = "esctl_id_events", "esctl_id_known"


def find_divided(search: Search) -> Repeats:
    """Find repeats: of an event with the same content in any numbering, else of the first one in their own.

    Records are compared only if they are of one numbering or may be the same, which those of two systems hardly ever
    are.
    """
    stanzas = search.earlier.stanzas
    number = np.array(numberings(stanzas), np.int64)[search.events["stanza"].to_numpy()]
    ids, own, count = renumber(search.codes * len(stanzas) + number)
    rows_first = first_rows(own, count)
    firsts, new = search.positions[rows_first], np.ones(count, np.bool_)
    at = np.searchsorted(ids, search.known.codes * len(stanzas) + search.known.numberings).clip(max=max(count - 1, 0))
    here = ids[at] == search.known.codes * len(stanzas) + search.known.numberings if count else np.empty(0, np.bool_)
    firsts[at[here]], new[at[here]] = search.known.positions[here], False
    odd = np.isin(search.codes, _suspects(search, number))
    repeated = np.flatnonzero((firsts[own] < search.positions) & ~odd)
    first = firsts[own[repeated]]
    conflicts = search.have_other_content(search.positions[repeated], first)
    meetings = [
        *count_meetings(search, repeated, first, ~conflicts),
        *_meetings_elsewhere(search, number, ~odd, firsts, own),
    ]
    walk = _walk_through(search, number, np.flatnonzero(odd))
    new[own[odd]] = False
    hash_of = np.empty(search.count, np.uint64)
    hash_of[search.hashed] = search.hashes
    codes = np.concatenate([search.codes[rows_first[new]], search.codes[np.array(walk.leaders, np.int64)]])
    hashes = hash_of[codes]
    positions = np.concatenate([firsts[new], search.positions[np.array(walk.leaders, np.int64)]])
    order = np.argsort(hashes, kind="stable")
    rows = np.concatenate([repeated, np.array(walk.rows, np.int64)])
    in_order = np.argsort(rows, kind="stable")
    return Repeats(
        rows[in_order],
        np.concatenate([first, np.array(walk.firsts, np.int64)])[in_order],
        np.concatenate([conflicts, np.array(walk.conflicts, np.bool_)])[in_order],
        (hashes[order], positions[order]),
        tuple(meetings) + walk.meetings(search),
    )


def _times(search: Search) -> pa.Array:
    """Return the times that records themselves name, null for none. Equal records have equal times."""
    time = search.events["time"].combine_chunks()
    named = search.events["undated"].combine_chunks().is_null()
    return pc.if_else(named, time.cast(pa.int64()), None)


def _suspects(search: Search, number: Numbers) -> Numbers:
    """List the ids under which two numberings may have the same content: their records name the same time, or none."""
    known = search.known
    columns = (search.codes, number, _times(search)), (known.codes, known.numberings, known.times)
    both = [pa.table(dict(zip(("code", "numbering", "time"), each, strict=True))) for each in columns]
    search.connection.register(_EVENTS, pa.concat_tables([both[0], both[1].cast(both[0].schema)]))
    try:
        found = search.connection.execute(f"""WITH shared AS (
                SELECT * FROM {_EVENTS} SEMI JOIN (
                    SELECT code FROM {_EVENTS} GROUP BY code HAVING min(numbering) <> max(numbering)) USING (code))
            SELECT DISTINCT code FROM shared GROUP BY code, time HAVING min(numbering) <> max(numbering)
            UNION SELECT DISTINCT code FROM shared WHERE time IS NULL""").fetchnumpy()
    finally:
        search.connection.unregister(_EVENTS)
    return np.asarray(found["code"], np.int64)


def _meetings_elsewhere(
    search: Search, number: Numbers, wanted: npt.NDArray[np.bool_], firsts: Numbers, own: Numbers
) -> tuple[Meeting, ...]:
    """Count the events whose ids other numberings gave before, with other content."""
    known = search.known
    chunk = pa.table(
        {
            "code": search.codes,
            "numbering": number,
            "position": search.positions,
            "first": firsts[own],
            "source": search.events["source"].combine_chunks().cast(pa.string()),
            "commit": search.events["recorded_at"].combine_chunks().cast(pa.int64()),
            "shared": np.array([not stanza.scope for stanza in search.earlier.stanzas])[
                search.events["stanza"].to_numpy()
            ],
        }
    ).filter(pa.array(wanted))
    earlier = {"code": known.codes, "numbering": known.numberings, "position": known.positions}
    search.connection.register(_EVENTS, chunk)
    search.connection.register(_KNOWN, pa.table({**earlier, "source": pa.array(known.sources, pa.string())}))
    try:
        found = search.connection.execute(f"""WITH leaders AS (
                SELECT code, numbering, position, source FROM {_KNOWN}
                UNION ALL SELECT code, numbering, position, source FROM {_EVENTS} WHERE position = first)
            SELECT commit, e.source, l.numbering, count(DISTINCT e.position)
            FROM {_EVENTS} e JOIN leaders l ON e.code = l.code AND e.numbering <> l.numbering
            AND l.position < e.position AND l.source <> e.source
            WHERE shared GROUP BY ALL ORDER BY ALL""").fetchall()
    finally:
        search.connection.unregister(_EVENTS)
        search.connection.unregister(_KNOWN)
    return tuple(Meeting(commit, source, other, count, 0) for commit, source, other, count in found)


class _Walk(Struct):
    """The outcome for events that are looked at one by one."""

    rows: list[int] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    conflicts: list[bool] = field(default_factory=list)
    leaders: list[int] = field(default_factory=list)  # rows of the first event with an id in its numbering
    met: list[tuple[int, int, bool]] = field(default_factory=list)  # row, numbering, whether of the same content

    def meetings(self, search: Search) -> tuple[Meeting, ...]:
        """Return the ids count_meetings, added up into meetings."""
        if not self.met:
            return ()
        rows = pa.array([row for row, _, _ in self.met])
        own = search.events.select(["recorded_at", "source"]).take(rows)
        return sum_meetings(
            pa.table(
                {
                    "commit": own["recorded_at"].combine_chunks().cast(pa.int64()),
                    "source": own["source"].combine_chunks().cast(pa.string()),
                    "numbering": pa.array([number for _, number, _ in self.met]),
                    "same": pa.array([int(same) for _, _, same in self.met]),
                }
            )
        )


class _Leader(Struct, frozen=True):
    position: int
    source: str


def _walk_through(search: Search, number: Numbers, rows: Numbers) -> _Walk:
    """Go in order through events whose content another numbering may have."""
    walk, known = _Walk(), search.known
    wanted = np.flatnonzero(np.isin(known.codes, search.codes[rows]))
    contents = search.contents(np.concatenate([search.positions[rows], known.positions[wanted]]))
    leaders: dict[int, dict[int, _Leader]] = {}
    for at in wanted.tolist():
        position = int(known.positions[at])
        own = _Leader(position, known.sources[at])
        leaders.setdefault(int(known.codes[at]), {})[int(known.numberings[at])] = own
    sources = search.events["source"].combine_chunks().cast(pa.string()).take(pa.array(rows)).to_pylist()
    shared = [not stanza.scope for stanza in search.earlier.stanzas]
    stanza = search.events["stanza"].to_numpy()
    for row, source in zip(rows.tolist(), sources, strict=True):
        there = leaders.setdefault(int(search.codes[row]), {})
        position = int(search.positions[row])
        event = _Leader(position, source)
        if shared[stanza[row]]:
            walk.met += [
                (row, other, contents.is_same(leader.position, event.position))
                for other, leader in there.items()
                if leader.source != source
            ]
        _take_event(walk, row, int(number[row]), event, there, contents)
    return walk


def _take_event(
    walk: _Walk, row: int, number: int, event: _Leader, there: dict[int, _Leader], contents: Contents
) -> None:
    own = there.get(number)
    same = [leader for leader in there.values() if contents.is_same(leader.position, event.position)]
    first = own if own in same else min(same, key=lambda leader: leader.position) if same else own
    if first is None:
        there[number] = event
        walk.leaders.append(row)
        return
    walk.rows.append(row)
    walk.firsts.append(first.position)
    walk.conflicts.append(not same)
