"""Send events, states and compensations to a topic of Kafka; events and compensations once, however often asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from msgspec import Struct

from esctl.ask.scope.basis import root_at
from esctl.emission.messages import erased_messages
from esctl.errors import InputError, UsageError
from esctl.log.store_state import StoreState
from esctl.sinks.kafka.channel import KafkaChannel
from esctl.sinks.kafka.destination import Destination
from esctl.sinks.protocol import Channel, Message


class Emitted(Struct, frozen=True):
    """How many messages were sent, after which position of the log (0: from its beginning), and notes to show."""

    count: int
    after: int = 0
    notes: tuple[str, ...] = ()


def send_events(
    store_state: StoreState,
    destination: Destination,
    selection: Mapping[str, Any],
    events: Callable[[int], Iterator[Message]],
    *,
    mapping: str,
    renumbered: Callable[[], int],
    limit: int | None,
    again: bool,
    shown: Channel | None,
) -> Emitted:
    """Send the events after those that the same selection sent before, and messages for those of these erased since.

    `events` gives the messages of events after a position; `mapping` is the digest of the mapping, and
    `renumbered` gives the position up to which records may be read as other events because a source was found to have
    ids of its own. Raises InputError if the topic was made anew since, or what was sent is of another log, unless all
    are sent `again`.
    """
    purpose = _purpose("events", selection)
    with KafkaChannel(destination, store_state.store_id, states=False, shown=shown) as channel:
        last_sent = None if again else channel.sent(purpose)
        if last_sent is not None:
            _check_log(store_state, destination, last_sent)
        after = int(last_sent["position"]) if last_sent is not None else 0
        known = int(last_sent["redactions"]) if last_sent is not None else len(store_state.redactions)
        notes = _notes_of_mapping(last_sent, mapping)
        if last_sent is not None and after == store_state.head and known == len(store_state.redactions):
            return Emitted(0, after, notes)
        notes += _notes_of_ids(last_sent, after, renumbered)
        found, position = events(after), store_state.head
        if limit is not None:
            found, position = _limited(found, limit, after, position)
        messages = chain(erased_messages(store_state, known, after), found)
        now = {"position": position, "root": store_state.root, "head": store_state.head, "mapping": mapping}
        count = channel.send(messages, purpose, {**now, "redactions": len(store_state.redactions)})
    return Emitted(count, after, notes)


def _check_log(store_state: StoreState, destination: Destination, last_sent: Mapping[str, Any]) -> None:
    """Raise InputError if what was sent last is of another log, such as one that was since restored from a copy."""
    head = int(last_sent["head"])
    root = root_at(store_state, head)
    if root == last_sent["root"]:
        return
    differs = "where this log never ended" if root is None else "and there this one has another root"
    raise InputError(
        f"what was sent to the topic {destination.topic} is of a log that ended at position {head}, {differs}",
        "if this log is the right one, send all of it: --again",
    )


def _limited(events: Iterator[Message], limit: int, after: int, head: int) -> tuple[Iterator[Message], int]:
    """Return at most `limit` of the events after a position, and the position up to which they are complete."""
    found = list(islice(events, limit + 1))
    if len(found) <= limit:
        return iter(found), head
    found = found[:limit]
    return iter(found), int(dict(found[-1].headers)["esctl-position"]) if found else after


def _notes_of_mapping(last_sent: Mapping[str, Any] | None, mapping: str) -> tuple[str, ...]:
    if last_sent is None or last_sent.get("mapping") == mapping:
        return ()
    return (
        f"the log is read by another mapping than when events up to @{last_sent['position']} were sent: records that "
        "were no events then are not among them (send all from the beginning: --again)",
    )


def _notes_of_ids(last_sent: Mapping[str, Any] | None, after: int, renumbered: Callable[[], int]) -> tuple[str, ...]:
    if last_sent is None or renumbered() <= after:
        return ()
    return (
        f"a source was found to have ids of its own since events up to @{after} were sent: records that were taken for "
        "conflicts or repeated deliveries then are not among them (send all from the beginning: --again)",
    )


def send_once(
    store_state: StoreState,
    destination: Destination,
    selection: Mapping[str, Any],
    messages: Iterator[Message],
    *,
    again: bool,
    shown: Channel | None,
) -> Emitted:
    """Send compensations, unless the same ones were sent already.

    Raises UsageError if they were sent when the log had another head: undoing twice what was done once is a new change.
    Raises InputError if they are of another log.
    """
    purpose = _purpose("revert", selection)
    with KafkaChannel(destination, store_state.store_id, states=False, shown=shown) as channel:
        last_sent = None if again else channel.sent(purpose)
        if last_sent is not None and last_sent.get("head") != store_state.head:
            raise UsageError(
                f"these compensations were sent before, when the log ended at position {last_sent.get('head')}",
                "ingest what became of them first; to send them once more: --again",
            )
        if last_sent is not None:
            _check_log(store_state, destination, last_sent)
            return Emitted(0, notes=(f"they were sent already, at position {store_state.head}",))
        return Emitted(channel.send(messages, purpose, {"head": store_state.head, "root": store_state.root}))


def send_states(
    store_state: StoreState,
    destination: Destination,
    selection: Mapping[str, Any],
    messages: Iterator[Message],
    *,
    shown: Channel | None,
) -> Emitted:
    """Send states of some entities, or at another point. Raises UsageError if the topic has the states of a view."""
    with KafkaChannel(destination, store_state.store_id, states=True, shown=shown) as channel:
        if channel.is_view():
            raise UsageError(
                f"the topic {destination.topic} holds all states of a projection, which others would mix with",
                "name another topic, or leave entities, --at and --before out",
            )
        progress = {"head": store_state.head, "root": store_state.root}
        return Emitted(channel.send(messages, _purpose("states", selection), progress))


def _purpose(what: str, selection: Mapping[str, Any]) -> str:
    text = json.dumps(selection, sort_keys=True, default=list)
    return f"{what}/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
