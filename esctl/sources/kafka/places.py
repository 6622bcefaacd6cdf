"""Where to begin in a partition, decided from what was read of it, what the broker has, and what was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.errors import InputError, UsageError, shell_word
from esctl.model import MESSAGE, KafkaCursor

_OFFSETS = re.compile(r"[0-9]{1,9}:[0-9]{1,18}(?:,[0-9]{1,9}:[0-9]{1,18})*")


class Place(Struct, frozen=True):
    """Where to begin or end: at the beginning, the end, a time (milliseconds), or at an offset of each partition."""

    kind: Literal["beginning", "end", "time", "offsets"] = "beginning"
    milliseconds: int = 0
    offsets: Mapping[int, int] = field(default_factory=dict)


class Partition(Struct, frozen=True):
    """A partition as the broker has it now: offsets from `low` to before `end`, the last stable offset.

    `at` is the first offset at or after the time that was asked for.
    """

    topic: str
    topic_id: str
    number: int
    low: int
    end: int
    at: int = 0
    until: int = 0  # where to stop: `end`, or an offset before it


class Start(Struct, frozen=True):
    """Where to continue in a partition: the name and cursor of its source, and the notes to write about that."""

    name: str
    cursor: KafkaCursor
    notes: tuple[str, ...] = ()


def parse_place(text: str, option: str, *, ends: bool = False) -> Place:
    """Parse `--from`, or `--until` if it `ends`. Raises UsageError."""
    if text in ("beginning", "end"):
        if ends and text == "beginning":
            raise UsageError(f"{option} beginning is no end", "give end, or a time")
        return Place(text)  # type: ignore[arg-type]
    if _OFFSETS.fullmatch(text) and not ends:
        pairs = (each.split(":") for each in text.split(","))
        return Place("offsets", offsets={int(number): int(offset) for number, offset in pairs})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        more = "" if ends else ", beginning, or offsets of partitions as 0:12,1:40"
        raise UsageError(f"{option} {text!r} is no place in a topic", f"give a time, end{more}") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Place("time", milliseconds=int(moment.timestamp() * 1000))


def source_name(cluster: str, topic: str, number: int) -> str:
    """Return the name that the records of a partition are kept under."""
    return f"kafka:{cluster}/{topic}/{number}"


def begin_known(
    name: str,
    cursor: KafkaCursor,
    partition: Partition,
    place: Place | None,
    *,
    recreated: str,
    next_name: Callable[[], str],
) -> Start:
    """Decide where to continue in a known partition, by its newest cursor, and what to note about that.

    `place` is what `--from` says, or None. Raises InputError for offsets that are gone, naming them, and for a topic
    that was deleted and made anew, unless `recreated` is "new".
    """
    spot = f"{partition.topic}/{partition.number}"
    is_other = bool(cursor.topic_id and partition.topic_id) and cursor.topic_id != partition.topic_id
    if is_other and recreated != "new":
        raise InputError(
            f"{spot} was deleted and made anew: its topic id is {partition.topic_id}, and {name} was read from "
            f"{cursor.topic_id}",
            "read it as a new generation, beside the old one: --on-recreated new",
        )
    if is_other:
        fresh = begin_unknown(next_name(), cursor.cluster, partition, place or Place())
        note = f"{spot} was deleted and made anew: {fresh.name} begins with its topic id {partition.topic_id}"
        return replace(fresh, notes=(note, *fresh.notes))
    if cursor.offset > partition.end:
        return _begin_anew(name, cursor, partition, place, next_name)
    if cursor.offset < partition.low:
        return _begin_after_gap(name, cursor, partition, place)
    return Start(name, replace(cursor, topic_id=cursor.topic_id or partition.topic_id))


def _begin_anew(
    name: str, cursor: KafkaCursor, partition: Partition, place: Place | None, next_name: Callable[[], str]
) -> Start:
    spot = f"{partition.topic}/{partition.number}"
    gone = f"{spot} ends at offset {partition.end}, and {name} was read to {cursor.offset}"
    loss = f"{gone}: the broker lost {_offsets_text(partition.end, cursor.offset - 1)}, which the log has"
    if place is None:
        raise InputError(loss, "read what it has now as a new generation: --from beginning")
    fresh = begin_unknown(next_name(), cursor.cluster, partition, place)
    return replace(fresh, notes=(f"{loss}; {fresh.name} begins", *fresh.notes))


def _begin_after_gap(name: str, cursor: KafkaCursor, partition: Partition, place: Place | None) -> Start:
    spot = f"{partition.topic}/{partition.number}"
    loss = f"{spot}: {_offsets_text(cursor.offset, partition.low - 1)} are gone from the broker and were never read"
    if place is None:
        raise InputError(loss, "go on with what is there, which keeps a record of the gap: --from beginning")
    wanted = max(_offset_of(place, partition, spot), partition.low)
    lost = (*cursor.lost, (cursor.offset, wanted - 1))
    kept = f"{_offsets_text(cursor.offset, wanted - 1)} are a gap in {name}: esctl doctor --gaps"
    return Start(name, replace(cursor, offset=wanted, lost=lost), (f"{loss}; {kept}",))


def begin_unknown(name: str, cluster: str, partition: Partition, place: Place) -> Start:
    """Decide where to begin in an unknown partition. Raises InputError for an offset that it does not have."""
    spot = f"{partition.topic}/{partition.number}"
    offset = _offset_of(place, partition, spot)
    cursor = KafkaCursor(cluster, partition.topic, partition.topic_id, partition.number, offset, offset, format=MESSAGE)
    is_late = place.kind == "beginning" and partition.low > 0
    note = f"{spot} begins at offset {partition.low}: the broker has nothing from before"
    return Start(name, cursor, (note,) if is_late else ())


def _offset_of(place: Place, partition: Partition, spot: str) -> int:
    if place.kind == "end":
        return partition.end
    if place.kind == "time":
        return partition.at
    offset = place.offsets.get(partition.number, partition.low)
    if not partition.low <= offset <= partition.end:
        has = f"it has {partition.low} to {partition.end - 1}" if partition.end > partition.low else "it has none"
        raise InputError(f"{spot} has no offset {offset}", f"{has}; or {shell_word('--from')} beginning")
    return offset


def _offsets_text(first: int, last: int) -> str:
    return f"offset {first}" if first == last else f"offsets {first} to {last}"
