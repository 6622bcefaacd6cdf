"""Records that name their schema are decoded, exactly; the schemas are kept, and what lacks one waits for it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

import fastavro
import pytest

from esctl.api import Store
from esctl.errors import InputError, UsageError
from esctl.maintain.redact import ErasureRequest, redact
from tests.sources.kafka.test_mapping import log, opened, states
from tests.sources.kafka.test_reading import NOTES, ingest, rows
from tests.support.kafka import Broker, Record, needs_broker

pytestmark = needs_broker
MONEY: dict[str, Any] = {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 4}
ACCOUNT: dict[str, Any] = {
    "type": "record", "name": "Deposited", "namespace": "bank", "fields": [
        {"name": "id", "type": "string"}, {"name": "account", "type": "string"}, {"name": "amount", "type": MONEY},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}  # fmt: skip
AMOUNT = Decimal("12345678901234567890.1200")


def register(broker: Broker, subject: str, schema: Any, kind: str = "AVRO", **more: Any) -> int:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    body = json.dumps({"schema": text, "schemaType": kind, **more}).encode()
    url = f"{broker.registry}/subjects/{subject}/versions"
    request = Request(url, body, {"Content-Type": "application/vnd.schemaregistry.v1+json"})
    with urlopen(request, timeout=30) as answer:
        return int(json.loads(answer.read())["id"])


def framed(identity: int, body: bytes) -> bytes:
    return b"\0" + identity.to_bytes(4, "big") + body


def avro(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema, named_schemas={}), value)
    return out.getvalue()


def deposits(count: int = 4) -> list[dict[str, Any]]:
    return [
        {"id": f"e{i}", "account": f"a{i % 2}", "amount": AMOUNT, "at": 1_704_067_200_000_001 + i, "note": None}
        for i in range(count)
    ]


def topic_of(broker: Broker, records: Sequence[Record | bytes]) -> str:
    topic = broker.topic()
    broker.produce(topic, records)
    return topic


EXPECTED = {"account": "a0", "amount": AMOUNT, "note": None}


def test_avro_is_decoded_exactly_and_its_schema_kept(tmp_path: Path, broker: Broker) -> None:
    identity = register(broker, "avro-value", ACCOUNT)
    key = register(broker, "avro-key", {"type": "string"})
    topic = topic_of(
        broker,
        [
            Record(framed(identity, avro(ACCOUNT, each)), framed(key, avro("string", each["account"])))
            for each in deposits()
        ],
    )
    store = opened(tmp_path / "s")
    assert ingest(store, broker, topic, registry=broker.registry) == 6
    assert {entity: {**EXPECTED, "account": entity} for entity in ("a0", "a1")} == {
        entity: {name: state[name] for name in EXPECTED} for entity, state in states(store).items()
    }
    assert "00:00:00.000002" in str(log(store, "time"))
    kept = [json.loads(raw) for source, raw in rows(store, "source", "raw") if source.startswith("schemas:")]
    assert {each["id"] for each in kept} == {str(identity), str(key)}
    again = Store.open(store.path)
    again.rebuild_index()
    assert states(again) == states(store), "the registry is needed no more"
    assert {row["result"] for row in store.verify(full=True).rows()} <= {"ok", "not checked"}


def test_a_schema_that_comes_later_decodes_what_waited(tmp_path: Path, broker: Broker) -> None:
    identity = register(broker, "later-value", ACCOUNT)
    topic = topic_of(broker, [framed(identity, avro(ACCOUNT, each)) for each in deposits()])
    store, notes = opened(tmp_path / "s"), list[str]()
    assert ingest(store, broker, topic, notes) == 4
    assert any(f"schema {identity} is not known" in note for note in notes)
    assert {row["invalid"] for row in store.events(only="invalid").rows()} == {f"schema {identity} is not known"}
    notes.clear()
    assert ingest(store, broker, topic, notes, registry=broker.registry) == 1
    assert any("esctl reindex" in note for note in notes)
    (index,) = [row for row in store.verify(full=True).rows() if row["check"] == "index"]
    assert index["result"] == "not checked"
    assert f"schema {identity} came after records that need it" in str(index)
    store.rebuild_index()
    (index,) = [row for row in store.verify(full=True).rows() if row["check"] == "index"]
    assert index["result"] == "ok"
    assert set(states(store)) == {"a0", "a1"}
    assert store.events(only="invalid").rows() == []


def test_what_is_not_of_its_schema_is_kept(tmp_path: Path, broker: Broker) -> None:
    identity = register(broker, "broken-value", ACCOUNT)
    good = framed(identity, avro(ACCOUNT, deposits(1)[0]))
    topic = topic_of(
        broker, [good, good[:-3], good + b"x", framed(987654, b"x"), b"\0\0", b'{"id":"x","account":"a9"}']
    )
    store = opened(tmp_path / "s", "entity=account", "id=id", "type==t")
    assert ingest(store, broker, topic, registry=broker.registry) == 7
    found = [row["invalid"] for row in store.events(only="invalid").rows()]
    reasons = [
        f"it is not of its schema {identity}: ", f"it is not of its schema {identity}: ", "schema 987654 is not known",
        "neither JSON nor framed by a schema",
    ]  # fmt: skip
    assert all(each.startswith(reason) for each, reason in zip(found, reasons, strict=True))
    assert set(states(store)) == {"a0", "a9"}


def test_schemas_of_a_folder_and_by_guid(tmp_path: Path, broker: Broker) -> None:
    guid = "6f6c7db5-2b4f-4a4e-9d4d-0a1b2c3d4e5f"
    folder = tmp_path / "schemas"
    folder.mkdir()
    (folder / "7.avsc").write_text(json.dumps(ACCOUNT))
    (folder / f"{guid}.avsc").write_text(json.dumps(ACCOUNT))
    (folder / "9.json").write_text('{"type":"object"}')
    first, second, third = deposits(3)
    body = avro(ACCOUNT, second)
    topic = topic_of(
        broker,
        [
            framed(7, avro(ACCOUNT, first)),
            Record(body, None, [("__value_schema_id", b"\1" + UUID(guid).bytes)]),
            framed(9, json.dumps({**third, "amount": "1", "at": "2024-01-01T00:00:02Z"}).encode()),
        ],
    )
    store = opened(tmp_path / "s", "entity=account", "id=id", "time=at", "type==t")
    assert ingest(store, broker, topic, schema_dir=str(folder)) == 6
    assert [row for row in log(store, "id", "entity") if row[0]] == [("e0", "a0"), ("e1", "a1"), ("e2", "a0")]


def test_a_schema_may_refer_to_others(tmp_path: Path, broker: Broker) -> None:
    owner = {"type": "record", "name": "Owner", "namespace": "bank", "fields": [{"name": "name", "type": "string"}]}
    whole: dict[str, Any] = {**ACCOUNT, "fields": [*ACCOUNT["fields"], {"name": "owner", "type": "bank.Owner"}]}
    register(broker, "owner", owner)
    references = [{"name": "bank.Owner", "subject": "owner", "version": 1}]
    identity = register(broker, "whole-value", whole, references=references)
    named: dict[str, Any] = {}
    fastavro.parse_schema(owner, named_schemas=named)
    parsed = fastavro.parse_schema(whole, named_schemas=named)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, {**deposits(1)[0], "owner": {"name": "Ann"}})
    topic = topic_of(broker, [framed(identity, out.getvalue())])
    store = opened(tmp_path / "s", "entity=account", "id=id", "type==t")
    ingest(store, broker, topic, registry=broker.registry)
    assert states(store)["a0"]["owner"] == {"name": "Ann"}


def test_two_registries_with_one_id(tmp_path: Path, broker: Broker) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, name in ((one, "x"), (two, "y")):
        folder.mkdir()
        schema = {"type": "record", "name": "R", "fields": [{"name": name, "type": "string"}]}
        (folder / "1.avsc").write_text(json.dumps(schema))
    topics = [topic_of(broker, [Record(framed(1, b"\x04ab"), b"k")]) for _ in range(2)]
    store = opened(tmp_path / "s", "entity={topic}", "type==t")
    for topic, folder in zip(topics, (one, two), strict=True):
        ingest(store, broker, topic, schema_dir=str(folder))
    assert states(store) == {topics[0]: {"x": "ab"}, topics[1]: {"y": "ab"}}


def test_an_erased_schema_decodes_nothing_more(tmp_path: Path, broker: Broker) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "1.avsc").write_text(json.dumps(ACCOUNT))
    topic = topic_of(broker, [framed(1, avro(ACCOUNT, each)) for each in deposits()])
    store = Store.create(tmp_path / "s", None, erasable=True)
    ingest(store, broker, topic, schema_dir=str(tmp_path / "schemas"))
    assert set(states(store)) == {"a0", "a1"}
    (schema,) = [position for source, position in rows(store, "source", "position") if source.startswith("schemas:")]
    redact(store.path, ErasureRequest([schema], "a test", "me"), store.updater())
    again = Store.open(store.path)
    assert {row["invalid"] for row in again.events(only="invalid").rows()} == {"schema 1 is not known"}
    assert states(again) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"registry": "ftp://h"}, "--registry is no URL"),
        ({"registry": "http://h", "schema_dir": "."}, "--registry cannot be combined"),
        ({"schema_dir": "/no/such/folder"}, "is no folder"),
    ],
)
def test_wrong_places_of_schemas(tmp_path: Path, broker: Broker, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ingest(opened(tmp_path / "s"), broker, broker.topic(), **options)


def test_a_registry_that_is_not_there_is_told_without_its_password(tmp_path: Path, broker: Broker) -> None:
    topic = topic_of(broker, [framed(1, b"x")])
    with pytest.raises(InputError, match=r"http://127.0.0.1:1: the registry does not answer") as caught:
        ingest(opened(tmp_path / "s"), broker, topic, registry="http://me:hunter2@127.0.0.1:1")
    assert "hunter2" not in caught.value.message + caught.value.hint


PROTO = """
syntax = "proto3";
package bank;  // of accounts
import "google/protobuf/timestamp.proto";
import "owner.proto";
option java_package = "x.y";
message Other { string none = 1; }
message Deposited {
  option deprecated = true;
  enum Kind { UNKNOWN = 0; CASH = 1; }
  message Line { string text = 1; sint64 cents = 2; }
  reserved 9, 20 to 30;
  string id = 1;
  string account = 2 [json_name = "acc", deprecated = true];
  fixed64 amount = 3;
  google.protobuf.Timestamp at = 4;
  Kind kind = 5;
  repeated Line lines = 6;
  map<string, int64> totals = 7;
  oneof by { string person = 10; bank.Owner owner = 11; }
  optional bool settled = 12;
  bytes raw = 13;
  double rate = 14;
}
service S { rpc Get (Other) returns (Other) { option idempotency_level = NO_SIDE_EFFECTS; } }
"""
OWNER = 'syntax = "proto3"; package bank; message Owner { string name = 1; }'


def proto_body() -> bytes:
    """Write, by hand, a Deposited of account a0."""

    def text(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    amount = b"\x19" + (2**63 + 7).to_bytes(8, "little")
    line = text(1, "ü".encode()) + b"\x10\x83\x01"  # -66 as a zigzag varint
    parts = [text(1, b"e1"), text(2, b"a0"), amount, text(4, b"\x08\x80\xc8\xc6\xac\x06\x10\x05"), b"\x28\x01"]
    parts += [text(6, line), text(7, text(1, b"x") + b"\x10\x07"), text(11, text(1, b"Ann")), b"\x60\x00"]
    return b"".join([*parts, text(13, b"\xff\x00")])


@pytest.mark.parametrize("by_guid", [False, True])
def test_protobuf_is_decoded_exactly(tmp_path: Path, broker: Broker, by_guid: bool) -> None:
    guid = "6f6c7db5-2b4f-4a4e-9d4d-0a1b2c3d4e50"
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / f"{guid if by_guid else 8}.proto").write_text(PROTO)
    (tmp_path / "schemas" / "owner.proto").write_text(OWNER)
    indexes = b"\x02\x02"  # one index: the message 1
    header = [("__value_schema_id", b"\1" + UUID(guid).bytes + indexes)]
    record = Record(proto_body(), None, header) if by_guid else Record(framed(8, indexes + proto_body()))
    store = opened(tmp_path / "s", "entity=account", "id=id", "type=kind", "time=at")
    notes: NOTES = []
    assert ingest(store, broker, topic_of(broker, [record]), notes, schema_dir=str(tmp_path / "schemas")) == 2
    assert store.events(only="invalid").rows() == []
    assert [row for row in log(store, "id", "type", "entity") if row[0]] == [("e1", "CASH", "a0")]
    state = states(store)["a0"]
    assert state["amount"] == 2**63 + 7
    assert state["lines"] == [{"text": "ü", "cents": -66}]
    assert (state["totals"], state["owner"], state["settled"], state["raw"]) == (
        {"x": 7},
        {"name": "Ann"},
        False,
        "/wA=",
    )
    assert (state["rate"], "person" in state) == (0, False)


@pytest.mark.parametrize("text", ["", "message", "message X {", 'syntax = "proto3"; message X { Y y = 1; }', "\0"])
def test_a_schema_that_is_none_is_told(tmp_path: Path, broker: Broker, text: str) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "8.proto").write_text(text)
    store = opened(tmp_path / "s", "entity=account", "type==t")
    ingest(store, broker, topic_of(broker, [framed(8, b"\0\0")]), schema_dir=str(tmp_path / "schemas"))
    (found,) = [row["invalid"] for row in store.events(only="invalid").rows()]
    assert "schema 8" in found
