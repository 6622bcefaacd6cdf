"""Topics of Kafka keep the contract of sinks, and what only they promise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from esctl.engine.duckdb import Session
from esctl.errors import EsctlError, InputError, UsageError
from esctl.sinks.kafka.destination import Destination
from esctl.sinks.kafka.topic import KafkaTopic
from esctl.sinks.protocol import Sink
from esctl.views.view import View
from tests.sinks.contract import SinkContract
from tests.support.kafka import Broker, Record, needs_broker
from tests.support.topics import consumed, last_records
from tests.views.test_refresh import Log

pytestmark = needs_broker
MURMUR2 = {
    "21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}  # fmt: skip
"""What the tests of Kafka's own client say of its hash of keys."""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    found = Broker()
    yield found
    found.stop()


class TestKafkaTopic(SinkContract):
    @pytest.fixture(autouse=True)
    def topic(self, broker: Broker) -> None:
        self.broker = broker
        self.name = broker.topic(3, cleanup_policy="compact")

    def make(self, folder: Path, session: Session, *, writing: bool = True) -> Sink:
        return KafkaTopic(session, Destination(self.broker.url(self.name)), writing=writing)

    def read_basis(self, folder: Path) -> Any:
        record = last_records(self.broker, "esctl.progress")[f"view/{self.name}".encode()]
        assert record.value is not None
        return json.loads(record.value)["basis"]


def states(broker: Broker, topic: str) -> dict[str, Any]:
    """Return the values of a topic as a consumer of it alone would have them after compaction."""
    found = last_records(broker, topic).items()
    return {str((key or b"").decode()): json.loads(each.value) for key, each in found if each.value is not None}


def replayed_states(log: Log) -> dict[str, Any]:
    return {row["entity"]: dict(row["state"]) for row in log.open().replay(projection="p").rows()}


