"""Find the entity that the events of a sample are about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from esctl.index.envelope.finding import field_names
from esctl.index.envelope.finding.actor import has_actor_field
from esctl.index.envelope.finding.agreement import finest_fields
from esctl.index.envelope.finding.sampled_fields import (
    SampledField,
    all_integers,
    describe,
    ends_in_id,
    identifies,
    is_decimal,
    is_time,
    plain_name,
    words,
)
from esctl.index.envelope.finding.search import LIKELY, Search

_ENOUGH_RECORDS = 12
"""From this many records on, a sample shows whether the values of a field repeat."""
_TAILS = ("id", "uuid", "no", "nr", "num", "number", "key", "ref", "reference", "name", "")
_PEOPLE_AND_TENANTS = (*field_names.PEOPLE, *field_names.TENANTS)


def _id_names(things: Iterable[str]) -> list[str]:
    named = list(things)
    return [f"{thing}{tail}" for tail in _TAILS for thing in named]


def find_entity(search: Search) -> SampledField | None:
    """Choose the entity: its type and id, a field whose name means an entity, a thing, or the only id."""
    inside = (*field_names.META, *field_names.DATA, *search.opened)
    telling = [name for name in field_names.ENTITY if name not in field_names.SHY]
    entity = _choose_pair(search) or search.find_named(telling, _may_repeat, inside)
    entity = entity or search.find_named(field_names.SHY, _is_repeated_name, inside)
    if entity is None:
        entity = _find_likely(search, inside)
        search.sure = LIKELY
    return entity


def _find_likely(search: Search, inside: Sequence[str]) -> SampledField | None:
    found = search.find_named(["id"], _repeats_or_few)
    if found is not None and (rival := _rival_of(search, found)):
        search.leave_open("entity", "events may be about any of these", (rival, found))
        return None
    found = found or _choose_thing(search)
    if found is None and "entity" not in search.doubts:
        people, tenants = _id_names(field_names.PEOPLE), _id_names(field_names.TENANTS)
        found = (
            search.find_named(field_names.ENTITY, lambda each: _may_be_entity(each) and not _are_titles(each), inside)
            or (None if _has_other_thing(search) else search.find_named(people, _repeats_or_few, search.opened))
            or _choose_only_id(search)
            or search.find_named(tenants, _repeats_or_few, search.opened)
        )
    return found


def _rival_of(search: Search, found: SampledField) -> SampledField | None:
    """Return a thing that repeats far more often than an id that hardly does and may be that of events; or None.

    Ids of events repeat with other content if events were delivered again, or ids are wrong.
    """
    if 5 * found.distinct < 4 * len(found.values):
        return None
    pool = _usable_things(search, _thing_names(search), (*field_names.META, *search.opened))
    often = [each for each in pool if each is not found and 2 * each.distinct <= found.distinct]
    return finest_fields(often)[0] if often else None


def _thing_names(search: Search) -> list[str]:
    """List the names of things that events may be about, the likeliest first."""
    things = _id_names(name for name in field_names.THINGS if name not in (*_PEOPLE_AND_TENANTS, *field_names.PLACES))
    # If somebody else is the actor, events may be about people.
    people = _id_names(field_names.PEOPLE) if has_actor_field(search) else []
    return [*things, *people, *_id_names(name for name in field_names.PLACES if name not in _PEOPLE_AND_TENANTS)]


def _choose_thing(search: Search) -> SampledField | None:
    """Choose the finest of the things that records name: if each order has one customer, events are about orders."""
    names = _thing_names(search)
    around = (*field_names.META, *search.opened)
    pool = _usable_things(search, names, around)
    if not pool:
        return _choose_constant_thing(search, names, around)
    chosen, *rivals = finest_fields(pool)
    if rivals := rivals or _finer_rivals(search, names, chosen):
        search.leave_open("entity", "events may be about any of these", (chosen, *rivals))
        return None
    after = next((each.text for each in pool if each is not chosen), "")
    search.why = f"named {chosen.path[-1]!r}, {describe(chosen)}" + (f"; the next would be {after}" if after else "")
    return chosen


def _finer_rivals(search: Search, names: Sequence[str], chosen: SampledField) -> list[SampledField]:
    """Return the things that vary more than the chosen one, if so few records do not show whether they repeat."""
    if len(search.records) >= _ENOUGH_RECORDS or not _repeats(chosen):
        return []
    settled = search.find_all_named(names, _may_repeat, field_names.META)
    return [each for each in settled if each is not chosen and each.distinct > chosen.distinct]


def _usable_things(search: Search, names: Sequence[str], around: Sequence[str]) -> list[SampledField]:
    """Return the things to choose from: those that repeat, and in a small sample also those that do not."""
    found = _without_constants(search.find_all_named(names, _repeats, around))
    found = found or _without_constants(search.find_all_named(names, _repeats, field_names.DATA))
    found = found or _without_constants(search.find_all_named(names, _may_repeat, (*around, *field_names.DATA)))
    return [*found, *(each for each in _without_constants(_other_ids(search)) if each not in found)] if found else []


def _choose_constant_thing(search: Search, names: Sequence[str], around: Sequence[str]) -> SampledField | None:
    """Choose the thing that is the same in all records, if no other field may name things."""
    chosen, *others = search.find_all_named(names, _may_repeat, (*around, *field_names.DATA)) or (None,)
    if chosen is None or _without_constants(_other_ids(search)):
        return None
    if any(_may_name(search, each, field_names.TECHNICAL) for each in search.fields):
        return None
    if _is_where_people_are(search, chosen, around):
        return None
    rivals = [each for each in others if plain_name(each.steps[0]) in field_names.DATA and len(chosen.steps) == 1]
    if len(search.records) < _ENOUGH_RECORDS and field_names.NO_THINGS & {*words(chosen.steps[-1])}:
        # A client may be a customer, or the program that people use.
        rivals += search.find_all_named(_id_names(field_names.PEOPLE), _may_repeat, around)[:1]
    if rivals:
        search.leave_open("entity", "events may be about any of these", (chosen, *rivals))
        return None
    search.why = f"named {chosen.path[-1]!r}, {describe(chosen)}"
    return chosen


def _is_where_people_are(search: Search, chosen: SampledField, around: Sequence[str]) -> bool:
    """Return whether the thing of all records is only where people act; in a small sample, if its name is a place's."""
    if len(search.records) < _ENOUGH_RECORDS and chosen.whole_name in _id_names(field_names.PLACES):
        return bool(search.find_all_named(_id_names(field_names.PEOPLE), _may_repeat, around))
    return bool(_without_constants(search.find_all_named(_id_names(field_names.PEOPLE), _repeats, around)))


