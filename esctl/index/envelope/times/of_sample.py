"""Find from the first records of a source how its times are read: the order of day and month, and of the records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from msgspec import Struct

from esctl.index.decode.times.epochs import is_placeholder
from esctl.index.decode.times.forms import ORDERS
from esctl.index.decode.times.python import instant_of
from esctl.index.decode.times.reading import Reading, reading_of
from esctl.index.envelope.envelope_sql import record_path
from esctl.index.envelope.finding import field_names
from esctl.index.envelope.finding.sampled_fields import plain_name, time_text
from esctl.index.envelope.paths import IN_BRACES, look_up
from esctl.model import MARK, Stanza

_NUMBERED = re.compile(r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})(?![0-9])")
_SPREAD = 50
_A_DAY = 86_400_000_000  # microseconds
_CLOSE, _APART = 400, 1200  # days
_FORMATS = {"day-first": "%d/%m/%Y", "month-first": "%m/%d/%Y", "year-first": "%y/%m/%d"}
Blocks = Callable[[], Iterable[list[Any]]]
"""Gives all records of a source's first commit, parsed, in blocks."""


class Doubt(Struct, frozen=True):
    """A time whose day and month cannot be told apart: where it is, and what it would be in each order (by name)."""

    path: str
    text: str
    readings: tuple[tuple[str, str], ...]
    mixed: bool = False  # some records can be read in one order only, some in another only

    @property
    def why(self) -> str:
        """Describe the doubt in a line."""
        if self.mixed:
            return f"some of its dates have the day first, some the month, as {self.text!r}"
        either = " or ".join(f"{shown} ({name})" for name, shown in self.readings)
        return f"day and month cannot be told apart: {self.text!r} is {either}"

    @property
    def line(self) -> str:
        """Write the line of `[mapping]` that settles the doubt."""
        names = [name for name, _ in self.readings]
        order = names[0] if names else "day-first"
        return f'time_format = "{_format_like(self.text, order)}"'


class TimesShown(Struct, frozen=True):
    """What a sample shows: the order of day and month, by which text, or a doubt; and whether the newest is first."""

    order: str = ""
    by: str = ""
    doubt: Doubt | None = None
    newest_first: bool = False
    old_times: bool = False


def find_times_shown(stanza: Stanza, sample: Sequence[Any], whole: Blocks) -> TimesShown:
    """Return what the first records of a source show about its times."""
    reading = reading_of(stanza)
    texts = list(_time_texts(stanza, sample))
    order, by, doubt = "", "", None
    if not set(reading.formats) and any(_is_numbered(text) for text in texts):
        order, by, doubt = _find_order(stanza, whole())
        if doubt is not None and (beside := _order_by_other_date(stanza, sample, doubt)):
            order, by, doubt = *beside, None
        reading = Reading((order,), reading.zones) if order else reading
    known = stanza.newest_first
    texts = _without_placeholders(texts, reading)
    backwards = _runs_backwards(texts, reading) or (len(set(texts)) == 1 and _counts_down(sample))
    backwards = backwards if known is None else known
    return TimesShown(order, by, doubt, backwards, _are_some_old(texts, reading))


def has_old_times(stanza: Stanza, sample: Sequence[Any]) -> bool:
    """Return whether a source has such old times that those which usually mean no time may be times."""
    reading = reading_of(stanza)
    return _are_some_old(_without_placeholders(_time_texts(stanza, sample), reading), reading)


def _without_placeholders(texts: Iterable[str], reading: Reading) -> list[str]:
    """Leave out times that may mean no time."""
    return [
        text for text in texts if not _MAY_BE_NONE.search(text) or not is_placeholder(instant_of(text, "UTC", reading))
    ]


_MAY_BE_NONE = re.compile(r"1970|0001|\A0")


