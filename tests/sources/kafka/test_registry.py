"""A registry evolves schemas, lacks some, asks for a password, and goes away; nothing is lost, or told twice."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from esctl.api import Store
from esctl.errors import InputError
from esctl.sources.kafka import assigned, connect, framing
from tests.sources.kafka.test_mapping import log, opened, states
from tests.sources.kafka.test_reading import NOTES, ingest, live, rows
from tests.sources.kafka.test_schemas import (
    ACCOUNT,
    AMOUNT,
    OWNER,
    PROTO,
    avro,
    deposits,
    framed,
    proto_body,
    register,
    topic_of,
)
from tests.support.cli_harness import esctl
from tests.support.door import Door
from tests.support.effort import some
from tests.support.kafka import Broker, needs_broker

pytestmark = needs_broker
USER = "auditor:hunter2-hunter2"
PASSWORD = USER.partition(":")[2]
only_apicurio = pytest.mark.skipif(
    os.environ.get("ESCTL_BROKER") != "apache", reason="only Apicurio can be killed: make live"
)


@pytest.fixture
def door(broker: Broker) -> Iterator[Callable[..., Door]]:
    made: list[Door] = []

    def make(user: str = "", behind: str = "") -> Door:
        made.append(Door(behind or broker.registry, user))
        return made[-1]

    yield make
    for each in made:
        each.shut()


def invalid(store: Store) -> list[str]:
    return [row["invalid"] for row in store.events(only="invalid").rows()]


def kept(store: Store) -> list[dict[str, Any]]:
    """List the schemas that are kept as evidence."""
    return [json.loads(raw) for source, raw in rows(store, "source", "raw") if source.startswith("schemas:")]


def test_a_schema_evolves(tmp_path: Path, broker: Broker) -> None:
    newer = {**ACCOUNT, "fields": [*ACCOUNT["fields"], {"name": "branch", "type": "string", "default": "none"}]}
    first, second = register(broker, "evolved-value", ACCOUNT), register(broker, "evolved-value", newer)
    one, two, three = deposits(3)
    bodies = [framed(first, avro(ACCOUNT, one)), framed(second, avro(newer, {**two, "branch": "north"}))]
    topic = topic_of(broker, [*bodies, framed(first, avro(ACCOUNT, three))])
    store = opened(tmp_path / "s", "entity=account", "id=id", "time=at", "type==t")
    assert ingest(store, broker, topic, registry=broker.registry) == 5
    found = states(store)
    assert {entity: state.get("branch", "") for entity, state in found.items()} == {"a0": "", "a1": "north"}
    assert {state["amount"] for state in found.values()} == {AMOUNT}
    assert {each["id"] for each in kept(store)} == {str(first), str(second)}


def test_protobuf_and_json_of_a_registry(tmp_path: Path, broker: Broker) -> None:
    register(broker, "owner.proto", OWNER, "PROTOBUF")
    references = [{"name": "owner.proto", "subject": "owner.proto", "version": 1}]
    proto = register(broker, "proto-value", PROTO, "PROTOBUF", references=references)
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}  # Apicurio wants to be told
    plain = register(broker, "json-value", schema, "JSON")
    event = {"id": "e2", "account": "a9", "amount": 12345678901234567890, "kind": "CASH", "at": "2024-01-01T00:00:00Z"}
    records = [framed(proto, b"\x02\x02" + proto_body()), framed(plain, json.dumps(event).encode())]
    store = opened(tmp_path / "s", "entity=account", "id=id", "time=at", "type=kind")
    assert ingest(store, broker, topic_of(broker, records), registry=broker.registry) == 4
    assert invalid(store) == []
    found = states(store)
    assert (found["a0"]["amount"], found["a0"]["owner"]) == (2**63 + 7, {"name": "Ann"})
    assert found["a9"]["amount"] == 12345678901234567890
    assert {each["type"]: len(each["references"]) for each in kept(store)} == {"PROTOBUF": 1, "JSON": 0}


def test_what_a_registry_lacks_is_asked_for_once_and_decoded_when_it_is_there(
    tmp_path: Path, broker: Broker, door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigned, "MOST", 2)
    way = door()
    lacking = register(broker, "before-value", {**ACCOUNT, "name": "Before"}) + 1
    topic = topic_of(broker, [framed(lacking, avro(ACCOUNT, each)) for each in deposits(6)])
    store, notes = opened(tmp_path / "s", "entity=account", "id=id", "time=at", "type==t"), list[str]()
    assert ingest(store, broker, topic, notes, registry=way.url) == 6
    assert way.asked == [f"/schemas/ids/{lacking}"]
    assert sum(f"schema {lacking} is not in {way.url}" in note for note in notes) == 1
    assert invalid(store) == [f"schema {lacking} is not known"] * 6
    assert register(broker, "after-value", {**ACCOUNT, "name": "After"}) == lacking
    assert ingest(store, broker, topic, notes, registry=way.url) == 1
    store.rebuild_index()
    assert (invalid(store), set(states(store))) == ([], {"a0", "a1"})
    assert len(log(store, "id")) == 7


def test_a_registry_that_goes_away_is_waited_for(
    tmp_path: Path, broker: Broker, door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigned, "MOST", 2)
    way = door()
    ids = [register(broker, f"away{i}-value", {**ACCOUNT, "name": f"D{i}"}) for i in range(3)]
    topic = topic_of(broker, [framed(ids[i // 2], avro(ACCOUNT, each)) for i, each in enumerate(deposits(6))])
    store = opened(tmp_path / "s", "entity=account", "id=id", "time=at", "type==t")
    notes = Opening(way, 2)
    assert ingest(store, broker, topic, notes, registry=way.url) == 9
    assert [note.partition("127")[0] for note in notes] == ["http://", "http://"], notes
    assert "waiting for it" in notes[0]
    assert "answers again" in notes[1]
    assert len({row for row in rows(store, "source", "offset") if row[0].startswith("kafka:")}) == 6
    assert invalid(store) == []


class Opening(NOTES):
    """Notes, at the first of which a door is opened again; it is shut when it was passed some times."""

    def __init__(self, door: Door, times: int) -> None:
        self._door = door
        door.shut_after(times)

    def append(self, note: str) -> None:
        super().append(note)
        if len(self) == 1:
            threading.Timer(0.2, self._door.open).start()


def test_a_registry_that_stays_away_ends_it_and_the_next_run_goes_on(
    tmp_path: Path, broker: Broker, door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigned, "MOST", 2)
    monkeypatch.setattr(connect, "PATIENCE", 0.2)
    way = door()
    ids = [register(broker, f"gone{i}-value", {**ACCOUNT, "name": f"G{i}"}) for i in range(2)]
    topic = topic_of(broker, [framed(ids[i // 2], avro(ACCOUNT, each)) for i, each in enumerate(deposits())])
    store = opened(tmp_path / "s", "entity=account", "id=id", "time=at", "type==t")
    way.shut_after(1)
    with pytest.raises(InputError, match="the registry has not answered for"):
        ingest(store, broker, topic, registry=way.url)
    way.open()
    ingest(store, broker, topic, registry=way.url)
    found = [row for row in rows(store, "source", "offset") if row[0].startswith("kafka:")]
    assert [offset for _, offset in found] == [0, 1, 2, 3]
    assert invalid(store) == []
    assert len(kept(store)) == 2


@pytest.mark.parametrize("status", some([429, 500, 503], 1))
def test_a_registry_that_is_busy_is_waited_for(
    tmp_path: Path, broker: Broker, door: Callable[..., Door], status: int
) -> None:
    way = door()
    identity = register(broker, "busy-value", ACCOUNT)
    topic = topic_of(broker, [framed(identity, avro(ACCOUNT, each)) for each in deposits()])
    way.busy = [status, status]
    notes: NOTES = []
    assert ingest(opened(tmp_path / "s"), broker, topic, notes, registry=way.url) == 5
    assert f"the registry answers {status}: waiting for it" in notes[0]


def test_what_is_no_registry_is_told(tmp_path: Path, broker: Broker) -> None:
    topic = topic_of(broker, [framed(1, b"x")])
    place = urlsplit(broker.registry)
    wrong = f"{place.scheme}://{place.netloc}/no/such/place"
    with pytest.raises(InputError, match="is no registry") as caught:
        ingest(opened(tmp_path / "s"), broker, topic, registry=wrong)
    assert "/apis/ccompat/v7" in caught.value.hint


def test_its_password_is_told_nowhere(tmp_path: Path, broker: Broker, door: Callable[..., Door]) -> None:
    way = door(USER)
    identity = register(broker, "secret-value", ACCOUNT)
    topic = topic_of(broker, [framed(identity, avro(ACCOUNT, each)) for each in deposits()])
    url = broker.url(topic)
    told = ""
    for user, code in (("auditor:wrong-" + PASSWORD, 3), ("${WHO}", 0), (USER, 0)):
        named = f"http://{user}@{way.address}"
        done = esctl("ingest", url, "--registry", named, "--debug", "-f", "json", cwd=tmp_path, WHO=USER)
        assert done.code == code, done.err
        told += done.text + done.err
    assert "the registry answers 401" in told
    for question in (("config", "show"), ("status",), ("log", "--limit", "20"), ("verify", "--full"), ("doctor",)):
        done = esctl(*question, cwd=tmp_path)
        told += done.text + done.err
    assert PASSWORD not in told
    everything = b"".join(path.read_bytes() for path in sorted((tmp_path / ".esctl").rglob("*")) if path.is_file())
    assert PASSWORD.encode() not in everything
    assert way.address.encode() in everything


@pytest.mark.parametrize("is_killed", [False, pytest.param(True, marks=only_apicurio)])
def test_a_follower_waits_for_its_registry(
    broker: Broker, door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    way = door()
    url = broker.registry if is_killed else way.url
    end, start = (broker.schemas.kill, broker.schemas.start) if is_killed else (way.shut, way.open)  # type: ignore[attr-defined]
    ids = [register(broker, f"followed{i}-value", {**ACCOUNT, "name": f"F{i}"}) for i in range(2)]
    topic = topic_of(broker, [framed(ids[0], avro(ACCOUNT, each)) for each in deposits()])
    notes: NOTES = []
    (followed,) = live(broker, topic, notes, registry=url).followed()
    known: dict[str, Any] = {}

    def read(until: Callable[[int], bool]) -> int:
        found, started = 0, time.monotonic()
        while not until(found):
            assert time.monotonic() - started < 60
            for each in followed.poll(known, 1 << 20):
                known[each.source] = each.cursor
                found += each.batch.num_rows
            time.sleep(0.01)
        return found

    assert read(lambda found: found >= 5) == 5
    end()
    monkeypatch.setattr(framing, "LONGEST_PAUSE", 0.05)
    broker.produce(topic, [framed(ids[1], avro(ACCOUNT, each)) for each in deposits()])
    assert read(lambda _: bool(notes)) == 0, "they wait for their schema"
    start()
    assert read(lambda found: found >= 5) == 5
    followed.close()
    assert [("waiting" in note, "again" in note) for note in notes] == [(True, False), (False, True)]
