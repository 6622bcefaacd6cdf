"""A series as lines of braille in a terminal, drawn by plotille (the extra `plot`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from esctl.errors import UsageError
from esctl.model import Answer
from esctl.output.charts.points import Point, read_lines
from esctl.output.text import visible

_COLORS = ("cyan", "yellow", "magenta", "green", "red", "blue", "white", "black")
_MARGIN = 24
"""Columns that plotille puts around the canvas."""
_TICK = 10
"""Columns between two labels of the time axis."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = 86_400
_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 56, 91, 182, 365, 730, 1825, 3650, 7300, 18_250, 36_500, 365_000)
_SECONDS = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, *(days * _DAY for days in _DAYS))
"""Steps of the time axis."""


def plot(answer: Answer, label: str, width: int, height: int, tz: str, *, color: bool) -> str:
    """Draw the values of an answer with the columns time, perhaps group, and value; times are shown in the zone `tz`.

    Both axes begin with the data and go in round steps. Raises UsageError if plotille is not installed, and as
    `read_lines` does.
    """
    try:
        import plotille
    except ImportError:
        raise UsageError(
            "--plot needs plotille, which is not installed", "pip install 'esctl-audit[plot]', or leave out --plot"
        ) from None
    lines = read_lines(answer, tz, "--plot")
    if not lines.groups:
        return "(no values)\n"
    figure = plotille.Figure()
    figure.with_colors, figure.color_mode, figure.origin = color, "names", False
    figure.x_label, figure.y_label = "time", visible(label)
    step, figure.width = _time_axis(lines.times, max(width - _MARGIN, 2 * _TICK))
    low, rise, figure.height = _value_axis(lines.heights, max(height, 5), whole=lines.whole)
    figure.set_x_limits(*_time_limits(min(lines.times), step * (figure.width / _TICK)))
    figure.set_y_limits(low, low + rise * figure.height)
    figure.register_label_formatter(float, _number_label)
    figure.register_label_formatter(
        datetime, lambda time, chars, delta, left=False: _time_label(time, step).ljust(chars)
    )
    legend = []
    for (name, points), shade in zip(lines.groups, _COLORS, strict=False):
        # Without colours, letters tell the lines apart.
        marker = chr(ord("a") + _COLORS.index(shade)) if len(lines.groups) > 1 and not color else None
        for times, heights in runs(points):
            figure.plot(times, heights, lc=shade if color else None, marker=marker)
        line = f"\u2824{marker or ''}\u2824 {name}"
        legend.append(plotille.color(line, fg=shade, mode="names", no_color=not color))
    legend_lines = "\n".join(["", "Legend:", "-------", *legend, ""]) if len(legend) > 1 else ""
    return f"{figure.show()}\n{legend_lines}"


def runs(points: Sequence[Point]) -> Iterator[tuple[list[datetime], list[float]]]:
    """Yield the times and heights of each run of points without a gap."""
    for is_there, found in groupby(points, lambda point: point.height is not None):
        if is_there:
            run = [(point.time, point.height) for point in found if point.height is not None]
            yield [time for time, _ in run], [height for _, height in run]


def _time_axis(times: Sequence[datetime], most: int) -> tuple[timedelta, int]:
    """Choose the step of the time axis, and how many columns the times take."""
    span = (max(times) - min(times)).total_seconds()
    step = next((each for each in _SECONDS if span / each * _TICK < most - 1), _SECONDS[-1]) if span else _DAY
    return timedelta(seconds=step), min(math.floor(span / step * _TICK) + 2, most)


def _time_limits(first: datetime, length: timedelta) -> tuple[datetime, datetime]:
    """Return where the time axis begins and ends: earlier than the data if there are no times so late."""
    earliest, latest = datetime.min.replace(tzinfo=first.tzinfo), datetime.max.replace(tzinfo=first.tzinfo)
    begin = min(first, latest - min(length, latest - earliest))
    return begin, begin + min(length, latest - begin)


def _value_axis(heights: Sequence[float], most: int, *, whole: bool) -> tuple[float, float, int]:
    """Choose where the axis of values begins, its step per line, and the number of lines."""
    low, high = min(heights), max(heights)
    between = (high - low) / most if high > low else abs(high) / 10
    step = 10.0 ** math.floor(math.log10(between)) if between else 1.0
    if whole:
        step = max(step, 1.0)
    for factor in (1, 2, 5, 10, 20, 50):
        begin = math.floor(low / (step * factor)) * step * factor
        rows = math.floor((high - begin) / (step * factor)) + 1
        if rows <= most:
            return begin, step * factor, max(rows, 2)
    return low, (high - low) / (most - 1), most


def _time_label(time: datetime, step: timedelta) -> str:
    if step >= timedelta(days=1):
        return f"{time.day:02d} {_MONTHS[time.month - 1]} {time.year % 100:02d}"
    return f"{time.day:02d} {time:%H:%M}" if step >= timedelta(minutes=1) else f"{time:%H:%M:%S}"


def _number_label(value: float, chars: int, delta: float, left: bool = False) -> str:
    text = f"{value:,.10g}" if abs(value) < 1e15 else f"{value:.6g}"
    return text.ljust(chars) if left else text.rjust(chars)
