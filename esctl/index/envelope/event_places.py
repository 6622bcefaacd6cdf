"""Place events in time: those without a time of their own keep their place in the log, and ties have an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esctl.engine.arrow_lists import one_array
from esctl.engine.quoting import glob_regex
from esctl.index.decode.times.epochs import FIRST
from esctl.index.envelope.clock_changes import with_second_passes
from esctl.index.envelope.event_sql import Group
from esctl.index.files.last_placed import TIE_SHIFT, Before
from esctl.index.files.manifest import NONE_NEEDED

Numbers = npt.NDArray[np.int64]

NO_TIME = "no time"


def place_events(
    chunk: pa.Table, found: pa.Table, groups: Sequence[Group], before: Before | None
) -> dict[str, pa.Array]:
    """Return the columns `time`, `undated` and `tie` of the events of a chunk.

    `time` is the time at which an event is folded: its own, else (`undated` then says why) that of the record before it
    in its source. If there is none, that is the beginning of time, or the time it was recorded if the newest record is
    first. In a source without times, it is the time it was recorded. `tie` orders the events of one microsecond; null
    if that is by arrival.
    """
    own = one_array(pc.coalesce(found["event_time"], chunk["source_time"]))
    valid = one_array(chunk["invalid"].is_null())
    lacking = pc.and_(own.is_null(), valid)
    instants = pc.coalesce(own, one_array(chunk["recorded_at"]))
    nothing = pa.nulls(len(own), pa.string())
    undated = lacking.to_numpy(zero_copy_only=False)
    newest_first = _mask_of_groups(groups, found, lambda group: bool(group.stanza.newest_first))
    if found["second_pass"].null_count < len(own):
        # Where the newest comes first, the record before in time may be in a chunk that is still to come.
        dated = pc.and_(own.is_valid(), valid).to_numpy(zero_copy_only=False) & ~newest_first
        instants = _with_second_passes(chunk, found, instants, dated, before)
    columns = {"time": instants, "undated": nothing, "tie": pa.nulls(len(own), pa.int64())}
    nanos = pc.fill_null(one_array(found["nanos"]), 0).to_numpy().astype(np.int64)
    if undated.any():
        columns["undated"] = pc.if_else(lacking, pc.coalesce(_reasons_for_no_time(found, groups), NO_TIME), nothing)
        timed = _mask_of_groups(groups, found, lambda group: bool(group.stanza.time))
        columns["time"], nanos = _carry_times(chunk, instants, nanos, undated, timed & ~newest_first, timed, before)
    if before is not None and before.fixed:
        columns["time"], nanos = _with_fixed_places(chunk["position"].to_numpy(), columns["time"], nanos, before)
    if newest_first.any() or nanos.any():
        columns["tie"] = _tie_breakers(chunk["position"].to_numpy(), nanos, newest_first)
    return columns


def _reasons_for_no_time(found: pa.Table, groups: Sequence[Group]) -> pa.Array:
    """Return why events have no time: it is unreadable, or they need none; null if it is just missing."""
    reasons = one_array(found["unreadable"])
    ignoring = [group for group in groups if group.stanza.ignore_types and group.stanza.time]
    if not ignoring:
        return reasons
    kinds, stanzas = one_array(found["type"]), one_array(found["stanza"])
    needless = pa.array(np.zeros(len(found), np.bool_))
    for group in ignoring:
        for glob in group.stanza.ignore_types:
            of_type = pc.match_substring_regex(kinds, glob_regex(glob))
            matching = pc.and_(pc.fill_null(of_type, False), pc.equal(stanzas, group.stanza_number))
            needless = pc.or_(needless, matching)
    return pc.if_else(pc.and_(needless, reasons.is_null()), NONE_NEEDED, reasons)


def _with_second_passes(
    chunk: pa.Table, found: pa.Table, instants: pa.Array, dated: npt.NDArray[np.bool_], before: Before | None
) -> pa.Array:
    """Return the instants, with the second pass of times shown twice where the order of records calls for it."""
    encoded = one_array(chunk["source"]).dictionary_encode()
    positions = chunk["position"].to_numpy()

    def earlier(code: int, row: int) -> int | None:
        found = before.find(encoded.dictionary[code].as_py(), int(positions[row])) if before is not None else None
        return None if found is None else found[0]

    micros = instants.cast(pa.int64()).to_numpy()
    seconds, codes = one_array(found["second_pass"]), encoded.indices.to_numpy()
    return pa.array(with_second_passes(micros, seconds, codes, dated, earlier)).cast(instants.type)


def _with_fixed_places(positions: Numbers, times: pa.Array, nanos: Numbers, before: Before) -> tuple[pa.Array, Numbers]:
    micros, nanos = times.cast(pa.int64()).to_numpy().copy(), nanos.copy()
    for row in np.flatnonzero(np.isin(positions, list(before.fixed))):
        micros[row], nanos[row] = before.fixed[int(positions[row])]
    return pa.array(micros).cast(times.type), nanos


def _mask_of_groups(groups: Sequence[Group], found: pa.Table, test: Callable[[Group], bool]) -> npt.NDArray[np.bool_]:
    chosen = {group.stanza_number for group in groups if test(group)}
    if not chosen:
        return np.zeros(len(found), np.bool_)
    return np.isin(found["stanza"].to_numpy(), list(chosen))


def _carry_times(
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
            if start is None:  # the first record of its source
                start = (FIRST if forward[rows[0]] else int(micros[rows[0]]), 0)
            micros[rows[lone]], nanos[rows[lone]] = start
        micros[rows[~lone]], nanos[rows[~lone]] = micros[rows[last[~lone]]], nanos[rows[last[~lone]]]
    return pa.array(micros).cast(instants.type), nanos


def _tie_breakers(positions: Numbers, nanos: Numbers, newest_first: npt.NDArray[np.bool_]) -> pa.Array:
    """Order the events of one microsecond by nanosecond, then by arrival, in reverse if the newest is first."""
    place = np.where(newest_first, (1 << TIE_SHIFT) - 1 - positions, positions)
    return pa.array((nanos << TIE_SHIFT) | place, mask=(nanos == 0) & ~newest_first)
