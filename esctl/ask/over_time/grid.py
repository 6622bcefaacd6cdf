"""Grids of points in time: every few minutes, days or months of the calendar in some zone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, tzinfo

from msgspec import Struct

from esctl.engine.zones import find_zone
from esctl.errors import UsageError
from esctl.index.decode.times.python import parse_instant

MOST_POINTS = 100_000
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DAYS = {"d": 1, "w": 7, "mo": 28, "y": 365}
_DAY = 86_400
_QUARTER_HOUR = 900
_CENTURY = 100 * 365 * _DAY
_MONDAY = date(1970, 1, 5).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeStep(Struct, frozen=True):
    """The distance between two points: `count` of `unit` (s, m, h, d, w, mo, y)."""

    count: int
    unit: str

    @property
    def least_seconds(self) -> int:
        """Return the shortest length of the step in seconds, apart from changes of a zone's offset."""
        return self.count * (_SECONDS[self.unit] if self.unit in _SECONDS else _DAYS[self.unit] * _DAY)


def parse_step(text: str) -> TimeStep:
    """Read a step such as `15m`, `1h`, `1d`, `1w`, `3mo`. Raises UsageError if it is not a valid step."""
    found = re.fullmatch(r"\s*([1-9][0-9]{0,8})\s*(s|m|h|d|w|mo|y)\s*", text)
    if found is None:
        raise UsageError(f"--every {text!r} is not a step of time", "write it like 15m, 1h, 1d, 1w, 1mo or 1y")
    step = TimeStep(int(found[1]), found[2])
    if step.least_seconds > _CENTURY:
        raise UsageError(f"--every {text!r} is more than a century", "write it like 15m, 1h, 1d, 1w, 1mo or 1y")
    if step.unit in _SECONDS and _DAY % step.least_seconds:
        raise UsageError(f"--every {text!r} does not divide a day", "give a part of a day (1h, 15m, 6h), or whole days")
    return step


def grid(step: TimeStep, first: int, last: int, tz: str, *, beyond: bool) -> list[int]:
    """List the points from `first` to `last` (microseconds since the epoch); `beyond`: to the first not before `last`.

    Points lie where a clock in the zone `tz` shows the start of a step, counted from midnight (s, m, h), 1970-01-01
    (d), Monday 1970-01-05 (w) or January of the year 0 (mo, y). An hour that occurs twice in the zone has its points
    twice, one that the zone skips has none; a day always has one. Raises UsageError for more than `MOST_POINTS`.
    """
    if (last - first) // 1_000_000 > MOST_POINTS * step.least_seconds:
        raise _too_many()
    points: list[int] = []
    try:
        for point in _points(step, first, tz):
            if point < first or (points and point <= points[-1]):
                continue
            if point > last and not (beyond and (not points or points[-1] < last)):
                break
            points.append(point)
            if len(points) > MOST_POINTS:
                raise _too_many()
    except (OverflowError, ValueError):
        pass  # the calendar ends with the year 9999
    return points


def _too_many() -> UsageError:
    return UsageError(f"the grid has more than {MOST_POINTS:,} points", "give a larger --every, or --from and --to")


def _points(step: TimeStep, first: int, tz: str) -> Iterator[int]:
    """Yield points in order, from one before `first` on; some may come twice."""
    zone = find_zone(tz)
    moment = _EPOCH + timedelta(microseconds=first)
    start = date.min if moment.year == date.min.year else moment.date() - timedelta(days=2)  # early enough in any zone
    for day in _dates(TimeStep(1, "d") if step.unit in _SECONDS else step, start):
        if step.unit in _SECONDS:
            yield from _times_of(day, step.least_seconds, zone)
        else:
            with suppress(UsageError):  # in UTC it is outside the years of the calendar
                yield parse_instant(day.isoformat(), tz)


def _dates(step: TimeStep, start: date) -> Iterator[date]:
    """Yield the days on which a step begins, from the last one not after `start`."""
    if step.unit in ("d", "w"):
        width = step.count * _DAYS[step.unit]
        zero = _MONDAY if step.unit == "w" else _EPOCH.toordinal()
        number = start.toordinal() - (start.toordinal() - zero) % width
        while number < 1:  # the calendar begins with the year 1
            number += width
        while True:
            yield date.fromordinal(number)
            number += width
    months = step.count * (12 if step.unit == "y" else 1)
    number = start.year * 12 + start.month - 1
    number -= number % months
    while number < 12:
        number += months
    while True:
        yield date(number // 12, number % 12 + 1, 1)
        number += months


def _times_of(day: date, width: int, zone: tzinfo) -> list[int]:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    block = width * max(1, _QUARTER_HOUR // width)
    found = set[int]()
    for start in range(0, _DAY, block):
        found |= _instants_in_block(midnight, range(start, min(start + block, _DAY), width))
    return sorted(found)


def _instants_in_block(midnight: datetime, seconds: range) -> set[int]:
    """Return when a clock shows each of some seconds of a day; no zone changes its offset and back within a block."""
    if len(seconds) > 2:
        first, last = (_instants(midnight + timedelta(seconds=at)) for at in (seconds[0], seconds[-1]))
        length = 1_000_000 * (seconds[-1] - seconds[0])
        if len(first) == len(last) == 1 and min(last) - min(first) == length:
            return set(range(min(first), min(last) + 1, 1_000_000 * seconds.step))
    return {instant for at in seconds for instant in _instants(midnight + timedelta(seconds=at))}


def _instants(local: datetime) -> set[int]:
    """Return when a clock in a zone shows a time: once, twice, or never."""
    found = set()
    for fold in (0, 1):
        with suppress(OverflowError):
            instant = local.replace(fold=fold).astimezone(UTC)
            if instant.astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None):
                found.add((instant - _EPOCH) // timedelta(microseconds=1))
    return found
