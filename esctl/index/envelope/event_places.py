"""Where events stand in time: what has no time of its own keeps its place in the log; ties have an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esctl.engine.arrow_lists import one_array
from esctl.index.decode.times.epochs import FIRST
from esctl.index.envelope.clock_changes import settled
from esctl.index.envelope.event_sql import Group
from esctl.index.files.last_placed import TIE_SHIFT, Before
from esctl.index.files.manifest import NONE_NEEDED

Numbers = npt.NDArray[np.int64]

NO_TIME = "no time"


def placed(chunk: pa.Table, found: pa.Table, groups: Sequence[Group], before: Before | None) -> dict[str, pa.Array]:
    """Return the columns `time`, `undated` and `tie` of the events of a chunk.

    `time` is where an event is folded: at its own, else (`undated` then says why) at that of the record before it in
    its source, at the beginning of time where none is before it, and when it was recorded where its source has no times
    at all. `tie` orders the events of one microsecond, null where that is by arrival.
    """
    own = one_array(pc.coalesce(found["event_time"], chunk["source_time"]))
    valid = one_array(chunk["invalid"].is_null())
    lacking = pc.and_(own.is_null(), valid)
    instants = pc.coalesce(own, one_array(chunk["recorded_at"]))
    nothing = pa.nulls(len(own), pa.string())
    undated = lacking.to_numpy(zero_copy_only=False)
    newest_first = _marked(groups, found, lambda group: bool(group.stanza.newest_first))
    if found["second_pass"].null_count < len(own):
        instants = _passes(chunk, found, instants, before)
    columns = {"time": instants, "undated": nothing, "tie": pa.nulls(len(own), pa.int64())}
    nanos = pc.fill_null(one_array(found["nanos"]), 0).to_numpy().astype(np.int64)
    if undated.any():
        columns["undated"] = pc.if_else(lacking, pc.coalesce(_lacking_as(found, groups), NO_TIME), nothing)
        timed = _marked(groups, found, lambda group: bool(group.stanza.time))
        columns["time"], nanos = _carried(chunk, instants, nanos, undated, timed & ~newest_first, timed, before)
    if before is not None and before.fixed:
        columns["time"], nanos = _fixed(chunk["position"].to_numpy(), columns["time"], nanos, before)
    if newest_first.any() or nanos.any():
        columns["tie"] = _ties(chunk["position"].to_numpy(), nanos, newest_first)
    return columns


def _lacking_as(found: pa.Table, groups: Sequence[Group]) -> pa.Array:
    """Return what is said of an event without a time, null where that is just so."""
    said = one_array(found["unreadable"])
    ignoring = [group for group in groups if group.stanza.ignore_types and group.stanza.time]
    if not ignoring:
        return said
    kinds, stanzas = one_array(found["type"]), one_array(found["stanza"])
    needless = pa.array(np.zeros(len(found), np.bool_))
    for group in ignoring:
        for glob in group.stanza.ignore_types:
            of_type = pc.match_like(kinds, glob.replace("%", r"\%").replace("_", r"\_").replace("*", "%"))
            matching = pc.and_(pc.fill_null(of_type, False), pc.equal(stanzas, group.stanza_number))
            needless = pc.or_(needless, matching)
    return pc.if_else(pc.and_(needless, said.is_null()), NONE_NEEDED, said)


def _passes(chunk: pa.Table, found: pa.Table, instants: pa.Array, before: Before | None) -> pa.Array:
    """Take the second pass of times that a clock shows twice, where the order of records says so."""
    encoded = one_array(chunk["source"]).dictionary_encode()
    positions = chunk["position"].to_numpy()

    def earlier(code: int, row: int) -> int | None:
        found = before.find(encoded.dictionary[code].as_py(), int(positions[row])) if before is not None else None
        return None if found is None else found[0]

    micros = instants.cast(pa.int64()).to_numpy()
    seconds, codes = one_array(found["second_pass"]), encoded.indices.to_numpy()
    return pa.array(settled(micros, seconds, codes, earlier)).cast(instants.type)


def _fixed(positions: Numbers, times: pa.Array, nanos: Numbers, before: Before) -> tuple[pa.Array, Numbers]:
    micros, nanos = times.cast(pa.int64()).to_numpy().copy(), nanos.copy()
    for row in np.flatnonzero(np.isin(positions, list(before.fixed))):
        micros[row], nanos[row] = before.fixed[int(positions[row])]
    return pa.array(micros).cast(times.type), nanos


def _marked(groups: Sequence[Group], found: pa.Table, test: Callable[[Group], bool]) -> npt.NDArray[np.bool_]:
    chosen = {group.stanza_number for group in groups if test(group)}
    if not chosen:
        return np.zeros(len(found), np.bool_)
    return np.isin(found["stanza"].to_numpy(), list(chosen))


def _carried(
    chunk: pa.Table,
    instants: pa.Array,
    nanos: Numbers,
    undated: npt.NDArray[np.bool_],
    forward: npt.NDArray[np.bool_],
    timed: npt.NDArray[np.bool_],
    before: Before | None,
) -> tuple[pa.Array, Numbers]:
    """Give undated events the time and nanosecond of the record before them in their source."""
    micros, nanos = instants.cast(pa.int64()).to_numpy().copy(), nanos.copy()
    valid = chunk["invalid"].is_null().to_numpy()
    encoded = one_array(chunk["source"]).dictionary_encode()
    codes, positions = encoded.indices.to_numpy(), chunk["position"].to_numpy()
    for code in np.unique(codes[undated & timed]):
        rows = np.flatnonzero((codes == code) & valid & timed)
        last = np.maximum.accumulate(np.where(undated[rows], -1, np.arange(len(rows))))
        lone = last < 0
        if lone.any():
            start = (
                before.find(encoded.dictionary[code].as_py(), int(positions[rows[0]])) if before is not None else None
            )
            at = rows[lone & forward[rows]] if start is None else rows[lone]
            micros[at], nanos[at] = (FIRST, 0) if start is None else start
        micros[rows[~lone]], nanos[rows[~lone]] = micros[rows[last[~lone]]], nanos[rows[last[~lone]]]
    return pa.array(micros).cast(instants.type), nanos


def _ties(positions: Numbers, nanos: Numbers, newest_first: npt.NDArray[np.bool_]) -> pa.Array:
    """Order the events of one microsecond: by nanosecond, then arrival, which is reverse where the newest is first."""
    place = np.where(newest_first, (1 << TIE_SHIFT) - 1 - positions, positions)
    return pa.array((nanos << TIE_SHIFT) | place, mask=(nanos == 0) & ~newest_first)
