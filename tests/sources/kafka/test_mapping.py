"""What a mapping may name of messages; presets, and dumps of a topic, give what the topic gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from tests.sources.kafka.test_reading import ingest
from tests.support.cli_harness import esctl
from tests.support.kafka import Broker, Record, needs_broker

pytestmark = needs_broker
Rows = list[dict[str, Any]]


def opened(path: Path, *overrides: str) -> Store:
    return Store.create(path, None, overrides=list(overrides) or None)


def states(store: Store) -> dict[str, Any]:
    return {
        row["entity"]: json.loads(row["state"]) if isinstance(row["state"], str) else row["state"]
        for row in store.replay().rows()
    }


def log(store: Store, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in store.events().rows()]


def topic_of(broker: Broker, records: Sequence[Record]) -> str:
    topic = broker.topic()
    broker.produce(topic, records)
    return topic


def value(number: int, **more: Any) -> bytes:
    stamp = f"2024-01-01T00:00:{number:02d}Z"
    return json.dumps(
        {"id": f"e{number}", "type": "set", "at": stamp, "account": f"a{number % 2}", "n": number, **more}
    ).encode()


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        (["entity=account"], ("a0", "set")),
        (["entity=payload.account"], ("a0", "set")),
        (["entity=key.id"], ("7", "set")),
        (["entity={header.tenant}/{key.id}"], ("t1/7", "set")),
        (["entity=account", "type=header.kind"], ("a0", "opened")),
        (["entity={topic}-{partition}", "type==made"], ("TOPIC-0", "made")),
    ],
)
def test_paths_name_the_value_and_what_is_beside_it(
    tmp_path: Path, broker: Broker, mapping: list[str], expected: tuple[str, str]
) -> None:
    headers = [("tenant", b"t0"), ("tenant", b"t1"), ("kind", b"opened")]
    topic = topic_of(broker, [Record(value(i), b'{"id":7}', headers) for i in range(0, 6, 2)])
    store = opened(tmp_path / "s", "id=id", "time=at", *(["type=type"] if "type" not in str(mapping) else []), *mapping)
    ingest(store, broker, topic)
    entity, kind = expected
    assert log(store, "entity", "type", "id")[0] == (entity.replace("TOPIC", topic), kind, "e0")
    assert "2024-01-01T00:00:02" in str(log(store, "time")[1])


@pytest.mark.parametrize("more", [[], ["entity=account"], ["entity=key.id", "type=header.kind"]])
def test_an_alias_is_an_id_that_a_part_of_the_message_has(tmp_path: Path, broker: Broker, more: list[str]) -> None:
    parents = [f"00-{i % 2:032x}-{i:016x}-01" for i in range(1, 6)]
    records = [
        Record(value(i), b'{"id":7}', [("traceparent", parent.encode()), ("kind", b"opened")])
        for i, parent in enumerate(parents)
    ]
    store = opened(tmp_path / "s", *more, "aliases.traceparent=header.traceparent", "aliases.of=key.id", "aliases.n=n")
    ingest(store, broker, topic_of(broker, records))
    assert len(store.trace("7").rows()) == 5
    assert [row["id"] for row in store.trace(f"{0:032x}").rows() if row["depth"] == 0] == ["e0"]
    assert [data["n"] for (data,) in log(store, "data")] == [0, 1, 2, 3, 4], "what an alias names stays"
    assert "header" not in str(log(store, "data"))


def text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()


def kcat(topic: str, records: Sequence[Record]) -> str:
    """Write records as `kcat -J` does."""
    lines = []
    for offset, each in enumerate(records):
        headers = [part for name, value in each.headers for part in (name, text(value))]
        told = {"topic": topic, "partition": 0, "offset": offset, "tstype": "create", "ts": each.time, "broker": 0}
        more = {"headers": headers} if headers else {}
        lines.append(json.dumps({**told, **more, "key": text(each.key), "payload": text(each.value)}))
    return "".join(f"{line}\n" for line in lines)


def console(topic: str, records: Sequence[Record]) -> str:
    """Write records as kafka-console-consumer does, with all that it can print of them."""
    lines = []
    for offset, each in enumerate(records):
        headers = ",".join(f"{name}:{text(value)}" for name, value in each.headers) or "NO_HEADERS"
        told = [f"CreateTime:{each.time}", "Partition:0", f"Offset:{offset}", headers, text(each.key), text(each.value)]
        lines.append("\t".join("null" if part is None else part for part in told))
    return "".join(f"{line}\n" for line in lines)


def keyed(topic: str, records: Sequence[Record]) -> str:
    """Write records as kafka-console-consumer does with their keys."""
    return "".join(f"{text(each.key)}\t{text(each.value) or 'null'}\n" for each in records)


def plain(count: int = 8) -> list[Record]:
    found = [Record(value(i), f"a{i % 2}".encode(), time=1_704_067_200_000 + i * 1000) for i in range(count)]
    return [*found, Record(None, b"a1", time=1_704_067_300_000)]


def structured(count: int = 6) -> list[Record]:
    kind = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    found = []
    for i in range(count):
        stamp = f"2024-01-01T00:00:{i:02d}Z"
        event = {
            "specversion": "1.0",
            "id": f"e{i}",
            "source": "/bank",
            "type": "set",
            "subject": f"a{i % 2}",
            "time": stamp,
        }
        found.append(Record(json.dumps({**event, "data": {"n": i}}).encode(), f"a{i % 2}".encode(), kind))
    return found


def binary(count: int = 6) -> list[Record]:
    found = []
    for i in range(count):
        told = {
            "specversion": "1.0",
            "id": f"e{i}",
            "source": "/bank",
            "type": "set",
            "subject": f"a{i % 2}",
            "time": f"2024-01-01T00:00:{i:02d}Z",
        }
        headers = [(f"ce_{name}", text.encode()) for name, text in told.items()]
        found.append(
            Record(
                json.dumps({"n": i}).encode(), f"a{i % 2}".encode(), [*headers, ("content-type", b"application/json")]
            )
        )
    return found


@pytest.mark.parametrize("write", [kcat, console, keyed])
@pytest.mark.parametrize("records", [plain(), structured(), binary()], ids=["plain", "structured", "binary"])
def test_a_dump_of_a_topic_gives_its_states(tmp_path: Path, broker: Broker, write: Any, records: list[Record]) -> None:
    if write is keyed and records[0].headers and b"specversion" not in (records[0].value or b""):
        pytest.skip("headers are not in it")
    topic = topic_of(broker, records)
    live, dumped = opened(tmp_path / "live"), opened(tmp_path / "dumped")
    ingest(live, broker, topic)
    (tmp_path / "dump").write_text(write(topic, records))
    dumped.ingest(str(tmp_path / "dump"))
    assert states(live) == states(dumped)
    assert set(states(live)) <= {"a0", "a1"}
    assert states(live)
    columns = ("type", "entity", *(["time"] if write is not keyed else []))  # of a tombstone, a key tells no time
    assert log(live, *columns) == log(dumped, *columns)


def test_cloudevents_read_alike_in_both_modes(tmp_path: Path, broker: Broker) -> None:
    one, two = opened(tmp_path / "one"), opened(tmp_path / "two")
    ingest(one, broker, topic_of(broker, structured()))
    ingest(two, broker, topic_of(broker, binary()))
    columns = ("id", "type", "entity", "time", "data")
    assert log(one, *columns) == log(two, *columns)
    assert log(one, "id", "type", "entity")[1] == ("e1", "set", "a1")


SAMPLES = sorted(Path(__file__).parents[2].joinpath("index", "envelope", "samples").glob("*.json"))
SAMPLES = [path for path in SAMPLES if path.stem != "pgoutput"]  # what esctl itself writes of a slot


def values_in(sample: Path) -> list[bytes]:
    """Return the records of a sample as a topic would have them."""
    return [json.dumps(record).encode() for record in json.loads(sample.read_bytes())["records"]]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("keyed", [False, True], ids=["bare", "keyed"])
def test_a_preset_reads_a_topic_as_a_file_of_its_values(
    tmp_path: Path, broker: Broker, sample: Path, keyed: bool
) -> None:
    values = values_in(sample)
    topic = topic_of(broker, [Record(each, f"k{i}".encode() if keyed else None) for i, each in enumerate(values)])
    live, of_file = opened(tmp_path / "live"), opened(tmp_path / "file")
    ingest(live, broker, topic)
    (tmp_path / "values.jsonl").write_bytes(b"".join(each + b"\n" for each in values))
    of_file.ingest(str(tmp_path / "values.jsonl"))
    columns = ("id", "type", "entity", "data")
    assert log(live, *columns) == log(of_file, *columns)
    times = list(zip(log(live, "time"), log(of_file, "time"), strict=True))
    assert all(here == there for here, there in times if there[0] is not None), "else the message tells a time"


def test_an_export_is_a_dump_of_all_that_came(tmp_path: Path, broker: Broker) -> None:
    sent = [
        *plain(4), Record(b"", b"a0", [("n", None), ("x", b"1"), ("x", b""), ("b", b"\xff")]), Record(b"\xfe", b"\xff"),
    ]  # fmt: skip
    store = tmp_path / ".esctl"
    topic = topic_of(broker, sent)
    esctl("ingest", broker.url(topic), "--map", "entity=key", "-q", cwd=tmp_path)
    done = esctl("export", "--raw", "--store", str(store), cwd=tmp_path)
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["offset"] for line in lines] == list(range(len(sent)))
    binary = {"base64": "/w=="}
    tombstone, empty, odd = lines[4], lines[5], lines[6]
    assert (tombstone["payload"], empty["payload"], odd["payload"], odd["key"]) == (
        None,
        "",
        {"base64": "/g=="},
        binary,
    )
    assert empty["headers"] == ["n", None, "x", "1", "x", "", "b", binary]


def test_options_of_files_are_refused(tmp_path: Path, broker: Broker) -> None:
    url = broker.url(topic_of(broker, plain(1)))
    for words in (("--input-format", "csv"), ("--header",), ("--no-header",), ("--null", ""), ("--final",)):
        done = esctl("ingest", url, *words, cwd=tmp_path)
        assert (done.code, f"{words[0]} is for files" in done.err) == (2, True), words


def test_a_bundle_has_the_keys_and_headers_that_its_records_are_read_with(tmp_path: Path, broker: Broker) -> None:
    keys = {"XDG_CONFIG_HOME": str(tmp_path / "keys")}
    esctl("ingest", broker.url(topic_of(broker, plain(4))), "-q", cwd=tmp_path)
    for command in (["key", "new"], ["checkpoint"], ["bundle", "a0", "-o", "a0.zip"]):
        made = esctl(*command, cwd=tmp_path, **keys)
        assert made.code == 0, made.err
    done = esctl("verify-bundle", "a0.zip", cwd=tmp_path, **keys)
    assert done.code == 0, done.err + done.text
    assert {row["result"] for row in done.rows} == {"ok"}


def test_what_ingest_says_of_a_topic(tmp_path: Path, broker: Broker) -> None:
    url = broker.url(topic_of(broker, plain(4)))
    assert esctl("ingest", url, cwd=tmp_path).code == 0
    again = esctl("ingest", url, cwd=tmp_path)
    assert (again.code, again.err) == (0, "")
    done = esctl("ingest", url, "--follow", "--until", "end", cwd=tmp_path)
    assert done.code == 2
    assert "--until cannot be combined with --follow" in done.err
