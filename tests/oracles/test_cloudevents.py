"""The CloudEvents specification's own examples, among records that are none."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from tests.support.real_log_helpers import Rows, load, rows_of


@pytest.fixture(scope="module")
def records(real_logs: Path) -> Rows:
    """Give the examples as the suite has them."""
    return [json.loads(line) for line in samples(real_logs).read_text(encoding="utf-8").split("\n") if line]


def samples(real_logs: Path) -> Path:
    path = real_logs / "suites" / "cloudevents" / "spec_samples.jsonl"
    if not path.is_file():
        pytest.skip("no suites/cloudevents among the real logs")
    return path


def deliver(shape: str, records: Rows, real_logs: Path, folder: Path) -> Path:
    """Give the examples as the suite wraps them, as plain lines, as a batch, or a file each."""
    events = [record["event"] for record in records]
    if shape == "wrapped":
        return samples(real_logs)
    if shape == "lines":
        path = folder / "events.jsonl"
        path.write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
    else:
        path = folder / "batch.json"
        path.write_text(json.dumps(events, indent=2), encoding="utf-8")
    return path


@pytest.fixture(params=["wrapped", "lines", "batch"])
def store(request: pytest.FixtureRequest, records: Rows, real_logs: Path, tmp_path: Path) -> Store:
    """Give the examples read into a store without any mapping."""
    store, summary = load(tmp_path / "store", [deliver(request.param, records, real_logs, tmp_path)])
    assert (summary.new, summary.invalid) == (len(records), 0)
    first: dict[tuple[str, str], str] = {}
    duplicates = conflicts = 0
    for record in records:
        kept = record if request.param == "wrapped" else record["event"]
        event = record["event"]
        if "id" not in event:
            continue
        earlier = first.setdefault((event["source"], event["id"]), json.dumps(kept))
        duplicates += earlier == json.dumps(kept)
        conflicts += earlier != json.dumps(kept)
    assert conflicts > 0
    assert (summary.duplicates, summary.conflicts) == (duplicates - len(first), conflicts)
    return store


def instant(text: str) -> str:
    return {"2020-06-18T19:24:53+02:00": "2020-06-18T17:24:53Z"}.get(text, text)


def test_every_example_is_read_by_the_preset(store: Store, records: Rows) -> None:
    rows = rows_of(store.events())
    events = [record["event"] for record in records]
    assert [row["type"] for row in rows] == [event.get("type") for event in events]
    assert [row["correlation"] for row in rows] == [event.get("correlationid") for event in events]
    assert [row["causation"] for row in rows] == [event.get("causationid") for event in events]
    assert [row["entity"] for row in rows] == [event.get("subject") or event.get("source") for event in events]
    assert [row["actor"] for row in rows] == [event.get("authid") for event in events]
    for row, event in zip(rows, events, strict=True):
        if "time" in event:
            assert row["time"] == instant(event["time"])


def test_payloads(store: Store, records: Rows) -> None:
    rows = rows_of(store.events())
    for row, event in zip(rows, (record["event"] for record in records), strict=True):
        if "data" in event:
            assert row["data"] == event["data"]
        elif "data_base64" in event:
            assert row["data"] == event["data_base64"]


def test_types_leave_out_what_came_again(store: Store, records: Rows) -> None:
    seen: set[Any] = set()
    expected: Counter[str | None] = Counter()
    for number, record in enumerate(records):
        event = record["event"]
        key = (event["source"], event["id"]) if "id" in event else number
        if key not in seen:
            expected[event.get("type")] += 1
        seen.add(key)
    assert {row["type"]: row["count"] for row in rows_of(store.types())} == expected
