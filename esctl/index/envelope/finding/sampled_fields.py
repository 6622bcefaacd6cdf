"""The fields of sampled records: what their names and values say they may be."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from msgspec import Struct, field

from esctl.index.decode.times.python import likely_instant
from esctl.index.envelope.finding import field_names
from esctl.index.envelope.paths import format_path

MOSTLY = 0.9
SOME = 0.5
_ENDS_IN_ID = re.compile(
    r"(?:[_\-.]|\b)(?:id|key|uuid|no|nr|number|ref)$|[a-z](?:Id|ID|Key|No|Nr|Number|Ref)$|^[A-Z_]{2,}(?:ID|KEY|NO|NR)$"
)
_DIGIT = re.compile("[0-9]")
_DATED = re.compile(r"\d[-/:.]\d|[A-Za-z]{3} +\d")
_LONGEST_TIME = 200
"""Characters."""
_WRITTEN_DECIMAL = re.compile(r"-?(?:\d+|\d{1,3}(?:[.,' ]\d{3})+)[.,]\d+|true|false", re.IGNORECASE)
ENOUGH = 20
"""From this many records on, a sample shows whether the values of a field repeat."""
_USUAL_NAME = 100
"""Most characters of a name that is cached."""


class SampledField(Struct):
    """A path of the sampled records: its values (neither missing nor null) by record number."""

    path: tuple[str | int, ...]
    total: int
    values: dict[int, Any] = field(default_factory=dict)
    steps: tuple[str, ...] = ()  # the names on its path

    def __post_init__(self) -> None:
        self.steps = tuple(part for part in self.path if isinstance(part, str))

    @property
    def name(self) -> str:
        """Return the bare name."""
        return plain_name(self.steps[-1])

    @property
    def holder(self) -> str:
        """Return the bare name of what the field is in, of a list in the singular; empty at the top."""
        if len(self.steps) < 2:
            return ""
        name = plain_name(self.steps[-2])
        return name.removesuffix("s") if len(self.path) > len(self.steps) else name

    @property
    def whole_name(self) -> str:
        """Return the bare name after that of what the field is in: `order.id` is `orderid`."""
        return self.holder + self.name

    @property
    def scalars(self) -> list[Any]:
        """List the values that are texts or numbers."""
        return [value for value in self.values.values() if isinstance(value, str) or is_number(value)]

    @property
    def is_scalar(self) -> bool:
        """Return whether all values are texts or numbers."""
        return bool(self.values) and len(self.scalars) == len(self.values)

    @property
    def share(self) -> float:
        """Return the share of records that have the field."""
        return len(self.values) / self.total

    @property
    def distinct(self) -> int:
        """Count the different values."""
        return len({str(value) for value in self.scalars}) or len({str(value) for value in self.values.values()})

    @property
    def text(self) -> str:
        """Write the path."""
        return format_path(self.path)


def plain_name(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return _cached_plain_name(name) if len(name) <= _USUAL_NAME else _cached_plain_name.__wrapped__(name)


@lru_cache(4096)  # the same names come again with every source
def _cached_plain_name(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def ends_in_id(each: SampledField) -> bool:
    """Return whether a name ends as those of identifiers do."""
    return bool(_ENDS_IN_ID.search(each.steps[-1]))


def describe(each: SampledField) -> str:
    """Describe how often a field is there, and how its values repeat."""
    share = "in every record" if each.share == 1 else f"in {each.share:.0%} of the sampled records"
    return f"{share}, {each.distinct} different" if each.is_scalar else share


def is_number(value: object) -> bool:
    """Return whether a value is a number."""
    return isinstance(value, int | float | Decimal)


def all_integers(each: SampledField) -> bool:
    """Return whether all values are whole numbers, as numbers or as text."""
    return all(
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value))
        for value in each.values.values()
    )


def is_decimal(each: SampledField) -> bool:
    """Return whether values are booleans or have fractions, as JSON or, as in CSV, as text."""
    return any(isinstance(value, bool) or _has_fraction(value) for value in each.scalars) or (
        bool(each.scalars)
        and all(isinstance(value, str) and _WRITTEN_DECIMAL.fullmatch(value) for value in each.scalars)
    )


def _has_fraction(value: object) -> bool:
    if isinstance(value, float):
        return not value.is_integer()
    return isinstance(value, Decimal) and value != value.to_integral_value()


def identifies(each: SampledField) -> bool:
    """Return whether values may be names of things."""
    return each.is_scalar and not is_decimal(each) and all(map(_may_be_name, each.scalars))


def _may_be_name(value: object) -> bool:
    return not isinstance(value, str) or (value != "" and value[0] not in "{[")


def is_time(each: SampledField) -> bool:
    """Return whether most values read as times: nearly all, or half of them if the field is named as a time."""
    if each.share < SOME:
        return False
    needed = SOME if each.name in field_names.TIME else MOSTLY
    values = list(each.values.values())
    few = values[:: max(len(values) // ENOUGH, 1)]  # these rule out most fields
    return _share_of_times(few) > 0.25 and _share_of_times(values) >= needed


def _share_of_times(values: Sequence[Any]) -> float:
    return sum(map(_reads_as_time, values)) / len(values)


def is_unread_time(each: SampledField) -> bool:
    """Return whether a field is named as times of events are, and most values look like dates, readable or not."""
    dated = sum(isinstance(value, str) and bool(_DATED.search(value)) for value in each.values.values())
    return each.name in field_names.TIME and each.share >= SOME and dated >= SOME * len(each.values)


def describe_unread(each: SampledField) -> str:
    """Describe that all or most values cannot be read as times, with an example."""
    unread = [value for value in each.scalars if not _reads_as_time(value)] or each.scalars
    whose = "its values" if len(unread) == len(each.scalars) else "most of its values"
    return f"{whose} cannot be read, as {unread[0]!r:.60}"


def time_text(value: Any) -> str:
    """Write a value as the text that times are read from: objects and arrays as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)


