"""Find each envelope field among the fields of a sample."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import partial

from esctl.index.envelope.finding import field_names
from esctl.index.envelope.finding.actor import find_actor
from esctl.index.envelope.finding.agreement import determines
from esctl.index.envelope.finding.entity import find_entity
from esctl.index.envelope.finding.messages import key_and_body
from esctl.index.envelope.finding.sampled_fields import (
    ENOUGH,
    MOSTLY,
    SOME,
    SampledField,
    all_integers,
    describe,
    identifies,
    plain_name,
)
from esctl.index.envelope.finding.search import LIKELY, Search
from esctl.index.envelope.finding.times import find_time


def _find_id(search: Search) -> SampledField | None:
    return search.find_named(
        field_names.ID,
        lambda each: each.is_scalar and each.share >= _needed_share(search, each) and _is_unique(search, each),
        (*field_names.META, *search.opened),
    )


_HOLDS_TYPE, _IN_TYPE = ("event", "action", "operation", "activity"), ("type", "name", "kind", "action")
"""Names of objects that hold the type of an event, and its names in there."""
_TYPES_OF_THINGS = ("name", "kind", "category", "status", "method")
"""Names of types that, in a payload, more often say what a thing is."""
_VAGUE_TYPES = ("type", "kind", "category", "status", "name", "method")
"""Names of types that may also mean the type of an entity, or how an event went."""
_NAMES_OF_DEEDS = tuple(
    name for name in field_names.TYPE if re.match("action|activity|operation|event[^t]|verb|op$", name)
)


def _find_type(search: Search) -> SampledField | None:
    inside = (*field_names.META, *search.opened)
    accept = partial(_may_be_type, search)
    if not search.opened:
        found = search.find_named(field_names.TYPE, accept, inside)
        if (
            found is not None
            and found.name in _VAGUE_TYPES
            and (deed := search.find_named(_NAMES_OF_DEEDS, accept, inside))
        ):
            # Of a sort and a deed, the finer one is the type of the event.
            found = found if determines(found, deed) and not determines(deed, found) else deed
        if found is None:
            return search.find_named(_IN_TYPE, accept, _HOLDS_TYPE)
        search.find_named([found.name], lambda each: each is found, inside)  # gives the reason for it
        return found
    # A payload's type is likelier than its carrier's topic.
    telling, vague = field_names.TELLING_TYPE, field_names.TYPE
    happened = [name for name in vague if name not in _TYPES_OF_THINGS]
    return (
        search.find_named(telling, accept, inside)
        or search.find_named(vague, accept, field_names.META)
        or search.find_named(happened, accept, search.opened)
    )


def _may_be_type(search: Search, each: SampledField) -> bool:
    texts = [value for value in each.values.values() if isinstance(value, str) and len(value) <= 200]
    if len(texts) < len(each.values) or all(re.fullmatch(r"-?\d+(\.\d+)?", text) for text in texts):
        return False
    if each.name in ("name", "what") and 2 * sum(bool(re.search(r"[0-9]$", text)) for text in texts) > len(texts):
        return False  # these are names of things
    if {text.lower() for text in texts} <= field_names.WORDS_FOR_ANY:
        return False
    few = each.distinct <= max(8, len(search.records) // 3)
    return each.share >= _needed_share(search, each) and (few or each.name in ("type", "eventtype"))


def _needed_share(search: Search, each: SampledField) -> float:
    """Return the share of records that must have a field; in an opened text, of those that have the text."""
    held = [found.share for found in search.fields if found.path == each.path[:1]] if len(each.path) > 1 else []
    is_opened = len(each.steps) > 1 and plain_name(each.steps[0]) in search.opened
    return MOSTLY * held[0] if is_opened and held else MOSTLY


def _find_sequence(search: Search) -> SampledField | None:
    def accept(each: SampledField) -> bool:
        return each.share == 1 and all_integers(each) and each.distinct == len(each.values)

    return search.find_named(field_names.SEQUENCE, accept, field_names.META)


def _find_data(search: Search) -> SampledField | None:
    def accept(each: SampledField) -> bool:
        objects = sum(isinstance(value, dict) for value in each.values.values())
        needed = SOME if each.name in search.opened or each.name in field_names.PAYLOAD else MOSTLY
        return len(each.path) == 1 and each.share > 0.5 and objects >= needed * len(each.values)

    message = key_and_body(search)
    if message is not None and message[1] is not None:
        body = message[1]
        held = [value for value in body.values.values() if value != ""]
        if held and sum(isinstance(value, dict) for value in held) >= MOSTLY * len(held):
            search.why = f"what the message of a {message[0].name} is, {describe(body)}"
            return body
    return search.find_named(field_names.DATA, accept) or _find_opened_body(search)


def _find_opened_body(search: Search) -> SampledField | None:
    """Choose the payload in the opened text that has the type, else that text."""
    kind = search.found.get("type")
    if kind is None or len(kind.steps) < 2 or plain_name(kind.steps[0]) not in search.opened:
        return None
    objects = [
        each
        for each in search.fields
        if each.path[:1] == kind.path[:1] and sum(isinstance(v, dict) for v in each.values.values()) > each.total // 2
    ]
    inside = [each for each in objects if len(each.path) == 2 and each.name in field_names.DATA]
    whole = [each for each in objects if len(each.path) == 1]
    chosen = min(inside, key=lambda each: field_names.DATA.index(each.name)) if inside else next(iter(whole), None)
    search.why = f"in the text that tells the type, {describe(chosen)}" if chosen else ""
    return chosen


def find_remaining_object(search: Search) -> SampledField | None:
    """Choose the only object that is left as the payload, if its members vary from record to record.

    As one field of a state, each object would replace the one before. Fields that say nothing about a thing may be
    left, too: ids of records, and values that are the same in all.
    """
    free = [each for each in search.fields if len(each.path) == 1 and search.is_free(each)]
    taken = {chosen.path[0] for chosen in search.found.values() if len(chosen.path) > 1}
    rest = [each for each in free if not (each.is_scalar and each.distinct in (1, len(search.records)))]
    if len(rest) != 1 or rest[0].path[0] in taken or len(search.records) < ENOUGH or rest[0].share < MOSTLY:
        return None
    held = list(rest[0].values.values())
    if not all(isinstance(value, dict) for value in held) or len({frozenset(value) for value in held}) < 2:
        return None
    search.why = "the only object that is left, and its members are others from record to record"
    search.sure = LIKELY
    return rest[0]


def _find_tenant(search: Search) -> SampledField | None:
    """Choose the tenant of entities; None if no entity was found, since the log may then be about tenants."""
    if "entity" not in search.found:
        return None
    tenant = search.find_named(
        field_names.TENANT, lambda each: identifies(each) and each.share >= MOSTLY, field_names.META
    )
    return tenant or _find_database(search)


def _find_database(search: Search) -> SampledField | None:
    """Choose the database or the schema of tables, if it is not the same for all."""
    entity = search.found["entity"]
    if not {entity.name, search.kind.name if search.kind else ""} & {*field_names.OF_DATABASES}:
        return None

    def beside(names: Sequence[str]) -> SampledField | None:
        found = search.find_all_named(names, lambda each: each.is_scalar and each.distinct > 1 and each.share >= MOSTLY)
        return next((each for each in found if each.path[:-1] == entity.path[:-1]), None)

    database, schema = beside(field_names.DATABASES), beside(field_names.SCHEMAS)
    search.schema = schema if database else None
    chosen = database or schema
    search.why = f"whose {entity.path[-1]!r} is, {describe(chosen)}" if chosen else ""
    return chosen


def _find_link(wanted: Sequence[str]) -> Callable[[Search], SampledField | None]:
    return lambda search: search.find_named(wanted, lambda each: each.is_scalar, (*field_names.META, *search.opened))


FINDERS: tuple[tuple[str, Callable[[Search], SampledField | None]], ...] = (
    ("id", _find_id),
    ("type", _find_type),
    ("time", find_time),
    ("sequence", _find_sequence),
    ("data", _find_data),
    ("correlation", _find_link(field_names.CORRELATION)),
    ("causation", _find_link(field_names.CAUSATION)),
    ("entity", find_entity),
    ("actor", find_actor),
    ("tenant", _find_tenant),
)


def _is_unique(search: Search, each: SampledField) -> bool:
    """Return whether a field is an id: values repeat only in duplicates, except for rare conflicts."""
    contents: dict[str, set[str]] = {}
    for number, value in each.values.items():
        record = json.dumps(search.records[number], sort_keys=True, default=str)
        contents.setdefault(str(value), set()).add(record)
    conflicts = sum(len(records) > 1 for records in contents.values())
    return conflicts <= (max(1, len(contents) // 20) if len(contents) >= 10 else 0)
