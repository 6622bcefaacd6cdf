"""A topic is read to the end that it has: each record once, as it was sent, whatever happens between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from esctl.errors import InputError
from esctl.log.commits import open_log
from esctl.log.reader import read_table
from esctl.model import KafkaCursor
from esctl.sources.kafka import assigned
from esctl.sources.kafka.connect import KafkaSource
from esctl.sources.live import Live, connect
from tests.sources.contract import SourceReaderContract, Subject
from tests.support.kafka import Broker, Record, needs_broker, send

pytestmark = needs_broker
NOTES = list[str]


def event(number: int) -> bytes:
    stamp = f"2024-01-01T00:00:{number % 60:02d}Z"
    told = {"id": f"e{number}", "type": "deposited", "account": f"a{number % 3}", "amount": number, "time": stamp}
    return json.dumps(told).encode()


def live(broker: Broker, topic: str, notes: NOTES | None = None, **options: str) -> Any:
    named = {name.rstrip("_").replace("_", "-"): text for name, text in options.items()}
    known = {name: text for name, text in broker.settings.items() if name.startswith(("sasl", "security"))}
    found = connect(
        Live("kafka", broker.url(topic), broker.url(topic), named, known), ([] if notes is None else notes).append
    )
    assert isinstance(found, KafkaSource)
    return found


def ingest(store: Store, broker: Broker, topic: str, notes: NOTES | None = None, **options: str) -> int:
    """Read a topic into a store; return how many records were new."""
    return store.ingest(*live(broker, topic, notes, **options).readers()).summary.new


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / ".esctl", None)


def rows(store: Store, *columns: str) -> list[tuple[Any, ...]]:
    store_state = open_log(store.path).read()
    found = read_table(store_state, 1, store_state.head, columns)
    return list(zip(*(found[name].to_pylist() for name in columns), strict=True))


def cursors(store: Store) -> dict[str, KafkaCursor]:
    found = {name.rpartition("/")[2]: cursor for name, cursor in open_log(store.path).read().cursors.items()}
    assert all(isinstance(cursor, KafkaCursor) for cursor in found.values())
    return found  # type: ignore[return-value]


class TopicSubject(Subject):
    """A topic of one partition."""

    def __init__(self, broker: Broker) -> None:
        self.broker, self.topic = broker, broker.topic()
        self.records = [event(number) for number in range(9)]
        broker.produce(self.topic, self.records)

    def reader(self) -> Any:
        return live(self.broker, self.topic).readers()[0]

    def grow(self) -> list[bytes]:
        added = [event(number) for number in range(9, 11)]
        self.broker.produce(self.topic, added)
        return added


class TestTopic(SourceReaderContract):
    """What holds for every source."""

    @pytest.fixture
    def subject(self, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Subject:
        monkeypatch.setattr(assigned, "MOST", 4)
        return TopicSubject(broker)


def test_records_come_as_they_were_sent(store: Store, broker: Broker) -> None:
    topic = broker.topic()
    headers = [("a", b"1"), ("a", b"2"), ("none", None), ("binary", b"\xff\x00"), ("", b"")]
    sent = [
        Record(b'{"x":1}', b"k", headers), Record(None, b"k"), Record(b"", b""), Record(b"\xff", None, [], time=1),
    ]  # fmt: skip
    broker.produce(topic, sent)
    assert ingest(store, broker, topic) == 4
    found = rows(store, "offset", "key", "raw", "headers", "source_time")
    assert [row[:3] for row in found] == [(i, each.key, each.value) for i, each in enumerate(sent)]
    assert [(each["name"], each["value"]) for each in found[0][3]] == headers
    assert [row[3] for row in found[1:]] == [None] * 3
    assert [row[4].timestamp() for row in found] == [1_700_000_000.0] * 3 + [0.001]


def test_each_partition_is_a_source(store: Store, broker: Broker) -> None:
    topic, other = broker.topic(3), broker.topic()
    broker.produce(topic, [Record(event(i), partition=i % 3) for i in range(30)])
    broker.produce(other, [event(99)])
    assert ingest(store, broker, f"{topic},{other}") == 31
    assert set(store.store_state.cursors) == {
        *(f"kafka:esctl-tests/{topic}/{i}" for i in range(3)),
        f"kafka:esctl-tests/{other}/0",
    }
    broker.produce(topic, [Record(event(i), partition=i % 2) for i in range(30, 34)])
    assert ingest(store, broker, f"{topic},{other}") == 4
    assert sorted(rows(store, "source", "offset")) == sorted(set(rows(store, "source", "offset")))
    assert [store.store_state.cursors[f"kafka:esctl-tests/{topic}/{i}"].offset for i in range(3)] == [12, 12, 10]  # type: ignore[attr-defined]


def test_transactions_are_seen_once_committed(store: Store, broker: Broker) -> None:
    topic = broker.topic()
    broker.produce(topic, [b"1"])
    broker.transaction(topic, [b"2", b"3"], "aborted", end="abort")
    broker.transaction(topic, [b"4"], "committed")
    held = broker.transaction(topic, [b"5"], "open", end="open")
    broker.produce(topic, [b"6"])
    assert ingest(store, broker, topic) == 2
    assert rows(store, "raw") == [(b"1",), (b"4",)]
    assert cursors(store)["0"].offset == 6, "the last stable offset, with the control records before it"
    assert ingest(store, broker, topic) == 0
    held.commit_transaction(30)
    assert ingest(store, broker, topic) == 2
    assert rows(store, "offset", "raw")[2:] == [(6, b"5"), (7, b"6")]
    assert cursors(store)["0"].offset == 9


def test_the_end_is_the_one_at_the_start(store: Store, broker: Broker) -> None:
    topic = broker.topic()
    broker.produce(topic, [b"1", b"2"])
    (reader,) = live(broker, topic).readers()
    deliveries = reader.open({})
    broker.produce(topic, [b"3"] * 50)
    assert sum(each.batch.num_rows for each in deliveries) == 2


AT, LATER = "2023-11-14T22:13:30Z", "2023-11-14T22:13:35Z"


@pytest.mark.parametrize(
    ("options", "new"),
    [
        ({}, 20),
        ({"from_": "end"}, 0),
        ({"from_": AT}, 10),
        ({"until": AT}, 10),
        ({"from_": "0:9"}, 11),
        ({"from_": AT, "until": LATER}, 5),
        ({"from_": "2030-01-01"}, 0),
    ],
)
def test_where_to_begin_and_to_end(store: Store, broker: Broker, options: dict[str, str], new: int) -> None:
    topic = broker.topic(2)
    broker.produce(topic, [Record(event(i), partition=i % 2, time=1_700_000_000_000 + i * 1000) for i in range(20)])
    assert ingest(store, broker, topic, **options) == new
    broker.produce(topic, [Record(event(99), partition=1)])
    rest = 20 - new if options.get("until") == AT else 5 if "until" in options else 0
    assert ingest(store, broker, topic) == rest + 1, "what is known goes on where it ended"


def test_offsets_that_are_gone_are_told_and_kept(store: Store, broker: Broker) -> None:
    topic = broker.topic()
    broker.produce(topic, [event(i) for i in range(5)])
    ingest(store, broker, topic)
    broker.produce(topic, [event(i) for i in range(5, 20)])
    broker.forget(topic, 12)
    with pytest.raises(InputError, match=rf"{topic}/0: offsets 5 to 11 are gone"):
        ingest(store, broker, topic)
    assert cursors(store)["0"].offset == 5
    notes: NOTES = []
    assert ingest(store, broker, topic, notes, from_="beginning") == 8
    assert cursors(store)["0"].lost == ((5, 11),)
    assert any("offsets 5 to 11 are a gap" in note for note in notes)
    broker.produce(topic, [event(20)])
    assert ingest(store, broker, topic) == 1
    assert cursors(store)["0"].lost == ((5, 11),)


def test_all_is_gone_and_nothing_follows(store: Store, broker: Broker) -> None:
    topic = broker.topic()
    broker.produce(topic, [event(i) for i in range(5)])
    ingest(store, broker, topic)
    broker.produce(topic, [event(i) for i in range(5, 9)])
    broker.forget(topic, 9)
    assert ingest(store, broker, topic, from_="end") == 0
    assert (cursors(store)["0"].offset, cursors(store)["0"].lost) == (9, ((5, 8),))


def test_holes_of_a_compaction_are_no_loss(store: Store, broker: Broker) -> None:
    topic = broker.topic(cleanup_policy="compact", min_cleanable_dirty_ratio="0.0", segment_ms="1")
    broker.produce(topic, [Record(event(i), f"k{i % 2}".encode()) for i in range(6)])
    notes: NOTES = []
    assert ingest(store, broker, topic, notes) == 6
    assert any("is compacted" in note for note in notes)
    broker.produce(topic, [Record(event(i), f"k{i % 2}".encode()) for i in range(6, 12)])
    broker.ask("compact")
    broker.produce(topic, [Record(event(i), f"k{i % 2}".encode()) for i in range(12, 14)])
    new = ingest(store, broker, topic)
    assert 2 <= new <= 8
    assert cursors(store)["0"].lost == ()
    assert cursors(store)["0"].compacted


@pytest.mark.parametrize("count", [2, 5, 9])
def test_a_topic_made_anew_is_not_mistaken_for_the_old_one(store: Store, broker: Broker, count: int) -> None:
    topic = broker.topic()
    broker.produce(topic, [event(i) for i in range(5)])
    ingest(store, broker, topic)
    before = cursors(store)["0"].topic_id
    broker.delete(topic)
    broker.topic(name=topic)
    broker.produce(topic, [event(i) for i in range(100, 100 + count)])
    with pytest.raises(InputError, match="was deleted and made anew") as caught:
        ingest(store, broker, topic)
    assert before in caught.value.message
    assert ingest(store, broker, topic, on_recreated="new") == count
    found = cursors(store)
    assert found["0#2"].topic_id != before == found["0"].topic_id
    assert f"its topic id is {found['0#2'].topic_id}" in caught.value.message
    broker.produce(topic, [event(200)])
    assert ingest(store, broker, topic) == 1, "the newest generation goes on"


def test_a_topic_that_is_not_there(broker: Broker) -> None:
    with pytest.raises(InputError, match=r"topic nosuch: UNKNOWN_TOPIC_OR_PART"):
        live(broker, "nosuch")


def test_no_broker_at_all() -> None:
    source = Live("kafka", "kafka://127.0.0.1:1/t", "kafka://127.0.0.1:1/t", {}, {})
    with pytest.raises(InputError, match="no broker answers"):
        connect(source, print)


def test_nothing_is_committed_to_the_broker(store: Store, broker: Broker) -> None:
    from confluent_kafka.admin import AdminClient

    topic = broker.topic()
    broker.produce(topic, [event(1)])
    ingest(store, broker, topic)
    admin = AdminClient(broker.settings)  # one that goes away takes its answers with it
    assert admin.list_consumer_groups().result(30).valid == []


def test_producers_go_on_meanwhile(store: Store, broker: Broker) -> None:
    from confluent_kafka import Producer

    topic = broker.topic()
    broker.produce(topic, [event(i) for i in range(100)])
    producer = Producer(broker.settings)
    (reader,) = live(broker, topic).readers()
    count = 0
    for delivery in reader.open({}):
        count += delivery.batch.num_rows
        send(producer, topic, [event(1)] * 20)
        producer.flush(30)
    assert count == 100


def test_doctor_tells_gaps_and_entities_in_several_partitions(store: Store, broker: Broker) -> None:
    topic = broker.topic(2)
    broker.produce(topic, [Record(event(i), f"a{i % 3}".encode(), partition=i % 2) for i in range(12)])
    ingest(store, broker, topic)
    assert [row["check"] for row in store.doctor().rows() if row["count"]] == ["partitions"]
    found = store.occurrences(["partitions"]).rows()
    assert {row["entity"] for row in found} == {"a0", "a1", "a2"}
    assert {row["source"] for row in found} == {f"kafka:esctl-tests/{topic}/1"}
    broker.forget(topic, 6, 0)
    broker.produce(topic, [Record(event(i), f"a{i % 3}".encode(), partition=0) for i in range(12, 15)])
    broker.forget(topic, 8, 0)
    ingest(store, broker, topic, from_="beginning")
    (gap,) = store.occurrences(["gaps"]).rows()
    assert "offsets 6 to 7 are missing" in gap["detail"]
    assert (gap["source"], gap["position"]) == (f"kafka:esctl-tests/{topic}/0", 13)
    from esctl.ask.scope.notes import lost_note

    assert "up to 2 records of" in lost_note(store.scope())


def test_a_broker_killed_in_the_middle_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assigned, "MOST", 50)
    broker = Broker(tmp_path / "data")
    try:
        topic = broker.topic()
        broker.produce(topic, [event(i) * 200 for i in range(2000)])
        (reader,) = live(broker, topic).readers()
        offsets: list[int] = []
        for delivery in reader.open({}):
            offsets += delivery.batch["offset"].to_pylist()
            if len(offsets) == 50:
                broker.kill()
                broker.start()
        assert offsets == list(range(2000))
    finally:
        broker.stop()
