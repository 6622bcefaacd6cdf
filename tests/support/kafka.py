"""A broker of Kafka and a schema registry on loopback, where `make interop` has built them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import IO, Any, cast

import pytest
from msgspec import Struct

BINARY = Path(__file__).parents[2] / "build" / "kafka"
needs_broker = pytest.mark.skipif(not BINARY.exists(), reason="no broker is built: make interop (needs Go)")
_SECONDS = 30
_numbers = count(1)


class Record(Struct, frozen=True):
    """A record to produce; the value None is a tombstone."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    partition: int = 0
    time: int = 1_700_000_000_000


class Broker:
    """A broker in a process of its own, which ends with this object's `stop`, or with the test run.

    Where the environment says ESCTL_BROKER=apache (`make live`), it is Apache Kafka.
    """

    def __new__(cls, *arguments: object, **named: object) -> Broker:
        if cls is Broker and os.environ.get("ESCTL_BROKER") == "apache":
            from tests.support.apache import Apache

            return object.__new__(Apache)
        return object.__new__(cls)

    def __init__(
        self, folder: Path | None = None, user: str = "", mechanism: str = "PLAIN", authority: Path | None = None
    ) -> None:
        other = mechanism if mechanism != "PLAIN" else ""
        given = {"-data": folder, "-user": user, "-mechanism": other, "-tls": authority}
        self._arguments = [text for name, value in given.items() if value for text in (name, str(value))]
        self._user, self._mechanism, self._authority = user, mechanism, authority
        self.address = ""
        self.start()

    def start(self) -> None:
        """Start it; where it was started before, on the same port."""
        port = self.address.rpartition(":")[2] or "0"
        command = [str(BINARY), "-port", port, *self._arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        told = json.loads(self._out.readline())
        self.address, self.registry = told["kafka"], told["registry"]

    @property
    def _out(self) -> IO[str]:
        return cast(IO[str], self._process.stdout)

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._gone()

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.terminate()
            self._gone()

    def _gone(self) -> None:
        self._process.wait(_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            cast(IO[str], pipe).close()

    def ask(self, command: str) -> None:
        """Have it do something that no client can ask for."""
        print(command, file=self._process.stdin, flush=True)
        assert self._out.readline() == "ok\n"

    @property
    def settings(self) -> dict[str, str]:
        """Return what a client has to know."""
        name, _, password = self._user.partition(":")
        wrapped = "SSL" if self._authority else "PLAINTEXT"
        sasl = {"security.protocol": f"SASL_{wrapped}", "sasl.mechanism": self._mechanism}
        known = {**sasl, "sasl.username": name, "sasl.password": password} if name else {"security.protocol": wrapped}
        known |= {"ssl.ca.location": str(self._authority)} if self._authority else {}
        return {"bootstrap.servers": self.address, "enable.metrics.push": "false", "log_level": "0", **known}

    def url(self, topic: str) -> str:
        """Return a topic as esctl names it."""
        return f"kafka://{self.address}/{topic}"

    def topic(self, partitions: int = 1, name: str = "", **config: str) -> str:
        """Make a topic; return its name."""
        from confluent_kafka.admin import NewTopic

        name = name or f"topic{next(_numbers)}"
        settings = {"retention.ms": "-1"} | {key.replace("_", "."): value for key, value in config.items()}
        self._admin("create_topics", [NewTopic(name, partitions, 1, config=settings)])
        return name

    def delete(self, topic: str) -> None:
        """Delete a topic."""
        self._admin("delete_topics", [topic])

    def widen(self, topic: str, partitions: int) -> None:
        """Give a topic so many partitions in all."""
        from confluent_kafka.admin import NewPartitions

        self._admin("create_partitions", [NewPartitions(topic, partitions)])

    def forget(self, topic: str, before: int, partition: int = 0) -> None:
        """Delete the records before an offset, as retention does."""
        from confluent_kafka import TopicPartition

        self._admin("delete_records", [TopicPartition(topic, partition, before)])

    def _admin(self, call: str, what: list[Any]) -> None:
        from confluent_kafka.admin import AdminClient

        admin = AdminClient(self.settings)
        for future in getattr(admin, call)(what).values():
            future.result(_SECONDS)

    def produce(self, topic: str, records: Iterable[Record | bytes], **settings: str) -> None:
        """Send records, and wait until the broker has them."""
        from confluent_kafka import Producer

        producer = Producer({**self.settings, "linger.ms": "1", **settings})
        send(producer, topic, records)
        assert producer.flush(_SECONDS) == 0

    def transaction(self, topic: str, records: Iterable[Record | bytes], name: str = "t", end: str = "commit") -> Any:
        """Send records in a transaction that is committed, aborted, or left open; return the producer."""
        from confluent_kafka import Producer

        producer = Producer({**self.settings, "transactional.id": name})
        producer.init_transactions(_SECONDS)
        producer.begin_transaction()
        send(producer, topic, records)
        producer.flush(_SECONDS)
        if end != "open":
            getattr(producer, f"{end}_transaction")(_SECONDS)
        return producer


class Fake(Broker):
    """The broker that `make interop` builds, also where Apache Kafka is to be tried."""


def send(producer: Any, topic: str, records: Iterable[Record | bytes]) -> None:
    """Hand records to a producer."""
    for each in records:
        record = each if isinstance(each, Record) else Record(each)
        producer.produce(
            topic, record.value, record.key, record.partition, headers=list(record.headers), timestamp=record.time
        )
        producer.poll(0)
