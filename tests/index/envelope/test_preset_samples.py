"""A sample of each format that is known by name, read as its events."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esctl.index.envelope.detect import detect
from esctl.index.envelope.presets import PRESETS
from tests.support.cases import case
from tests.support.cli_harness import esctl, good

SAMPLES = {
    path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "samples").glob("*.json"))
}
COLUMNS = "time,type,entity,actor,id"


def lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


WRITTEN: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "a.jsonl": lines,
    "a.json": lambda records: json.dumps(records, indent=1).encode(),
    "a.jsonl.gz": lambda records: gzip.compress(lines(records), mtime=0),
}


def read(folder: Path, name: str, data: bytes) -> list[dict[str, Any]]:
    (folder / name).write_bytes(data)
    done = esctl("ingest", name, cwd=folder)
    assert done.code == 0, done.err
    return good("log", "--columns", COLUMNS, cwd=folder).rows


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_as_its_events(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    assert detect(sample["records"]).stanza.name == name
    assert read(tmp_path, "a.jsonl", lines(sample["records"])) == sample["expected"]
    assert esctl("replay", cwd=tmp_path).code == 0
    assert esctl("doctor", "--payloads", cwd=tmp_path).rows == []


@pytest.mark.parametrize("name", SAMPLES)
def test_order_size_and_format_give_the_same_mapping(name: str) -> None:
    records = SAMPLES[name]["records"]
    expected = detect(records).stanza
    for count in (12, 2000):
        many = [records[i % len(records)] for i in range(count)]
        assert detect(many).stanza == expected
        assert detect(random.Random(7).sample(many, count)).stanza == expected
    turned = [dict(reversed(record.items())) for record in reversed(records)]
    assert detect(turned).stanza == expected
    if any(isinstance(value, dict | list | None) for record in records for value in record.values()):
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, sorted({key for record in records for key in record}))
    writer.writeheader()
    writer.writerows(records)
    assert detect(list(csv.DictReader(io.StringIO(text.getvalue())))).stanza == expected


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("name", ["okta", "commanded", "paper_trail"])
def test_formats_of_files_make_no_difference(name: str, written: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    assert read(tmp_path, written, WRITTEN[written](sample["records"])) == sample["expected"]


def test_every_preset_has_a_sample() -> None:
    elsewhere = {
        "cloudevents", "cloudtrail", "kubernetes_audit", "github_webhooks", "github_events", "eventsourcing", "marten",
        "axon", "kurrentdb", "opentelemetry",
    }  # fmt: skip
    of_text = {name for name, preset in PRESETS.items() if preset.lines}  # theirs are in tests/sources/text
    assert set(PRESETS) == elsewhere | set(SAMPLES) | of_text


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
    (tmp_path / "a.jsonl").write_bytes(lines(records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    rows = good("log", "--where", "position = 1", "--columns", "entity,role", cwd=tmp_path).rows
    assert len({row["entity"] for row in rows}) == 9
    assert {row["role"] for row in rows} == {"target"}


def test_a_digest_that_is_named_is_kept_and_no_event(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(SAMPLES["cloudtrail_digest"]["records"]))
    done = esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert "1 event of no entity is ignored, as the mapping says" in done.err


def test_digests_of_cloudtrail_are_no_events(tmp_path: Path) -> None:
    done = esctl("ingest", *case("43", tmp_path), cwd=tmp_path)
    assert done.code == 0
    assert "CloudTrail-Digest" in done.err
    found = {row["entity"] for row in good("entities", cwd=tmp_path).rows}
    assert found == {"bob", "iam.amazonaws.com"}
