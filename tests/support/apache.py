"""Apache Kafka on loopback, one node in KRaft mode, where `make apache` has fetched it, as a `Broker` of the tests.

Its registry is Apicurio (`tests/support/apicurio.py`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import apicurio
from tests.support.apicurio import Apicurio
from tests.support.java import SECONDS, SMALL, Server, free_ports
from tests.support.kafka import Broker

JARS = Path(__file__).parents[2] / "build" / "apache-kafka"
_JAVA = ["-Xmx384m", *SMALL, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{JARS}/*"]
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENTS://127.0.0.1:{port}
listener.security.protocol.map=CLIENTS:{protocol},CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.backoff.ms=100
log.initial.task.delay.ms=100
log.retention.check.interval.ms=500
"""
_SASL = """\
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.clients.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username="{name}" password="{password}" user_{name}="{password}";
"""
_OAUTH = """\
sasl.enabled.mechanisms=OAUTHBEARER
sasl.mechanism.inter.broker.protocol=OAUTHBEARER
listener.name.clients.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
"""
"""Tokens that nobody has signed, as the broker takes them where it is told of no one who signs."""


class Apache(Broker):
    """A node of Apache Kafka in a process of its own; its topics outlive a kill."""

    def __init__(self, folder: Path | None = None, user: str = "", mechanism: str = "PLAIN") -> None:
        self._user, self._mechanism, self._authority = user, mechanism, None
        self._schemas: Apicurio | None = None
        port, controller = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        self._node = Server("Apache Kafka", [], self._answers)
        file, own = self._node.folder / "server.properties", self._node.folder / "data"
        name, _, password = user.partition(":")
        text = _SETTINGS.format(
            port=port, controller=controller, folder=own, protocol="SASL_PLAINTEXT" if user else "PLAINTEXT"
        )
        sasl = _OAUTH if mechanism == "OAUTHBEARER" else _SASL.format(name=name, password=password)
        file.write_text(text + (sasl if user else ""))
        tool = ["java", *_JAVA, "kafka.tools.StorageTool", "format", "-t", "esctl-tests", "-c", str(file)]
        subprocess.run(tool, check=True, capture_output=True, timeout=SECONDS)
        self._node.command = [*_JAVA, "kafka.Kafka", str(file)]
        self.start()

    @property
    def registry(self) -> str:  # type: ignore[override]  # started when it is asked for
        """Return where the registry is, as a URL."""
        return self.schemas.url

    @property
    def schemas(self) -> Apicurio:
        """Return the registry, which is started with its first use."""
        if self._schemas is None:
            if not apicurio.is_there():
                pytest.skip("no registry is there: make apicurio")
            self._schemas = Apicurio()
        return self._schemas

    @property
    def settings(self) -> dict[str, str]:
        """Return what a client has to know."""
        if self._mechanism != "OAUTHBEARER":
            return super().settings
        own = {"enable.sasl.oauthbearer.unsecure.jwt": "true", "sasl.oauthbearer.config": "principal=" + self._user}
        kept = {name: text for name, text in super().settings.items() if name != "sasl.password"}
        return {**{name: text for name, text in kept.items() if name != "sasl.username"}, **own}

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._node.start()

    def _answers(self) -> bool:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        try:
            return bool(AdminClient(self.settings).list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def kill(self) -> None:
        """End it as a crash does."""
        self._node.kill()

    def stop(self) -> None:
        """End it, and the registry, and remove their folders."""
        self._node.stop()
        if self._schemas is not None:
            self._schemas.stop()

    def ask(self, command: str) -> None:
        """Compact topics, or let retention go over them, and wait until that is done."""
        assert command == "compact"
        for topic in self._compacted():
            self._roll(topic)
        time.sleep(2)  # the cleaner looks ten times a second; nothing tells when it is done

    def _compacted(self) -> list[str]:
        from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

        admin = AdminClient(self.settings)
        names = [name for name in admin.list_topics(timeout=10).topics if not name.startswith(("__", "esctl."))]
        asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
        return [at.name for at, found in asked.items() if "compact" in found.result(30)["cleanup.policy"].value]

    def _roll(self, topic: str) -> None:
        """Begin a new segment in each partition, since only closed ones are compacted, by what is never visible."""
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient

        self._configure(topic, {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.0"})
        time.sleep(0.2)
        partitions = AdminClient(self.settings).list_topics(topic, timeout=10).topics[topic].partitions
        producer = Producer({**self.settings, "transactional.id": f"roll-{topic}"})
        producer.init_transactions(30)
        producer.begin_transaction()
        for number in partitions:
            producer.produce(topic, b"", b"roll", number)
        producer.flush(30)
        producer.abort_transaction(30)

    def _configure(self, topic: str, config: dict[str, str]) -> None:
        from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        admin = AdminClient(self.settings)  # one that goes away takes its answers with it
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(30)

    def topic(self, partitions: int = 1, name: str = "", **config: str) -> str:
        """Make a topic, of a name that no other process has; wait until it is there."""
        found = super().topic(partitions, name, **config)
        self._until(found, lambda topics: len(topics[found].partitions) == partitions if found in topics else False)
        return found

    def delete(self, topic: str) -> None:
        """Delete a topic; wait until it is gone."""
        super().delete(topic)
        self._until(topic, lambda topics: topic not in topics)

    def widen(self, topic: str, partitions: int) -> None:
        """Give a topic so many partitions in all; wait until they are there."""
        super().widen(topic, partitions)
        self._until(topic, lambda topics: len(topics[topic].partitions) == partitions)

    def _until(self, topic: str, holds: Any) -> None:
        from confluent_kafka.admin import AdminClient

        admin, until = AdminClient(self.settings), time.monotonic() + SECONDS
        while not holds(admin.list_topics(timeout=10).topics):
            assert time.monotonic() < until, topic
            time.sleep(0.05)


def is_there() -> bool:
    """Return whether Apache Kafka was fetched and can be run."""
    return JARS.is_dir() and shutil.which("java") is not None and os.name == "posix"
