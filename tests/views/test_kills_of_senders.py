"""Killed at any call of its client, what sends to a topic has sent all or nothing, and the next one goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import effort
from tests.support.cli_harness import surroundings
from tests.support.kafka import Broker, needs_broker
from tests.support.topics import consumed, last_records
from tests.views.test_refresh import Log

pytestmark = needs_broker
RUN = """
import os, signal, sys
import confluent_kafka
at, steps = int(sys.argv.pop(1)), []
def step():
    steps.append(1)
    with open("steps", "w") as file:
        file.write(str(len(steps)))
    if len(steps) == at:
        os.kill(os.getpid(), signal.SIGKILL)
def stepped(name):
    own = getattr(confluent_kafka.Producer, name)
    def call(self, *arguments, **named):
        step()
        done = own(self, *arguments, **named)
        step()
        return done
    return call
names = ("init_transactions", "begin_transaction", "produce", "flush", "commit_transaction")
Dying = type("Dying", (confluent_kafka.Producer,), {name: stepped(name) for name in names})
confluent_kafka.Producer = Dying
from esctl.cli.app import main
main()
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    found = Broker()
    yield found
    found.stop()


def run(folder: Path, at: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, str(at), *arguments]
    return subprocess.run(command, cwd=folder, env=surroundings(), capture_output=True, text=True, check=False)


def steps_of(folder: Path, *arguments: str) -> list[int]:
    """List the calls of the client that a command makes, each once before it and once after."""
    done = run(folder, 0, *arguments)
    assert done.returncode == 0, done.stderr
    return list(range(1, int((folder / "steps").read_text()) + 1))


def states(broker: Broker, topic: str) -> dict[bytes | None, Any]:
    found = last_records(broker, topic).items()
    return {key: json.loads(each.value) for key, each in found if each.value is not None}


def replayed(log: Log) -> dict[bytes | None, Any]:
    return {row["entity"].encode(): dict(row["state"]) for row in log.open().replay(projection="p").rows()}


@pytest.mark.thorough
def test_a_refresh_that_ends_anywhere(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(2, cleanup_policy="compact")
    log = Log(tmp_path)
    log.open().create_view("v", to=broker.url(topic), projection="p")

    def grow(number: int) -> None:
        log.take([("a1", "Changed", {"n": number}, 1), ("a2", "Changed", {"n": number}, 9)])

    grow(1)
    steps = steps_of(tmp_path, "view", "refresh")
    assert len(steps) > 10
    for number in effort.some(steps, 3):
        before = replayed(log)
        grow(1 + number)
        assert run(tmp_path, number, "view", "refresh").returncode == -9
        assert states(broker, topic) in (before, replayed(log))
        assert log.open().find_view("v").check().rows == 0
        assert log.open().find_view("v").refresh().how in ("nothing", "changes")
        assert log.open().find_view("v").check().rows == 0
        assert states(broker, topic) == replayed(log)


@pytest.mark.thorough
def test_events_whose_sender_ends_anywhere(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic(2)
    log = Log(tmp_path)
    call = ("emit", "events", "--to", broker.url(topic), "--yes")
    steps = steps_of(tmp_path, *call)
    for number in effort.some(steps, 3):
        sent = len(consumed(broker, topic))
        log.take([("a1", "Changed", {"n": number}, 1)])
        assert run(tmp_path, number, *call).returncode == -9
        assert len(consumed(broker, topic)) in (sent, sent + 1)
        run(tmp_path, 0, *call)
        found = sorted(int(each.headers["esctl-position"]) for each in consumed(broker, topic))
        assert found == list(range(1, log.open().store_state.head + 1))
