"""Intake takes from whatever keeps the protocols of sources: here from a list, of which there is no file."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest

from esctl.api import Store
from esctl.errors import InputError
from esctl.intake import intake
from esctl.intake.batch import ingest
from esctl.intake.follow import Callbacks, Pace, follow
from esctl.intake.intake import IngestOptions, observe_nothing
from esctl.log.commits import open_log
from esctl.model import Cursor, FileCursor
from esctl.sources.files.finding import expand
from esctl.sources.files.reading import SourceOptions, file_readers
from esctl.sources.protocol import Delivery
from tests.sources.contract import SourceReaderContract, Subject
from tests.support.cli_harness import plain_event

NAME = "queue"


def record(number: int) -> bytes:
    return json.dumps(plain_event(number)).encode()


def cursor(records: list[bytes]) -> Cursor:
    digest = sha256(b"".join(records)).hexdigest()
    return FileCursor(len(records), digest, 0, sha256().hexdigest(), format="jsonl", records=len(records))


class Queue:
    """A source of records in memory, three to a delivery; its cursor counts them. It may be read or followed."""

    name = NAME
    names = (NAME,)
    may_wait = True

    def __init__(self, records: list[bytes]) -> None:
        self.records = records
        self.ended = False
        self.closed = False

    def open(self, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        start = known[NAME].offset if NAME in known else 0
        while start < len(self.records):
            stop = min(start + 3, len(self.records))
            offsets = pa.array(range(start, stop), pa.int64())
            raws = pa.array(self.records[start:stop], pa.large_binary())
            batch = pa.record_batch({"offset": offsets, "raw": raws})
            yield Delivery(NAME, batch, cursor(self.records[:stop]), batch.nbytes)
            start = stop


class Reader(Queue):
    """A queue that is read to its end."""

    pending = 0


class Followed(Queue):
    """A queue that is followed, one record later at each look, up to its end."""

    def __init__(self, records: list[bytes], later: list[bytes]) -> None:
        super().__init__(list(records))
        self.pending: list[tuple[str, int]] = []
        self.later = later

    def poll(self, known: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
        assert limit > 0
        yield from self.open(known)
        self.records += self.later[:1]
        self.ended = not self.later
        self.later = self.later[1:]

    def close(self) -> None:
        self.closed = True


class QueueSubject(Subject):
    """A queue of seven."""

    def __init__(self) -> None:
        self.records = [record(number) for number in range(7)]
        self.held = list(self.records)

    def reader(self) -> Reader:
        return Reader(self.held)

    def grow(self) -> list[bytes]:
        added = [record(number) for number in range(7, 9)]
        self.held += added
        return added


class TestQueue(SourceReaderContract):
    """What holds for every source."""

    @pytest.fixture
    def subject(self) -> Subject:
        return QueueSubject()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / ".esctl", None, erasable=False)


OPTIONS = IngestOptions(SourceOptions())


def test_a_batch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "COMMIT_ROWS", 5)
    records = [record(number) for number in range(14)]
    for held, new in ((records[:8], 8), (records, 6), (records, 0)):
        outcome = ingest(store.path, [Reader(held)], OPTIONS, store.updater, observe_nothing, store.connection)
        assert outcome.summary.new == new
    kept = open_log(store.path).read()
    assert (kept.head, kept.seq, set(kept.cursors)) == (14, 3, {NAME})
    assert kept.cursors[NAME].sampled == 3


def test_the_commits_of_a_long_ingest_are_larger(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "COMMIT_ROWS", 3)
    monkeypatch.setattr(intake, "LONG", 2)
    reader = Reader([record(n) for n in range(20)])
    ingest(store.path, [reader], OPTIONS, store.updater, observe_nothing, store.connection)
    assert [segment.last for segment in open_log(store.path).read().segments] == [3, 6, 12, 18, 20]
    assert [file.last for file in store.view.manifest.files] == [3, 6, 12, 18, 20]


def never() -> bool:
    return False


def nothing(*_: object) -> None:
    """Take what is told."""


def counting(calls: list[int]) -> Callable[[], None]:
    return lambda: calls.append(len(calls))


def test_following(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esctl.intake.follow.POLL_SECONDS", 0)
    records, asked = [record(number) for number in range(9)], list[int]()
    callbacks = Callbacks(never, observe_nothing, nothing, counting(asked))
    source = Followed(records[:4], records[4:])
    outcome = follow(store.path, [source], OPTIONS, Pace(3600, 4), store.updater, store.connection, callbacks)
    assert (outcome.summary.new, outcome.summary.head) == (9, 9)
    assert source.closed
    assert len(asked) == open_log(store.path).read().seq == 3
    again = Followed(records, [])
    outcome = follow(store.path, [again], OPTIONS, Pace(3600, 4), store.updater, store.connection, callbacks)
    assert outcome.summary.new == 0
    assert len(asked) == 3


def test_what_was_read_is_kept_where_the_source_is_lost(store: Store) -> None:
    class Lost(Followed):
        def poll(self, known: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
            yield from super().poll(known, limit)
            raise InputError("it is another one now", "")

    callbacks = Callbacks(never, observe_nothing, nothing, nothing)
    source = Lost([record(number) for number in range(4)], [])
    with pytest.raises(InputError, match="another one"):
        follow(store.path, [source], OPTIONS, Pace(3600, 100), store.updater, store.connection, callbacks)
    assert source.closed
    assert open_log(store.path).read().head == 4


def test_what_was_read_is_let_go_of(store: Store) -> None:
    made: list[weakref.ref[Reader]] = []

    def readers() -> Iterator[Reader]:
        for count in range(1, 5):
            assert sum(each() is not None for each in made) <= 1
            reader = Reader([record(number) for number in range(count)])
            made.append(weakref.ref(reader))
            yield reader
            del reader

    outcome = ingest(store.path, readers(), OPTIONS, store.updater, observe_nothing, store.connection)
    assert (outcome.summary.records, len(made)) == (4, 4)


def test_files_are_opened_one_after_the_other(store: Store, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_bytes(record(number) + b"\n")
    readers = file_readers(expand([str(tmp_path)]), OPTIONS.source)
    assert iter(readers) is readers, "a list would keep what each of them has read last"
    assert ingest(store.path, readers, OPTIONS, store.updater, observe_nothing, store.connection).summary.records == 3
