"""A topic is followed: what is added comes, partitions too; what is no longer the same stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from esctl.log.commits import open_log
from esctl.log.reader import read_table
from esctl.model import Cursor, KafkaCursor
from esctl.sources.kafka import assigned
from tests.sources.kafka.test_reading import event, live
from tests.support.cli_harness import ESCTL, ROOT, esctl
from tests.support.kafka import Broker, Record, needs_broker

pytestmark = needs_broker
SECONDS = 60


class Following:
    """`esctl ingest --follow` in a process of its own."""

    def __init__(self, store: Path, *arguments: str) -> None:
        self.store = store
        command = [*ESCTL, "--store", str(store), "ingest", *arguments, "--follow", "--commit-every", "50ms"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, cwd=store.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.told = ""

    @property
    def offsets(self) -> list[tuple[str, int]]:
        """List source and offset of what is committed."""
        if not (self.store / "format.json").exists():
            return []
        store_state = open_log(self.store).read()
        found = read_table(store_state, 1, store_state.head, ["source", "offset"])
        return list(zip(found["source"].to_pylist(), found["offset"].to_pylist(), strict=True))

    def until(self, what: Callable[[], bool]) -> None:
        """Wait until something holds."""
        start = time.monotonic()
        while not what():
            assert time.monotonic() - start < SECONDS, self.end(signal.SIGKILL)
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)

    def has(self, count: int) -> None:
        self.until(lambda: len(self.offsets) >= count)

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it; return its exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait until it ends; return its exit code."""
        _, self.told = self.process.communicate(timeout=SECONDS)
        return self.process.returncode


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[..., Following]]:
    started: list[Following] = []

    def start(*arguments: str) -> Following:
        started.append(Following(tmp_path / ".esctl", *arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)


def events(first: int, last: int, partitions: int = 1) -> list[Record]:
    return [Record(event(i), f"a{i % 3}".encode(), partition=i % partitions) for i in range(first, last)]


@pytest.mark.thorough
def test_what_is_added_comes_and_so_do_partitions(broker: Broker, follow: Callable[..., Following]) -> None:
    topic = broker.topic(2)
    broker.produce(topic, events(0, 10, 2))
    run = follow(broker.url(topic))
    run.has(10)
    broker.produce(topic, events(10, 20, 2))
    run.has(20)
    broker.widen(topic, 4)
    broker.produce(topic, events(20, 40, 4))
    run.has(40)
    assert run.end() == 0
    assert f"kafka:esctl-tests/{topic}/3 was added" in run.told
    found = run.offsets
    assert len(found) == len(set(found)) == 40
    assert Counter(source for source, _ in found)[f"kafka:esctl-tests/{topic}/3"] == 5


def test_a_topic_made_anew_stops_it(broker: Broker, follow: Callable[..., Following]) -> None:
    topic = broker.topic()
    broker.produce(topic, events(0, 5))
    run = follow(broker.url(topic))
    run.has(5)
    before = open_log(run.store).read().cursors[f"kafka:esctl-tests/{topic}/0"]
    assert isinstance(before, KafkaCursor)
    broker.delete(topic)
    broker.topic(name=topic)
    broker.produce(topic, events(100, 120))
    assert run.ended() == 3
    assert "was deleted and made anew" in run.told
    assert before.topic_id in run.told
    assert len(run.offsets) == 5
    again = follow(broker.url(topic), "--on-recreated", "new")
    again.has(25)
    assert again.end() == 0
    assert Counter(source for source, _ in again.offsets) == {
        f"kafka:esctl-tests/{topic}/0": 5,
        f"kafka:esctl-tests/{topic}/0#2": 20,
    }


@pytest.mark.thorough
def test_a_broker_that_goes_away_is_waited_for(tmp_path: Path, follow: Callable[..., Following]) -> None:
    broker = Broker(tmp_path / "data")
    try:
        topic = broker.topic()
        broker.produce(topic, events(0, 5))
        run = follow(broker.url(topic))
        run.has(5)
        broker.kill()
        time.sleep(4)
        broker.start()
        broker.produce(topic, events(5, 9))
        run.has(9)
        assert run.end() == 0
        assert run.told.count("no broker answers") == run.told.count("a broker answers again") == 1
        assert run.offsets == [(f"kafka:esctl-tests/{topic}/0", i) for i in range(9)]
    finally:
        broker.stop()


@pytest.mark.thorough  # followers of files and of PostgreSQL are killed in each run
def test_killed_anywhere_it_goes_on_right_after(broker: Broker, follow: Callable[..., Following]) -> None:
    topic = broker.topic(2)
    for number in range(4):
        broker.produce(topic, events(number * 50, number * 50 + 50, 2))
        run = follow(broker.url(topic))
        run.has(number * 50 + 1 + number * 10)
        assert run.end(signal.SIGKILL) == -signal.SIGKILL
    done = esctl("--store", str(run.store), "ingest", broker.url(topic), cwd=run.store.parent)
    assert done.code == 0, done.err
    assert sorted(run.offsets) == sorted((f"kafka:esctl-tests/{topic}/{i % 2}", i // 2) for i in range(200))


def test_records_that_never_cease_are_handed_on(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = broker.topic()
    broker.produce(topic, events(0, 50))
    monkeypatch.setattr(assigned, "MOST", 2)  # so there are always more
    (source,) = live(broker, topic).followed()
    known: dict[str, Cursor] = {}
    found = []
    while len(found) < 50:
        before = len(found)
        for delivery in source.poll(known, 1 << 30):
            known[delivery.source] = delivery.cursor
            found += delivery.batch["offset"].to_pylist()
        assert len(found) - before <= 16
    source.close()
    assert found == list(range(50))
