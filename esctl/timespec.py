"""Parse points in time or order, such as that of `--at`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from esctl.errors import UsageError, shell_word
from esctl.model import AsOf

HINT = "a time (2024-02-01T14:03:00Z), a date, @123, seq:9, version:5, id:evt-9, now, '2h ago' or yesterday"
_AGO = r"(?ai:([0-9]+)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)\s+ago)"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHORTEST_EPOCH = 9
"""The fewest digits of a number that is read as seconds since the epoch: 2024 means a year, and lacks a day."""
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}"
_POINTED_DATE = r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?:,? +(\S.*))?"
"""A date with points: its day comes first, wherever such dates are written."""
_SLASHED_DATE = r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})(?:,? +(\S.*))?"

_ZONE_IN_BRACKETS = r"[0-9]\["
"""What is between a date and its zone (RFC 9557): only that after an offset may be passed over."""


def utc_now() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


def parse_as_of(
    text: str, option: str = "--at", *, inclusive: bool = True, tz: str = "UTC", now: Callable[[], datetime] = utc_now
) -> AsOf:
    """Read a point in time or order.

    A date alone means its end if the bound is inclusive (`--at`, `--to`), its start if it is not (`--before`,
    `--from`).
    Raises UsageError naming `option`, or the zone if there is no such zone.
    """
    spec = text.strip()
    if tz != "UTC":
        from esctl.engine.zones import find_zone

        find_zone(tz)
    try:
        ordinal = _parse_ordinal(text, spec, inclusive)
        point = ordinal or AsOf(text, "time", inclusive, instant=_parse_time(spec, inclusive, tz, now))
        point_text(point)  # raises OverflowError for an instant that no calendar has
        return replace(point, option=option)
    except (ValueError, OverflowError, UsageError):
        raise UsageError(f"{option} {text!r} is not a point in time", _hint_for(spec)) from None


def _hint_for(spec: str) -> str:
    """Return the hint for a text that is no point: what may have been meant, else the forms of points."""
    if re.fullmatch(r"[0-9]+", spec):
        return f"did you mean @{spec}, the position? or write {HINT}"
    if re.fullmatch(_AGO, f"{spec.lstrip('-')} ago"):
        return f"did you mean '{spec.lstrip('-')} ago'?"
    if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?", spec):
        return f"say of which day: '2024-02-01 {spec}'"
    if found := re.fullmatch(_SLASHED_DATE, spec):
        first, second, year, clock = found.groups()
        days = dict.fromkeys(
            f"{year}-{month:0>2}-{day:0>2}" for month, day in ((first, second), (second, first)) if int(month) <= 12
        )
        return f"write its year first: {' or '.join(shell_word(f'{day} {clock}' if clock else day) for day in days)}"
    if re.search(_ZONE_IN_BRACKETS, spec):
        return "name the zone with --tz, or write its offset: 2024-02-01T14:03:00+01:00"
    is_name = re.fullmatch(r"[\w.-]{4,64}", spec) and re.search(r"[A-Za-z]", spec) and re.search(r"[0-9]", spec)
    if is_name and not re.match(r"[0-9]{4}-?[0-9][0-9]", spec):
        return f"an event is written id:{spec}; else write {HINT}"
    return f"write {HINT}"


def _parse_ordinal(text: str, spec: str, inclusive: bool) -> AsOf | None:
    if spec.startswith("@"):
        return AsOf(text, "position", inclusive, number=_parse_number(spec[1:]))
    head, colon, rest = spec.partition(":")
    if not colon:
        return None
    if head == "seq" and rest:
        return AsOf(text, "sequence", inclusive, value=rest)
    if head == "version":
        return AsOf(text, "version", inclusive, number=_parse_number(rest))
    if head == "id" and rest:
        return AsOf(text, "event", inclusive, value=text.lstrip()[len("id:") :])
    return None


def _parse_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError(text)
    return int(text)


def _parse_time(spec: str, inclusive: bool, tz: str, now: Callable[[], datetime]) -> int:
    ago = re.fullmatch(_AGO, spec)
    if ago:
        return _microseconds(now() - timedelta(**{_UNITS[ago[2][0].lower()]: int(ago[1])}))
    if spec.lower() == "now":
        return _microseconds(now())
    if spec.lower() in ("today", "yesterday"):
        from esctl.engine.zones import find_zone

        day = now().astimezone(find_zone(tz)).date() - timedelta(days=spec.lower() == "yesterday")
        spec = day.isoformat()
    return _parse_written(spec, inclusive, tz)


def _parse_written(spec: str, inclusive: bool, tz: str) -> int:
    from esctl.index.decode.times.python import parse_instant, tells_hours

    if found := re.fullmatch(_POINTED_DATE, spec):
        day, month, year, clock = found.groups()
        spec = f"{year}-{month:0>2}-{day:0>2}" + (f" {clock}" if clock else "")
    if re.fullmatch(_DATE, spec):
        return _day_bound(date.fromisoformat(spec), inclusive, tz)
    if re.fullmatch(r"[0-9]+", spec) and len(spec) < _SHORTEST_EPOCH and not re.fullmatch(_DATE, spec):
        raise ValueError(spec)
    instant = parse_instant(spec, tz)
    if not tells_hours(spec):
        if re.search(_ZONE_IN_BRACKETS, spec):
            raise ValueError(spec)
        return _day_bound(_day_of(instant, tz), inclusive, tz)
    return instant


def _day_of(instant: int, tz: str) -> date:
    from esctl.engine.zones import find_zone

    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(find_zone(tz)).date()


def _day_bound(day: date, end: bool, tz: str) -> int:
    """Return the start of a day in a zone, or its end, in microseconds since the epoch; within UTC's calendar."""
    from esctl.index.decode.times.epochs import BEYOND, FIRST
    from esctl.index.decode.times.python import parse_instant

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


def check_order(start: AsOf | None, end: AsOf | None) -> tuple[AsOf | None, AsOf | None]:
    """Return two bounds. Raises UsageError if the first is after the second, as far as that needs no log."""
    if start is not None and end is not None and start.kind == end.kind and _order_number(start) > _order_number(end):
        swapped = f"--from {shell_word(end.text)} --to {shell_word(start.text)}"
        raise UsageError(f"--from {start.text!r} is after --to {end.text!r}", f"did you mean {swapped}?")
    return start, end


def _order_number(at: AsOf) -> int:
    """Return a number that orders points of one kind; 0 if that needs the log."""
    return (at.instant or 0) if at.kind == "time" else (at.number or 0) if at.kind in ("position", "version") else 0


def point_text(at: AsOf) -> str:
    """Write a point so that it is read as the same one at any time and in any zone."""
    if at.kind == "time" and at.instant is not None:
        return format_instant(at.instant)
    return at.text.strip() if at.kind != "event" else f"id:{at.value}"


def bound_name(option: str) -> str:
    """Return the name of a bound in a basis: `known_at` for `--known-at`, `a` for the argument `A`."""
    return option.removeprefix("--").replace("-", "_").lower()


def format_instant(microseconds: int) -> str:
    """Write microseconds since the epoch as RFC 3339 in UTC."""
    moment = datetime(1970, 1, 1) + timedelta(microseconds=microseconds)  # noqa: DTZ001 - UTC, without a suffix
    return f"{moment.isoformat()}Z"  # strftime writes a year before 1000 with fewer digits
