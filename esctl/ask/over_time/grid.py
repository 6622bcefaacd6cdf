"""Grids of points in time: every so many minutes, days or months, as a calendar in some zone has them."""

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
_CENTURY = 100 * 365 * _DAY
_MONDAY = date(1970, 1, 5).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeStep(Struct, frozen=True):
    """The distance of two points: `count` of `unit` (s, m, h, d, w, mo, y)."""

    count: int
    unit: str

    @property
    def least_seconds(self) -> int:
        """Return how long the step lasts at least, changes of a zone's offset aside."""
        return self.count * (_SECONDS[self.unit] if self.unit in _SECONDS else _DAYS[self.unit] * _DAY)


def parse_step(text: str) -> TimeStep:
    """Read a step such as `15m`, `1h`, `1d`, `1w`, `3mo`. Raises UsageError for one that is none."""
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
    """List the points from `first` on (microseconds since the epoch), up to `last`; `beyond`: to the one not before it.

    Points lie where a clock in the zone `tz` shows the start of the unit: counted from midnight (s, m, h), from
    1970-01-01 (d), Mondays (w), Januaries (mo), years. An hour that the zone has twice has its points twice, one that
    it skips has none; a day always has one. Raises UsageError for more than `MOST_POINTS`.
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
    start = date.min if moment.year == date.min.year else moment.date() - timedelta(days=2)  # in whatever zone
    for day in _dates(TimeStep(1, "d") if step.unit in _SECONDS else step, start):
        if step.unit in _SECONDS:
            yield from _times_of(day, step.least_seconds, zone)
        else:
            with suppress(UsageError):  # of no year that UTC has
                yield parse_instant(day.isoformat(), tz)


def _dates(step: TimeStep, start: date) -> Iterator[date]:
    """Return the days on which a step begins, from the last that is not after `start` on."""
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
    found = set()
    for seconds in range(0, _DAY, width):
        for fold in (0, 1):
            local = (midnight + timedelta(seconds=seconds)).replace(fold=fold)
            with suppress(OverflowError):
                instant = local.astimezone(UTC)
                if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                    found.add((instant - _EPOCH) // timedelta(microseconds=1))
    return sorted(found)
