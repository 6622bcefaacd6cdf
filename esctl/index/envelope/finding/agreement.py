"""Compare the values of two fields over the records of a sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from esctl.index.envelope.finding.sampled_fields import SampledField, is_time


def determines(one: SampledField, other: SampledField) -> bool:
    """Return whether equal values of `one` always come with equal values of `other`, as an order with its customer."""
    known: dict[str, str] = {}
    for number, value in one.values.items():
        if number in other.values:
            second = str(other.values[number])
            if known.setdefault(str(value), second) != second:
                return False
    return True


def finest_fields(fields: Sequence[SampledField]) -> list[SampledField]:
    """Return the fields that no other field determines; of fields that determine each other, the first."""
    left: list[SampledField] = []
    for each in fields:
        determined_by = [other for other in fields if other is not each and determines(other, each)]
        if all(determines(each, other) for other in determined_by) and not any(
            other in determined_by for other in left
        ):
            left.append(each)
    return left


def belongs_to_a_thing(time: SampledField, finer: Iterable[SampledField], fields: Iterable[SampledField]) -> bool:
    """Return whether some field determines a time, as the day something was made, but not all of the finer times."""
    if 2 * time.distinct > len(time.values):
        return False
    things = (
        each
        for each in fields
        if each.is_scalar and not is_time(each) and time.distinct <= each.distinct <= len(each.values) / 2
    )
    return any(determines(each, time) and not all(determines(each, other) for other in finer) for each in things)


def differ(one: SampledField, other: SampledField) -> bool:
    """Return whether two fields differ in more than one in ten of the records that have both."""
    both = [str(value) != str(other.values[number]) for number, value in one.values.items() if number in other.values]
    return 10 * sum(both) > len(both)
