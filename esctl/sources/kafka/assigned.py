"""The partitions that one consumer reads: batches of records, each held until its topic is known to be the same."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.model import Cursor, KafkaCursor
from esctl.sources.kafka.messages import batch_of
from esctl.sources.kafka.places import Start
from esctl.sources.kafka.topics import BrokerAwayError, Brokers, Topic
from esctl.sources.protocol import Delivery

if TYPE_CHECKING:
    from confluent_kafka import Message

MOST = 20_000
"""The most messages that are taken at once."""
_ANSWER_SECONDS = 2.0
CHECK_SECONDS = 1.0
"""Seconds between two looks at a topic while nothing comes."""

Spot = tuple[str, int]
"""A topic and the number of a partition."""


class Plan(Struct, frozen=True):
    """Where to continue in each partition, and the offset to stop before, or None if there is no end."""

    starts: Mapping[Spot, Start]
    ends: Mapping[Spot, int | None]


class ReplanNeeded(Exception):  # noqa: N818  # it is no error: what was planned no longer holds
    """Signal that a topic or its offsets are no longer what they were, so that the plan no longer holds."""


@contextmanager
def _paused_collector() -> Iterator[None]:
    """Pause the garbage collector: it would look at all messages again and again, and none is garbage yet."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Assigned:
    """The partitions that one consumer reads."""

    def __init__(self, brokers: Brokers, note: Callable[[str], None]) -> None:
        self._brokers, self._note = brokers, note
        self._consumer = brokers.consumer()
        self._cursors: dict[Spot, KafkaCursor] = {}
        self._names: dict[Spot, str] = {}
        self._ends: dict[Spot, int | None] = {}
        self._held: list[Delivery] = []
        self._looked = 0.0
        self._away_since = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """List the names of the sources that are read."""
        return tuple(self._names.values())

    @property
    def is_done(self) -> bool:
        """Return whether all partitions were read to their ends."""
        return not self._ends and not self._held

    @property
    def seconds_away(self) -> float:
        """Return for how many seconds no broker has answered."""
        return time.monotonic() - self._away_since if self._away_since else 0.0

    def begin(self, plan: Plan, known: Mapping[str, Cursor]) -> None:
        """Continue from where a plan says; forget what was read and not handed over."""
        self._held = []
        for spot, start in plan.starts.items():
            for text in start.notes:
                self._note(text)
            self._names[spot], self._cursors[spot] = start.name, start.cursor
            before = known.get(start.name)
            if before != start.cursor and (before is not None or start.cursor.offset):
                self._held.append(Delivery(start.name, batch_of([]), start.cursor))
        self._ends = dict(plan.ends)
        self._drop_ended()
        self._assign()

    def add(self, plan: Plan) -> None:
        """Read the partitions of a plan, too, which were added."""
        for spot, start in plan.starts.items():
            self._names[spot], self._cursors[spot], self._ends[spot] = start.name, start.cursor, None
        self._assign()

    def _assign(self) -> None:
        from confluent_kafka import TopicPartition

        self._consumer.assign([TopicPartition(*spot, self._cursors[spot].offset) for spot in self._ends])

    def topics(self) -> list[str]:
        """List the topics that are read."""
        return sorted({topic for topic, _ in self._names})

    def take(self, seconds: float) -> tuple[list[Delivery], list[Topic]]:
        """Return what came within some seconds, and the topics as they are now, or [] if they were not looked at.

        Raises ReplanNeeded if a topic or its offsets have changed, InputError if a partition cannot be read.
        """
        if not self._held and self._ends:
            with _paused_collector():
                self._held = self._deliver_messages(self._consumer.consume(MOST, seconds))
        elif not self._held:
            time.sleep(seconds)
        if not self._held and time.monotonic() - self._looked < CHECK_SECONDS:
            return [], []
        topics = self._look()
        if topics is None:
            return [], []
        found, self._held = self._held, []
        return found, topics

    def _look(self) -> list[Topic] | None:
        """Return the topics as they are, or None if no broker answers. Raises ReplanNeeded if one was made anew."""
        try:
            topics = self._brokers.topics(self.topics(), _ANSWER_SECONDS)
        except BrokerAwayError as error:
            if not self._away_since:
                self._away_since = time.monotonic()
                self._note(f"{error.message}: waiting for one")
            return None
        if self._away_since:
            self._away_since = 0.0
            self._note(f"{self._brokers.where}: a broker answers again")
        self._looked = time.monotonic()
        ids = {topic.name: topic.id for topic in topics}
        if any(cursor.topic_id != ids[topic] for (topic, _), cursor in self._cursors.items()):
            raise ReplanNeeded
        return topics

    def _deliver_messages(self, messages: Sequence[Message]) -> list[Delivery]:
        ended: dict[Spot, int] = {}
        errors = [*map(type(messages[0]).error, messages)] if messages else []
        read = [*messages]
        if any(errors):
            pairs = list(zip(messages, errors, strict=True))
            read = [message for message, error in pairs if not error]
            for message, error in pairs:
                if error and (at := self._end_at(error, message)) is not None:
                    ended[message.topic(), message.partition()] = at
        good = self._by_partition(read)
        found = [delivery for spot, each in good.items() for delivery in self._deliver(spot, each)]
        found += [delivery for spot, at in ended.items() for delivery in self._deliver_move(spot, at)]
        if self._drop_ended():
            self._assign()
        return found

    def _by_partition(self, messages: list[Message]) -> dict[Spot, list[Message]]:
        if len(self._cursors) == 1:
            return dict.fromkeys(self._cursors, messages) if messages else {}
        found: dict[Spot, list[Message]] = {}
        for message in messages:
            found.setdefault((message.topic(), message.partition()), []).append(message)
        return found

    def _end_at(self, error: Any, message: Message) -> int | None:
        """Return the offset up to which a partition was read, if that is what an error says; else None.

        Raises ReplanNeeded if the topic or its offsets have changed, InputError if the partition cannot be read.
        """
        from confluent_kafka import KafkaError

        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            return int(message.offset())
        if code in (
            KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_ID,
        ):  # fmt: skip
            raise ReplanNeeded
        if error.fatal() or code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._BAD_MSG):
            spot = f"{message.topic()}/{message.partition()}"
            raise InputError(f"{self._brokers.where}: {spot} cannot be read: {error.name()}", "")
        return None

    def _deliver(self, spot: Spot, messages: list[Message]) -> list[Delivery]:
        end = self._ends.get(spot, 0)
        last = messages[-1].offset() or 0
        if end is not None and last >= end:
            messages = [message for message in messages if (message.offset() or 0) < end]
        before = self._cursors[spot]
        offset = last + 1 if end is None else min(last + 1, end)
        after = replace(before, offset=max(offset, before.offset), records=before.records + len(messages))
        if messages:
            after = replace(after, epoch=messages[-1].leader_epoch())
        if after == before:
            return []
        self._cursors[spot] = after
        batch = batch_of(messages)
        return [Delivery(self._names[spot], batch, after, batch.nbytes)]

    def _deliver_move(self, spot: Spot, at: int) -> list[Delivery]:
        """Return a delivery without records, if there are only control records up to an offset."""
        end, before = self._ends.get(spot, 0), self._cursors[spot]
        offset = at if end is None else min(at, end)
        if offset <= before.offset:
            return []
        self._cursors[spot] = replace(before, offset=offset)
        return [Delivery(self._names[spot], batch_of([]), self._cursors[spot])]

    def _drop_ended(self) -> bool:
        """Stop reading the partitions that are at their ends; return whether there were any."""
        done = [spot for spot, end in self._ends.items() if end is not None and self._cursors[spot].offset >= end]
        for spot in done:
            del self._ends[spot]
        return bool(done)

    def close(self) -> None:
        """Disconnect from the brokers."""
        self._consumer.close()
