"""CloudTrail as JSON Lines and as pretty-printed arrays: the same events, without any mapping option."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from esctl.api import Store
from tests.support.real_log_helpers import Rows, json_lines, load, rows_of, run_esctl


@pytest.fixture(scope="module")
def records(real_logs: Path) -> Rows:
    """Give the events as the log has them."""
    return json_lines(lines_file(real_logs))


@pytest.fixture(scope="module")
def store(real_logs: Path, records: Rows, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Give the JSON Lines read into a store."""
    store, summary = load(tmp_path_factory.mktemp("cloudtrail"), [lines_file(real_logs)])
    assert (summary.new, summary.duplicates, summary.conflicts, summary.invalid) == (len(records), 0, 0, 0)
    return store


def lines_file(real_logs: Path) -> Path:
    path = real_logs / "cloudtrail_stratus" / "cloudtrail_stratus.jsonl"
    if not path.is_file():
        pytest.skip("no cloudtrail_stratus among the real logs")
    return path


def test_types_actors_and_times_of_every_event(store: Store, records: Rows) -> None:
    found = {row["id"]: (row["type"], row["actor"], row["time"], row["correlation"]) for row in rows_of(store.events())}
    assert found == {
        record["eventID"]: (
            record["eventName"],
            record["userIdentity"].get("arn") or record["userIdentity"].get("principalId"),
            record["eventTime"],
            record.get("requestID"),
        )
        for record in records
    }


def test_counts_of_types(store: Store, records: Rows) -> None:
    expected = Counter(record["eventName"] for record in records)
    assert {row["type"]: row["count"] for row in rows_of(store.types())} == expected


def test_the_record_is_the_data(store: Store, records: Rows) -> None:
    expected = {record["eventID"]: record for record in records}
    assert {row["id"]: row["data"] for row in rows_of(store.events())} == expected


def test_every_event_concerns_something_and_is_in_its_trail(store: Store, records: Rows) -> None:
    rows = rows_of(store.events())
    assert all(row["entity"] for row in rows)
    trail = rows_of(store.audit())
    assert {row["id"] for row in trail} == {record["eventID"] for record in records}
    times = [row["time"] for row in trail]
    assert times == sorted(times)


def test_who_did_it_by_name(store: Store, records: Rows) -> None:
    actors = Counter(record["userIdentity"]["arn"] for record in records if "arn" in record["userIdentity"])
    for actor, count in actors.most_common(5):
        assert len(rows_of(store.audit(actor=actor))) == count


@pytest.mark.parametrize("shape", ["folder", "glob", "wrapped", "gz"])
def test_other_deliveries_hold_the_same_events(real_logs: Path, records: Rows, tmp_path: Path, shape: str) -> None:
    docs = real_logs / "cloudtrail_stratus" / "docs"
    files = sorted(docs.rglob("*.json"))
    source: Path | str = docs
    if shape == "glob":
        source = str(docs / "**" / "*.json")
    elif shape != "folder":
        source = tmp_path / "delivered"
        source.mkdir()
        for file in files:
            text = json.dumps({"Records": json.loads(file.read_text(encoding="utf-8"))}).encode()
            name = file.name + (".gz" if shape == "gz" else "")
            (source / name).write_bytes(gzip.compress(text, mtime=0) if shape == "gz" else text)
    store, summary = load(tmp_path / "store", [source])
    assert (summary.new, summary.duplicates, summary.conflicts, summary.invalid) == (len(records), 0, 0, 0)
    rows = rows_of(store.events())
    assert len({row["source"] for row in rows}) == len(files)
    assert {row["id"]: row["data"] for row in rows} == {record["eventID"]: record for record in records}
    assert {row["id"]: (row["type"], row["actor"]) for row in rows} == {
        record["eventID"]: (record["eventName"], record["userIdentity"]["arn"]) for record in records
    }


def test_the_same_events_in_another_shape_are_duplicates_by_id(real_logs: Path, records: Rows, tmp_path: Path) -> None:
    load(tmp_path, [lines_file(real_logs)])
    store, summary = load(tmp_path, [real_logs / "cloudtrail_stratus" / "docs"])
    assert summary.new == len(records)
    assert summary.duplicates + summary.conflicts == len(records)
    assert sum(row["count"] for row in rows_of(store.types())) == len(records)


def test_the_command_line_says_the_same(real_logs: Path, records: Rows, tmp_path: Path) -> None:
    done = run_esctl(tmp_path, "ingest", str(lines_file(real_logs)))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["new"] == len(records)
    listed = run_esctl(tmp_path, "types", "-f", "jsonl")
    counts = {row["type"]: row["count"] for row in map(json.loads, listed.stdout.splitlines())}
    assert counts == Counter(record["eventName"] for record in records)
