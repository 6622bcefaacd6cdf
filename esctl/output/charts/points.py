"""The points of a series that can be drawn, in lines by group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from esctl.errors import UsageError
from esctl.model import Answer
from esctl.output.frames import to_texts
from esctl.output.text import visible

_LARGEST = 1e300
"""The largest height; the differences and steps of larger ones may be infinite."""
MOST_POINTS = 10_000
MOST_LINES = 8
_NUMBERS = ("integer", "number", "json")  # JSON: numbers that no DECIMAL holds
_NO_GROUP = "(none)"


class Point(Struct, frozen=True):
    """A value with all its digits, at a time of the zone's clocks; `height` is None if there is no value."""

    time: datetime
    time_text: str  # the time, with its offset
    value: str
    height: float | None


class Lines(Struct, frozen=True):
    """Points by group, in order; without groups, one group named "". `whole`: all values are whole numbers."""

    groups: tuple[tuple[str, tuple[Point, ...]], ...]
    whole: bool

    @property
    def heights(self) -> list[float]:
        """List the heights of all points that have one."""
        return [point.height for _, points in self.groups for point in points if point.height is not None]

    @property
    def times(self) -> list[datetime]:
        """List the times of all points."""
        return [point.time for _, points in self.groups for point in points]


def read_lines(answer: Answer, tz: str, what: str) -> Lines:
    """Read an answer with the columns time, perhaps group, and value. `what` names the drawing in messages.

    Raises UsageError for values that are not finite numbers, and for more points or groups than can be told apart.
    """
    columns, rows = to_texts(answer, MOST_POINTS + 1, tz, rfc3339=True)
    grouped = len(columns) > 2
    found: dict[str, list[Point]] = {}
    for row in rows:
        name = (_NO_GROUP if row[1] is None else visible(row[1])) if grouped else ""
        found.setdefault(name, []).append(_point(row, columns[-1].kind, what))
    named = [(name, tuple(points)) for name, points in found.items() if any(p.height is not None for p in points)]
    if len(named) > MOST_LINES:
        raise UsageError(
            f"{what} draws at most {MOST_LINES} groups, and there are more", "name entities, or another --by"
        )
    if len(rows) > MOST_POINTS:
        raise UsageError(
            f"{what} draws at most {MOST_POINTS:,} points, and there are more",
            "give a longer --every, or --from and --to",
        )
    return Lines(tuple(named), columns[-1].kind == "integer")


def _point(row: Sequence[str | None], kind: str, what: str) -> Point:
    time_text, value = row[0] or "", row[-1]
    time = datetime.fromisoformat(time_text).replace(tzinfo=None)
    if value is None:
        return Point(time, time_text, "", None)
    if kind not in _NUMBERS:
        raise UsageError(f"{what} draws numbers, and a value is {visible(value)!r}", "give an EXPR that is a number")
    height = float(value)
    if abs(height) > _LARGEST:
        raise UsageError(
            f"{what} cannot draw {visible(value)[:40]}: it is too large", "give an EXPR of smaller numbers"
        )
    return Point(time, time_text, visible(value), height)