def _reads_as_time(value: Any) -> bool:
    text = str(value) if is_number(value) else time_text(value)
    if isinstance(value, bool) or len(text) > _LONGEST_TIME or not _DIGIT.search(text):
        return False
    instant = likely_instant(text)
    if instant is None:
        return False
    # A number is only a time if it falls into the years that logs come from, 1980 to 2100.
    return not re.fullmatch(r"-?[0-9.]+", text) or 315_532_800_000_000 <= instant < 4_102_444_800_000_000


def is_at_usual_place(each: SampledField) -> bool:
    """Return whether a field is where envelope fields are: at the top, or in an object of metadata."""
    return len(each.path) == 1 or (len(each.steps) == 2 and plain_name(each.steps[0]) in field_names.META)


NAMED, RECORDED, UNNAMED, _OTHERS = 1, 2, 3, 4
"""Tiers of times: named as one, named as when it was recorded, a time by its values alone, of something else."""


def time_score(each: SampledField) -> tuple[int, ...] | None:
    """Return the score of a time, the lowest first; None if neither its name nor the form of its values says it is one.

    Names that mean the time of an event come first, then those that end in a word for a time, then those that say
    nothing, last those of another time. One value for all records is not the time of events.
    """
    deep = len(each.path) - 1
    if each.name in field_names.TIME:
        is_kept = bool(set(words(each.steps[-1])) & set(field_names.RECORDED_WORDS))
        tier, rank = RECORDED if is_kept else 0, (field_names.TIME.index(each.name),)
    elif (other_tier := _tier_by_words(each)) is not None:
        tier, rank = other_tier, (-each.distinct,)
    else:
        return None
    is_one = each.distinct == 1 and len(each.values) >= ENOUGH
    return (max(tier, _OTHERS) if is_one else tier, tier, deep, *rank)


def _tier_by_words(each: SampledField) -> int | None:
    telling = [word for word in words(each.steps[-1]) if word not in field_names.TIME_FORMS]
    is_named = bool(telling) and telling[-1] in field_names.TIME_WORDS
    is_others = bool(set(telling) & set(field_names.OTHER_TIME_WORDS))
    if is_named and not is_others:
        return RECORDED if set(telling) & set(field_names.RECORDED_WORDS) else NAMED
    is_dated = all(isinstance(value, str) and re.search(r"\d[-/:.]\d", value) for value in each.scalars)
    is_dated = is_dated and bool(each.scalars)
    if not is_dated or (len(each.path) > 1 and not is_named):
        return None
    return _OTHERS if is_others else UNNAMED


def words(name: str) -> list[str]:
    """Split a name into its words, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
