"""Time texts and numbers to microseconds since the epoch, UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from .values import EPOCH, NUMBER, canonical_number, is_number

_DAY = r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
_ZONE = r"(?P<zone>[Zz]|[+-]\d\d(?::?\d\d)?)?"
_STAMP = re.compile(rf"{_DAY}(?:[Tt ]{_CLOCK}\s?{_ZONE})?")
_COMPACT = re.compile(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)")


def read_time(value: Any) -> int:
    """Read a time as microseconds, digits beyond them cut off; zoneless is UTC; ValueError where it is none.

    Numbers are epoch seconds, milli-, micro- or nanoseconds by their magnitude; eight digits are YYYYMMDD.
    """
    text = canonical_number(value) if is_number(value) else value
    if not isinstance(text, str):
        raise ValueError("neither text nor number")
    text = text.strip()
    if match := _COMPACT.fullmatch(text) or _STAMP.fullmatch(text):
        return _civil(match.groupdict())
    if NUMBER.fullmatch(text):
        return _epoch(Decimal(text))
    raise ValueError(f"{text!r} is not a time")


def _civil(part: dict[str, str | None]) -> int:
    second = datetime(
        int(part["year"] or 0),
        int(part["month"] or 0),
        int(part["day"] or 0),
        int(part.get("hour") or 0),
        int(part.get("minute") or 0),
        int(part.get("second") or 0),
        tzinfo=UTC,
    )
    fraction = int((part.get("fraction") or "").ljust(6, "0")[:6] or 0)
    return _micros(second - _offset(part.get("zone"))) + fraction


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone in "Zz":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if zone[0] == "-" else size


def _epoch(number: Decimal) -> int:
    size = abs(number)
    for limit, factor in ((10**11, Decimal(10**6)), (10**14, Decimal(10**3)), (10**17, Decimal(1))):
        if size < limit:
            return int(number * factor)
    return int(number / 1000)


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def read_bound(value: int | str | datetime) -> int:
    """Read a bound: microseconds as they are, a datetime with its zone, or a time text."""
    if isinstance(value, datetime):
        return _micros(value.astimezone(UTC))
    return value if isinstance(value, int) else read_time(value)
