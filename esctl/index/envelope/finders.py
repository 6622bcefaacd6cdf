"""Find each envelope field among the fields of a sample."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from esctl.index.envelope import field_names
from esctl.index.envelope.entity_finder import find_entity
from esctl.index.envelope.paths import format_path, parse_path
from esctl.index.envelope.sampled_fields import (
    MOSTLY,
    UNNAMED,
    SampledField,
    all_integers,
    describe,
    identifies,
    is_decimal,
    is_placed,
    is_time,
    is_unread_time,
    plain_name,
    time_score,
    told_unread,
)
from esctl.index.envelope.search import Choice, Search
from esctl.model import Stanza


def _find_time(search: Search) -> SampledField | None:
    """Choose the likeliest time: by its name, then by how many instants it tells apart."""
    usable = [each for each in search.fields if _is_placed(search, each) and search.free(each) and is_time(each)]
    scored = [(score, each) for each in usable if (score := time_score(each)) is not None]
    if not scored:
        return _unread_time(search)
    (score, chosen), *others = sorted(scored, key=lambda pair: (pair[0], pair[1].path))
    named = f"named {chosen.path[-1]!r}" if score[1] < UNNAMED else "its values are times"
    after = f"; the next would be {others[0][1].text}" if others else ""
    search.why = f"{named}, {describe(chosen)}{after}"
    return chosen


def _is_placed(search: Search, each: SampledField) -> bool:
    return is_placed(each) or (len(each.path) == 2 and plain_name(each.path[0]) in search.opened)


def told_inside(search: Search) -> dict[str, tuple[str, ...]]:
    """Return what comes before a time that was found: that of the opened message which tells the type, by its name."""
    kind, time = search.found.get("type"), search.found.get("time")
    if kind is None or time is None or len(kind.path) < 2 or plain_name(kind.path[0]) not in search.opened:
        return {}
    inside = [
        each
        for each in search.fields
        if each.path[:-1] == kind.path[:-1] and each.name in field_names.TIME and search.free(each) and is_time(each)
    ]
    if not inside or time.path[:-1] == kind.path[:-1]:
        return {}
    chosen = min(inside, key=lambda each: field_names.TIME.index(each.name))
    why = f"named {chosen.path[-1]!r} beside the type"
    for at, row in enumerate(search.rows):
        if row.field == "time":
            search.rows[at] = replace(row, path=f"{chosen.text} | {row.path}", why=f"{why}; else {row.why}")
    return {"time": (chosen.text,)}


def _unread_time(search: Search) -> SampledField | None:
    """Choose what is named as a time and looks like one, though nothing of it can be read: its events are undated."""
    usable = [each for each in search.fields if _is_placed(search, each) and search.free(each) and is_unread_time(each)]
    if not usable:
        return None
    chosen = min(usable, key=lambda each: (len(each.path), field_names.TIME.index(each.name)))
    search.why = f"named {chosen.path[-1]!r}, but {told_unread(chosen)}"
    return chosen


def _find_id(search: Search) -> SampledField | None:
    return search.named(
        field_names.ID,
        lambda each: each.is_scalar and each.share >= _mostly(search, each) and _is_unique(search, each),
        (*field_names.META, *search.opened),
    )


_HOLDS_TYPE, _IN_TYPE = ("event", "action", "operation", "activity"), ("type", "name", "kind", "action")
"""Objects that tell what happened, and what they call it inside."""
_OF_THINGS = ("name", "kind", "category", "status", "method")
"""Names of types that, in a payload, more often tell what a thing is."""


def _find_type(search: Search) -> SampledField | None:
    def accept(each: SampledField) -> bool:
        texts = all(isinstance(value, str) and len(value) <= 200 for value in each.values.values())
        texts = texts and not all(re.fullmatch(r"-?\d+(\.\d+)?", str(value)) for value in each.values.values())
        few = each.distinct <= max(8, len(search.records) // 3)
        return texts and each.share >= _mostly(search, each) and (few or each.name in ("type", "eventtype"))

    inside = (*field_names.META, *search.opened)
    if not search.opened:
        return search.named(field_names.TYPE, accept, inside) or search.named(_IN_TYPE, accept, _HOLDS_TYPE)
    # What a payload calls its type is more of one than what its carrier calls its topic.
    telling, vague = field_names.TELLING_TYPE, field_names.TYPE
    happened = [name for name in vague if name not in _OF_THINGS]
    return (
        search.named(telling, accept, inside)
        or search.named(vague, accept, field_names.META)
        or search.named(happened, accept, search.opened)
    )


def _mostly(search: Search, each: SampledField) -> float:
    """Say which share of the records must have a field: of those that have what it is in, where that was opened."""
    held = [found.share for found in search.fields if found.path == each.path[:1]] if len(each.path) > 1 else []
    is_opened = len(each.path) > 1 and plain_name(each.path[0]) in search.opened
    return MOSTLY * held[0] if is_opened and held else MOSTLY


def _find_sequence(search: Search) -> SampledField | None:
    def accept(each: SampledField) -> bool:
        return each.share == 1 and all_integers(each) and each.distinct == len(each.values)

    return search.named(field_names.SEQUENCE, accept, field_names.META)


def _find_data(search: Search) -> SampledField | None:
    def accept(each: SampledField) -> bool:
        objects = sum(isinstance(value, dict) for value in each.values.values())
        return len(each.path) == 1 and each.share > 0.5 and objects >= MOSTLY * len(each.values)

    message = message_of(search)
    if message is not None and message[1] is not None:
        body = message[1]
        held = [value for value in body.values.values() if value != ""]
        if held and sum(isinstance(value, dict) for value in held) >= MOSTLY * len(held):
            search.why = f"what the message of a {message[0].name} is, {describe(body)}"
            return body
    return search.named(field_names.DATA, accept)


_BODIES, _BESIDE = ("payload", "value"), {"topic", "partition", "offset"}


def message_of(search: Search) -> tuple[SampledField, SampledField | None] | None:
    """Return the key and the body of messages, as consoles of brokers print them; None where the records are none.

    The body is None where it is in no record of the sample.
    """
    name = body_of(search.records)
    top = {each.path[0]: each for each in search.fields if len(each.path) == 1}
    key = next((each for each in top.values() if each.name == "key"), None)
    return None if name is None or key is None or not key.is_scalar else (key, top.get(name))


def body_of(records: Sequence[dict[str, Any]]) -> str | None:
    """Return the name of the field that is the body of keyed messages; None where the records are none."""
    names = {plain_name(name): name for name in dict.fromkeys(name for record in records for name in record)}
    bodies = [name for name in _BODIES if name in names]
    is_message = "key" in names and len(bodies) == 1 and (names.keys() & _BESIDE or names.keys() == {"key", *bodies})
    return names[bodies[0]] if is_message else None


def tombstone_of(search: Search, stanza: Stanza) -> Stanza:
    """Say of a stanza whose entities are the keys of messages that one without a body deletes its entity."""
    message = message_of(search)
    name = body_of(search.records)
    if message is None or name is None or not _is_by_key(search.records, message[0], stanza):
        return stanza
    path = format_path((name,))
    search.rows.append(Choice("tombstone", path, f"a message whose {name} is null deletes the entity of its key"))
    by_key = (message[0].text,) if message[0].text not in stanza.entity else ()
    return replace(stanza, entity=(*stanza.entity, *by_key), tombstone=(path,))


def _is_by_key(records: Sequence[dict[str, Any]], key: SampledField, stanza: Stanza) -> bool:
    """Return whether the entity is what the key of each message says, or is that key."""
    if stanza.entity == (key.text,):
        return True
    if len(stanza.entity) != 1 or "{" in stanza.entity[0]:
        return False
    path = (*parse_path(stanza.unwrap), *parse_path(stanza.entity[0]))
    said = [(found, record.get(str(key.path[0]))) for record in records if (found := _at(record, path)) is not None]
    return bool(said) and all(str(found) == str(told) for found, told in said)


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _find_actor(search: Search) -> SampledField | None:
    plain = search.named(field_names.ACTOR, lambda each: each.is_scalar and not is_decimal(each), field_names.META)
    if plain and len(plain.path) == 1:
        return plain
    inside = field_names.INSIDE_ACTOR[1:] + field_names.INSIDE_ACTOR[:1]
    held = [
        (field_names.ACTOR.index(plain_name(each.path[0])), inside.index(each.name), each.path, each)
        for each in search.fields
        if len(each.path) == 2
        and plain_name(each.path[0]) in field_names.ACTOR
        and each.name in inside
        and each.is_scalar
    ]
    if held:
        *_, chosen = min(held, key=lambda found: found[:3])
        search.why = f"named {chosen.text!r}, {describe(chosen)}"
        return chosen
    return plain


def _find_tenant(search: Search) -> SampledField | None:
    """Choose whose the things are; a log in which nothing else is a thing is about these."""
    if "entity" not in search.found:
        return None
    return search.named(field_names.TENANT, lambda each: identifies(each) and each.share >= MOSTLY, field_names.META)


def _find_link(wanted: Sequence[str]) -> Callable[[Search], SampledField | None]:
    return lambda search: search.named(wanted, lambda each: each.is_scalar, (*field_names.META, *search.opened))


FINDERS: tuple[tuple[str, Callable[[Search], SampledField | None]], ...] = (
    ("id", _find_id),
    ("type", _find_type),
    ("time", _find_time),
    ("sequence", _find_sequence),
    ("data", _find_data),
    ("correlation", _find_link(field_names.CORRELATION)),
    ("causation", _find_link(field_names.CAUSATION)),
    ("entity", find_entity),
    ("actor", _find_actor),
    ("tenant", _find_tenant),
)


def _is_unique(search: Search, each: SampledField) -> bool:
    """Return whether a field is an id: a value comes again only in a duplicate, rare conflicts apart."""
    contents: dict[str, set[str]] = {}
    for number, value in each.values.items():
        record = json.dumps(search.records[number], sort_keys=True, default=str)
        contents.setdefault(str(value), set()).add(record)
    conflicts = sum(len(records) > 1 for records in contents.values())
    return conflicts <= (max(1, len(contents) // 20) if len(contents) >= 10 else 0)
