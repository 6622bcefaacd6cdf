"""The offset of a zone at a time, in SQL and in Python: looked up in lists by year, exact for the years 1 to 9999.

A year has few transitions. After the last one of a zone's history its rule applies, by which years are alike if they
begin on the same weekday and have the same length. So there is one row for each year of the history, and one for each
of these fourteen kinds of years.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from esctl.engine.quoting import literal
from esctl.engine.zones import canonical_name, find_zone, zone_bytes

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on both sides
_DAY = 86_400
_MICRO = 1_000_000
_SECOND = timedelta(seconds=1)
_NEVER = 400 * _DAY
"""Seconds that are after all transitions of any year."""
_CYCLE = 400
"""Years after which the calendar repeats itself, days of the week too."""
_HEADER = struct.Struct(">4s1s15x6L")
_RULE = (
    r"(?:<[^>]+>|[A-Za-z]+)([0-9:+-]+)(?:(?:<[^>]+>|[A-Za-z]+)([0-9:+-]*),([^,/]+)(?:/([^,]+))?,([^,/]+)(?:/(.+))?)?"
)


class Transition(Struct, frozen=True):
    """From `at` on (seconds since the epoch, UTC) clocks are `after` seconds east of UTC; until then `before`."""

    at: int
    before: int
    after: int

    @property
    def wall(self) -> int:
        """Return the time that a clock shows, in seconds, from which on it is read with the offset `after`.

        So a time that occurs twice is the first, and one that is skipped is read with the offset before the gap.
        """
        return self.at + max(self.before, self.after)


class _Rule(Struct, frozen=True):
    """The rule at the end of a zone's file: standard and daylight offsets, and when daylight time starts and ends."""

    standard: int
    daylight: int
    starts: str
    start_seconds: int
    ends: str
    end_seconds: int

    def transitions_in(self, year: int) -> list[Transition]:
        """Return the transitions of a year in order."""
        start = _day_of_rule(self.starts, year) * _DAY + self.start_seconds - self.standard
        end = _day_of_rule(self.ends, year) * _DAY + self.end_seconds - self.daylight
        turns = [Transition(start, self.standard, self.daylight), Transition(end, self.daylight, self.standard)]
        return sorted(turns, key=lambda turn: turn.at)


class _History(Struct, frozen=True):
    """The transitions that a zone's file lists, until when (seconds since the epoch), and the rule after them."""

    turns: tuple[Transition, ...]
    until: int
    rule: _Rule | None

    def transitions_in(self, years: Sequence[int]) -> list[Transition]:
        """Return the transitions of the history, then those that the rule makes in the given years."""
        ruled = [] if self.rule is None else [turn for year in years for turn in self.rule.transitions_in(year)]
        return [*self.turns, *(turn for turn in ruled if turn.at > self.until)]


class _Table(Struct, frozen=True):
    """Rows of years: `turns[k]` has the seconds into each of its k-th transition, `offsets[k]` the offset until then.

    The first row is for all years before `first`, then come the years from `first` to `last`. If the zone has a rule,
    later years have fourteen more rows: those that begin on a Sunday, a Monday, ..., then such leap years. If not, the
    last row is for them, too.
    """

    first: int
    last: int
    turns: tuple[tuple[int, ...], ...]
    offsets: tuple[tuple[int, ...], ...]
    has_rule: bool


def offset_sql(
    time: str, zone: str, *, local: bool = False, write: Callable[[int], str] = str, kind: str = "BIGINT"
) -> str:
    """Write SQL for the offset in a named zone at a TIMESTAMP, in seconds east of UTC, or as `write` writes it.

    `time` is SQL for an instant in UTC, or with `local` for what a clock in the zone shows.
    """
    table = _table(canonical_name(zone), local)
    start = f"date_trunc('year', {time})"
    row = _row_sql(table, f"year({time})", start)
    into = f"(epoch_us({time}) - epoch_us({start}))"
    offsets = [_list_sql([write(offset) for offset in column], kind) for column in table.offsets]
    tests = " ".join(
        f"WHEN {into} < {_list_sql([str(turn * _MICRO) for turn in column], 'BIGINT')}[{row}] THEN {offsets[k]}[{row}]"
        for k, column in enumerate(table.turns)
    )
    return f"CASE {tests} ELSE {offsets[-1]}[{row}] END" if tests else f"{offsets[-1]}[{row}]"