def _are_some_old(texts: Sequence[str], reading: Reading) -> bool:
    """Return whether some times are outside the years that clocks of today's computers show, 1980 to 2200."""
    spread = texts[:: max(len(texts) // _SPREAD, 1)]
    found = (instant_of(text, "UTC", reading) for text in spread)
    return any(at is not None and not _YEAR_1980 <= at < _YEAR_2200 for at in found)


_YEAR_1980, _YEAR_2200 = 315_532_800_000_000, 7_258_118_400_000_000


def _time_texts(stanza: Stanza, records: Iterable[Any]) -> Iterator[str]:
    return texts_at(stanza, stanza.time, records)


def texts_at(stanza: Stanza, paths: Sequence[str], records: Iterable[Any]) -> Iterator[str]:
    """Yield for each record the text at the first of some paths of a stanza that it has; nothing if it has none."""
    for record in records:
        held = _value_at(record, stanza.unwrap) if stanza.unwrap else record
        record = held if isinstance(held, dict) else record
        found = (_text_at(record, alternative) for alternative in paths)
        text = next((text for text in found if text), None)
        if text is not None:
            yield text


def _text_at(record: Any, alternative: str) -> str | None:
    if alternative.startswith("="):
        return alternative[1:]
    pieces = IN_BRACES.split(alternative) if "{" in alternative else ["", alternative]
    values = [_value_at(record, piece) if i % 2 else piece for i, piece in enumerate(pieces)]
    if any(value is None for value in values):
        return None
    return "".join(time_text(value).removeprefix(MARK) for value in values)


def _value_at(record: Any, path: str) -> Any:
    return look_up(record, record_path(path))


def _is_numbered(text: str) -> bool:
    return _NUMBERED.match(text.lstrip(" ")) is not None or bool(re.match(r"[A-Za-z]{3,9},? +[0-9]{1,2}[-/.]", text))


def _find_order(stanza: Stanza, blocks: Iterable[list[Any]]) -> tuple[str, str, Doubt | None]:
    """Return the only order in which all dates can be read, and the text that shows it; else a doubt."""
    left, by, unclear = list(ORDERS), "", ""
    days: dict[str, set[int]] = {order: set() for order in ORDERS}
    for block in blocks:
        for text in filter(_is_numbered, dict.fromkeys(_time_texts(stanza, block))):
            found = {order: instant_of(text, "UTC", Reading((order,))) for order in left}
            readable = [order for order, instant in found.items() if instant is not None]
            if not readable:
                if len(left) == 1 and any(instant_of(text, "UTC", Reading((order,))) is not None for order in ORDERS):
                    return "", "", Doubt(stanza.time[0], text, (), mixed=True)
                continue  # no date in any order
            if len(readable) < len(left):
                by, left = text, readable
            for order in left:
                days[order].add((found[order] or 0) // _A_DAY)
            if not unclear and len({found[order] for order in left}) > 1:
                unclear = text
        if len(left) == 1:
            break  # an event whose date fits another order only is undated
    if len(left) == 1:
        return left[0], by, None
    return _choose_order(stanza.time[0], left, unclear, days)


def _choose_order(
    path: str, left: Sequence[str], unclear: str, days: Mapping[str, set[int]]
) -> tuple[str, str, Doubt | None]:
    """Choose between the orders `left`, in which all dates can be read; the text `unclear` is another day in each."""
    if not unclear:
        return "day-first", "", None
    if len(left) == 2 and "year-first" in left and (near := _closest_order(left, days)):
        return near, unclear, None
    shown = {order: instant_of(unclear, "UTC", Reading((order,))) for order in left}
    readings = tuple((order, _iso_day(at)) for order, at in shown.items() if at is not None)
    return "", "", Doubt(path, unclear, readings)


def _closest_order(orders: Sequence[str], days: Mapping[str, set[int]]) -> str:
    """Return the order in which dates are close together, if they are years apart in all others; else ""."""
    spans = {order: max(days[order]) - min(days[order]) for order in orders}
    near = [order for order, span in spans.items() if span <= _CLOSE]
    return (
        near[0] if len(near) == 1 and all(span > _APART for order, span in spans.items() if order not in near) else ""
    )


def _order_by_other_date(stanza: Stanza, sample: Sequence[Any], doubt: Doubt) -> tuple[str, str] | None:
    """Return the order that agrees with another date in the records, written year first, and that date; or None."""
    found: dict[str, str] = {}
    for record in sample:
        text = next(_time_texts(stanza, [record]), "")
        read = {name: instant_of(text, "UTC", Reading((name,))) for name, _ in doubt.readings}
        days = {name: _iso_day(at) for name, at in read.items() if at is not None}
        if len(set(days.values())) < 2:
            continue
        whole = json.dumps(record, default=str)
        there = {name: day for name, day in days.items() if day in whole}
        if len(there) != 1:
            return None
        found |= there
    return next(iter(found.items())) if len(found) == 1 else None


def _iso_day(micros: int) -> str:
    return (date(1970, 1, 1) + timedelta(microseconds=micros)).isoformat()


def _format_like(text: str, order: str) -> str:
    mark = next((mark for mark in "/.-" if mark in text), "/")
    year = "%Y" if re.search(r"[-/.][0-9]{4}", text) or order == "year-first" else "%y"
    return _FORMATS[order].replace("/", mark).replace("%Y", year)


def _runs_backwards(texts: Sequence[str], reading: Reading) -> bool:
    """Return whether no time is later than the one before it, and some are earlier."""
    spread = texts[:: max(len(texts) // _SPREAD, 1)]
    return _times_fall(spread, reading) and (len(spread) == len(texts) or _times_fall(texts, reading))


_NUMBERS = {*field_names.ID, *field_names.SEQUENCE, "version", "revision", "aggregateversion", "streamversion"}


def _counts_down(sample: Sequence[Any]) -> bool:
    """Return whether an id or a number falls from each record to the next."""
    records = [each for each in sample if isinstance(each, dict)]
    names = [name for name in (records[0] if len(records) > 1 else ()) if plain_name(name) in _NUMBERS]
    return any(_numbers_fall([record.get(name) for record in records]) for name in names)


def _numbers_fall(values: Sequence[Any]) -> bool:
    numbers = [int(value) for value in values if re.fullmatch(r"[0-9]{1,19}", str(value))]
    return len(numbers) == len(values) and all(a > b for a, b in pairwise(numbers))


def _times_fall(texts: Sequence[str], reading: Reading) -> bool:
    found = [at for text in texts if (at := instant_of(text, "UTC", reading)) is not None]
    return all(a >= b for a, b in pairwise(found)) and bool(found) and found[0] > found[-1]
