"""List the fields that an envelope field could be, for a user to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from esctl.index.envelope.finding import field_names
from esctl.index.envelope.finding.sampled_fields import (
    ENOUGH,
    SampledField,
    all_integers,
    identifies,
    is_time,
    plain_name,
    time_text,
    words,
)
from esctl.index.envelope.finding.search import Search

CHOSEN = ("entity", "time", "type", "actor")
"""The envelope fields that a user can choose from candidates."""
_LONGEST_TEXT = 200
_MOST_CANDIDATES = 9


class Candidate(Struct, frozen=True):
    """A field that could be an envelope field: its path, its number of different values in the sample, some of them."""

    path: str
    distinct: int
    samples: tuple[str, ...]


def describe_candidate(each: SampledField) -> Candidate:
    """Describe a field by its path and values."""
    values = each.scalars or [time_text(value) for value in each.values.values()]
    return Candidate(each.text, each.distinct, tuple(dict.fromkeys(str(value) for value in values))[:3])


def list_candidates(records: Sequence[object], name: str, first: Sequence[str] = ()) -> list[Candidate]:
    """List the fields of sampled records that could be an envelope field: those in `first`, then by likeness."""
    search = Search([record for record in records if isinstance(record, dict)])
    may_be, likeness = _OPTIONS[name]
    usable = [each for each in search.fields if may_be(each)]
    usable.sort(key=lambda each: (each.text not in first, likeness(each), len(each.steps), each.steps))
    return [describe_candidate(each) for each in usable[:_MOST_CANDIDATES]]


def _is_text(each: SampledField) -> bool:
    return all(isinstance(value, str) and len(value) <= _LONGEST_TEXT for value in each.values.values())


def _may_be_entity(each: SampledField) -> bool:
    return identifies(each) and not is_time(each) and each.share >= 0.5


def _may_be_type(each: SampledField) -> bool:
    return _is_text(each) and not is_time(each) and each.distinct <= max(8, len(each.values) // 3)


def _may_be_actor(each: SampledField) -> bool:
    return identifies(each) and not is_time(each) and _is_text(each)


def unlikeness(each: SampledField) -> tuple[Any, ...]:
    """Return how little a field is like an entity: the likeliest have its names, and many values that repeat."""
    like = field_names.likeness(each.name) + 3 * (1 < each.distinct < len(each.values)) + (each.distinct > 3)
    like -= 3 * (len(each.values) >= ENOUGH and each.distinct == len(each.values))  # such a field numbers the events
    of_no_thing = bool(field_names.NO_THINGS & set(words(each.steps[-1])))
    return of_no_thing, -like, all_integers(each), not _has_digits(each), -each.share, len(each.path)


def _has_digits(each: SampledField) -> bool:
    """Return whether most values have digits, as names of single things do and words for sorts of things do not."""
    return 2 * sum(any(map(str.isdigit, str(value))) for value in each.scalars) > len(each.scalars)


def _actor_last(each: SampledField) -> Any:
    return each.name in field_names.ACTOR, *unlikeness(each)


def _actor_first(each: SampledField) -> Any:
    named = each.name in field_names.ACTOR or plain_name(each.steps[0]) in field_names.ACTOR
    return not named, not 1 < each.distinct < len(each.values)


def _by_fewest(each: SampledField) -> Any:
    return each.distinct == 1, each.distinct


def _by_most(each: SampledField) -> Any:
    return -each.distinct


_OPTIONS: dict[str, tuple[Callable[[SampledField], bool], Callable[[SampledField], Any]]] = {
    "entity": (_may_be_entity, _actor_last),
    "time": (is_time, _by_most),
    "type": (_may_be_type, _by_fewest),
    "actor": (_may_be_actor, _actor_first),
}
