"""Send messages to a topic of Kafka: all in one transaction, together with a record of what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from esctl.sinks.kafka.contents import wait_until_visible
from esctl.sinks.kafka.destination import (
    Destination,
    check_of_events,
    check_of_states,
    connect,
    describe_topic,
    has_progress,
    make_progress,
)
from esctl.sinks.kafka.outbox import Outbox
from esctl.sinks.kafka.progress import check_same, keep_sent, read_sent
from esctl.sinks.protocol import Channel, Message


class KafkaChannel:
    """A topic that messages are sent to. A later channel with the same `sender` takes it over from an earlier one.

    `shown`: a channel to write the messages to, instead of sending them.
    """

    def __init__(self, destination: Destination, sender: str, *, states: bool, shown: Channel | None = None) -> None:
        self._destination = destination
        self._sender = sender
        self._states = states
        self._shown = shown
        self._outbox: Outbox | None = None

    def __enter__(self) -> Self:
        """Connect. Raises InputError for a topic that is missing, UsageError for one that is not suited."""
        self._brokers = connect(self._destination)
        self._topic = describe_topic(self._brokers, self._destination.topic)
        (check_of_states if self._states else check_of_events)(self._brokers, self._topic)
        if self._shown is None:
            self._outbox = Outbox(self._brokers, f"esctl.emit.{self._sender}.{self._topic.name}", self._topic)
            self._outbox.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect from the brokers."""
        self._outbox = None

    def sent(self, purpose: str) -> Mapping[str, Any] | None:
        """Return what was noted of what was sent for a purpose; None if nothing was sent.

        Raises InputError if it was sent to a topic that was deleted since.
        """
        record = read_sent(self._brokers, self._key(purpose))
        if record is None:
            return None
        check_same(self._brokers, record, self._topic, "to send all from the beginning: --again")
        return record.note

    def is_view(self) -> bool:
        """Return whether the topic holds the states of a view."""
        return read_sent(self._brokers, f"view/{self._topic.name}") is not None

    def send(self, messages: Iterable[Message], purpose: str, note: Mapping[str, Any]) -> int:
        """Send all messages and keep the note of them, or do neither; return their number."""
        if self._outbox is None:
            assert self._shown is not None
            return self._shown.send(messages)
        if not has_progress(self._brokers):
            make_progress(self._brokers)
        count = 0
        with self._outbox.transaction():
            for message in messages:
                self._outbox.put(message)
                count += 1
            keep_sent(self._outbox, self._key(purpose), self._topic, note, {})
        wait_until_visible(self._brokers, self._outbox.ends)
        return count

    def _key(self, purpose: str) -> str:
        return f"emit/{self._sender}/{self._topic.name}/{purpose}"
