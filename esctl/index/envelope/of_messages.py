"""Mappings of messages: paths name the fields of the value, and `key`, `header.NAME`, `topic` and such beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import asdict, replace

from esctl.index.decode.messages import PARTS, PAYLOAD
from esctl.index.decode.rows import DIALECTS
from esctl.index.envelope.detect import Detection, detect
from esctl.index.envelope.envelope_sql import mapped_paths, record_path
from esctl.index.envelope.finding.messages import tombstone_of
from esctl.index.envelope.finding.search import Choice, Search
from esctl.index.envelope.paths import format_path, parse_path
from esctl.index.envelope.presets import PRESETS
from esctl.model import Stanza

_LISTS = (
    "id", "id_parts", "dedupe_by", "type", "time", "entity", "kind", "actor", "correlation", "causation", "sequence",
    "data", "tenant", "tombstone",
)  # fmt: skip
_ROLES = ("entities", "aliases")
_FIELD = re.compile(r"\{([^{}]*)\}")


def recognise_messages(sample: Sequence[Any]) -> Detection:
    """Recognise sampled messages: by their values, where these are of a known format; else with what is beside them."""
    values = [each[PAYLOAD] for each in sample if each.get(PAYLOAD) is not None]
    found = detect(values)
    if _is_rows(found.stanza):
        return found
    is_bare = not any(each.get("key") is not None or each.get("header") for each in sample)
    if is_bare or found.stanza.name in PRESETS:
        found = replace(found, stanza=_unwrapped(found.stanza))
        return found if found.stanza.order != "position" or found.stanza.name in PRESETS else _by_time(found)
    return _without_offsets(detect(sample))


def _by_time(found: Detection) -> Detection:
    """Order by the times of messages what tells none itself: between partitions there is no other order."""
    rows = tuple(row for row in found.rows if row.field != "order")
    order = Choice("order", "time", "by the time of each message, then arrival")
    return replace(found, stanza=replace(found.stanza, order="time"), rows=(*rows, order))


def _without_offsets(found: Detection) -> Detection:
    """Return what was found, without offsets as a sequence: they count in one partition, and leave numbers out."""
    if found.stanza.sequence != ("offset",) or found.stanza.order == "sequence":
        return found
    rows = tuple(row for row in found.rows if row.field != "sequence")
    return replace(found, stanza=replace(found.stanza, sequence=()), rows=rows)


def _is_rows(stanza: Stanza) -> bool:
    return any(encoding in DIALECTS for _, encoding in stanza.opened)


def mapped_in_messages(before: Stanza, stanza: Stanza, sample: Sequence[Any]) -> Stanza:
    """Return a stanza for messages: where it differs from `before`, a user said so, of the value or of its message.

    `before` is what was recognised, or what a preset says.
    """
    if _is_rows(stanza):
        return stanza
    if stanza.name in PRESETS and not stanza.unwrap:
        before, stanza = _unwrapped(before), _unwrapped(stanza)
    own = frozenset(name for name, value in asdict(stanza).items() if value != getattr(before, name))
    stanza = _placed(stanza, own)
    if stanza.tombstone:
        return stanza
    return tombstone_of(Search([each for each in sample if isinstance(each, dict)]), stanza)


def message_parts(stanza: Stanza) -> frozenset[str]:
    """Return which parts of messages a stanza takes something from; a change log's are all that tell its rows."""
    if _is_rows(stanza):
        return frozenset({"key", "header", "topic", "partition", "offset", PAYLOAD})
    paths = (*mapped_paths(stanza), *stanza.data, *stanza.tombstone, *(path for path, _ in stanza.opened))
    found = {str(record_path(path)[0]) for path in paths if record_path(path)}
    return frozenset(found & set(PARTS)) | {PAYLOAD}


def of_values(stanza: Stanza) -> Stanza | None:
    """Return a stanza of messages as one of their values alone; None where it takes something from beside them."""
    inside = parse_path(stanza.unwrap) if stanza.unwrap else ()
    if inside[:1] != (PAYLOAD,) or stanza.tombstone or stanza.opened or message_parts(stanza) != {PAYLOAD}:
        return None
    return replace(stanza, unwrap=format_path(inside[1:]) if inside[1:] else "")


def _unwrapped(stanza: Stanza) -> Stanza:
    """Return a stanza of values as one of the messages that these are in."""
    inside = f"{PAYLOAD}.{stanza.unwrap}" if stanza.unwrap else PAYLOAD
    opened = tuple((_inside(path, PAYLOAD), how) if path else (path, how) for path, how in stanza.opened)
    tombstone = tuple(_inside(path, PAYLOAD) for path in stanza.tombstone)
    return replace(stanza, unwrap=inside, opened=opened, tombstone=tombstone)


def _placed(stanza: Stanza, own: frozenset[str]) -> Stanza:
    """Place the paths that a user said; what was recognised is placed already."""
    if "opened" in own:
        stanza = replace(stanza, opened=tuple((_beside(path, PAYLOAD), how) for path, how in stanza.opened))
    if "unwrap" in own and stanza.unwrap and not _is_part(stanza.unwrap):
        stanza = replace(stanza, unwrap=f"{PAYLOAD}.{stanza.unwrap}")
    level = stanza.unwrap
    said = [path for name in own & {*_LISTS, *_ROLES} for path in _paths(getattr(stanza, name))]
    if level and not any(map(_is_part, said)):
        return stanza
    inner = level or PAYLOAD

    def place(name: str) -> Callable[[str], str]:
        if name in own:
            return lambda path: _beside(path, inner)
        return (lambda path: _inside(path, level)) if level and name != "tombstone" else (lambda path: path)

    changed: dict[str, Any] = {name: tuple(map(place(name), getattr(stanza, name))) for name in _LISTS}
    for name in _ROLES:
        roles = getattr(stanza, name)
        changed[name] = tuple((role, tuple(map(place(name), paths))) for role, paths in roles)
    placed = replace(stanza, **changed, unwrap="")
    return placed if placed.data else replace(placed, data=(inner,), data_without=_mapped_in(placed, inner))


def _mapped_in(stanza: Stanza, holder: str) -> tuple[str, ...]:
    """List the fields right in an object that are mapped, and so no part of the payload."""
    base = parse_path(holder)
    paths = [record_path(path) for path in mapped_paths(stanza)]
    return tuple(dict.fromkeys(str(path[-1]) for path in paths if path[:-1] == base))


def _paths(value: Sequence[Any]) -> list[str]:
    listed = [path for each in value for path in (each[1] if isinstance(each, tuple) else (each,))]
    inside = [_FIELD.findall(path) if "{" in path else [path] for path in listed if not path.startswith("=")]
    return [path for each in inside for path in each]


def _is_part(path: str) -> bool:
    parts = parse_path(path.replace("[*]", "[0]"))
    return bool(parts) and parts[0] in PARTS


def _beside(alternative: str, holder: str) -> str:
    """Place an alternative of a user's: parts of the message are that, all else is in the value."""
    return _each(alternative, lambda path: path if _is_part(path) else _inside(path, holder))


def _inside(alternative: str, holder: str) -> str:
    return _each(alternative, lambda path: holder if path in ("", "record") else f"{holder}{_joint(path)}{path}")


def _joint(path: str) -> str:
    return "" if path.startswith("[") else "."


def _each(alternative: str, place: Callable[[str], str]) -> str:
    if alternative.startswith("="):
        return alternative
    if "{" in alternative:
        return _FIELD.sub(lambda found: "{" + place(found[1]) + "}", alternative)
    return place(alternative)
