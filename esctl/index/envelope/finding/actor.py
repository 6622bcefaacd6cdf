"""Find the actor of the events of a sample."""

from __future__ import annotations

import re

from esctl.index.envelope.finding import field_names
from esctl.index.envelope.finding.agreement import determines
from esctl.index.envelope.finding.sampled_fields import SampledField, describe, is_decimal, plain_name
from esctl.index.envelope.finding.search import LIKELY, Search

_DONE_BY = re.compile(r"[a-z]+(?:ed|en|un|de|nt|ut|ld|st|pt|ght|ne)by(?:id|name|user|userid|username|email|login)?")
"""Names for who did something: `accessedBy`, `written_by_id`."""
_DONE_BY_ELSEWHERE = re.compile(
    r"(?:\w*ge|be|er|ver|\w*über)\w+(?:t|en)(?:von|durch)|\w+(?:é|e|ee|ée)par|\w+(?:ado|ada|ido|ida)por"
)
"""The same in German, French, Spanish and Portuguese: `gebucht von`, `modifié par`, `creado por`."""
_PEOPLE = {*field_names.PEOPLE, *(f"{name}{tail}" for name in field_names.PEOPLE for tail in ("id", "name", "email"))}
_RANK_INSIDE = {name: rank for rank, name in enumerate((*field_names.INSIDE_ACTOR[1:], field_names.INSIDE_ACTOR[0]))}


_NEARLY_ALL = 0.9


def find_actor(search: Search) -> SampledField | None:
    """Choose the actor: a field named so, or in an object named so; those that belong to the entity come last."""
    ranked = _rank_fields(search)
    entity = search.found.get("entity")
    if entity is not None:
        # A field called actor may be the entity itself, as in the events of containers: it has the entity's id.
        itself = {each.steps[0] for each in search.fields if len(each.steps) > 1 and each.values == entity.values}
        ranked = [
            each
            for each in ranked
            if each.values != entity.values
            and not (each.steps[0] in itself and may_name_an_actor(each.steps[0]) and determines(entity, each))
        ]
    if entity is not None and len(ranked) > 1:
        # Who made an entity is in all its events; who changed it is in one.
        found = [each for each in ranked if _belongs_to_entity(entity, each)]
        inside = {each.path[:-1] for each in found if len(each.path) > 1}
        owners = [each for each in ranked if each in found or each.path[:-1] in inside]
        ranked = [*(each for each in ranked if each not in owners), *owners]
    if not ranked:
        return None
    chosen, *others = ranked
    rivals = [each for each in others if _word_of(search, each) != _word_of(search, chosen)]
    after = f"; the next would be {rivals[0].text}" if rivals else ""
    name = chosen.path[-1] if len(chosen.path) == 1 else chosen.text
    search.why = f"named {name!r}, {describe(chosen)}{after}"
    rank = _rank(search, chosen)
    search.sure = "" if rank is not None and rank[0] < _FIRST_UNSURE_RANK else LIKELY
    return chosen


def has_actor_field(search: Search) -> bool:
    """Return whether a field is named as an actor, not only as people are."""
    return any(_word_of(search, each) not in _PEOPLE for each in _rank_fields(search))


def surely_names_an_actor(each: SampledField) -> bool:
    """Return whether the name of a field, or of what it is in, can only mean an actor."""
    ranks = [_word_rank(plain_name(step)) for step in each.steps]
    return any(rank is not None and rank < _FIRST_UNSURE_RANK for rank in ranks)


def may_name_an_actor(name: str) -> bool:
    """Return whether a field's name may be that of an actor."""
    return _word_rank(plain_name(name)) is not None


_FIRST_UNSURE_RANK = field_names.ACTOR.index("updatedby")
"""From this rank on, names are those of people who may be the actor."""


def _rank_fields(search: Search) -> list[SampledField]:
    found = [
        (rank, each) for each in search.fields if (rank := _rank(search, each)) is not None and search.is_free(each)
    ]
    usable = [(rank, each) for rank, each in found if each.is_scalar and not is_decimal(each)]
    return [each for _, each in sorted(usable, key=lambda pair: (*pair[0], pair[1].steps))]


def _rank(search: Search, each: SampledField) -> tuple[int, int, bool, int, int] | None:
    """Return how much a path is like an actor's, the lowest first; None if it is not.

    It counts which word for an actor it has, how deep it is, whether many records lack it that have another member of
    the same object, and its name in there.
    """
    steps = _actor_steps(search, each)
    if not steps:
        return None
    if len(steps) == 1:
        word = _word_rank(steps[0])
        return None if word is None else (word, len(each.steps), False, 0, -len(each.values))
    inside = _RANK_INSIDE.get(steps[-1])
    words = [word for name in steps[:-1] if (word := _word_rank(name)) is not None]
    if inside is None or not words:
        return None
    beside = (len(other.values) for other in search.fields if other.path[:-1] == each.path[:-1])
    return min(words), len(each.steps), len(each.values) < _NEARLY_ALL * max(beside), inside, -len(each.values)


def _actor_steps(search: Search, each: SampledField) -> list[str]:
    """Return the bare names of a path, without the object of metadata or payload at its beginning."""
    steps = [plain_name(step) for step in each.steps]
    around = {*field_names.META, *search.opened, *field_names.DATA}
    return steps[1:] if len(steps) > 1 and steps[0] in around else steps


def _word_rank(name: str) -> int | None:
    if name in field_names.ACTOR:
        return field_names.ACTOR.index(name)
    if (doer := field_names.ACTOR_NAME.fullmatch(name)) is not None:
        return field_names.ACTOR.index(doer[1])
    return _FIRST_UNSURE_RANK - 1 if _DONE_BY.fullmatch(name) or _DONE_BY_ELSEWHERE.fullmatch(name) else None


def _word_of(search: Search, each: SampledField) -> str:
    steps = _actor_steps(search, each)
    return next((name for name in steps if _word_rank(name) is not None), "")


def _belongs_to_entity(entity: SampledField, each: SampledField) -> bool:
    repeats = len(entity.values) - entity.distinct
    return repeats > 2 and each.distinct > 1 and determines(entity, each)