def test_a_view_is_what_a_consumer_sees(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    topic = broker.topic(3, cleanup_policy="compact")
    log = Log(tmp_path)
    log.open().create_view("v", to=broker.url(topic), projection="p")
    steps: list[tuple[Any, str]] = [
        ([("a1", "Changed", {"n": 1.5, "o": "x"}, 1)], "changes"),
        ([("a2", "Closed", {"n": 7}, 9)], "changes"),
        ("sums", "difference"),
        ("merge", "difference"),
        ("redact", "difference"),
        ([("a1", "Closed", {}, 9), ("b'1", "Changed", {"n": 1}, 2)], "changes"),
    ]
    for step, how in steps:
        log.take(step)
        assert log.open().find_view("v").refresh().how == how
        assert states(broker, topic) == replayed_states(log)
    assert last_records(broker, topic)[b"a2"].value is None
    broker.ask("compact")
    assert states(broker, topic) == replayed_states(log)
    assert log.open().find_view("v").check().rows == 0


def test_only_entities_with_new_events_are_sent_again(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(2, cleanup_policy="compact")
    log = Log(tmp_path)
    log.take([(f"a{number}", "Changed", {"n": number}, 8) for number in range(20)])
    log.open().create_view("v", to=broker.url(topic), projection="p")
    before = consumed(broker, topic)
    log.take([("a7", "Changed", {"n": 0, "o": "late"}, 2), ("a9", "Changed", {"n": 5}, 9)])
    log.open().find_view("v").refresh()
    new = [each for each in consumed(broker, topic) if each not in before]
    assert sorted(str(each.headers["esctl-entity"]) for each in new) == ["a7", "a9"]
    store = log.open()
    for each in new:
        assert each.headers["esctl-store"] == store.store_state.store_id
        assert each.headers["esctl-root"] == store.store_state.root
        assert each.headers["esctl-head"] == str(store.store_state.head)
        assert each.headers["esctl-version"] in ("2", "3")


def test_what_others_put_into_the_topic_is_found_and_mended(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(2, cleanup_policy="compact")
    log = Log(tmp_path)
    log.open().create_view("v", to=broker.url(topic), projection="p")
    broker.produce(topic, [Record(b'{"n":9}', b"eve", partition=1), Record(b"\xff{", b"\xff\x00", partition=0)])
    assert log.open().find_view("v").check().rows == 2
    log.open().find_view("v").refresh(anew=True)
    assert log.open().find_view("v").check().rows == 0
    assert states(broker, topic) == replayed_states(log)


def test_a_topic_that_is_none_for_states_is_refused(broker: Broker, tmp_path: Path) -> None:
    log = Log(tmp_path)
    foreign = broker.topic(1, cleanup_policy="compact")
    broker.produce(foreign, [Record(b"{}", b"mine")])
    for topic, told in (
        ("missing", "there is no topic missing"),
        (broker.topic(1), "needs? a topic that is compacted, and its cleanup.policy is delete"),
        (broker.topic(1, cleanup_policy="compact,delete"), "compact,delete"),
        (foreign, "not a view of esctl, as that of 'mine'"),
    ):
        with pytest.raises(EsctlError, match=told) as failed:
            log.open().create_view("v", to=broker.url(topic), projection="p")
        assert failed.value.hint
        assert log.open().views() == []
    assert [each.key for each in consumed(broker, foreign)] == [b"mine"]


def test_a_view_is_dropped_also_when_its_topic_is_gone(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(2, cleanup_policy="compact")
    log = Log(tmp_path)
    log.open().create_view("v", to=broker.url(topic), projection="p")
    broker.delete(topic)
    for ask in (View.refresh, View.check, View.progress, lambda view: view.refresh(anew=True)):
        with pytest.raises(InputError, match=f"there is no topic {topic}"):
            ask(log.open().find_view("v"))
    log.open().drop_view("v")
    assert log.open().views() == []
    broker.topic(2, name=topic, cleanup_policy="compact")
    log.open().create_view("v", to=broker.url(topic), projection="p")  # nothing of the old one is in its way
    assert states(broker, topic) == replayed_states(log)


def test_a_topic_that_was_made_anew_is_told(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(2, cleanup_policy="compact")
    log = Log(tmp_path)
    log.open().create_view("v", to=broker.url(topic), projection="p")
    broker.delete(topic)
    broker.topic(2, name=topic, cleanup_policy="compact")
    for ask in (View.refresh, View.check, View.progress):
        with pytest.raises(InputError, match=r"deleted and made anew: its topic id is \S+, and what was sent went to"):
            ask(log.open().find_view("v"))
    assert consumed(broker, topic) == []
    log.open().find_view("v").refresh(anew=True)
    assert states(broker, topic) == replayed_states(log)
    broker.delete(topic)
    broker.topic(2, name=topic, cleanup_policy="compact")
    log.open().drop_view("v")
    assert log.open().views() == []


def test_a_broker_that_is_away_is_told(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "data")
    topic = broker.topic(1, cleanup_policy="compact")
    log = Log(tmp_path)
    log.open().create_view("v", to=broker.url(topic), projection="p")
    log.take([("a1", "Changed", {"n": 2}, 2)])
    broker.kill()
    with pytest.raises(InputError, match="no broker answers"):
        log.open().find_view("v").refresh()
    broker.start()
    assert log.open().find_view("v").refresh().how == "changes"
    assert states(broker, topic) == replayed_states(log)
    broker.stop()


def test_partitions_that_were_added_leave_no_state_twice(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(1, cleanup_policy="compact")
    log = Log(tmp_path)
    log.take([(f"a{number}", "Changed", {"n": number}, 8) for number in range(20)])
    log.open().create_view("v", to=broker.url(topic), projection="p")
    broker.widen(topic, 4)
    log.take([("a7", "Changed", {"n": 0}, 2)])
    assert log.open().find_view("v").refresh().how == "whole"
    assert log.open().find_view("v").check().rows == 0
    last = {(each.partition, each.key): each for each in consumed(broker, topic)}
    live = [each.key for each in last.values() if each.value is not None]
    assert len(live) == len(set(live)) == 20
    assert {each.partition for each in last.values() if each.value is not None} == {0, 1, 2, 3}


def test_a_state_that_is_too_large_is_named_and_nothing_is_sent(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(2, cleanup_policy="compact", max_message_bytes="3000")
    log = Log(tmp_path)
    log.open().create_view("v", to=broker.url(topic), projection="p")
    before = consumed(broker, topic)
    large = {"n": 1, "o": "x" * 4000}
    log.take([*((f"a{number}", "Changed", {"n": 7}, 3) for number in range(99)), ("big", "Changed", large, 4)])
    with pytest.raises(InputError, match=r"the state of 'big' \(last event at @101\) has \d+ bytes"):
        log.open().find_view("v").refresh()
    assert consumed(broker, topic) == before
    log.take([("big", "Closed", {}, 5)])
    log.open().find_view("v").refresh()
    assert log.open().find_view("v").check().rows == 0


def test_an_entity_of_two_kinds_needs_another_key(broker: Broker, tmp_path: Path) -> None:
    paths = "".join(f'{name} = "{name}"\n' for name in ("id", "type", "time", "data", "kind"))
    rules = '[projections.p.on."*"]\nmerge = "data"\n'
    (tmp_path / "esctl.toml").write_text(f'[mapping]\n{paths}entity = "stream"\n{rules}')
    topic = broker.topic(2, cleanup_policy="compact")
    lines = [
        {"id": number, "type": "T", "time": "2024-01-01T00:00:00Z", "stream": "x", "kind": kind, "data": {"n": number}}
        for number, kind in enumerate(("a", "b"))
    ]
    store = Store.create(tmp_path / ".esctl", tmp_path / "esctl.toml")
    for number, line in enumerate(lines):
        with (tmp_path / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        store.ingest(str(tmp_path / "log.jsonl"))
        store = Store.open(tmp_path / ".esctl", tmp_path / "esctl.toml")
        if number == 0:
            store.create_view("v", to=broker.url(topic), projection="p")
    with pytest.raises(UsageError, match="'x' is an entity of two kinds, a and b") as failed:
        store.find_view("v").refresh()
    assert "--key kind,entity" in failed.value.hint
    other = broker.topic(2, cleanup_policy="compact")
    store.create_view("w", to=broker.url(other), projection="p", key="kind,entity")
    assert states(broker, other) == {'["a","x"]': {"n": 0}, '["b","x"]': {"n": 1}}
    assert store.find_view("w").check().rows == 0


def test_keys_go_to_the_partitions_that_java_sends_them_to(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(7, cleanup_policy="compact")
    log = Log(tmp_path)
    log.take([(name, "Changed", {"n": 1}, 2) for name in MURMUR2])
    log.open().create_view("v", to=broker.url(topic), projection="p")
    places = {each.key: each.partition for each in consumed(broker, topic)}
    assert {name: places[name.encode()] for name in MURMUR2} == {
        name: (value & 0x7FFFFFFF) % 7 for name, value in MURMUR2.items()
    }