def offset_at(clock: datetime, zone: str) -> int:
    """Return the offset in a named zone when its clock shows `clock`, in seconds, as `offset_sql` with `local` does.

    zoneinfo gives the same, except in the hours when a zone's rule takes over from its history.
    """
    table = _table(canonical_name(zone), True)
    row = min(max(clock.year - table.first + 1, 0), table.last - table.first + 1)
    if clock.year > table.last and table.has_rule:
        row += 1 + _kind_of_year(clock.year)
    into = clock - datetime(clock.year, 1, 1)  # noqa: DTZ001 - naive on both sides
    passed = sum(column[row] * _SECOND <= into for column in table.turns)
    return table.offsets[passed][row]


def transitions(zone: str, low: int, high: int) -> list[Transition]:
    """Return the transitions of a named zone between two instants (inclusive, in seconds since the epoch)."""
    before = find_zone(zone).utcoffset(datetime.min)  # noqa: DTZ901 - what holds before all transitions
    history = _history(zone_bytes(canonical_name(zone)), (before or timedelta()) // _SECOND)
    turns = history.transitions_in(range(max(_year(low), 1), min(_year(high), 9999) + 1))
    return [turn for turn in turns if low <= turn.at <= high]


def _row_sql(table: _Table, year: str, start: str) -> str:
    count = table.last - table.first + 2
    later = str(count)
    if table.has_rule:
        leap = f"CASE WHEN {year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0) THEN 7 ELSE 0 END"
        later = f"{count + 1} + dayofweek({start}) + {leap}"
    listed = f"WHEN {year} < {table.first} THEN 1 WHEN {year} > {table.last} THEN {later}"
    return f"CASE {listed} ELSE {year} - {table.first - 2} END"


def _list_sql(values: Sequence[str], kind: str) -> str:
    return f"CAST({literal('[' + ','.join(values) + ']')} AS {kind}[])"


@lru_cache(maxsize=16)
def _table(zone: str, local: bool) -> _Table:
    before = find_zone(zone).utcoffset(datetime.min)  # noqa: DTZ901 - what holds before all transitions
    offset = (before or timedelta()) // _SECOND
    history = _history(zone_bytes(zone), offset)
    ends = [_year(history.until)] if history.rule is not None else []
    years = [*(_year(turn.wall if local else turn.at) for turn in history.turns), *ends] or [1970]
    first, last = min(years), max(years) + 1
    later = _year_of_each_kind(last + 1) if history.rule is not None else []
    turns = history.transitions_in(sorted({last - 1, last, *later, *(year - 1 for year in later)}))
    times = [turn.wall if local else turn.at for turn in turns]
    rows = [_year_row(turns, times, year, offset) for year in (*range(first, last + 1), *later)]
    return _build_table(first, last, [((), (offset,)), *rows], history.rule is not None)


def _year_row(
    turns: Sequence[Transition], times: Sequence[int], year: int, offset: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the seconds into a year of its transitions, and the offsets before, between and after them.

    `times` are those of the transitions, in order; `offset` is the one before them all.
    """
    start = _day_of_rule("0", year) * _DAY
    low, high = bisect_left(times, start), bisect_left(times, _day_of_rule("0", year + 1) * _DAY)
    held = turns[low - 1].after if low else offset
    return tuple(at - start for at in times[low:high]), (held, *(turn.after for turn in turns[low:high]))


def _build_table(
    first: int, last: int, rows: Sequence[tuple[tuple[int, ...], tuple[int, ...]]], has_rule: bool
) -> _Table:
    most = max(len(turns) for turns, _ in rows)
    turns = tuple(tuple(row[0][k] if k < len(row[0]) else _NEVER for row in rows) for k in range(most))
    offsets = tuple(tuple(row[1][min(k, len(row[1]) - 1)] for row in rows) for k in range(most + 1))
    return _Table(first, last, turns, offsets, has_rule)


def _year_of_each_kind(since: int) -> list[int]:
    """Return a year of each of the fourteen kinds: those beginning on a Sunday, ..., then such leap years."""
    years: dict[int, int] = {}
    for year in range(since, since + _CYCLE):
        years.setdefault(_kind_of_year(year), year)
    return [years[kind] for kind in range(14)]


def _kind_of_year(year: int) -> int:
    return (_day_of_rule("0", year) + 4) % 7 + 7 * _is_leap(year)


def _history(data: bytes, offset: int) -> _History:
    """Read a TZif file of version 2 or later; `offset` is the one before all transitions.

    Transitions that change no offset are left out.
    """
    _, _, isut, isstd, leap, times, types, chars = _HEADER.unpack_from(data)
    at = _HEADER.size + times * 5 + types * 6 + chars + leap * 8 + isstd + isut
    _, _, isut, isstd, leap, times, types, chars = _HEADER.unpack_from(data, at)
    at += _HEADER.size
    instants = struct.unpack_from(f">{times}q", data, at)
    kinds = data[at + times * 8 : at + times * 9]
    at += times * 9
    offsets = [struct.unpack_from(">l", data, at + 6 * kind)[0] for kind in range(types)]
    at += types * 6 + chars + leap * 12 + isstd + isut
    turns = _offset_changes([(instant, offsets[kind]) for instant, kind in zip(instants, kinds, strict=True)], offset)
    until = max([*instants[-1:], _first_second()])
    return _History(tuple(turns), until, _read_rule(data[at:].decode("ascii").strip("\n")))


def _offset_changes(steps: Sequence[tuple[int, int]], before: int) -> Iterator[Transition]:
    for at, after in steps:
        if after != before and at > _first_second():
            yield Transition(at, before, after)
        before = after


def _first_second() -> int:
    return _day_of_rule("0", 1) * _DAY


def _read_rule(text: str) -> _Rule | None:
    """Return the rule in the footer of a TZif file; None if the last offset that the file lists holds from then on."""
    match = re.fullmatch(_RULE, text)
    if match is None or match[3] is None:
        return None
    standard = -_seconds(match[1])
    daylight = -_seconds(match[2]) if match[2] else standard + 3600
    return _Rule(standard, daylight, match[3], _seconds(match[4] or "2"), match[5], _seconds(match[6] or "2"))


def _seconds(text: str) -> int:
    parts = [int(part) for part in text.lstrip("+-").split(":")]
    size = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    return -size if text.startswith("-") else size


def _day_of_rule(rule: str, year: int) -> int:
    """Return the day of a year that a rule names (`M3.5.0`, `J60`, `59`), in days since the epoch."""
    if rule.startswith("M"):
        month, week, weekday = (int(part) for part in rule[1:].split("."))
        first = (datetime(year, month, 1) - _EPOCH).days  # noqa: DTZ001 - naive on both sides
        day = first + (weekday - (first + 4)) % 7 + 7 * (week - 1)
        return day if _month(day) == month else day - 7
    start = (datetime(year, 1, 1) - _EPOCH).days  # noqa: DTZ001 - naive on both sides
    if rule.startswith("J"):
        number = int(rule[1:])
        return start + number - 1 + (number >= 60 and _is_leap(year))
    return start + int(rule)


def _month(day: int) -> int:
    return (_EPOCH + timedelta(days=day)).month


def _year(seconds: int) -> int:
    return (_EPOCH + timedelta(seconds=seconds)).year


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