def _has_other_thing(search: Search) -> bool:
    return any(_may_name(search, each) for each in search.fields if each.name not in _PERSONS)


_PERSONS = {*_id_names(field_names.PEOPLE), *field_names.INSIDE_ACTOR} - {"name"}


def _may_name(search: Search, each: SampledField, no_things: frozenset[str] = field_names.NO_THINGS) -> bool:
    """Return whether a field may name things, whatever it is called: its values look so, vary and repeat.

    Inside an object, it must be called an id, and the object no actor.
    """
    return each.distinct > 1 and _repeats(each) and _are_names(each) and _is_named_as_one(search, each, no_things)


def _is_named_as_one(search: Search, each: SampledField, no_things: frozenset[str]) -> bool:
    depth = len(each.steps) - (plain_name(each.steps[0]) in search.opened)
    return (
        (depth <= 1 or (depth == 2 and each.holder not in _DOERS and ends_in_id(each)))
        and search.is_free(each)
        and (not all_integers(each) or ends_in_id(each))
        and not is_time(each)
        and not no_things & set(words(each.steps[-1]))
        and each.name not in (_TAKEN - {"name"} if depth <= 1 else _IDS_OF_EVENTS)
    )


def _is_rival(search: Search, each: SampledField, chosen: SampledField) -> bool:
    if len(search.records) >= _ENOUGH_RECORDS:
        return each.distinct > chosen.distinct and _may_name(search, each, field_names.TECHNICAL)
    return _is_named_as_one(search, each, field_names.TECHNICAL) and _are_names(each) and _may_be_entity(each)


