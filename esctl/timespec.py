"""`--at` text -> AsOf."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from esctl.errors import UsageError
from esctl.model import AsOf

HINT = "a time (2024-02-01T14:03:00Z), a date, @123, seq:9, version:5, id:evt-9, now, '2h ago' or yesterday"
_AGO = r"(?i:(\d+)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)\s+ago)"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHORTEST_EPOCH = 9
"""Digits of a number that is meant as seconds since the epoch: 2024 is meant as a year, of which no day is said."""
_DATE = r"\d{4}-\d{2}-\d{2}|\d{8}"


def utc_now() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


def parse_as_of(
    text: str, option: str = "--at", *, inclusive: bool = True, tz: str = "UTC", now: Callable[[], datetime] = utc_now
) -> AsOf:
    """Read a point in time or order.

    A date alone is its end where the bound is inclusive (`--at`, `--to`), its start where it is not (`--before`,
    `--from`).
    Raises UsageError naming `option`, or the zone if it is none.
    """
    spec = text.strip()
    if tz != "UTC":
        from esctl.engine.zones import find_zone

        find_zone(tz)
    try:
        ordinal = _ordinal(text, spec, inclusive)
        point = ordinal or AsOf(text, "time", inclusive, instant=_instant(spec, inclusive, tz, now))
        written(point)  # a point that no calendar has is none
        return replace(point, option=option)
    except (ValueError, OverflowError, UsageError):
        raise UsageError(f"{option} {text!r} is not a point in time", f"write {HINT}") from None


def _ordinal(text: str, spec: str, inclusive: bool) -> AsOf | None:
    if spec.startswith("@"):
        return AsOf(text, "position", inclusive, number=_natural(spec[1:]))
    head, colon, rest = spec.partition(":")
    if not colon:
        return None
    if head == "seq" and rest:
        return AsOf(text, "sequence", inclusive, value=rest)
    if head == "version":
        return AsOf(text, "version", inclusive, number=_natural(rest))
    if head == "id" and rest:
        return AsOf(text, "event", inclusive, value=text.lstrip()[len("id:") :])
    return None


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError(text)
    return int(text)


def _instant(spec: str, inclusive: bool, tz: str, now: Callable[[], datetime]) -> int:
    ago = re.fullmatch(_AGO, spec)
    if ago:
        return _microseconds(now() - timedelta(**{_UNITS[ago[2][0].lower()]: int(ago[1])}))
    if spec.lower() == "now":
        return _microseconds(now())
    if spec.lower() in ("today", "yesterday"):
        from esctl.engine.zones import find_zone

        day = now().astimezone(find_zone(tz)).date() - timedelta(days=spec.lower() == "yesterday")
        spec = day.isoformat()
    return _written(spec, inclusive, tz)


def _written(spec: str, inclusive: bool, tz: str) -> int:
    from esctl.index.decode.times import parse_instant

    if re.fullmatch(_DATE, spec):
        return _date(date.fromisoformat(spec), inclusive, tz)
    if spec.isdigit() and len(spec) < _SHORTEST_EPOCH and not re.fullmatch(_DATE, spec):
        raise ValueError(spec)
    return parse_instant(spec, tz)


def _date(day: date, end: bool, tz: str) -> int:
    """Give the start of a day in a zone, or its end; where UTC's calendar has not begun by then, or has ended, that."""
    from esctl.index.decode.times import BEYOND, FIRST, parse_instant

    try:
        if not end:
            return parse_instant(day.isoformat(), tz)
        if day == date.max:
            return parse_instant(f"{day}T23:59:59.999999", tz)
        return parse_instant((day + timedelta(days=1)).isoformat(), tz) - 1
    except UsageError:
        return BEYOND - 1 if day.year == date.max.year else FIRST


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def written(at: AsOf) -> str:
    """Write a point so that it is read as the same one at any time and in any zone."""
    if at.kind == "time" and at.instant is not None:
        return format_instant(at.instant)
    return at.text.strip() if at.kind != "event" else f"id:{at.value}"


def bound_name(option: str) -> str:
    """Name a bound as a basis does: that of `--known-at` is `known_at`, that of the argument `A` is `a`."""
    return option.removeprefix("--").replace("-", "_").lower()


def format_instant(microseconds: int) -> str:
    """Write microseconds since the epoch as RFC 3339 in UTC."""
    moment = datetime(1970, 1, 1) + timedelta(microseconds=microseconds)  # noqa: DTZ001 - UTC, without a suffix
    return f"{moment.isoformat()}Z"  # strftime writes a year before 1000 with fewer digits
