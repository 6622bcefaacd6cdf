"""Keep states in a compacted topic of Kafka: a record for each entity, none for one that was deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from esctl.ask.scope.basis import parse_basis, to_json
from esctl.engine.duckdb import Session, explained, single_row
from esctl.engine.exact_text import time_text
from esctl.errors import InputError, UsageError
from esctl.sinks.columns import WHOLE, name_columns
from esctl.sinks.kafka.contents import read_records, wait_until_visible
from esctl.sinks.kafka.destination import (
    Destination,
    NoTopicError,
    Topic,
    check_of_states,
    connect,
    describe_topic,
    has_progress,
    make_progress,
)
from esctl.sinks.kafka.keys import key_sql
from esctl.sinks.kafka.outbox import Outbox
from esctl.sinks.kafka.progress import Sent, check_same, forget_sent, keep_sent, read_sent
from esctl.sinks.protocol import EMPTY_CONTENT, Changes, Channel, Content, Message, NeedsWholeError, Progress
from esctl.sinks.spool import ROWS, spool_rows
from esctl.sinks.tabular import STAGED, Staged, stage_whole

if TYPE_CHECKING:
    from confluent_kafka import Message as Record

    from esctl.sources.kafka.topics import Brokers

_REBUILD = "if that is meant to be, make it anew: esctl view rebuild NAME, or emit with --again"
_BATCH = 1_000_000
_STATE = tuple(name_columns([WHOLE]))
_COLUMNS = (
    "partition", "place", "key", "store", "head", "entity", "kind", "state", "version", "position", "time",
)  # fmt: skip


class KafkaTopic:
    """A view in a topic, its progress in the topic `esctl.progress`; one transaction changes both."""

    def __init__(self, session: Session, destination: Destination, *, key: str = "entity", writing: bool) -> None:
        self._session = session
        self._destination = destination
        self._key = key
        self._writing = writing
        self._brokers: Brokers | None = None
        self._outbox: Outbox | None = None
        self._sent: Sent | None = None
        self._missing: NoTopicError | None = None  # raised by all but `drop`, which can forget it
        self.count = 0
        """The number of messages that the last change sent."""

    def __enter__(self) -> Self:
        """Connect; a writer takes the topic over from any other writer."""
        self._brokers = connect(self._destination)
        try:
            self._topic = describe_topic(self._brokers, self._destination.topic)
            check_of_states(self._brokers, self._topic)
        except NoTopicError as error:
            if not self._writing:
                raise
            self._topic, self._missing = Topic(self._destination.topic, "", (), "", _BATCH), error
        self._purpose = f"view/{self._topic.name}"
        try:
            if self._writing:
                self._outbox = Outbox(self._brokers, f"esctl.view.{self._topic.name}", self._topic).__enter__()
            self._sent = read_sent(self._brokers, self._purpose)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect from the brokers; what was not committed has no effect."""
        self._outbox = self._brokers = None

    def progress(self) -> Progress | None:
        """Return the progress of the topic, or None. Raises InputError if the topic was made anew."""
        self._check_there()
        if self._sent is None:
            return None
        assert self._brokers is not None
        check_same(self._brokers, self._sent, self._topic, _REBUILD)
        note = self._sent.note
        basis = parse_basis(json.dumps(note.get("basis")))
        if basis is None or not isinstance(note.get("store"), str) or not isinstance(note.get("projection"), str):
            raise InputError(f"{self._brokers.where}: what its progress says is not as esctl wrote it", _REBUILD)
        return Progress(note["store"], note["projection"], basis)

    def content(self) -> Content:
        """Return the states in the topic, after reading it to its end."""
        if self._sent is None or not self._topic.partitions:
            return EMPTY_CONTENT
        self.progress()
        live = self._live_sql()
        self._check_still(live)
        return Content(f"SELECT entity, kind, state, version, position, time FROM ({live})", _STATE)

    def apply(self, changes: Changes, progress: Progress) -> None:
        """Send the changes and the new progress in one transaction.

        Raises InputError for a record that is too large, naming it, and if another process took the topic over.
        """
        self._check_there()
        staged = stage_whole(self._session, changes.rows)
        fresh = changes.whole or self._sent is None
        if not fresh and not self._fits():
            raise NeedsWholeError
        kinds = self._kinds(fresh=fresh)
        lives = self._live_sql() if fresh or (self._key == "entity" and len(kinds) > 1) else ""
        self._check_keys(lives, fresh=fresh)
        basis = progress.basis
        note = {
            "store": progress.store, "projection": progress.projection, "position": basis.position,
            "root": basis.root, "basis": json.loads(to_json(basis)), "key": self._key, "kinds": sorted(kinds),
        }  # fmt: skip
        gone = self._tombstones(lives, progress, fresh=fresh)
        states = ((message, -1) for message in self._states(staged, progress))
        self._send(chain(gone, states), note)
        staged.discard()

    def _send(self, messages: Iterator[tuple[Message, int]], note: Mapping[str, Any]) -> None:
        """Send messages, each to its partition (-1: that of its key), and keep the note of them."""
        assert self._brokers is not None
        assert self._outbox is not None
        if not has_progress(self._brokers):
            make_progress(self._brokers)
        before = self._sent.ends if self._sent is not None and self._is_same_topic() else {}
        self.count = 0
        with self._outbox.transaction():
            for message, partition in messages:
                self._outbox.put(message, partition=partition)
                self.count += 1
            sent = keep_sent(self._outbox, self._purpose, self._topic, note, before)
        wait_until_visible(self._brokers, self._outbox.ends)
        self._sent = sent

    def drop(self) -> None:
        """Send a tombstone for each state in the topic, and one for its progress. The topic itself stays."""
        if self._sent is None:
            return
        assert self._brokers is not None
        assert self._outbox is not None
        lives = "" if self._missing else f"SELECT key, partition FROM ({self._live_sql()}) WHERE store IS NOT NULL"
        with self._outbox.transaction():
            for key, partition in self._keys(lives) if lives else ():
                self._outbox.put(Message(key, None), partition=partition)
            forget_sent(self._outbox, self._purpose)
        wait_until_visible(self._brokers, self._outbox.ends)
        self._sent = None

    def _check_there(self) -> None:
        if self._missing is not None:
            raise self._missing

    def _is_same_topic(self) -> bool:
        return self._sent is not None and self._sent.topic_id == self._topic.id

    def _fits(self) -> bool:
        """Return whether the records in the topic have the keys and partitions that they would be given now."""
        assert self._sent is not None
        return self._sent.partitions == len(self._topic.partitions) and self._sent.note.get("key") == self._key

    def _kinds(self, *, fresh: bool) -> set[str]:
        with explained():
            rows = self._session.connection.execute(f"SELECT DISTINCT kind FROM {STAGED}").fetchall()
        known = () if fresh or self._sent is None else self._sent.note.get("kinds", ())
        return {str(kind) for kind in (*known, *(kind for (kind,) in rows))}

    def _check_keys(self, lives: str, *, fresh: bool) -> None:
        """Raise UsageError if two states have one key, or the topic has records that are not a view's."""
        assert self._brokers is not None
        if fresh and not self._is_same_topic():
            row = self._single_row(f"SELECT entity FROM ({lives}) WHERE store IS NULL LIMIT 1")
            if row is not None:
                raise UsageError(
                    f"{self._brokers.where} has records that are not a view of esctl, as that of {row[0]!r}",
                    "name another topic with --to",
                )
        if self._key != "entity":
            return
        twice = f"SELECT entity, min(kind), max(kind) FROM {STAGED} WHERE state IS NOT NULL GROUP BY entity"
        row = self._single_row(f"{twice} HAVING count(*) > 1 LIMIT 1")
        if row is None and lives and not fresh:
            row = self._single_row(f"""SELECT l.entity, l.kind, s.kind FROM ({lives}) l JOIN {STAGED} s
                ON s.entity = l.entity AND s.kind <> l.kind AND s.state IS NOT NULL
                WHERE (l.kind, l.entity) NOT IN (SELECT kind, entity FROM {STAGED}) LIMIT 1""")
        if row is not None:
            raise UsageError(
                f"{row[0]!r} is an entity of two kinds, {row[1]} and {row[2]}: one key cannot stand for both",
                "give the view one projection with -p, or make it with: --key kind,entity",
            )

    def _tombstones(self, lives: str, progress: Progress, *, fresh: bool) -> Iterator[tuple[Message, int]]:
        """Yield a tombstone for each key that is to be removed, with its partition (-1: that of the key)."""
        new = f"SELECT hex(encode({key_sql(self._key)})) FROM {STAGED} WHERE state IS NOT NULL"
        headers = _progress_headers(progress)
        if fresh:
            stay = f"WHERE key NOT IN ({new})" if self._is_same_topic() and self._fits() else ""
            for key, partition in self._keys(f"SELECT key, partition FROM ({lives}) {stay}"):
                yield Message(key, None, headers), partition
            return
        kept = f"AND entity NOT IN (SELECT entity FROM ({lives}) l WHERE l.kind <> {STAGED}.kind)" if lives else ""
        gone = f"""SELECT DISTINCT hex(encode({key_sql(self._key)})), -1 FROM {STAGED}
            WHERE state IS NULL {kept} AND hex(encode({key_sql(self._key)})) NOT IN ({new})"""
        for key, partition in self._keys(gone):
            yield Message(key, None, headers), partition

    def _keys(self, sql: str) -> list[tuple[bytes, int]]:
        with explained():
            rows = self._session.connection.execute(sql).fetchall()
        return [(bytes.fromhex(key), int(partition)) for key, partition in rows]

    def _states(self, staged: Staged, progress: Progress) -> Iterator[Message]:
        about = _progress_headers(progress)
        cells = staged.cells(_STATE, {})
        listed = f"{key_sql(self._key)}, entity, kind, version::VARCHAR, position::VARCHAR, {time_text('time')}, state"
        with explained():
            self._session.connection.execute(f"SELECT {listed} FROM ({cells})")
            while rows := self._session.connection.fetchmany(ROWS):
                for key, *cell, state in rows:
                    own = zip(("entity", "kind", "version", "position", "time"), cell, strict=True)
                    headers = tuple((f"esctl-{name}", text.encode()) for name, text in own if text is not None)
                    yield Message(key.encode(), state.encode(), (*about, *headers))

    def _live_sql(self) -> str:
        """Read the topic; return SQL of the last record of each key, if it has a value."""
        assert self._brokers is not None
        if self._sent is not None and self._is_same_topic():
            wait_until_visible(
                self._brokers, {(self._topic.name, number): end for number, end in self._sent.ends.items()}
            )
        found = read_records(self._brokers, self._topic.name, self._topic.partitions)
        rows = spool_rows(self._session, _COLUMNS, ([_row(record) for record in piece] for piece in found))
        newest = "row_number() OVER (PARTITION BY partition, key ORDER BY place::BIGINT DESC) = 1"
        return f"SELECT * FROM (SELECT * FROM ({rows}) QUALIFY {newest}) WHERE state IS NOT NULL"

    def _check_still(self, lives: str) -> None:
        """Raise InputError if the view was refreshed while it was read."""
        assert self._brokers is not None
        assert self._sent is not None
        ends = " OR ".join(
            f"(partition = '{number}' AND place::BIGINT >= {end})" for number, end in self._sent.ends.items()
        )
        newer = self._single_row(f"SELECT 1 FROM ({lives}) WHERE store IS NOT NULL AND ({ends or 'true'}) LIMIT 1")
        if newer is not None or read_sent(self._brokers, self._purpose) != self._sent:
            raise InputError(f"{self._brokers.where} was refreshed meanwhile", "run it again")

    def _single_row(self, sql: str) -> Any:
        with explained():
            return single_row(self._session.connection, sql)


class ShownTopic(KafkaTopic):
    """A topic to which nothing is sent: the messages are written to another channel."""

    def __init__(self, session: Session, destination: Destination, *, key: str = "entity", shown: Channel) -> None:
        super().__init__(session, destination, key=key, writing=False)
        self._shown = shown

    def _send(self, messages: Iterator[tuple[Message, int]], note: Mapping[str, Any]) -> None:
        self.count = self._shown.send(message for message, _ in messages)


def _progress_headers(progress: Progress) -> tuple[tuple[str, bytes], ...]:
    basis = progress.basis
    values = {"store": progress.store, "head": str(basis.position), "root": basis.root}
    return tuple((f"esctl-{name}", text.encode()) for name, text in values.items())


def _row(record: Record) -> tuple[str | None, ...]:
    headers = dict(record.headers() or ())
    key, value = record.key() or b"", record.value()
    cells = {name: _text(headers.get(f"esctl-{name}")) for name in _COLUMNS}
    entity = cells["entity"]
    return (
        str(record.partition()), str(record.offset()), key.hex().upper(), cells["store"], cells["head"],
        _text(key) if entity is None else entity, cells["kind"] or "", _text(value),
        cells["version"], cells["position"], cells["time"],
    )  # fmt: skip


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace")
