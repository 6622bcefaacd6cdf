"""Find times that a clock shows twice or never because it is changed, and which pass of it is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esctl.engine.offsets import transitions
from esctl.engine.zones import fixed_minutes
from esctl.index.decode.times.columns import read_times
from esctl.index.decode.times.reading import Reading

if TYPE_CHECKING:
    import duckdb

TWICE, NEVER = "twice", "never"
"""The values of the index column `wall`, for times without a zone."""
_MICRO = 1_000_000
_A_DAY = 86_400 * _MICRO
_JITTER = 60 * _MICRO
"""Microseconds that a clock may go back from one record to the next without having been changed."""
Numbers = npt.NDArray[np.int64]


def wall_columns(
    connection: duckdb.DuckDBPyConnection, texts: pa.Array, times: pa.Array, tz: str, reading: Reading
) -> tuple[pa.Array, pa.Array]:
    """Return for times read in a zone whether its clock shows them twice or never, and the second passes."""
    walls, seconds = pa.nulls(len(texts), pa.string()), pa.nulls(len(texts), pa.int64())
    if fixed_minutes(tz) is not None:
        return walls, seconds
    bounds = pc.min_max(times.cast(pa.int64())).as_py()
    if bounds["min"] is None:
        return walls, seconds
    near = (bounds["min"] - _A_DAY) // _MICRO, (bounds["max"] + _A_DAY) // _MICRO
    for turn in transitions(tz, *near):
        low, high = (turn.at + sign * 86_400 for sign in (-1, 1))
        rows = _rows_between(times, low * _MICRO, high * _MICRO)
        if not len(rows):
            continue
        clock = _clock_readings(connection, texts.take(rows), reading)
        first, last = sorted((turn.at + turn.before, turn.at + turn.after))
        changed = pc.fill_null(pc.and_(pc.greater_equal(clock, first * _MICRO), pc.less(clock, last * _MICRO)), False)
        if not pc.any(changed).as_py():
            continue
        at = np.zeros(len(texts), np.bool_)
        at[rows.to_numpy()[changed.to_numpy(zero_copy_only=False)]] = True
        walls = pc.if_else(pa.array(at), NEVER if turn.after > turn.before else TWICE, walls)
        if turn.after < turn.before:
            later = pc.subtract(clock.filter(changed), pa.scalar(turn.after * _MICRO, pa.int64()))
            seconds = pc.replace_with_mask(seconds, pa.array(at), later)
    return walls, seconds


def _rows_between(times: pa.Array, low: int, high: int) -> pa.Array:
    micros = times.cast(pa.int64())
    return pc.indices_nonzero(pc.fill_null(pc.and_(pc.greater_equal(micros, low), pc.less_equal(micros, high)), False))


def _clock_readings(connection: duckdb.DuckDBPyConnection, texts: pa.Array, reading: Reading) -> pa.Array:
    """Return what clocks show, in microseconds as if in UTC; null for times that name their zone."""
    one, other = (read_times(connection, texts, zone, reading).cast(pa.int64()) for zone in ("UTC", "+01:00"))
    return pc.if_else(pc.not_equal(one, other), one, None)


def with_second_passes(
    instants: Numbers,
    seconds: pa.Array,
    codes: Numbers,
    dated: npt.NDArray[np.bool_],
    before: Callable[[int, int], int | None],
) -> Numbers:
    """Return the instants, with the second pass where the order of the records shows that it is meant.

    It is meant if the first pass is more than a minute earlier than the record before it in its source, and the second
    pass is not; records that are not `dated` say nothing of that. `before` gives the instant of the record before the
    first row of a source, by source and row.
    """
    found = instants.copy()
    unsure = seconds.is_valid().to_numpy(zero_copy_only=False)
    for code in np.unique(codes[unsure & dated]):
        rows = np.flatnonzero((codes == code) & dated)
        for i in np.flatnonzero(unsure[rows]):
            row = int(rows[i])
            earlier = int(found[rows[i - 1]]) if i else before(int(code), row)
            second = seconds[row].as_py()
            if earlier is not None and earlier - instants[row] > _JITTER and second >= earlier - _JITTER:
                found[row] = second
    return found