def _without_constants(found: Iterable[SampledField]) -> list[SampledField]:
    """Leave out fields that are the same in all records, as the place where all happened."""
    return [each for each in found if each.distinct > 1]


def _may_be_entity(each: SampledField) -> bool:
    # A vague name is not an entity's if it has one value for all records, or another for each.
    many = len(each.values) >= _ENOUGH_RECORDS
    telling = (
        not {each.name, each.whole_name} & {*field_names.VAGUE} or not many or 1 < each.distinct < len(each.values)
    )
    return identifies(each) and each.share >= 0.5 and telling


def _may_repeat(each: SampledField) -> bool:
    return _may_be_entity(each) and (each.distinct < len(each.values) or len(each.values) < _ENOUGH_RECORDS)


def _is_repeated_name(each: SampledField) -> bool:
    return _may_be_entity(each) and 1 < each.distinct < len(each.values) and _are_names(each)


def _are_names(each: SampledField) -> bool:
    """Return whether values are names of single things, such as `o-1` or `a/b`; a word alone names a sort of thing."""
    few = list(each.scalars)
    return 2 * sum(bool(re.search(r"[0-9@/:.]", str(value))) for value in few) > len(few)


def _are_titles(each: SampledField) -> bool:
    """Return whether values are texts that describe one event each, such as the subject of a commit or a mail."""
    few = [str(value) for value in each.scalars]
    return len(few) > 1 and each.distinct == len(each.values) and 2 * sum(" " in text for text in few) > len(few)


def _repeats(each: SampledField) -> bool:
    return _may_be_entity(each) and each.distinct < len(each.values)


def _repeats_or_few(each: SampledField) -> bool:
    return _may_be_entity(each) and (each.distinct < len(each.values) or len(each.values) < 3)


def _choose_pair(search: Search) -> SampledField | None:
    """Choose a type and an id that together name a thing."""
    fields = [each for each in search.fields if search.is_free(each) and each.is_scalar and each.share >= 0.5]
    found = ((kind, each) for kind, each in _pair_candidates(fields) if _are_paired(kind, each))
    return next((_take_pair(search, kind, each) for kind, each in found), None)


_PREFIXED = re.compile(rf"(.+)(?:{'|'.join(field_names.PAIRED)})type$")


def _prefixed_names(named: Iterable[str], fields: Sequence[SampledField]) -> Iterator[tuple[str, str]]:
    """Yield names of a type and its id that follow a prefix of all fields, as in `log_object_type`."""
    for kind in sorted(named):
        found = _PREFIXED.match(kind)
        if found and all(plain_name(each.steps[0]).startswith(found[1]) for each in fields):
            yield from ((kind, f"{kind.removesuffix('type')}{tail}") for tail in field_names.PAIR_IDS)


def _pair_candidates(fields: Sequence[SampledField]) -> Iterator[tuple[SampledField, SampledField]]:
    """Yield fields of one object that are called as a type and its id are, the likeliest first."""
    placed: dict[tuple[tuple[str | int, ...], str], list[SampledField]] = {}  # by object and bare name
    named: dict[str, list[SampledField]] = {}
    for each in fields:
        placed.setdefault((each.path[:-1], each.name), []).append(each)
        named.setdefault(each.name, []).append(each)

    def beside(kind: SampledField, name: str) -> Iterator[tuple[SampledField, SampledField]]:
        yield from ((kind, each) for each in placed.get((kind.path[:-1], name), ()))

    names = [(f"{name}type", f"{name}{tail}") for name in field_names.PAIRED for tail in field_names.PAIR_IDS]
    sorts = [(name, f"{name}{tail}") for name in field_names.PAIRED for tail in field_names.PAIR_IDS]
    for kind_name, id_name in (*names, *field_names.ODD_PAIRS, *sorts, *_prefixed_names(named, fields)):
        for kind in named.get(kind_name, ()):
            yield from beside(kind, id_name)
    for kind in (kind for name in field_names.TABLES for kind in named.get(name, ())):
        yield from _table_and_key(kind, fields)
    for holder in field_names.PAIRED:
        for kind in (kind for name in (*_KINDS, f"{holder}type") for kind in named.get(name, ())):
            if kind.holder == holder:
                for name in (*field_names.PAIR_IDS, "name"):
                    yield from beside(kind, name)


