"""Find what the events of a sample are about."""

from __future__ import annotations

from collections.abc import Iterable

from esctl.index.envelope import field_names
from esctl.index.envelope.sampled_fields import SampledField, describe, ends_in_id, identifies, is_decimal, plain_name
from esctl.index.envelope.search import Search

_SHOWN = 12
"""Records that show whether the values of a field repeat."""
_TAILS = ("id", "uuid", "no", "number", "key", "name", "")


def find_entity(search: Search) -> SampledField | None:
    """Choose the thing that events are about: its type and id, a name that means it, a thing, the only id."""
    inside = (*field_names.META, *field_names.DATA, *search.opened)
    telling = [name for name in field_names.ENTITY if name not in field_names.SHY]
    apart = (*field_names.PEOPLE, *field_names.TENANTS)
    things = _ids(name for name in field_names.THINGS if name not in apart)
    people = _ids(field_names.PEOPLE)
    tenants = _ids(field_names.TENANTS)
    around = (*field_names.META, *search.opened)
    return (
        _pair(search)
        or search.named(telling, _settles, inside)
        or search.named(field_names.SHY, _tells, inside)
        or search.named(["id"], _repeats)
        or search.named(things, _repeats, around)
        or search.named(field_names.ENTITY, _accept, inside)
        or search.named(people, _repeats, search.opened)
        or _only_id(search)
        or search.named(tenants, _repeats, search.opened)
    )


def _ids(things: Iterable[str]) -> list[str]:
    named = list(things)
    return [f"{thing}{tail}" for tail in _TAILS for thing in named]


def _accept(each: SampledField) -> bool:
    # A vague name is no entity's where its values say that it is one word for all, or a number for each.
    many = len(each.values) >= _SHOWN
    telling = each.name not in field_names.VAGUE or not many or 1 < each.distinct < len(each.values)
    return identifies(each) and each.share >= 0.5 and telling


def _settles(each: SampledField) -> bool:
    return _accept(each) and (each.distinct < len(each.values) or len(each.values) < _SHOWN)


def _tells(each: SampledField) -> bool:
    return _accept(each) and 1 < each.distinct < len(each.values)


def _repeats(each: SampledField) -> bool:
    return _accept(each) and (each.distinct < len(each.values) or len(each.values) < 3)


def _pair(search: Search) -> SampledField | None:
    """Choose a type and an id that together name a thing."""
    names = [(f"{name}type", f"{name}{tail}") for name in field_names.PAIRED for tail in field_names.PAIR_IDS]
    fields = [each for each in search.fields if search.free(each) and each.is_scalar and each.share >= 0.5]
    for kind_name, id_name in (*names, *field_names.ODD_PAIRS):
        for kind in fields:
            for each in fields:
                beside = kind.path[:-1] == each.path[:-1]
                if beside and kind.name == kind_name and each.name == id_name and _are_paired(kind, each):
                    return _together(search, kind, each)
    for kind in fields:
        if len(kind.path) < 2 or plain_name(kind.path[-2]) not in field_names.PAIRED or kind.name not in _KINDS:
            continue
        for name in (*field_names.PAIR_IDS, "name"):
            for each in fields:
                if each.path[:-1] == kind.path[:-1] and each.name == name and _are_paired(kind, each):
                    return _together(search, kind, each)
    return None


_KINDS = ("type", "kind")


def _are_paired(kind: SampledField, each: SampledField) -> bool:
    few = kind.distinct <= max(8, len(kind.values) // 2)
    return few and identifies(each) and not is_decimal(kind)


def _together(search: Search, kind: SampledField, each: SampledField) -> SampledField:
    search.why = f"{kind.path[-1]!r} and {each.path[-1]!r} name one thing, {describe(each)}"
    search.kind = kind
    return each


def _only_id(search: Search) -> SampledField | None:
    taken = {*field_names.ACTOR, *field_names.CORRELATION, *field_names.CAUSATION, *field_names.ID, *field_names.TENANT}
    others = [
        each
        for each in search.fields
        if len(each.path) == 1 and search.free(each) and ends_in_id(each) and _repeats(each) and each.name not in taken
    ]
    if len(others) == 1:
        search.why = f"the only id whose values repeat, {describe(others[0])}"
        return others[0]
    return None
