"""What is sent to a topic is there once, as a consumer of committed records sees it, whatever became of the sender."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esctl.errors import InputError, UsageError
from esctl.sinks.jsonl import message_line
from esctl.sinks.kafka.channel import KafkaChannel
from esctl.sinks.kafka.destination import Destination
from esctl.sinks.protocol import Message
from tests.support.cli_harness import ESCTL, esctl, good, on_terminal, refused, surroundings
from tests.support.kafka import Broker, needs_broker
from tests.support.topics import consumed, last_records
from tests.views.test_refresh import Log

pytestmark = needs_broker


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    found = Broker()
    yield found
    found.stop()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    found = Log(tmp_path)
    found.take([("a2", "Changed", {"n": 2.50, "o": "x"}, 6), ("b'1", "Changed", {"n": 3}, 7)])
    return found


def positions(broker: Broker, topic: str) -> list[int]:
    return sorted(int(each.headers["esctl-position"]) for each in consumed(broker, topic))


def test_each_event_is_sent_once_with_its_bytes(broker: Broker, log: Log) -> None:
    topic = broker.topic(2)
    to = Destination(broker.url(topic))
    assert log.open().send_events(to).count == 3
    assert log.open().send_events(to).count == 0
    log.take([("a1", "Changed", {"n": 9}, 1)])
    done = log.open().send_events(to)
    assert (done.count, done.after) == (1, 3)
    lines = log.folder.joinpath("log.jsonl").read_bytes().splitlines(keepends=True)
    assert sorted((each.headers["esctl-position"], each.value) for each in consumed(broker, topic)) == [
        (str(number), text) for number, text in enumerate(lines, 1)
    ]
    for name, own in (("a1", ["1", "4"]), ("a2", ["2"])):
        found = [each.headers["esctl-position"] for each in consumed(broker, topic) if each.key == name.encode()]
        assert found == own
    assert log.open().send_events(to, "a*", limit=2).count == 2  # another selection is another thing to send
    assert log.open().send_events(to, "a*", limit=2).count == 1
    assert log.open().send_events(to, again=True).count == 4


@pytest.mark.parametrize("grown", [1, 2, 3])
def test_a_log_that_was_restored_and_grew_otherwise_is_told(broker: Broker, log: Log, grown: int) -> None:
    topic = broker.topic(1)
    to, undo = Destination(broker.url(topic)), Destination(broker.url(broker.topic(1)))
    call: dict[str, Any] = {"back_to": "@2", "projection": "p"}
    copy = shutil.copytree(log.folder, log.folder / "copy")
    for day in (8, 9):
        log.take([("a2", "Changed", {"n": day}, day)])
    assert log.open().send_events(to).count == 5
    assert log.open().send_revert(undo, "a2", **call).count == 1
    shutil.rmtree(log.folder / ".esctl")
    shutil.copytree(copy / ".esctl", log.folder / ".esctl")
    shutil.copy(copy / "log.jsonl", log.folder)
    for day in range(grown):
        log.take([("a2", "Changed", {"n": 100 + day}, 10 + day)])
    how = "where this log never ended" if grown == 1 else "and there this one has another root"
    with pytest.raises(InputError, match=f"a log that ended at position 5, {how}"):
        log.open().send_events(to)
    if grown == 2:
        with pytest.raises(InputError, match=f"a log that ended at position 5, {how}"):
            log.open().send_revert(undo, "a2", **call)
    assert positions(broker, topic) == [1, 2, 3, 4, 5]
    assert log.open().send_events(to, again=True).count == 3 + grown
    assert log.open().send_events(to).count == 0


def test_an_erased_event_is_told_and_its_bytes_are_not_sent_again(broker: Broker, log: Log) -> None:
    topic = broker.topic(1)
    to = Destination(broker.url(topic))
    log.open().send_events(to)
    before = consumed(broker, topic)
    log.take("redact")  # the second record
    assert log.open().send_events(to).count == 1
    assert log.open().send_events(to).count == 0
    (told,) = [each for each in consumed(broker, topic) if each not in before]
    assert (told.key, told.value) == (None, None)
    assert (told.headers["esctl-position"], told.headers["esctl-erased"]) == ("2", "true")
    other = broker.topic(1)
    log.open().send_events(Destination(broker.url(other)))
    assert positions(broker, other) == [1, 3]


def test_events_that_another_numbering_makes_are_told_to_be_missing(broker: Broker, log: Log) -> None:
    topic = broker.topic(2)
    to = Destination(broker.url(topic))

    def append(numbers: range) -> None:
        with (log.folder / "other.jsonl").open("a", encoding="utf-8") as file:
            for number in numbers:
                event = {"id": number, "type": "Changed", "time": "2024-01-02T00:00:00Z", "stream": "c", "data": {}}
                file.write(json.dumps(event) + "\n")
        log.open().ingest(str(log.folder / "log.jsonl"), str(log.folder / "other.jsonl"))

    log.take([(f"a{number}", "Changed", {"n": 1}, 1) for number in range(20)])
    append(range(1, 3))  # conflicts, until there are too many to be any
    assert (log.open().send_events(to).count, log.open().store_state.head) == (23, 25)
    append(range(3, 21))
    sent = log.open().send_events(to)
    assert sent.count == 18
    assert "up to @25 were sent: records that were taken for conflicts" in sent.notes[0]
    assert log.open().send_events(to).notes == ()
    again = log.open().send_events(to, again=True)
    assert (again.count, again.notes) == (43, ())


def test_an_erased_record_is_told_to_whoever_sent_before(broker: Broker, log: Log) -> None:
    topic = broker.topic(1)
    to = Destination(broker.url(topic))
    assert log.open().send_events(to, "a1").count == 1
    log.take("redact")  # of a2: nobody knows any longer which selections had it
    assert log.open().send_events(to, "a1").count == 1
    *_, told = consumed(broker, topic)
    assert (told.key, told.value, told.headers["esctl-erased"]) == (None, None, "true")


def test_states_are_those_of_replay_and_only_what_changed_is_sent(broker: Broker, log: Log) -> None:
    topic = broker.topic(2, cleanup_policy="compact")
    to = Destination(broker.url(topic))
    assert log.open().send_states(to, projection="p").count == 3
    assert log.open().send_states(to, projection="p").count == 0
    log.take([("a1", "Changed", {"o": "late"}, 1), ("a2", "Closed", {}, 9)])
    assert log.open().send_states(to, projection="p").count == 2
    log.take("redact")
    log.open().send_states(to, projection="p")
    live = {each.key: json.loads(each.value) for each in last_records(broker, topic).values() if each.value is not None}
    states = {row["entity"].encode(): dict(row["state"]) for row in log.open().replay(projection="p").rows()}
    assert live == states
    with pytest.raises(UsageError, match="holds the states of another projection"):
        log.open().send_states(to)
    with pytest.raises(UsageError, match="holds all states of a projection"):
        log.open().send_states(to, "a1", projection="p")


def test_states_of_some_entities_or_another_time(broker: Broker, log: Log) -> None:
    topic = broker.topic(1, cleanup_policy="compact")
    to = Destination(broker.url(topic))
    log.take([("a1", "Closed", {}, 9)])
    assert log.open().send_states(to, "a*", projection="p").count == 2
    assert {each.key: each.value for each in consumed(broker, topic)} == {b"a1": None, b"a2": b'{"n":2.5,"o":"x"}'}
    other = Destination(broker.url(broker.topic(1, cleanup_policy="compact")))
    assert log.open().send_states(other, at="@1", projection="p").count == 1


def test_compensations_are_sent_once(broker: Broker, log: Log) -> None:
    topic = broker.topic(1)
    to = Destination(broker.url(topic))
    log.take([("a2", "Changed", {"n": 8}, 8)])
    call: dict[str, Any] = {"back_to": "@2", "projection": "p"}
    assert log.open().send_revert(to, "a2", **call).count == 1
    again = log.open().send_revert(to, "a2", **call)
    assert again.count == 0
    assert "sent already" in again.notes[0]
    assert [each.headers["esctl-undoes"] for each in consumed(broker, topic)] == ["[4]"]
    log.take([("b'1", "Changed", {"n": 8}, 8)])
    with pytest.raises(UsageError, match="sent before, when the log ended at position 4"):
        log.open().send_revert(to, "a2", **call)
    assert log.open().send_revert(to, "a2", **call, again=True).count == 1


def test_topics_that_would_not_keep_what_is_sent_are_refused(broker: Broker, log: Log) -> None:
    compacted, deleting = broker.topic(1, cleanup_policy="compact"), broker.topic(1)
    with pytest.raises(UsageError, match="it is compacted, so of the events of an entity it would keep the last only"):
        log.open().send_events(Destination(broker.url(compacted)))
    for entities in ((), ("a1",)):
        with pytest.raises(UsageError, match="states need a topic that is compacted"):
            log.open().send_states(Destination(broker.url(deleting)), *entities, projection="p")
    with pytest.raises(InputError, match="there is no topic nowhere"):
        log.open().send_events(Destination(broker.url("nowhere")))


def test_a_topic_that_was_made_anew_is_told(broker: Broker, log: Log) -> None:
    topic = broker.topic(1)
    to = Destination(broker.url(topic))
    log.open().send_events(to)
    broker.delete(topic)
    broker.topic(1, name=topic)
    with pytest.raises(InputError, match="was deleted and made anew") as failed:
        log.open().send_events(to)
    assert "--again" in failed.value.hint
    assert log.open().send_events(to, again=True).count == 3


@pytest.mark.thorough
def test_an_event_that_is_too_large_is_named_and_nothing_is_sent(broker: Broker, log: Log) -> None:
    topic = broker.topic(1, max_message_bytes="2000")
    log.take([("big", "Changed", {"o": "x" * 3000}, 8), ("a1", "Changed", {"n": 1}, 9)])
    with pytest.raises(InputError, match=r"the event at @4, of .big., has \d+ bytes, which is more"):
        log.open().send_events(Destination(broker.url(topic)))
    assert consumed(broker, topic) == []
    assert log.open().send_events(Destination(broker.url(topic)), "a*").count == 3


def test_who_comes_second_takes_over_and_the_first_is_told(broker: Broker, log: Log) -> None:
    topic = broker.topic(1)
    to = Destination(broker.url(topic))
    store = log.open().store_state.store_id

    def slowly() -> Iterator[Message]:
        yield Message(b"k", b"of the first")
        with KafkaChannel(to, store, states=False) as second:
            second.send([Message(b"k", b"of the second")], "p", {})
        yield Message(b"k", b"of the first")

    first = KafkaChannel(to, store, states=False)
    with first, pytest.raises(InputError, match="is being written by another process, which took over"):
        first.send(slowly(), "p", {})
    assert [each.value for each in consumed(broker, topic)] == [b"of the second"]


def test_what_a_sender_left_that_was_killed_is_never_seen(broker: Broker, log: Log) -> None:
    topic = broker.topic(1)
    to = Destination(broker.url(topic))
    left = broker.transaction(
        topic, [b"never seen"], name=f"esctl.emit.{log.open().store_state.store_id}.{topic}", end="open"
    )
    assert log.open().send_events(to).count == 3
    assert positions(broker, topic) == [1, 2, 3]
    del left


def test_the_command_asks_shows_and_sends(broker: Broker, log: Log) -> None:
    topic, states = broker.topic(2), broker.topic(2, cleanup_policy="compact")
    for call in (
        ("emit", "events", "--to", broker.url(topic)),
        ("emit", "states", "-p", "p", "--to", broker.url(states)),
    ):
        message, hint = refused(*call, code=2, cwd=log.folder)
        assert "would be sent" in message
        assert "--yes" in hint
        assert on_terminal(*call, cwd=log.folder, answer=b"n\n")[1] == 1
        shown = good(*call, "--dry-run", cwd=log.folder).text.splitlines()
        assert consumed(broker, call[-1].rpartition("/")[2]) == []
        assert "3 messages sent" in good(*call, "--yes", cwd=log.folder).err
        found = consumed(broker, call[-1].rpartition("/")[2])
        sent = [
            Message(each.key, each.value, tuple((name, text.encode()) for name, text in each.headers.items()))
            for each in found
        ]
        assert sorted(message_line(each) for each in sent) == sorted(shown)
    again = good(*call, "--yes", cwd=log.folder).err
    assert "0 messages sent; what is up to position 3 was sent before" in again
    revert = ("emit", "revert", "a2", "--back-to", "@1", "-p", "p", "--to", broker.url(topic))
    assert "would be sent" in refused(*revert, code=2, cwd=log.folder)[0]


def test_it_goes_on_with_what_the_log_gets(broker: Broker, log: Log) -> None:
    topic = broker.topic(1)
    call = [*ESCTL, "emit", "events", "--to", broker.url(topic), "--yes", "--follow"]
    running = subprocess.Popen(call, cwd=log.folder, env=surroundings(), stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert running.stderr.readline() == "3 messages sent\n"
    log.take([("a1", "Changed", {"n": 4}, 9)])
    assert running.stderr.readline().startswith("1 message sent")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    assert positions(broker, topic) == [1, 2, 3, 4]


def test_options_that_do_not_fit_are_refused_and_secrets_are_told_nowhere(broker: Broker, log: Log) -> None:
    assert "is for topics" in refused("emit", "events", "-X", "a=s3cret", code=2, cwd=log.folder)[0]
    url = broker.url(broker.topic(1, cleanup_policy="compact"))
    call = ("view", "create", "v", "-p", "p", "--to", url)
    for option in ("sasl.password=s3cret", "ssl.key.pem=s3cret", "sasl.oauthbearer.config=s3cret"):
        done = esctl(*call, "-X", option, cwd=log.folder)
        assert done.code == 2
        assert "s3cret" not in done.err
    for option in ("transactional.id=x", "partitioner=random", "acks=1", "isolation.level=read_uncommitted"):
        assert option.partition("=")[0] in refused(*call, "-X", option, code=2, cwd=log.folder)[0]
    (log.folder / "client.properties").write_text("client.id=me\n")
    good(*call, "-F", "client.properties", "-X", "linger.ms=1", cwd=log.folder)
    good("view", "check", "v", cwd=log.folder)
    (log.folder / "client.properties").unlink()
    assert "client.properties" in refused("view", "refresh", "v", code=3, cwd=log.folder)[0]


def test_a_view_in_the_configuration_names_its_properties(broker: Broker, log: Log) -> None:
    topic = broker.topic(1, cleanup_policy="compact")
    (log.folder / "client.properties").write_text("client.id=${CLIENT}\n")
    own = f'[views.v]\nprojection = "p"\nto = "{broker.url(topic)}"\nproperties = "client.properties"\n'
    config = log.folder / "esctl.toml"
    text = config.read_text()
    config.write_text(f'{text}{own}key = "entity"\n[views.v.property]\n"linger.ms" = "1"\n')
    good("view", "refresh", cwd=log.folder, CLIENT="me")
    assert len(consumed(broker, topic)) == 3
    assert "${CLIENT} is not set" in refused("view", "refresh", code=2, cwd=log.folder)[0]
    for wrong in ('property = "x"\n', "key = 1\n", "[views.v.property]\nx = 1\n", 'other = "x"\n'):
        config.write_text(f"{text}{own}{wrong}")
        assert "views.v is not a view" in refused("view", "refresh", code=2, cwd=log.folder)[0]
    config.write_text(f'{text}[views.v]\nto = "sqlite:a.db/v"\nkey = "entity"\n')
    assert "takes no --key" in refused("view", "refresh", code=2, cwd=log.folder)[0]
