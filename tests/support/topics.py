"""Topics as any consumer of committed records sees them."""

from __future__ import annotations

from msgspec import Struct

from tests.support.kafka import Broker


class Seen(Struct, frozen=True):
    """A record that was consumed."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]


def consumed(broker: Broker, topic: str) -> list[Seen]:
    """Return the committed records of a topic, by partition and offset."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    settings = {"group.id": "t", "auto.offset.reset": "earliest", "enable.partition.eof": True}
    consumer = Consumer({**broker.settings, **settings, "isolation.level": "read_committed", "fetch.wait.max.ms": "10"})
    numbers = sorted(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
    found, left = [], set(numbers)
    while left:
        for message in consumer.consume(1000, 0.03):
            error = message.error()
            if error is None:
                headers = {name: value.decode() for name, value in message.headers() or ()}
                place = message.partition(), message.offset()
                found.append(Seen(*place, message.key(), message.value(), headers))
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
    consumer.close()
    return sorted(found, key=lambda each: (each.partition, each.offset))


def last_records(broker: Broker, topic: str) -> dict[bytes | None, Seen]:
    """Return the last record of each key, as compaction keeps it."""
    return {each.key: each for each in consumed(broker, topic)}
