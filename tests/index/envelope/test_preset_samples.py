"""A sample of each form of each format that is known by name, read as its events."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from esctl.index.decode.exact_json import judge_records
from esctl.index.envelope.detect import detect
from esctl.index.envelope.presets import PRESETS
from esctl.index.envelope.presets.example import example
from esctl.index.envelope.recognise import recognise
from esctl.index.envelope.samples import parse_judged
from esctl.model import Stanza
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, read
from tests.support import effort
from tests.support.cases import case
from tests.support.cli_harness import esctl, good

SAMPLES = {
    path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "samples").glob("*.json"))
}
COLUMNS = "time,type,entity,actor,id"
Record = dict[str, Any]


def jsonl(records: list[Record]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def as_csv(records: list[Record]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for record in records for key in record)))
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


WRITTEN: dict[str, Callable[[list[Record]], bytes]] = {
    "a.jsonl": jsonl,
    "a.json": lambda records: json.dumps(records, indent=1).encode(),
    "wrapped.json": lambda records: json.dumps({"page": 1, "items": records}).encode(),
    "a.jsonl.gz": lambda records: gzip.compress(jsonl(records), mtime=0),
    "a.csv": as_csv,
}


def form_of(name: str) -> str:
    """Return the file that a sample is written to: tables are exported as CSV."""
    return "a.csv" if name.endswith(".csv") else "a.jsonl"


def is_flat(records: list[Record]) -> bool:
    return all(isinstance(value, str | int) and not isinstance(value, bool) for r in records for value in r.values())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_as_its_events(name: str, tmp_path: Path) -> None:
    sample, written = SAMPLES[name], form_of(name)
    (tmp_path / written).write_bytes(WRITTEN[written](sample["records"]))
    done = esctl("ingest", written, cwd=tmp_path)
    assert done.code == 0, done.err
    assert f"preset {name.partition('.')[0]}:" in done.err
    assert good("log", "--columns", COLUMNS, cwd=tmp_path).rows == sample["expected"]
    states = good("replay", cwd=tmp_path).rows
    assert {row["entity"]: row["state"] for row in states} == sample.get(
        "states", {r["entity"]: r["state"] for r in states}
    )
    assert {row["entity"] for row in states} <= {row["entity"] for row in sample["expected"]}  # some are deleted
    assert esctl("doctor", "--payloads", cwd=tmp_path).rows == []


def grown(records: list[Record], count: int, seed: int) -> list[Record]:
    """Return as many records, shuffled, whose texts that hold a digit differ: ids, times, names of things."""
    drawn = random.Random(seed)
    many = [_varied(records[number % len(records)], number // len(records)) for number in range(count)]
    drawn.shuffle(many)
    return [dict(drawn.sample(list(record.items()), len(record))) for record in many]


def _varied(value: Any, number: int) -> Any:
    if isinstance(value, dict):
        return {key: _varied(inner, number) for key, inner in value.items()}
    if isinstance(value, list):
        return [_varied(inner, number) for inner in value]
    if isinstance(value, str) and value.startswith("{") and '"' in value:
        return json.dumps(_varied(json.loads(value), number))
    if isinstance(value, str) and value.startswith(("2024-03-0", "2024-02-")):
        return f"2024-{1 + number % 12:02}-{1 + number // 12 % 28:02}{value[10:]}"
    if isinstance(value, str) and value.endswith("-1"):
        return f"{value[:-1]}{number % 7}"
    if isinstance(value, int) and not isinstance(value, bool) and value > 1_000_000_000:
        return value + number
    return value


def recognised(folder: Path, name: str, data: bytes) -> Stanza:
    """Return how a file is read, by its first records."""
    path = folder / name
    path.write_bytes(data)
    records: list[Any] = []
    for delivery in read(Source(str(path), path), SourceOptions(), {}):
        records += parse_judged(judge_records(delivery.batch["raw"], delivery.cursor).text)
    return detect(records[:1000]).stanza


def forms(records: list[Record]) -> Iterator[tuple[str, bytes]]:
    for written, write in WRITTEN.items():
        if written != "a.csv" or is_flat(records):
            yield written, write(records)


def homeless(stanza: Stanza) -> Stanza:
    """Return how records are read but for whose tables have short names: the database that comes first in them."""
    return replace(stanza, row_home=())


SIZES = (12, 40, 150, 700, 2000) if effort.ALL else (12, 40, 150)
MOST = 2000


@pytest.mark.parametrize(("number", "name"), [*enumerate(SAMPLES)])
def test_order_size_and_form_give_the_same_mapping(number: int, name: str, tmp_path: Path) -> None:
    expected = homeless(detect(SAMPLES[name]["records"]).stanza)
    assert expected.name == name.partition(".")[0]
    is_large = effort.ALL or number % 8 == 0
    many = grown(SAMPLES[name]["records"], MOST if is_large else SIZES[-1], seed=number)
    assert homeless(detect(many).stanza) == expected
    for written, data in forms(many[: SIZES[number % len(SIZES)]]):
        found = homeless(recognised(tmp_path, written, data))
        assert set(found.opened) <= {*expected.opened} or written == "a.csv"
        assert found == expected or (found.opened != expected.opened and found.name == expected.name), written


def test_every_preset_has_a_sample_and_a_source() -> None:
    of_text = {name for name, preset in PRESETS.items() if preset.lines}  # theirs are in tests/sources/text
    elsewhere = {"jira_changelog", *of_text}  # what is around its records tells of what they are
    assert {name.partition(".")[0] for name in SAMPLES} | elsewhere == set(PRESETS)
    assert [name for name, preset in PRESETS.items() if not preset.source.startswith("https://")] == []


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if not preset.lines])
def test_the_example_of_a_preset_is_of_it(name: str) -> None:
    found = recognise([example(PRESETS[name])])
    if len(PRESETS[name].needs) < 2:  # of these, what is needed tells too little
        return
    assert found is not None
    assert found.stanza.name == name


def test_a_format_is_forced_in_other_words(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(as_csv(SAMPLES["okta.flat"]["records"]))
    good("ingest", "a.csv", "--preset", "okta", cwd=tmp_path)
    assert good("log", "--columns", COLUMNS, cwd=tmp_path).rows == SAMPLES["okta.flat"]["expected"]


def test_a_delivery_that_holds_one_is_opened_two_levels_down(tmp_path: Path) -> None:
    found = detect(SAMPLES["auth0.eventbridge"]["records"])
    assert (found.stanza.name, found.stanza.unwrap) == ("auth0", "detail.data")


def test_targets_of_okta(tmp_path: Path) -> None:
    good("ingest", *case("48", tmp_path), cwd=tmp_path)
    rows = good("log", "--columns", "entity,actor", cwd=tmp_path).rows
    assert {row["entity"] for row in rows} == {"User/bob@x.test", "UserGroup/Admins"}
    assert {row["actor"] for row in rows} == {"adm@x.test"}


@pytest.mark.parametrize(("name", "key"), [("okta", "target"), ("entra_audit", "targetResources")])
def test_an_event_is_of_all_its_targets_however_many(name: str, key: str, tmp_path: Path) -> None:
    records = [dict(record) for record in SAMPLES[name]["records"]]
    targets = [{"type": "User", "id": f"u{n}", "alternateId": f"u{n}@x.test", "displayName": f"U{n}"} for n in range(9)]
    records[0][key] = targets
    (tmp_path / "a.jsonl").write_bytes(jsonl(records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    rows = good("log", "--where", "position = 1", "--columns", "entity,role", cwd=tmp_path).rows
    assert len({row["entity"] for row in rows}) == 9
    assert {row["role"] for row in rows} == {"target"}


def test_a_digest_that_is_named_is_kept_and_no_event(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(SAMPLES["cloudtrail_digest"]["records"]))
    done = esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert "1 event of no entity is ignored, as the mapping says" in done.err


def test_digests_of_cloudtrail_are_no_events(tmp_path: Path) -> None:
    done = esctl("ingest", *case("43", tmp_path), cwd=tmp_path)
    assert done.code == 0
    assert "CloudTrail-Digest" in done.err
    found = {row["entity"] for row in good("entities", cwd=tmp_path).rows}
    assert found == {"bob", "iam.amazonaws.com"}


def test_all_instances_of_an_event_of_cloudtrail_are_its_entities(tmp_path: Path) -> None:
    told = {"eventVersion": "1.09", "eventSource": "ec2.amazonaws.com", "eventTime": "2024-03-05T10:00:00Z"}
    stopped = {"instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]}}
    started = {"instancesSet": {"items": [{"instanceId": "i-9"}]}}
    records = [
        {"eventID": "e1", "eventName": "StopInstances", "requestParameters": stopped, **told},
        {
            "eventID": "e2",
            "eventName": "RunInstances",
            "requestParameters": {"instancesSet": {"items": [{"imageId": "ami-1"}]}},
            "responseElements": started,
            **told,
        },
        {"eventID": "e3", "eventName": "DescribeRegions", "requestParameters": None, **told},
    ]
    (tmp_path / "a.jsonl").write_bytes(jsonl(records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    rows = good("log", "--columns", "id,entity", cwd=tmp_path).rows
    found = [(row["id"], row["entity"]) for row in rows]
    assert found == [("e1", "i-1"), ("e1", "i-2"), ("e2", "i-9"), ("e3", "ec2.amazonaws.com")]


@pytest.mark.parametrize(
    ("columns", "kinds"),
    [
        ({"name": "n", "history_date": "2024-03-05T10:00:00Z", "history_user_id": 3}, ("history_type", "+~-")),
        (
            {"content_type_id": 12, "object_pk": "7", "timestamp": "2024-03-05T10:00:00Z", "changes": {"n": [1, 2]}},
            ("action", (0, 1, 2)),
        ),
        (
            {"item_type": "Post", "item_id": 7, "created_at": "2024-03-05T10:00:00Z", "object_changes": {"n": [1, 2]}},
            ("event", ("create", "update", "destroy")),
        ),
    ],
)
def test_what_a_framework_deletes_is_gone(columns: Record, kinds: tuple[str, Any], tmp_path: Path) -> None:
    name, values = kinds
    number = "history_id" if name == "history_type" else "id"
    records = [{"id": 7, **columns, number: at, name: value} for at, value in enumerate(values, 1)]
    (tmp_path / "a.jsonl").write_bytes(jsonl(records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert good("replay", cwd=tmp_path).rows == []
    (state,) = [row["state"] for row in good("replay", "--at", "@2", cwd=tmp_path).rows]
    assert not [field for field in state if field.startswith("history_")]
