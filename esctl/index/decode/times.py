"""Read times in every form that logs use, in SQL for columns and in Python for options, with one meaning.

Both follow the same patterns and steps: RFC 3339 (any fraction, cut to microseconds), ISO 8601 basic, dates, epoch
numbers by magnitude, RFC 2822 and HTTP dates (RFC 9110), the common log format, asctime.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from esctl.engine.offsets import offset_at, offset_sql
from esctl.engine.quoting import literal
from esctl.engine.zones import canonical, fixed_minutes
from esctl.errors import UsageError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_DATE = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
_OFFSET = r"(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
_ZONED = rf"{_DATE}[T ]{_CLOCK}{_OFFSET}"
_LOCAL = rf"{_DATE}(?:[T ]{_CLOCK})?"
_BASIC_DAY = r"(?:1[89]|2[01])[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_BASIC = rf"{_BASIC_DAY}(?:(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9])?"
_EPOCH = r"-?[0-9]{1,19}(?:\.[0-9]+)?"
_EPOCH_PARTS = r"^-?([0-9]+)(?:\.([0-9]+))?$"

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH = rf"({'|'.join(_MONTHS)})"

_STEPS: tuple[tuple[str, str], ...] = (
    (r"^(?:MON|TUE|WED|THU|FRI|SAT|SUN)[A-Z]*,? +", ""),
    (r" *\([A-Z]+\)$", ""),
    (r" *(?:GMT|UTC|UT)$", "Z"),
    (r" +([+-][0-9:]+)$", r"\1"),
    (rf"^([0-9]{{1,2}})[/ -]{_MONTH}[A-Z]*[/ -]([0-9]{{4}})[: ]", r"\3-\2-\1 "),
    (rf"^{_MONTH}[A-Z]* +([0-9]{{1,2}}),? ([0-9:.]+) ([0-9]{{4}})", r"\4-\1-\2 \3"),
    (r"^([0-9]{4})([0-9]{2})([0-9]{2})(?:[T ]?([0-9]{2}):?([0-9]{2}):?([0-9]{2}))", r"\1-\2-\3 \4:\5:\6"),
    (r"^([0-9]{4})([0-9]{2})([0-9]{2})$", r"\1-\2-\3"),
    (r"^([0-9]{4}-[A-Z0-9]+)-([0-9]) ", r"\1-0\2 "),
)
"""Replacements, in order, that turn upper-case text of the other forms into RFC 3339 (read by RE2 and `re` alike)."""

_SCALES = ((10**11, 10**3), (10**14, 10**6), (10**17, 10**9))
"""Epoch numbers below the first are seconds, then milliseconds, microseconds; beside it, nano-units per microsecond."""
_NANOSECONDS = 10**12

_YEAR_ZERO = "0000"
FIRST = -62_135_596_800 * 10**6
"""The beginning of the year 1, in microseconds since the epoch."""
BEYOND = 253_402_300_800 * 10**6
"""The end of the year 9999. What RFC 3339 cannot write is no time."""
_APART = 146_097 * 50
"""Days that a time without a zone stands apart until its offset is taken off: twenty thousand years, any calendar."""
_APART_YEAR = 15_000
_BATCH = 16_384  # rows: DuckDB hands whole Arrow batches to its threads


def time_sql(expr: str, clock: str = "") -> str:
    """Write SQL that reads text as an instant: a naive TIMESTAMP in UTC, NULL where it cannot be read.

    `expr` gives VARCHAR. Fractions are cut, never rounded. A time that names no zone is in UTC; `clock` is SQL that
    follows what it shows, to make something else of it.
    """
    simple = _iso_sql(expr, clock)
    other = f"list_transform([{_normal_sql(expr)}], lambda s: CASE {_iso_sql('s', clock)} END)[1]"
    return (
        f"CASE WHEN {expr} IS NULL THEN NULL {simple} "
        f"WHEN regexp_full_match({expr}, {literal(_EPOCH)}) AND NOT regexp_full_match({expr}, {literal(_BASIC)}) "
        f"THEN {_epoch_sql(expr)} ELSE {other} END"
    )


def times_sql(rows: str, tz: str) -> str:
    """Write a SELECT of `i` and `instant` from rows of `i` and a text `t`, read as `time_sql` does.

    `tz` is the zone of times that name none. Of a time that a clock in the zone shows twice it is the first; one that
    it skips is read with the offset before the gap (RFC 5545, and `fold=0` in Python).
    """
    minutes = fixed_minutes(tz)
    if minutes is not None:
        shift = f" - to_minutes({minutes})" if minutes else ""
        return f"SELECT i, {time_sql('t', shift)} AS instant FROM ({rows})"
    # What an offset is to be found for stands so far away that no other time does.
    read = f"SELECT i, {time_sql('t', f' + to_days({_APART})')} AS far FROM ({rows})"
    clock = f"SELECT i, far, far - to_days({_APART}) AS clock FROM ({read})"
    found = f"clock - to_seconds({offset_sql('clock', tz, local=True)})"
    return f"SELECT i, CASE WHEN year(far) > {_APART_YEAR} THEN {found} ELSE far END AS instant FROM ({clock})"


def read_times(connection: duckdb.DuckDBPyConnection, texts: pa.Array, tz: str) -> pa.Array:
    """Read a column of text as `times_sql` does, as timestamp[us, UTC]; null where it is of no year from 1 to 9999."""
    import pyarrow as pa
    import pyarrow.compute as pc

    instant = pa.timestamp("us", tz="UTC")
    shape = pc.and_(pc.ends_with(texts, "Z"), pc.greater_equal(pc.binary_length(texts), len("2026-11-23T02:40:10Z")))
    if pc.all(shape).as_py() is not False:
        try:
            # Times in UTC to the second or finer, as most logs write them: Arrow reads these alike, ten times faster.
            times = texts.cast(instant)
        except pa.ArrowInvalid:
            pass
        else:
            first = pc.min(times.cast(pa.int64())).as_py()
            if first is None or first >= FIRST:
                return times
    table = pa.table({"i": pa.array(range(len(texts)), pa.int64()), "t": texts})
    connection.register("esctl_times", pa.Table.from_batches(table.to_batches(max_chunksize=_BATCH)))
    try:
        sql = f"SELECT i, timezone('UTC', instant) AS instant FROM ({times_sql('SELECT i, t FROM esctl_times', tz)})"
        found = connection.sql(sql).to_arrow_table()
    finally:
        connection.unregister("esctl_times")
    return _written(found.sort_by("i")["instant"].combine_chunks().cast(instant))


def _written(times: pa.Array) -> pa.Array:
    """Leave out the times that RFC 3339 cannot write."""
    import pyarrow as pa
    import pyarrow.compute as pc

    micros = times.cast(pa.int64())
    bounds = pc.min_max(micros).as_py()
    if bounds["min"] is None or (bounds["min"] >= FIRST and bounds["max"] < BEYOND):
        return times
    known = pc.and_(pc.greater_equal(micros, FIRST), pc.less(micros, BEYOND))
    return pc.if_else(known, times, pa.scalar(None, times.type))


def _iso_sql(text: str, clock: str) -> str:
    known = f"NOT starts_with({text}, {literal(_YEAR_ZERO)})"
    return (
        f"WHEN regexp_full_match({text}, {literal(_ZONED)}) AND {known} "
        f"THEN timezone('UTC', TRY_CAST({text} AS TIMESTAMPTZ)) "
        f"WHEN regexp_full_match({text}, {literal(_LOCAL)}) AND {known} THEN TRY_CAST({text} AS TIMESTAMP){clock}"
    )


def _normal_sql(expr: str) -> str:
    sql = f"upper(trim({expr}))"
    for pattern, replacement in _STEPS:
        sql = f"regexp_replace({sql}, {literal(pattern)}, {literal(replacement)})"
    for number, month in enumerate(_MONTHS, 1):
        sql = f"replace({sql}, '-{month}-', '-{number:02d}-')"
    return sql


def _epoch_sql(expr: str) -> str:
    pattern = literal(_EPOCH_PARTS)
    whole = f"regexp_extract({expr}, {pattern}, 1)"
    nano = f"CAST({whole} || rpad(substr(regexp_extract({expr}, {pattern}, 2), 1, 9), 9, '0') AS HUGEINT)"
    per = "CASE " + " ".join(f"WHEN n < {limit * 10**9} THEN {scale}" for limit, scale in _SCALES)
    per = f"({per} ELSE {_NANOSECONDS} END)::HUGEINT"
    floor = f"CASE WHEN starts_with({expr}, '-') THEN -((n + {per} - 1) // {per}) ELSE n // {per} END"
    return f"list_transform([{nano}], lambda n: make_timestamp(CAST({floor} AS BIGINT)))[1]"


def parse_instant(text: str, tz: str) -> int:
    """Read one time as `times_sql` does, in microseconds since the epoch.

    Raises UsageError when it cannot be read or the zone is unknown.
    """
    if fixed_minutes(tz) is None:
        canonical(tz)
    found = _iso(text, tz)
    if found is None and re.fullmatch(_EPOCH, text) and not re.fullmatch(_BASIC, text):
        found = _epoch(text)
    if found is None:
        found = _iso(_normal(text), tz)
    if found is None or not FIRST <= found < BEYOND:
        raise UsageError(f"{text!r} is no time", "write it like 2026-11-23T02:40:10Z or 2026-11-23")
    return found


def _iso(text: str, tz: str) -> int | None:
    zoned = re.fullmatch(_ZONED, text)
    if text.startswith(_YEAR_ZERO) or not (zoned or re.fullmatch(_LOCAL, text)):
        return None
    offset = re.search(rf"{_OFFSET}\Z", text) if zoned else None
    body = text[: offset.start()] if offset else text
    clock, _, fraction = body.partition(".")
    try:
        naive = datetime.datetime.fromisoformat(clock)
    except ValueError:
        return None
    micros = _micros(naive) + int(fraction[:6].ljust(6, "0"))
    if offset:
        return micros - _offset_seconds(offset[0]) * 1_000_000
    minutes = fixed_minutes(tz)
    return micros - (offset_at(naive, tz) if minutes is None else minutes * 60) * 1_000_000


def _micros(naive: datetime.datetime) -> int:
    return (naive - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)  # noqa: DTZ001 - both naive


def _offset_seconds(offset: str) -> int:
    if offset == "Z":
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if offset[0] == "-" else seconds


def _normal(text: str) -> str:
    text = text.strip(" ").upper()
    for pattern, replacement in _STEPS:
        text = re.sub(pattern.replace("$", r"\Z"), replacement, text, count=1)
    for number, month in enumerate(_MONTHS, 1):
        text = text.replace(f"-{month}-", f"-{number:02d}-")
    return text


def _epoch(text: str) -> int:
    whole, _, fraction = text.removeprefix("-").partition(".")
    nano = int(whole + fraction[:9].ljust(9, "0"))
    per = next((scale for limit, scale in _SCALES if nano < limit * 10**9), _NANOSECONDS)
    return -((nano + per - 1) // per) if text.startswith("-") else nano // per
