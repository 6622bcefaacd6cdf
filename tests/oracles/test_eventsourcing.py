"""Aggregates of the Python library `eventsourcing`: replay must rebuild what the library's own repository does."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from tests.support.real_log_helpers import json_lines, load, rows_of, states

# No [mapping]: where the library keeps its envelope is for esctl to find out.
CONFIG = """
[projections.aggregate]
types = { balance = "decimal(20,2)", overdraft_limit = "decimal(20,2)" }
[projections.aggregate.on."*BankAccount.Opened".set]
full_name = "data.full_name"
email_address = "data.email_address"
balance = "0.00"
overdraft_limit = "0.00"
is_closed = false
_class = "'BankAccount'"
_created_on = "data.timestamp._data_"
[projections.aggregate.on."*BankAccount.Credited"]
add = { balance = "data.amount._data_" }
[projections.aggregate.on."*BankAccount.Debited"]
subtract = { balance = "data.amount._data_" }
[projections.aggregate.on."*BankAccount.OverdraftLimitSet"]
set = { overdraft_limit = "data.overdraft_limit._data_" }
[projections.aggregate.on."*BankAccount.Closed"]
set = { is_closed = true }
[projections.aggregate.on."*Dog.Registered"]
set = { name = "data.name", tricks = "[]", _class = "'Dog'", _created_on = "data.timestamp._data_" }
[projections.aggregate.on."*Dog.TrickAdded"]
append = { tricks = "data.trick" }
[projections.aggregate.on."*Dog.Renamed"]
set = { name = "data.name" }
[projections.aggregate.on."*"]
set = { _modified_on = "data.timestamp._data_" }
"""
MONEY = ("balance", "overdraft_limit")


@pytest.fixture(scope="module")
def folder(real_logs: Path) -> Path:
    """Give the folder of the log and what the library says."""
    folder = real_logs / "eventsourcing_lib"
    if not folder.is_dir():
        pytest.skip("no eventsourcing_lib among the real logs")
    return folder


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Give the log read into a store without any mapping."""
    store, summary = load(tmp_path_factory.mktemp("eventsourcing"), [folder / "events.jsonl"], CONFIG)
    assert (summary.records, summary.duplicates, summary.conflicts, summary.invalid) == (events_of(folder), 0, 0, 0)
    return store


def events_of(folder: Path) -> int:
    return int(document(folder / "checkpoints.json")["events"])


def document(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def aggregate(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write a replayed row as the library's dump of an aggregate, money by value."""
    state = dict(row["state"], _id=row["entity"], _version=row["version"])
    return state | {name: Decimal(state[name]) for name in MONEY if name in state}


def dumped(line: Mapping[str, Any]) -> dict[str, Any]:
    """Give the library's dump of an aggregate, money by value."""
    return dict(line) | {name: Decimal(line[name]) for name in MONEY if name in line}


def by_id(aggregates: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {item["_id"]: item for item in aggregates}
    assert len(found) == len(aggregates)
    return found


def assert_checkpoint(store: Store, folder: Path, checkpoint: Mapping[str, Any], at: str) -> None:
    replayed = by_id([aggregate(row) for row in rows_of(store.replay(at=at))])
    expected = by_id([dumped(line) for line in json_lines(folder / checkpoint["file"])])
    assert len(expected) == checkpoint["aggregates"]
    assert replayed == expected


@pytest.mark.parametrize("prefix", ["seq:", "@"])
def test_checkpoints(store: Store, folder: Path, prefix: str) -> None:
    for checkpoint in document(folder / "checkpoints.json")["checkpoints"]:
        assert_checkpoint(store, folder, checkpoint, f"{prefix}{checkpoint['last_notification_id']}")


def test_the_id_of_the_last_event_bounds_its_own_aggregate(store: Store, folder: Path) -> None:
    for line in json_lines(folder / "events.jsonl")[-20:]:
        [row] = rows_of(store.replay(line["originator_id"], at=f"id:{line['id']}"))
        assert (row["version"], row["position"]) == (line["originator_version"], line["id"])


def test_every_older_version(store: Store, folder: Path) -> None:
    lines = json_lines(folder / "versions.jsonl")
    by_version: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        by_version.setdefault(line["_version"], []).append(dumped(line))
    for version, wanted in by_version.items():
        names = [item["_id"] for item in wanted]
        replayed = by_id([aggregate(row) for row in rows_of(store.replay(*names, at=f"version:{version}"))])
        assert replayed == by_id(wanted)


def test_money_is_exact_without_declared_types(folder: Path, tmp_path: Path) -> None:
    undeclared = "\n".join(line for line in CONFIG.splitlines() if not line.startswith("types"))
    store, _ = load(tmp_path, [folder / "events.jsonl"], undeclared)
    expected = {
        line["_id"]: Decimal(line["balance"]) for line in json_lines(folder / "state_end.jsonl") if "balance" in line
    }
    assert any(balance % 1 for balance in expected.values())
    found = {entity: state["balance"] for entity, state in states(store).items() if "balance" in state}
    assert found == expected


def test_times_are_those_of_the_events(store: Store, folder: Path) -> None:
    expected = {
        line["_id"]: line["_modified_on"].replace("+00:00", "Z") for line in json_lines(folder / "state_end.jsonl")
    }
    assert {row["entity"]: row["time"] for row in rows_of(store.replay())} == expected


def test_types_and_their_counts(store: Store, folder: Path) -> None:
    expected = Counter(line["topic"] for line in json_lines(folder / "events.jsonl"))
    assert {row["type"]: row["count"] for row in rows_of(store.types())} == expected


def test_trails_number_the_versions_as_the_library_does(store: Store, folder: Path) -> None:
    events = json_lines(folder / "events.jsonl")
    versions = {event["id"]: (event["originator_id"], event["originator_version"]) for event in events}
    rows = rows_of(store.audit())
    assert {row["position"]: (row["entity"], row["version"]) for row in rows} == versions


def test_other_exports_of_the_same_events(folder: Path, tmp_path: Path) -> None:
    """Delivered out of order, with keys in another order and the id under the name that notifications give it."""
    lines: list[str] = []
    for event in json_lines(folder / "events.jsonl"):
        renamed = {("notification_id" if key == "id" else key): value for key, value in reversed(event.items())}
        lines.append(json.dumps(renamed, ensure_ascii=len(lines) % 2 == 0))
    random.Random(5).shuffle(lines)
    (tmp_path / "export.jsonl").write_text("\n".join(lines), encoding="utf-8")
    store, summary = load(tmp_path / "store", [tmp_path / "export.jsonl"], CONFIG)
    assert summary.invalid == 0
    for checkpoint in document(folder / "checkpoints.json")["checkpoints"]:
        assert_checkpoint(store, folder, checkpoint, f"seq:{checkpoint['last_notification_id']}")
