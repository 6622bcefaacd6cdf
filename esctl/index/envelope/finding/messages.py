"""Find the key and the body of messages of brokers, as consoles print them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from esctl.index.envelope.finding.sampled_fields import SampledField, plain_name
from esctl.index.envelope.finding.search import Choice, Search
from esctl.index.envelope.paths import format_path, look_up, parse_path
from esctl.model import Stanza

_BODIES, _OTHER_PARTS = ("payload", "value"), {"topic", "partition", "offset"}


def key_and_body(search: Search) -> tuple[SampledField, SampledField | None] | None:
    """Return the key and the body of messages, as consoles of brokers print them; None if records are no messages.

    The body is None if no record of the sample has it.
    """
    name = body_name(search.records)
    top = {each.path[0]: each for each in search.fields if len(each.path) == 1}
    key = next((each for each in top.values() if each.name == "key"), None)
    return None if name is None or key is None or not key.is_scalar else (key, top.get(name))


def body_name(records: Sequence[dict[str, Any]]) -> str | None:
    """Return the name of the field that is the body of keyed messages; None if records are no messages."""
    names = {plain_name(name): name for name in dict.fromkeys(name for record in records for name in record)}
    bodies = [name for name in _BODIES if name in names]
    is_message = (
        "key" in names and len(bodies) == 1 and (names.keys() & _OTHER_PARTS or names.keys() == {"key", *bodies})
    )
    return names[bodies[0]] if is_message else None


def with_tombstone(search: Search, stanza: Stanza) -> Stanza:
    """Add tombstones to a stanza whose entities are the keys of messages: one without a body deletes its entity."""
    message = key_and_body(search)
    name = body_name(search.records)
    if message is None or name is None or not _is_by_key(search.records, message[0], stanza):
        return stanza
    path = format_path((name,))
    search.rows.append(Choice("tombstone", path, f"a message whose {name} is null deletes the entity of its key"))
    by_key = (message[0].text,) if message[0].text not in stanza.entity else ()
    return replace(stanza, entity=(*stanza.entity, *by_key), tombstone=(path,))


def _is_by_key(records: Sequence[dict[str, Any]], key: SampledField, stanza: Stanza) -> bool:
    """Return whether the entity is the key of messages, or always equals it."""
    if stanza.entity == (key.text,):
        return True
    if len(stanza.entity) != 1 or "{" in stanza.entity[0]:
        return False
    path = (*parse_path(stanza.unwrap), *parse_path(stanza.entity[0]))
    pairs = [
        (entity, record.get(str(key.path[0]))) for record in records if (entity := look_up(record, path)) is not None
    ]
    return bool(pairs) and all(str(entity) == str(own_key) for entity, own_key in pairs)