_KINDS = ("type", "kind", "resource")


def _table_and_key(kind: SampledField, fields: Sequence[SampledField]) -> Iterator[tuple[SampledField, SampledField]]:
    """Yield the name of a table with the key of a row, if that is the only member of an object next to it."""
    for key in field_names.KEYS:
        found = [
            each
            for each in fields
            if len(each.steps) == len(each.path) > 1 and each.path[:-2] == kind.path[:-1] and each.holder == key
        ]
        if len(found) == 1:
            yield kind, found[0]


def _are_kinds(kind: SampledField, each: SampledField) -> bool:
    """Return whether values are the sorts of the things that the ids name: words, each for several ids."""
    words_alone = all(isinstance(value, str) and not re.search(r"[0-9]", value) for value in kind.scalars)
    return words_alone and 1 < kind.distinct < each.distinct


def _are_paired(kind: SampledField, each: SampledField) -> bool:
    few = kind.distinct <= max(8, len(kind.values) // 2)
    is_sort = not each.name.startswith(kind.name) or _are_kinds(kind, each)
    return few and is_sort and identifies(each) and not is_decimal(kind)


def _take_pair(search: Search, kind: SampledField, each: SampledField) -> SampledField:
    search.why = f"{kind.path[-1]!r} and {each.path[-1]!r} name one thing, {describe(each)}"
    search.kind = kind
    beside = (other for other in search.fields if other.path[:-1] == each.path[:-1] and len(other.path) > 1)
    search.space = next((other for other in beside if other.name in field_names.SPACES and other.is_scalar), None)
    return each


def _choose_only_id(search: Search) -> SampledField | None:
    others = _other_ids(search)
    others = _without_constants(others) or (others if len(search.records) < _ENOUGH_RECORDS else [])
    if len(others) != 1:
        return None
    if others[0].distinct == 1 and _is_where_people_are(search, others[0], ()):
        return None
    # Events may as well be about another field, whatever its name; in a small sample it need not repeat.
    rivals = [each for each in search.fields if each is not others[0] and _is_rival(search, each, others[0])]
    if rivals:
        search.leave_open("entity", "events may be about any of these", (*finest_fields(rivals), others[0]))
        return None
    search.why = f"the only id whose values repeat, {describe(others[0])}"
    return others[0]


_TAKEN = {
    *field_names.ACTOR, *field_names.CORRELATION, *field_names.CAUSATION, *field_names.ID, *field_names.TENANT,
    *field_names.TYPE, *field_names.SEQUENCE,
}  # fmt: skip
_IDS_OF_EVENTS = {*field_names.CORRELATION, *field_names.CAUSATION, *field_names.ID[:5]}
_DOERS = {*field_names.ACTOR, *field_names.PEOPLE}
_HOLD_NONE = {
    *field_names.ACTOR,
    *field_names.PEOPLE,
    *field_names.META,
    *field_names.DATA,
    "event",
    "action",
    "operation",
    "activity",
}


def _other_ids(search: Search) -> list[SampledField]:
    """Return the fields that are called as ids are, of whatever thing, and repeat as those of things do."""
    return [
        each
        for each in search.fields
        if search.is_free(each) and _is_called_an_id(search, each) and _repeats(each) and not is_time(each)
    ]


def _is_called_an_id(search: Search, each: SampledField) -> bool:
    steps = each.steps[1:] if plain_name(each.steps[0]) in search.opened else each.steps
    words_used = {*words(each.steps[-1]), *words(steps[0])} if steps else set()
    if (
        len(steps) not in (1, 2)
        or field_names.NO_THINGS & words_used
        or {each.name, each.whole_name} & _TAKEN - {"id", "name"}
    ):
        return False
    if len(steps) == 1:
        return ends_in_id(each)
    return each.name in (*field_names.PAIR_IDS, "name") and each.holder not in _HOLD_NONE
