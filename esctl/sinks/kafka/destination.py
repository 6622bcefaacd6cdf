"""A topic that is written to: its brokers, and the checks that it is suited."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from esctl.errors import InputError, UsageError
from esctl.sources.kafka.connect import parse_url
from esctl.sources.kafka.properties import client_properties
from esctl.sources.kafka.topics import SECONDS, BrokerAwayError, Brokers
from esctl.sources.live import from_url

PROGRESS = "esctl.progress"
"""The topic that keeps how far sending has come."""
_OWN: Mapping[str, frozenset[str]] = {
    "transactional.id": frozenset(),
    "enable.idempotence": frozenset({"true"}),
    "acks": frozenset({"all", "-1"}),
    "request.required.acks": frozenset({"all", "-1"}),
    "enable.gapless.guarantee": frozenset(),
    "partitioner": frozenset({"murmur2_random", "murmur2", "consistent_random", "consistent", "fnv1a_random", "fnv1a"}),
}
"""The properties that sending each message once depends on, with the values that they may have."""


class Destination(Struct, frozen=True):
    """A topic by its URL, and the client's properties: a file of them, and those given, which may be secret."""

    url: str
    file: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def topic(self) -> str:
        """Return the name of the topic."""
        return topic_of(self)[1]


class NoTopicError(InputError):
    """Report that there is no such topic (exit code 3)."""


class Topic(Struct, frozen=True):
    """A topic as it is now. `largest` is the size of the batches that it takes, in bytes."""

    name: str
    id: str
    partitions: tuple[int, ...]
    policy: str
    largest: int


def topic_of(destination: Destination) -> tuple[str, str]:
    """Return brokers and topic. Raises UsageError if the URL does not name one topic."""
    live = from_url(destination.url, {}, {})
    brokers, topics = parse_url(live)
    if len(topics) != 1 or topics[0] == PROGRESS:
        raise UsageError(f"--to {live.where} is no topic to write to", "name one: kafka://host:9092/topic")
    return brokers, topics[0]


def connect(destination: Destination) -> Brokers:
    """Return the brokers of a topic, not yet asked anything. Raises UsageError for wrong properties."""
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        raise UsageError("--to kafka://... needs confluent-kafka", "pip install 'esctl-audit[kafka]'") from None
    brokers, topic = topic_of(destination)
    where = f"--to kafka://{brokers}/{topic}"
    properties = client_properties(brokers, destination.file, destination.properties, where)
    for name, allowed in _OWN.items():
        if name in properties and str(properties[name]).strip().lower() not in allowed:
            others = f"it may be {', '.join(sorted(allowed))}" if allowed else "leave it out"
            raise UsageError(f"{where}: the property {name} cannot be so", others)
    wait = destination.properties.get("fetch.wait.max.ms", "10")  # topics are read to their ends, not followed
    return Brokers({**properties, "fetch.wait.max.ms": wait}, where)


def describe_topic(brokers: Brokers, name: str) -> Topic:
    """Return a topic as it is. Raises NoTopicError if it is missing, InputError if the user may not describe it."""
    brokers.cluster()
    try:
        (found,) = brokers.topics([name])
    except BrokerAwayError:
        raise
    except InputError as error:
        if "UNKNOWN_TOPIC" not in error.message:
            raise
        raise NoTopicError(
            f"{brokers.where}: there is no topic {name}", f"make it first: {_command(brokers, name)}"
        ) from None
    settings = _settings(brokers, name)
    largest = str(settings.get("max.message.bytes", ""))
    return Topic(name, found.id, found.partitions, str(settings["cleanup.policy"]), _number(largest, 1_048_588))


def check_of_states(brokers: Brokers, topic: Topic) -> None:
    """Raise UsageError if a topic does not keep the last state of each entity for good."""
    policy = {part.strip() for part in re.split(r"[,\[\]]", topic.policy) if part.strip()}
    if policy != {"compact"}:
        raise UsageError(
            f"{brokers.where}: states need a topic that is compacted, and its cleanup.policy is {topic.policy}",
            f"make one: {_command(brokers, 'NAME')}",
        )


def check_of_events(brokers: Brokers, topic: Topic) -> None:
    """Raise UsageError if a topic keeps only the last event of each entity."""
    if "compact" in topic.policy:
        raise UsageError(
            f"{brokers.where}: it is compacted, so of the events of an entity it would keep the last only",
            "send them to a topic whose cleanup.policy is delete",
        )


def make_progress(brokers: Brokers) -> None:
    """Make the topic of progress if there is none. Raises InputError if that fails, UsageError for a wrong property."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic

    config = {"cleanup.policy": "compact", "segment.ms": "3600000", "min.cleanable.dirty.ratio": "0.01"}
    future = brokers.admin.create_topics([NewTopic(PROGRESS, 1, -1, config=config)])[PROGRESS]
    with brokers.asking(f"topic {PROGRESS} cannot be made"):
        try:
            future.result(SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
        until = time.monotonic() + SECONDS
        while (found := brokers.admin.list_topics(PROGRESS, timeout=SECONDS).topics.get(PROGRESS)) is None or (
            found.error is not None or not found.partitions
        ):
            if time.monotonic() > until:
                raise InputError(f"{brokers.where}: topic {PROGRESS} was made and is not there", "run it again")
            time.sleep(0.05)


def has_progress(brokers: Brokers) -> bool:
    """Return whether there is a topic of progress. Raises UsageError if it is not compacted."""
    try:
        brokers.topics([PROGRESS])
    except BrokerAwayError:
        raise
    except InputError as error:
        if "UNKNOWN_TOPIC" not in error.message:
            raise
        return False
    if str(_settings(brokers, PROGRESS)["cleanup.policy"]) != "compact":
        raise UsageError(
            f"{brokers.where}: the topic {PROGRESS} is not compacted, so it may forget how far views have come",
            f"set it: kafka-configs.sh --bootstrap-server {address_of(brokers)} --alter --topic {PROGRESS} "
            "--add-config cleanup.policy=compact",
        )
    return True


def _settings(brokers: Brokers, name: str) -> Mapping[str, Any]:
    from confluent_kafka.admin import ConfigResource, ResourceType

    asked = brokers.admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)], request_timeout=SECONDS)
    (future,) = asked.values()
    with brokers.asking(f"the settings of {name} cannot be read (the user needs to be allowed DESCRIBE_CONFIGS)"):
        return {key: entry.value for key, entry in future.result(SECONDS + 1).items()}


def address_of(brokers: Brokers) -> str:
    """Return the address of brokers that `connect` returned."""
    return brokers.where.split("://")[1].split("/")[0]


def _command(brokers: Brokers, name: str) -> str:
    server = f"--bootstrap-server {address_of(brokers)}"
    return f"kafka-topics.sh {server} --create --topic {name} --config cleanup.policy=compact"


def _number(text: str, otherwise: int) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else otherwise
