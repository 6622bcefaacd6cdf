"""Topics of Kafka as a live source: `kafka://host:9092/orders,payments`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import UsageError
from esctl.model import Cursor, KafkaCursor
from esctl.sources.kafka.assigned import Assigned, Plan, ReplanNeeded
from esctl.sources.kafka.framing import Framing, with_registry
from esctl.sources.kafka.places import Partition, Place, Start, begin_known, begin_unknown, parse_place, source_name
from esctl.sources.kafka.properties import client_properties, expand
from esctl.sources.kafka.registry import RegistryAwayError, Schemas, schemas_of
from esctl.sources.kafka.topics import BrokerAwayError, Brokers, Topic
from esctl.sources.live import Live, without_secrets
from esctl.sources.names import generations, next_name
from esctl.sources.protocol import Delivery, FollowedSource, Note, SourceReader

if TYPE_CHECKING:
    from esctl.sources.files.reading import SourceOptions

_URL = re.compile(r"kafka://(?P<brokers>[^/?#@\s]+)/(?P<topics>[A-Za-z0-9._-]+(?:,[A-Za-z0-9._-]+)*)/?", re.IGNORECASE)
_PORT = 9092
PATIENCE = 300.0
"""Seconds to wait for brokers that went away while they were read."""
_WAIT = 0.1
_MOST_TAKES = 8
"""How often one poll takes what came: without a limit, an endless stream of records would prevent every commit."""


class Asked(Struct, frozen=True):
    """What was asked for: where to begin (None: not said), where to end, and what to do if a topic was made anew."""

    topics: tuple[str, ...]
    begin: Place | None
    until: Place | None
    recreated: str
    schemas: Schemas | None = None


def connect(live: Live, note: Note) -> KafkaSource:
    """Connect to the brokers, and find the topics.

    Raises UsageError for a wrong URL, option or property, InputError if they do not answer or have no such topic.
    """
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        raise UsageError(f"{live.where}: kafka:// needs confluent-kafka", "pip install 'esctl-audit[kafka]'") from None
    brokers, topics = parse_url(live)
    options = live.options
    recreated = options.get("on-recreated", "stop")
    if recreated not in ("stop", "new"):
        raise UsageError(f"--on-recreated {recreated!r} is neither stop nor new", "stop is what is done by default")
    asked = Asked(
        topics,
        parse_place(options["from"], "--from") if "from" in options else None,
        parse_place(options["until"], "--until", ends=True) if "until" in options else None,
        recreated,
        schemas_of(expand(options.get("registry", ""), "--registry"), options.get("schema-dir", ""), live.where),
    )
    properties = client_properties(brokers, options.get("properties", ""), live.properties, live.where)
    source = KafkaSource(Brokers(properties, live.where), asked, note)
    source.look()
    return source


def parse_url(live: Live) -> tuple[str, tuple[str, ...]]:
    """Return the brokers, as the client takes them, and the topics. Raises UsageError, without secrets in it."""
    url = expand(live.url, live.where)
    where = without_secrets(url) if live.where == without_secrets(live.url) else live.where
    if "@" in url:
        raise UsageError(
            f"{where}: a URL of Kafka has no user", "give it by -X sasl.username=..., or by a file: -F FILE"
        )
    found = _URL.fullmatch(url)
    if not found:
        raise UsageError(f"{where} is no URL of topics", "write it like kafka://host:9092/orders,payments")
    hosts = [host if re.search(r":[0-9]+\Z", host) else f"{host}:{_PORT}" for host in found["brokers"].split(",")]
    return ",".join(hosts), tuple(dict.fromkeys(found["topics"].split(",")))


class KafkaSource:
    """Topics of a cluster that is connected."""

    holds_files = False

    def __init__(self, brokers: Brokers, asked: Asked, note: Note) -> None:
        self.brokers, self.asked, self.note = brokers, asked, note
        self.cluster = ""
        self.names: tuple[str, ...] = ()
        self._compacted: set[str] = set()

    def look(self) -> None:
        """Ask the brokers for the cluster and the topics. Raises InputError."""
        self.cluster = self.brokers.cluster()
        topics = self.brokers.topics(self.asked.topics)
        self.names = tuple(
            source_name(self.cluster, each.name, number) for each in topics for number in each.partitions
        )
        self._compacted = self.brokers.list_compacted(self.asked.topics)
        for topic in sorted(self._compacted):
            self.note(
                f"{topic} is compacted: of records with one key, the broker keeps the last; its history is not whole"
            )

    def readers(self, how: SourceOptions | None = None) -> Sequence[SourceReader]:
        """Return the reader of what the topics hold now."""
        return [KafkaReader(self)]

    def followed(self, how: SourceOptions | None = None) -> Sequence[FollowedSource]:
        """Return the topics as one source to follow. Raises UsageError for `--until`."""
        if self.asked.until is not None:
            raise UsageError("--until cannot be combined with --follow", "leave one of them out")
        return [FollowedTopics(self)]

    def plan(self, known: Mapping[str, Cursor], *, pinned: bool) -> Plan:
        """Decide where to continue in all partitions. `pinned`: up to the end that they have now."""
        topics = self.brokers.topics(self.asked.topics)
        bounds = self.brokers.bounds(topics, self.asked.begin or Place(), self.asked.until or Place("end"))
        starts = {spot: self._start_of(partition, known) for spot, partition in bounds.items()}
        ends = {spot: self._end_of(partition) if pinned else None for spot, partition in bounds.items()}
        return Plan(starts, ends)

    def plan_added(self, topics: Sequence[Topic], names: Sequence[str], known: Mapping[str, Cursor]) -> Plan:
        """Decide where to begin in partitions that were added: at their beginnings, unless they are known."""
        new = [replace(topic, partitions=self._new_partitions(topic, names)) for topic in topics]
        if not any(topic.partitions for topic in new):
            return Plan({}, {})
        bounds = self.brokers.bounds(new, Place(), Place("end"))
        starts = {spot: self._start_of(partition, known, Place()) for spot, partition in bounds.items()}
        return Plan(starts, dict.fromkeys(starts))

    def _new_partitions(self, topic: Topic, names: Sequence[str]) -> tuple[int, ...]:
        read = {name.partition("#")[0] for name in names}
        return tuple(each for each in topic.partitions if source_name(self.cluster, topic.name, each) not in read)

    def _end_of(self, partition: Partition) -> int:
        return min(partition.until, partition.end)

    def _start_of(self, partition: Partition, known: Mapping[str, Cursor], place: Place | None = None) -> Start:
        name = source_name(self.cluster, partition.topic, partition.number)
        asked = place or self.asked.begin
        newest = next(reversed(generations(name, known)), "")
        cursor = known.get(newest)
        if isinstance(cursor, KafkaCursor):
            start = begin_known(
                newest, cursor, partition, asked, recreated=self.asked.recreated,
                next_name=lambda: next_name(name, known),
            )  # fmt: skip
        else:
            start = begin_unknown(next_name(name, known), self.cluster, partition, asked or Place())
        compacted = start.cursor.compacted or partition.topic in self._compacted
        registry = self.asked.schemas.name if self.asked.schemas is not None else ""
        return replace(start, cursor=with_registry(replace(start.cursor, compacted=compacted), registry))


class KafkaReader:
    """What topics hold now, as a SourceReader: up to the ends that the partitions have when it is opened."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source
        self._names = source.names

    @property
    def name(self) -> str:
        """Return the name of the only partition, or else the name that errors use for the topics."""
        return self._names[0] if len(self._names) == 1 else self._source.brokers.where

    @property
    def pending(self) -> int:
        """Return 0: records come whole."""
        return 0

    @property
    def may_wait(self) -> bool:
        """Return False: everything up to the pinned ends is at the brokers already."""
        return False

    def open(self, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        """Yield what is new up to the ends that are there now.

        Raises InputError for offsets that are gone, for a topic that was made anew, and if brokers stay away.
        """
        plan = self._source.plan(known, pinned=True)
        self._names = tuple(start.name for start in plan.starts.values())
        return self._deliveries(dict(known), plan)

    def _deliveries(self, known: dict[str, Cursor], plan: Plan) -> Iterator[Delivery]:
        assigned = Assigned(self._source.brokers, self._source.note)
        framing = Framing(self._source.asked.schemas, self._source.note)
        try:
            for delivery in framing.begin(known, self._names):
                known[delivery.source] = delivery.cursor
                yield delivery
            assigned.begin(plan, known)
            while not assigned.is_done or framing.is_held_up:
                taken = self._take(assigned, known, plan) if not framing.is_held_up else []
                for delivery in framing.with_schemas(taken, known):
                    known[delivery.source] = delivery.cursor
                    yield delivery
                self._be_patient(assigned, framing)
        finally:
            assigned.close()

    def _be_patient(self, assigned: Assigned, framing: Framing) -> None:
        """Wait for a registry that went away. Raises InputError if it, or all brokers, stay away too long."""
        again = "run the same command again when one does: it goes on from there"
        if assigned.seconds_away > PATIENCE:
            raise BrokerAwayError(f"{self._source.brokers.where}: no broker answers for {PATIENCE:.0f} s", again)
        if framing.seconds_away > PATIENCE:
            raise RegistryAwayError(f"{framing.registry}: the registry has not answered for {PATIENCE:.0f} s", again)
        if framing.is_held_up:
            time.sleep(_WAIT)

    def _take(self, assigned: Assigned, known: Mapping[str, Cursor], plan: Plan) -> list[Delivery]:
        try:
            found, _ = assigned.take(_WAIT)
        except ReplanNeeded:
            again = self._source.plan(known, pinned=True)
            ends = {spot: end for spot, end in again.ends.items() if spot in plan.ends}
            assigned.begin(Plan({spot: again.starts[spot] for spot in ends}, ends), known)
            return []
        return found


class FollowedTopics:
    """Topics that are followed as they grow."""

    ended = False

    def __init__(self, source: KafkaSource) -> None:
        self._source = source
        self._assigned: Assigned | None = None
        self._framing = Framing(source.asked.schemas, source.note)

    @property
    def names(self) -> tuple[str, ...]:
        """List the names of the partitions that are read."""
        return self._assigned.names if self._assigned else ()

    @property
    def pending(self) -> list[tuple[str, int]]:
        """Return nothing: records come whole."""
        return []

    def poll(self, known: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
        """Yield what came since the last poll, also in partitions that were added. Raises InputError."""
        if self._assigned is None:
            plan = self._source.plan(known, pinned=False)
            self._assigned = Assigned(self._source.brokers, self._source.note)
            self._assigned.begin(plan, known)
            yield from self._framing.begin(known, self._assigned.names)
        size = 0
        for _ in range(_MOST_TAKES):
            taken = self._take(self._assigned, known) if not self._framing.is_held_up else []
            found = self._framing.with_schemas(taken, known)
            yield from found
            size += sum(each.batch.nbytes for each in found)
            if not found or size >= limit:
                return

    def _take(self, assigned: Assigned, known: Mapping[str, Cursor]) -> list[Delivery]:
        try:
            found, topics = assigned.take(0.05)
        except ReplanNeeded:
            assigned.begin(self._source.plan(known, pinned=False), known)
            return []
        more = self._source.plan_added(topics, assigned.names, known) if topics else None
        if more is not None and more.starts:
            for start in more.starts.values():
                self._source.note(f"{start.name} was added: it is read from offset {start.cursor.offset}")
            assigned.add(more)
        return found

    def close(self) -> None:
        """Disconnect from the brokers."""
        if self._assigned is not None:
            self._assigned.close()
