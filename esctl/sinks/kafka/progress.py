"""How far sending to a topic has come: a record in the topic `esctl.progress`, with a key for each purpose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from esctl.errors import InputError
from esctl.sinks.kafka.contents import read_records
from esctl.sinks.kafka.destination import PROGRESS, Topic, has_progress
from esctl.sinks.kafka.outbox import Outbox
from esctl.sinks.protocol import Message
from esctl.sources.kafka.topics import Brokers


class Sent(Struct, frozen=True):
    """What was sent: the sender's note of it, the topic, and the ends that its partitions then had."""

    note: Mapping[str, Any]
    topic_id: str
    partitions: int
    ends: Mapping[int, int] = field(default_factory=dict)


def read_sent(brokers: Brokers, key: str) -> Sent | None:
    """Return what was sent for a purpose; None if nothing was. Raises InputError if it cannot be read."""
    if not has_progress(brokers):
        return None
    (about,) = brokers.topics([PROGRESS])
    last: bytes | None = None
    for piece in read_records(brokers, PROGRESS, about.partitions):
        for message in piece:
            if message.key() == key.encode():
                last = message.value()
    if last is None:
        return None
    try:
        note = json.loads(last)
        ends = {int(number): int(end) for number, end in note.pop("ends").items()}
        return Sent(note, str(note.pop("topic_id")), int(note.pop("partitions")), ends)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        hint = "if it was overwritten, make the view anew: esctl view rebuild"
        raise InputError(f"{brokers.where}: what {PROGRESS} says is not as esctl wrote it", hint) from error


def keep_sent(outbox: Outbox, key: str, topic: Topic, note: Mapping[str, Any], before: Mapping[int, int]) -> Sent:
    """Put a record of what was sent into the same transaction; return it."""
    outbox.flush()  # only then are the offsets known
    ends = {**before, **{number: end for (name, number), end in outbox.ends.items() if name == topic.name}}
    sent = Sent(note, topic.id, len(topic.partitions), ends)
    text = {**note, "topic_id": topic.id, "partitions": sent.partitions, "ends": ends}
    value = json.dumps(text, ensure_ascii=False, default=str).encode()
    outbox.put(Message(key.encode(), value), PROGRESS)
    return sent


def forget_sent(outbox: Outbox, key: str) -> None:
    """Put a tombstone for the record of what was sent for a purpose."""
    outbox.put(Message(key.encode(), None), PROGRESS)


def check_same(brokers: Brokers, sent: Sent, topic: Topic, hint: str) -> None:
    """Raise InputError, naming both ids, if a topic is not the one that was sent to."""
    if sent.topic_id and topic.id and sent.topic_id != topic.id:
        raise InputError(
            f"{brokers.where} was deleted and made anew: its topic id is {topic.id}, and what was sent went to "
            f"{sent.topic_id}",
            hint,
        )
