"""Topics as the brokers report them: their ids, partitions and bounds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.errors import InputError, UsageError
from esctl.sources.kafka.places import Partition, Place

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient

SECONDS = 15.0
"""Seconds to wait for an answer of a broker that should be there."""
_ATTEMPT = 3.0
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
_SILENT = logging.getLogger("esctl.kafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
"""A logger that discards everything: what the client logs may hold secrets."""


class BrokerAwayError(InputError):
    """Report that no broker answers (exit code 3)."""


class Topic(Struct, frozen=True):
    """A topic as it is now; `id` is "" if the broker has none."""

    name: str
    id: str
    partitions: tuple[int, ...]


class Brokers:
    """The brokers of a cluster. The admin client is kept, as a client that is dropped loses its pending answers."""

    def __init__(self, properties: Mapping[str, object], where: str) -> None:
        self.where = where
        self.properties = dict(properties)
        self._admin: AdminClient | None = None
        self._is_away = False
        self._why = ""

    @property
    def admin(self) -> AdminClient:
        """Return the admin client, made when first needed. Raises UsageError if a property is wrong."""
        if self._admin is None:
            from confluent_kafka.admin import AdminClient

            with self._explaining():
                own = {name: self.properties[name] for name in self.properties if name not in _OF_CONSUMERS}
                self._admin = AdminClient({**own, "error_cb": self._note_failure}, logger=_SILENT)
        return self._admin

    def consumer(self) -> Consumer:
        """Return a new consumer. Raises UsageError if a property is wrong."""
        from confluent_kafka import Consumer

        with self._explaining():
            return Consumer({**self.properties, "error_cb": self._note_failure}, logger=_SILENT)

    def producer(self, own: Mapping[str, object]) -> Producer:
        """Return a new producer, with properties `own` of its own. Raises UsageError if a property is wrong."""
        from confluent_kafka import Producer

        with self._explaining():
            known = {name: self.properties[name] for name in self.properties if name not in _OF_CONSUMERS}
            return Producer({**known, **own, "error_cb": self._note_failure}, logger=_SILENT)

    def _note_failure(self, error: Any) -> None:
        from confluent_kafka import KafkaError

        if error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._RESOLVE):
            self._why = error.name()
        if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._AUTHENTICATION):
            self._is_away = True

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        from confluent_kafka import KafkaException

        try:
            yield
        except KafkaException as error:  # its text holds the value of the property
            text = str(error.args[0].str()) if error.args else ""
            name = next((each for each in self.properties if f'"{each}"' in text), "")
            what = f"the property {name} is not accepted" if name else "its properties are not accepted"
            raise UsageError(f"{self.where}: {what}", "properties are named and valued as kcat's -X") from None

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Turn failures of a request into InputError, and into BrokerAwayError if no broker answers."""
        from confluent_kafka import KafkaError, KafkaException

        away = {
            KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE,
            KafkaError._WAIT_COORD, KafkaError.NOT_CONTROLLER, KafkaError.REQUEST_TIMED_OUT, KafkaError._DESTROY,
            KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.BROKER_NOT_AVAILABLE,
            KafkaError.NETWORK_EXCEPTION, KafkaError._TIMED_OUT_QUEUE,
        }  # fmt: skip
        try:
            yield
        except KafkaException as error:
            code, name = error.args[0].code(), error.args[0].name()
            if code in away:
                hint = "is the address right, and do security.protocol and the credentials fit? (-X, -F)"
                raise BrokerAwayError(f"{self.where}: no broker answers ({self._why or name})", hint) from None
            raise InputError(f"{self.where}: {what}: {name}", _HINTS.get(name, "")) from None

    def cluster(self) -> str:
        """Return the id of the cluster, or its address if it has none. Raises BrokerAwayError."""
        until = time.monotonic() + SECONDS
        while True:
            try:
                with self.asking("the cluster cannot be described"):
                    found = self.admin.list_topics(timeout=_ATTEMPT).cluster_id
                return str(found or self.properties["bootstrap.servers"])
            except BrokerAwayError:
                self.admin.poll(0)  # serves `error_cb` with the failed attempts to connect
                if self._is_away or time.monotonic() > until:
                    raise

    def topics(self, names: Sequence[str], seconds: float = SECONDS) -> list[Topic]:
        """Return topics as they are now. Raises InputError for a missing one, BrokerAwayError after some seconds."""
        from confluent_kafka import TopicCollection

        asked = self.admin.describe_topics(TopicCollection(list(names)), request_timeout=seconds)
        return [self._topic_of(name, asked[name].result) for name in names]

    def _topic_of(self, name: str, result: Callable[[float], Any]) -> Topic:
        with self.asking(f"topic {name}"):
            found = result(SECONDS + 1)
        known = str(found.topic_id)
        return Topic(name, "" if known == _NO_ID else known, tuple(sorted(each.id for each in found.partitions)))

    def list_compacted(self, names: Sequence[str]) -> set[str]:
        """Return the topics that are compacted, of those whose configuration may be read."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import ConfigResource, ResourceType

        asked = self.admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
        found = set()
        for resource, future in asked.items():
            try:
                policy = future.result(SECONDS)["cleanup.policy"].value
            except (KafkaException, KeyError):
                continue
            if "compact" in str(policy):
                found.add(resource.name)
        return found

    def bounds(self, topics: Sequence[Topic], begin: Place, until: Place) -> dict[tuple[str, int], Partition]:
        """Return the partitions of topics, with what is committed in them now. Raises InputError, BrokerAwayError."""
        from confluent_kafka.admin import OffsetSpec

        places = [(topic, number) for topic in topics for number in topic.partitions]
        low = self._offsets(places, OffsetSpec.earliest())
        high = self._offsets(places, OffsetSpec.latest())
        at, end = dict(low), dict(high)
        if begin.kind == "time":
            at = self._offsets_since(places, begin.milliseconds, high)
        if until.kind == "time":
            end = self._offsets_since(places, until.milliseconds, high)
        return {
            (topic.name, number): Partition(
                topic.name, topic.id, number, low[topic.name, number],
                high[topic.name, number], at[topic.name, number], end[topic.name, number],
            )
            for topic, number in places
        }  # fmt: skip

    def _offsets_since(
        self, places: Sequence[tuple[Topic, int]], milliseconds: int, high: Mapping[tuple[str, int], int]
    ) -> dict[tuple[str, int], int]:
        from confluent_kafka.admin import OffsetSpec

        found = self._offsets(places, OffsetSpec.for_timestamp(milliseconds))
        return {place: high[place] if offset < 0 else min(offset, high[place]) for place, offset in found.items()}

    def _offsets(self, places: Sequence[tuple[Topic, int]], spec: Any) -> dict[tuple[str, int], int]:
        from confluent_kafka import IsolationLevel, TopicPartition

        if not places:
            return {}
        asked = self.admin.list_offsets(
            {TopicPartition(topic.name, number): spec for topic, number in places},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=SECONDS,
        )
        with self.asking("its offsets cannot be listed"):
            return {(at.topic, at.partition): future.result(SECONDS + 1).offset for at, future in asked.items()}


_OF_CONSUMERS = frozenset(
    {
        "isolation.level", "auto.offset.reset", "enable.auto.commit", "enable.auto.offset.store",
        "enable.partition.eof", "group.id", "fetch.wait.max.ms", "fetch.queue.backoff.ms",
        "max.partition.fetch.bytes", "queued.min.messages",
    }
)  # fmt: skip
_HINTS = {
    "UNKNOWN_TOPIC_OR_PART": "list what is there with: kcat -L, or kafka-topics.sh --list",
    "TOPIC_AUTHORIZATION_FAILED": "the user needs to be allowed to READ and DESCRIBE it",
    "CLUSTER_AUTHORIZATION_FAILED": "the user needs to be allowed to DESCRIBE the cluster",
}
