"""Read times in Python, with the same results as in SQL."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping

from esctl.engine.zones import canonical_name, fixed_minutes
from esctl.errors import UsageError
from esctl.index.decode.times import forms
from esctl.index.decode.times.epochs import BEYOND, BY_NAME, EPOCH, FIRST, Unit, micros_of
from esctl.index.decode.times.forms import PIVOT, Form
from esctl.index.decode.times.reading import Reading

_PLAIN = re.compile(
    rf"(?P<y>[0-9]{{4}})-(?P<m>[0-9]{{2}})-(?P<d>[0-9]{{2}})"
    rf"(?:[T ](?P<h>[0-9]{{2}}):(?P<i>[0-9]{{2}})(?::(?P<s>[0-9]{{2}})(?:\.(?P<f>[0-9]+))?)?(?P<z>{forms.OFFSET})?)?"
)
"""The form that is tried first, since most logs have it."""
_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - naive on both sides
_LIKELY = Reading(tuple(forms.ORDERS))
_DAY = 86_400 * 10**6


def parse_instant(text: str, tz: str, reading: Reading | None = None) -> int:
    """Read one time as `times_sql` does, in microseconds since the epoch.

    Raises UsageError when it cannot be read or the zone is unknown.
    """
    if fixed_minutes(tz) is None:
        canonical_name(tz)
    found = instant_of(text, tz, reading or Reading())
    if found is None:
        raise UsageError(f"{text!r} is not a time", "write it like 2026-11-23T02:40:10Z or 2026-11-23")
    return found


def tells_hours(text: str) -> bool:
    """Return whether a text that `parse_instant` reads has a time of day, or else is a date alone."""
    if match := _PLAIN.fullmatch(text):
        return match["h"] is not None
    tidied = None if re.fullmatch(EPOCH, text) and not re.fullmatch(forms.BASIC, text) else _tidy_text(text)
    if tidied is None or _read_wrapped_number(tidied) is not None:
        return True
    form = next(_matches(tidied, Reading().forms, Reading()), None)
    return form is None or bool(form[1].groupdict().get("h"))


def instant_of(text: str, tz: str, reading: Reading) -> int | None:
    """Read one time, in microseconds since the epoch; None if the text is not a time."""
    for each in reading.written:
        found = _read_usual(text, tz, reading) if each is None else _read_format(text, tz, each, reading)
        if found is not None and FIRST <= found < BEYOND:
            return found
    return None


def likely_instant(text: str) -> int | None:
    """Read a time as UTC; if the order of day and month is unknown, in any that makes a date. None if it is no time."""
    if re.fullmatch(forms.ZONED, text) or re.fullmatch(forms.LOCAL, text):
        return instant_of(text, "UTC", _LIKELY)
    if re.fullmatch(EPOCH, text) and not re.fullmatch(forms.BASIC, text):
        return micros_of(text)
    tidied = _tidy_text(text)
    if tidied is None:
        return None
    read = (
        _instant_of_parts(match.groupdict(""), "UTC", _LIKELY) for _, match in _matches(tidied, _LIKELY.forms, _LIKELY)
    )
    return next((found for found in (_read_wrapped_number(tidied), *read) if found is not None), None)


def form_of(text: str, reading: Reading) -> tuple[Form | None, bool]:
    """Return the form of a text that is not plain (None: no form or a wrapping), and whether it is tidy."""
    tidied = _tidy_text(text)
    if tidied is None or _read_wrapped_number(tidied) is not None:
        return None, False
    return next((form for form, _ in _matches(tidied, reading.forms, reading)), None), tidied == text.upper()


def _read_usual(text: str, tz: str, reading: Reading) -> int | None:
    if match := _PLAIN.fullmatch(text):
        return _instant_of_parts(match.groupdict(""), tz, reading)
    if re.fullmatch(EPOCH, text) and not re.fullmatch(forms.BASIC, text):
        return micros_of(text)
    tidied = _tidy_text(text)
    if tidied is None:
        return None
    counted = _read_wrapped_number(tidied)
    if counted is not None:
        return counted
    form = next(_matches(tidied, reading.forms, reading), None)
    return None if form is None else _instant_of_parts(form[1].groupdict(""), tz, reading)


def _read_format(text: str, tz: str, each: Form | Unit, reading: Reading) -> int | None:
    if isinstance(each, Unit):
        return micros_of(text, (each,)) if re.fullmatch(EPOCH, text) else None
    bare = _upper_ascii(text)
    form = None if bare is None else next(_matches(bare, (each,), reading), None)
    return None if form is None else _instant_of_parts(form[1].groupdict(""), tz, reading)


def _matches(text: str, which: Iterable[Form], reading: Reading) -> Iterator[tuple[Form, re.Match[str]]]:
    zone = forms.zone_pattern([name for name, _ in reading.zones])
    for form in which:
        if match := re.fullmatch(form.pattern.replace("ZONE", zone), text):
            yield form, match


def _upper_ascii(text: str) -> str | None:
    for old, new in forms.TIDY:
        text = text.replace(old, new)
    return text.strip(" ").upper() if re.fullmatch(forms.ASCII, text) else None


def _tidy_text(text: str) -> str | None:
    bare = _upper_ascii(text)
    if bare is None:
        return None
    for pattern, replacement in (forms.WRAPPED, *forms.STEPS):
        bare = re.sub(re.sub(r"\$$", r"\\Z", pattern), replacement, bare, count=1)
    return bare


def _read_wrapped_number(text: str) -> int | None:
    for pattern, _, name in forms.COUNTED:
        if match := re.fullmatch(pattern, text):
            return micros_of(match[1], (BY_NAME[name],))
    for pattern, second, nano in zip(forms.FINE_COUNTED, (1, 2), (2, 1), strict=True):
        if match := re.fullmatch(pattern, text):
            return int(match[second]) * 10**6 + int(match[nano]) // 1000
    return None


def _instant_of_parts(parts: Mapping[str, str], tz: str, reading: Reading) -> int | None:
    day, clock = _date(parts), _clock(parts)
    if day is None or clock is None:
        return None
    micros = (day.toordinal() - _EPOCH.toordinal()) * _DAY + clock
    if zone := parts.get("z"):
        return micros - _offset_seconds(zone, reading) * 10**6
    minutes = fixed_minutes(tz)
    if minutes is not None:
        return micros - minutes * 60 * 10**6
    from esctl.engine.offsets import offset_at

    try:
        naive = _EPOCH + datetime.timedelta(microseconds=micros)
    except OverflowError:
        return None
    return micros - offset_at(naive, tz) * 10**6


def _clock(parts: Mapping[str, str]) -> int | None:
    """Return the microseconds since midnight; None if no clock shows such a time."""
    hour, minute, second = (int(parts.get(group) or 0) for group in "his")
    micro = int(parts.get("f", "")[:6].ljust(6, "0")) + int(parts.get("n") or 0) // 1000
    if half := parts.get("p"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "P")
    is_clock = hour <= 23 or (hour == 24 and not (minute or second or micro))
    if not is_clock or minute > 59 or second > 60:
        return None
    return (hour * 3600 + minute * 60 + second) * 10**6 + (0 if second == 60 else micro)


def _date(parts: Mapping[str, str]) -> datetime.date | None:
    try:
        if "g" in parts:
            return datetime.date.fromisocalendar(int(parts["g"]), int(parts["w"]), int(parts["e"]))
        year = int(parts["y"])
        if len(parts["y"]) == 2:
            year += 1900 if year >= PIVOT else 2000
        if "j" in parts:
            found = datetime.date(year, 1, 1) + datetime.timedelta(days=int(parts["j"]) - 1)
            return found if found.year == year else None
        month = forms.MONTHS.index(parts["b"]) + 1 if "b" in parts else int(parts["m"])
        return datetime.date(year, month, int(parts["d"]))
    except (ValueError, OverflowError):
        return None


def _offset_seconds(zone: str, reading: Reading) -> int:
    for name, minutes in reading.zones:
        if zone == name.upper():
            return minutes * 60
    match = re.fullmatch(r"[A-Z]*([+-])([0-9]{1,2}):?([0-9]{2})?", zone)
    if match is None:
        return 0
    seconds = int(match[2]) * 3600 + int(match[3] or 0) * 60
    return -seconds if match[1] == "-" else seconds
