"""The content of a topic: its committed records, up to the ends that it has now."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from esctl.errors import InputError
from esctl.sources.kafka import topics
from esctl.sources.kafka.places import Partition, Place
from esctl.sources.kafka.topics import Brokers

if TYPE_CHECKING:
    from confluent_kafka import Message

_PATIENCE = 30.0
_MOST = 10_000
_WAIT = 0.02


def bounds(brokers: Brokers, name: str, numbers: Sequence[int]) -> list[Partition]:
    """Return the partitions of a topic, with the offsets of what is committed."""
    partitions = brokers.bounds([topics.Topic(name, "", tuple(numbers))], Place(), Place("end"))
    return list(partitions.values())


def wait_until_visible(brokers: Brokers, ends: Mapping[tuple[str, int], int]) -> None:
    """Wait until readers see what was committed up to some offsets. Raises InputError if that takes too long.

    Kafka reports that a transaction is committed before the end of each partition moves past it.
    """
    until = time.monotonic() + _PATIENCE
    while ends:
        names = {name for name, _ in ends}
        partitions = [each for name in names for each in bounds(brokers, name, [n for own, n in ends if own == name])]
        if all(each.end >= ends[each.topic, each.number] for each in partitions):
            return
        if time.monotonic() > until:
            raise InputError(
                f"{brokers.where}: it ends before what was committed to it, or a transaction of another is open there",
                "wait for that; if records were deleted: esctl view rebuild",
            )
        time.sleep(_WAIT)


def read_records(brokers: Brokers, name: str, numbers: Sequence[int]) -> Iterator[list[Message]]:
    """Yield the committed records of a topic, some at a time, in order within each partition."""
    from confluent_kafka import KafkaError, TopicPartition

    partitions = [each for each in bounds(brokers, name, numbers) if each.low < each.end]
    ends = {each.number: each.end for each in partitions}
    consumer = brokers.consumer()
    try:
        consumer.assign([TopicPartition(name, each.number, each.low) for each in partitions])
        until = time.monotonic() + _PATIENCE
        while ends:
            good = []
            for message in consumer.consume(_MOST, _WAIT):
                error, number, offset = message.error(), message.partition(), message.offset()
                end = ends.get(number, 0)
                if error is None and offset < end:
                    good.append(message)
                if (error is None and offset + 1 >= end) or (
                    error is not None and error.code() == KafkaError._PARTITION_EOF and offset >= end
                ):
                    ends.pop(number, None)
            if good:
                until = time.monotonic() + _PATIENCE
                yield good
            elif time.monotonic() > until:
                raise InputError(f"{brokers.where}: topic {name} cannot be read to its end", "is a broker away?")
    finally:
        consumer.close()
