"""GitHub webhooks: 58 kinds of payload, thousands of paths, paths that have several types."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from tests.support.real_log_helpers import Rows, json_lines, load, rows_of, states


@pytest.fixture(scope="module")
def records(real_logs: Path) -> Rows:
    """Give the deliveries as the log has them."""
    return json_lines(lines_file(real_logs))


@pytest.fixture(scope="module")
def store(real_logs: Path, records: Rows, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Give the deliveries read into a store without any mapping."""
    store, summary = load(tmp_path_factory.mktemp("github"), [lines_file(real_logs)])
    assert (summary.new, summary.duplicates, summary.conflicts, summary.invalid) == (len(records), 0, 0, 0)
    return store


def lines_file(real_logs: Path) -> Path:
    path = real_logs / "github_webhooks" / "webhooks.jsonl"
    if not path.is_file():
        pytest.skip("no github_webhooks among the real logs")
    return path


def type_of(record: dict[str, Any]) -> str:
    event, action = record["headers"]["X-GitHub-Event"], record["body"].get("action")
    return f"{event}.{action}" if action else str(event)


def test_types_and_actors_of_every_delivery(store: Store, records: Rows) -> None:
    rows = {row["id"]: row for row in rows_of(store.events())}
    assert {name: row["type"] for name, row in rows.items()} == {
        record["headers"]["X-GitHub-Delivery"]: type_of(record) for record in records
    }
    for record in records:
        if "sender" in record["body"]:
            assert rows[record["headers"]["X-GitHub-Delivery"]]["actor"] == record["body"]["sender"]["login"]


def test_counts_of_types(store: Store, records: Rows) -> None:
    expected = Counter(map(type_of, records))
    assert len(expected) > 100
    assert {row["type"]: row["count"] for row in rows_of(store.types())} == expected


def test_payloads_come_back_as_they_were(store: Store, records: Rows) -> None:
    expected = {record["headers"]["X-GitHub-Delivery"]: record["body"] for record in records}
    assert {row["id"]: row["data"] for row in rows_of(store.events())} == expected


def test_one_path_of_several_types_does_not_stop_the_default_replay(store: Store, records: Rows) -> None:
    """The last body of each repository wins per key, whatever type the key had before."""
    conflicting = {type(record["body"].get("repository", {}).get("created_at")) for record in records}
    assert {int, str} <= conflicting
    rows = rows_of(store.events())
    expected: dict[str, dict[str, Any]] = {}
    for row in rows:
        expected.setdefault(row["entity"], {}).update(row["data"])
    assert states(store) == expected


def test_trails_of_the_default_merge(store: Store) -> None:
    busiest = max(rows_of(store.entities()), key=lambda row: row["events"])
    rows = rows_of(store.audit(busiest["entity"]))
    assert len(rows) == busiest["events"]
    state: dict[str, Any] = {}
    for row in rows:
        for change in row["changes"]:
            assert state.get(change["field"]) == change.get("before")
            state[change["field"]] = change["after"]
    assert states(store)[busiest["entity"]] == state


PROJECTION = """
[projections.repository.on."*"]
count = "events"
set = { sender = "data.sender.login" }
append = { created = "data.repository.created_at" }
[projections.repository.on."issues.opened"]
append = { opened = "data.issue.number" }
[projections.repository.on."push"]
set = { head = "data.head_commit.id" }
"""


def test_a_projection_carries_values_of_either_type(real_logs: Path, records: Rows, tmp_path: Path) -> None:
    store, _ = load(tmp_path, [lines_file(real_logs)], PROJECTION)
    expected: dict[str, dict[str, Any]] = {}
    for row in rows_of(store.events()):
        state, data = expected.setdefault(row["entity"], {}), row["data"]
        state["events"] = state.get("events", 0) + 1
        if "created_at" in data.get("repository", {}):
            state["created"] = [*state.get("created", []), data["repository"]["created_at"]]
        state |= {"sender": data["sender"]["login"]} if "sender" in data else {}
        if row["type"] == "issues.opened":
            state["opened"] = [*state.get("opened", []), data["issue"]["number"]]
        if row["type"] == "push" and data.get("head_commit"):
            state["head"] = data["head_commit"]["id"]
    found = states(store)
    assert any({type(created) for created in state.get("created", [])} >= {int, str} for state in found.values())
    assert found == expected
