"""Grids of points: where a clock in a zone shows the start of a unit, whatever summer time does."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from esctl.ask.over_time.grid import MOST_POINTS, TimeStep, grid, parse_step
from esctl.engine.zones import find_zone
from esctl.errors import UsageError
from esctl.timespec import format_instant, parse_as_of


def instant(text: str) -> int:
    found = parse_as_of(text).instant
    assert found is not None
    return found


def points(step: str, first: str, last: str, tz: str = "UTC", *, beyond: bool = True) -> list[str]:
    found = grid(parse_step(step), instant(f"{first}:00Z"), instant(f"{last}:00Z"), tz, beyond=beyond)
    return [format_instant(point).removesuffix(":00Z") for point in found]


@pytest.mark.parametrize(
    ("step", "first", "last", "tz", "expected"),
    [
        ("1mo", "2024-01-02T00:05", "2024-03-31T22:30", "UTC",
         ["2024-02-01T00:00", "2024-03-01T00:00", "2024-04-01T00:00"]),
        ("3mo", "2024-01-02T00:05", "2024-05-31T22:30", "UTC", ["2024-04-01T00:00", "2024-07-01T00:00"]),
        ("1y", "2024-01-01T00:00", "2024-01-01T00:00", "UTC", ["2024-01-01T00:00"]),
        ("1w", "2024-01-02T00:00", "2024-01-15T00:00", "UTC", ["2024-01-08T00:00", "2024-01-15T00:00"]),
        ("1d", "2024-03-30T00:00", "2024-03-31T12:00", "Europe/Vienna", ["2024-03-30T23:00", "2024-03-31T22:00"]),
        ("1d", "2024-03-30T00:00", "2024-03-30T12:00", "+05:45", ["2024-03-30T18:15"]),
        # The hour from two to three is not there; the clock still shows 06:00 and 12:00.
        ("6h", "2024-03-30T23:00", "2024-03-31T10:00", "Europe/Vienna",
         ["2024-03-30T23:00", "2024-03-31T04:00", "2024-03-31T10:00"]),
        ("30m", "2024-03-31T00:30", "2024-03-31T01:30", "Europe/Vienna",
         ["2024-03-31T00:30", "2024-03-31T01:00", "2024-03-31T01:30"]),
        # The hour from two to three comes twice.
        ("1h", "2024-10-27T00:00", "2024-10-27T02:00", "Europe/Vienna",
         ["2024-10-27T00:00", "2024-10-27T01:00", "2024-10-27T02:00"]),
        # Midnight is not there: the day begins at one.
        ("1d", "2024-03-30T12:00", "2024-03-31T21:00", "Asia/Beirut", ["2024-03-30T22:00", "2024-03-31T21:00"]),
    ],
)  # fmt: skip
def test_points_lie_where_the_clock_shows_a_start(
    step: str, first: str, last: str, tz: str, expected: list[str]
) -> None:
    assert points(step, first, last, tz) == expected


@pytest.mark.parametrize(
    ("step", "last", "expected"),
    [
        ("1d", "0001-01-02T00:00", ["0001-01-01T00:00", "0001-01-02T00:00"]),
        ("1w", "0001-01-08T00:00", ["0001-01-01T00:00", "0001-01-08T00:00"]),  # a Monday
        ("1mo", "0001-02-01T00:00", ["0001-01-01T00:00", "0001-02-01T00:00"]),
        ("7mo", "0001-11-01T00:00", ["0001-03-01T00:00", "0001-10-01T00:00", "0002-05-01T00:00"]),
        ("1y", "0002-01-01T00:00", ["0001-01-01T00:00", "0002-01-01T00:00"]),
        ("5y", "0010-01-01T00:00", ["0005-01-01T00:00", "0010-01-01T00:00"]),
    ],
)
def test_the_first_point_is_the_first_that_the_calendar_has(step: str, last: str, expected: list[str]) -> None:
    assert points(step, "0001-01-01T00:00", last) == expected


def test_a_bound_keeps_points_beyond_it_out() -> None:
    assert points("1d", "2024-01-01T00:00", "2024-01-02T12:00", beyond=False) == [
        "2024-01-01T00:00",
        "2024-01-02T00:00",
    ]
    assert points("1d", "2024-01-01T00:01", "2024-01-01T12:00", beyond=False) == []


@pytest.mark.parametrize("tz", ["America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"])
def test_every_day_has_one_point(tz: str) -> None:
    zone = ZoneInfo(tz)
    found = grid(parse_step("1d"), instant("2010-01-01T00:00:00Z"), instant("2013-01-01T00:00:00Z"), tz, beyond=False)
    days = [datetime.fromtimestamp(point // 1_000_000, UTC).astimezone(zone).date() for point in found]
    assert all(0 < (b - a).days <= 2 for a, b in pairwise(days))  # Samoa left a day out
    assert len({*days}) == len(found)


@pytest.mark.parametrize(
    ("tz", "hour"),
    [
        *[("Europe/Vienna", "2024-03-31T00"), ("Europe/Vienna", "2024-10-26T23"), ("Africa/Monrovia", "1972-01-06T23")],
        *[("Australia/Lord_Howe", "2024-04-06T14"), ("America/Caracas", "2016-05-01T06")],
        *[("Pacific/Apia", "2011-12-30T09"), ("UTC", "2024-02-29T22")],
    ],
)
def test_short_steps_are_those_of_a_walk_over_each_second(tz: str, hour: str) -> None:
    """Over two hours, in most of which the clock is moved."""
    zone, first = find_zone(tz), instant(f"{hour}:00:00Z")
    seconds = range(first // 1_000_000, first // 1_000_000 + 2 * 3600)
    clocks = [(second, datetime.fromtimestamp(second, zone)) for second in seconds]
    shown = [(second, clock.hour * 3600 + clock.minute * 60 + clock.second) for second, clock in clocks]
    for width in (1, 64, 450, 1920):
        expected = [second * 1_000_000 for second, since_midnight in shown if since_midnight % width == 0]
        found = grid(TimeStep(width, "s"), first, seconds[-1] * 1_000_000, tz, beyond=False)
        assert found == expected, width


def test_years_end_with_the_calendar() -> None:
    assert points("1y", "9998-06-01T00:00", "9999-06-01T00:00") == ["9999-01-01T00:00"]


@pytest.mark.parametrize("tz", ["UTC", "Asia/Tokyo", "America/New_York", "+14:00"])
def test_years_begin_with_the_calendar(tz: str) -> None:
    first, last = "0001-01-01T00:00", "0002-02-01T00:00"
    assert len(points("1y", first, last, tz, beyond=False)) == (2 if tz in ("UTC", "America/New_York") else 1)
    for step in ("6h", "1d", "3d", "1w", "1mo"):
        found = points(step, first, "0001-02-15T00:00", tz, beyond=False)
        assert found, step
        assert all(point.startswith("0001-") for point in found)
        assert points(step, "9999-12-20T00:00", "9999-12-31T23:59", tz, beyond=True) is not None


@pytest.mark.parametrize(
    "text", ["", "h", "0d", "-1d", "1.5h", "7h", "25h", "1 fortnight", "1M", "9999999999d", "101y"]
)
def test_what_is_no_step_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--every"):
        parse_step(text)


@pytest.mark.thorough
def test_a_grid_has_an_end() -> None:
    first = instant("2024-01-01T00:00:00Z")
    assert len(grid(parse_step("1s"), first, first + (MOST_POINTS - 1) * 1_000_000, "UTC", beyond=False)) == MOST_POINTS
    with pytest.raises(UsageError, match="more than 100,000 points"):
        grid(parse_step("1s"), first, first + MOST_POINTS * 1_000_000, "UTC", beyond=False)
    with pytest.raises(UsageError, match="more than 100,000 points"):
        grid(parse_step("1s"), first, first + 10**17, "UTC", beyond=True)
