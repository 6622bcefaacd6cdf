"""Find what the events of a sample are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
    fields = [each for each in search.fields if search.free(each) and each.is_scalar and each.share >= 0.5]
    found = ((kind, each) for kind, each in _candidates(fields) if _are_paired(kind, each))
    return next((_together(search, kind, each) for kind, each in found), None)


def _candidates(fields: Sequence[SampledField]) -> Iterator[tuple[SampledField, SampledField]]:
    """Yield fields beside one another that are called as a type and its id are, the likeliest first."""
    placed: dict[tuple[tuple[str, ...], str], list[SampledField]] = {}  # by what they are in, and their bare name
    named: dict[str, list[SampledField]] = {}
    for each in fields:
        placed.setdefault((each.path[:-1], each.name), []).append(each)
        named.setdefault(each.name, []).append(each)

    def beside(kind: SampledField, name: str) -> Iterator[tuple[SampledField, SampledField]]:
        yield from ((kind, each) for each in placed.get((kind.path[:-1], name), ()))

    names = [(f"{name}type", f"{name}{tail}") for name in field_names.PAIRED for tail in field_names.PAIR_IDS]
    for kind_name, id_name in (*names, *field_names.ODD_PAIRS):
        for kind in named.get(kind_name, ()):
            yield from beside(kind, id_name)
    for kind in (kind for name in _KINDS for kind in named.get(name, ())):
        if len(kind.path) > 1 and plain_name(kind.path[-2]) in field_names.PAIRED:
            for name in (*field_names.PAIR_IDS, "name"):
                yield from beside(kind, name)


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
