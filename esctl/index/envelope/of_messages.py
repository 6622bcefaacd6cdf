"""Mappings of messages: a path is in the value, or names a part of the message (`key`, `header.NAME`, `topic`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import asdict, replace

from esctl.index.decode.messages import PARTS, PAYLOAD
from esctl.index.envelope.detect import Detection, detect
from esctl.index.envelope.envelope_sql import mapped_paths, record_path
from esctl.index.envelope.finding.messages import with_tombstone
from esctl.index.envelope.finding.search import Choice, Search
from esctl.index.envelope.homes import is_change_log
from esctl.index.envelope.paths import format_path, parse_path, paths_in, with_paths
from esctl.index.envelope.presets import PRESETS
from esctl.model import Stanza

_LISTS = (
    "id", "id_parts", "dedupe_by", "type", "time", "entity", "kind", "actor", "correlation", "causation", "sequence",
    "data", "tenant", "tombstone",
)  # fmt: skip
_ROLES = ("entities", "aliases")


def recognise_messages(sample: Sequence[Any]) -> Detection:
    """Recognise sampled messages: by their values alone if these have a known format, else by all their parts."""
    values = [each[PAYLOAD] for each in sample if each.get(PAYLOAD) is not None]
    found = detect(values)
    if is_change_log(found.stanza):
        return found
    is_bare = not any(each.get("key") is not None or each.get("header") for each in sample)
    if is_bare or found.stanza.name in PRESETS:
        found = replace(found, stanza=_for_messages(found.stanza))
        return found if found.stanza.order != "position" or found.stanza.name in PRESETS else _ordered_by_time(found)
    return _without_offsets(detect(sample))


def _ordered_by_time(found: Detection) -> Detection:
    """Order events without times by the times of their messages: there is no other order between partitions."""
    rows = tuple(row for row in found.rows if row.field != "order")
    order = Choice("order", "time", "by the time of each message, then arrival")
    return replace(found, stanza=replace(found.stanza, order="time"), rows=(*rows, order))


def _without_offsets(found: Detection) -> Detection:
    """Return a detection without offsets as its sequence: they count within one partition, and have gaps."""
    if found.stanza.sequence != ("offset",) or found.stanza.order == "sequence":
        return found
    rows = tuple(row for row in found.rows if row.field != "sequence")
    return replace(found, stanza=replace(found.stanza, sequence=()), rows=rows)


def mapped_in_messages(before: Stanza, stanza: Stanza, sample: Sequence[Any]) -> Stanza:
    """Return a stanza for messages: what differs from `before` is the user's, and may name the value or the message.

    `before` is what was recognised, or the preset's stanza.
    """
    if is_change_log(stanza):
        return stanza
    if stanza.name in PRESETS and not stanza.unwrap:
        before, stanza = _for_messages(before), _for_messages(stanza)
    own = frozenset(name for name, value in asdict(stanza).items() if value != getattr(before, name))
    stanza = _place_user_paths(stanza, own)
    if stanza.tombstone:
        return stanza
    return with_tombstone(Search([each for each in sample if isinstance(each, dict)]), stanza)


def message_parts(stanza: Stanza) -> frozenset[str]:
    """Return the parts of messages that a stanza reads; for a change log, all that may describe its rows."""
    if is_change_log(stanza):
        return frozenset({"key", "header", "topic", "partition", "offset", PAYLOAD})
    paths = (*mapped_paths(stanza), *stanza.data, *stanza.tombstone, *(path for path, _ in stanza.opened))
    found = {str(record_path(path)[0]) for path in paths if record_path(path)}
    return frozenset(found & set(PARTS)) | {PAYLOAD}


def for_values(stanza: Stanza) -> Stanza | None:
    """Return a stanza of messages as one of their values alone; None if it reads other parts of messages."""
    inside = parse_path(stanza.unwrap) if stanza.unwrap else ()
    if inside[:1] != (PAYLOAD,) or stanza.tombstone or stanza.opened or message_parts(stanza) != {PAYLOAD}:
        return None
    return replace(stanza, unwrap=format_path(inside[1:]) if inside[1:] else "")


def _for_messages(stanza: Stanza) -> Stanza:
    """Return a stanza of values as one of the messages that hold them."""
    inside = f"{PAYLOAD}.{stanza.unwrap}" if stanza.unwrap else PAYLOAD
    opened = tuple((_put_inside(path, PAYLOAD), how) if path else (path, how) for path, how in stanza.opened)
    tombstone = tuple(_put_inside(path, PAYLOAD) for path in stanza.tombstone)
    return replace(stanza, unwrap=inside, opened=opened, tombstone=tombstone)


def _place_user_paths(stanza: Stanza, own: frozenset[str]) -> Stanza:
    """Place the paths that a user gave; those that were recognised are in place already."""
    if "opened" in own:
        stanza = replace(stanza, opened=tuple((_place_user_path(path, PAYLOAD), how) for path, how in stanza.opened))
    if "unwrap" in own and stanza.unwrap and not _is_part(stanza.unwrap):
        stanza = replace(stanza, unwrap=f"{PAYLOAD}.{stanza.unwrap}")
    level = stanza.unwrap
    user_paths = [path for name in own & {*_LISTS, *_ROLES} for path in _all_paths(getattr(stanza, name))]
    if level and not any(map(_is_part, user_paths)):
        return stanza
    inner = level or PAYLOAD

    def place(name: str) -> Callable[[str], str]:
        if name in own:
            return lambda path: _place_user_path(path, inner)
        return (lambda path: _put_inside(path, level)) if level and name != "tombstone" else (lambda path: path)

    changed: dict[str, Any] = {name: tuple(map(place(name), getattr(stanza, name))) for name in _LISTS}
    for name in _ROLES:
        roles = getattr(stanza, name)
        changed[name] = tuple((role, tuple(map(place(name), paths))) for role, paths in roles)
    placed = replace(stanza, **changed, unwrap="")
    return placed if placed.data else replace(placed, data=(inner,), data_without=_mapped_members(placed, inner))


def _mapped_members(stanza: Stanza, holder: str) -> tuple[str, ...]:
    """List the direct members of an object that are mapped, and so are no part of the payload."""
    base = parse_path(holder)
    paths = [record_path(path) for path in mapped_paths(replace(stanza, aliases=()))]  # these name content
    return tuple(dict.fromkeys(str(path[-1]) for path in paths if path[:-1] == base))


def _all_paths(value: Sequence[Any]) -> list[str]:
    listed = [alternative for each in value for alternative in (each[1] if isinstance(each, tuple) else (each,))]
    return [path for each in listed for path in paths_in(each)]


def _is_part(path: str) -> bool:
    parts = parse_path(path.replace("[*]", "[0]"))
    return bool(parts) and parts[0] in PARTS


def _place_user_path(alternative: str, holder: str) -> str:
    """Place a user's alternative: a part of the message stays, any other path is in the value."""
    return with_paths(alternative, lambda path: path if _is_part(path) else _put_inside(path, holder))


def _put_inside(alternative: str, holder: str) -> str:
    return with_paths(alternative, lambda path: holder if path in ("", "record") else f"{holder}{_joint(path)}{path}")


def _joint(path: str) -> str:
    return "" if path.startswith("[") else "."
