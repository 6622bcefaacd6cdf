"""A Debian package log: the state must be what dpkg-query said, and packages without events must not be invented."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from tests.support.real_log_helpers import json_lines, load, rows_of, states

MAPPING = """
[mapping]
type = "action"
time = "time"
entity = "package"
sequence = "line"
order = "sequence"
"""
PROJECTION = """
[projections.package.on.status]
set = { version = "data.version", status = "data.status" }
[projections.package.on."status*"]
when = "data.status = 'not-installed'"
delete = true
"""

Packages = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def folder(real_logs: Path) -> Path:
    """Give the folder of the log and what dpkg-query said."""
    folder = real_logs / "dpkg_log"
    if not folder.is_dir():
        pytest.skip("no dpkg_log among the real logs")
    return folder


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Give the log read into a store."""
    store, summary = load(tmp_path_factory.mktemp("dpkg"), [folder / "events.jsonl"], MAPPING + PROJECTION)
    assert (summary.records, summary.duplicates, summary.invalid) == (checkpoints_of(folder)["events"], 0, 0)
    return store


def checkpoints_of(folder: Path) -> Any:
    return json.loads((folder / "checkpoints.json").read_text(encoding="utf-8"))


def packages_at(store: Store, bound: str) -> Packages:
    """Replay what is installed; a package seen only in other actions has a state without fields."""
    found = states(store, at=bound)
    return {name: (state["version"], state["status"]) for name, state in found.items() if state}


def queried(folder: Path, checkpoint: Mapping[str, Any]) -> Packages:
    rows = [line.split("\t") for line in (folder / checkpoint["file"]).read_text(encoding="utf-8").splitlines()]
    return {name: (version, status) for name, version, status in rows}


def assert_checkpoint(found: Packages, folder: Path, checkpoint: Mapping[str, Any]) -> None:
    said = queried(folder, checkpoint)
    assert {name: said[name] for name in found if name in said} == found
    assert len(said.keys() & found.keys()) == checkpoint["covered_by_log"]
    assert len(said.keys() - found.keys()) == checkpoint["no_event_in_log"]


@pytest.mark.parametrize("prefix", ["seq:", "@"])
def test_checkpoints(store: Store, folder: Path, prefix: str) -> None:
    checkpoints = checkpoints_of(folder)["checkpoints"]
    assert len(checkpoints) >= 5
    for checkpoint in checkpoints:
        assert_checkpoint(packages_at(store, f"{prefix}{checkpoint['log_lines']}"), folder, checkpoint)


def test_only_packages_with_events_are_entities(store: Store, folder: Path) -> None:
    named = {event["package"] for event in json_lines(folder / "events.jsonl") if "package" in event}
    assert {row["entity"] for row in rows_of(store.entities())} == named


def test_events_without_a_package_are_kept_and_counted(store: Store, folder: Path) -> None:
    counts = Counter(event["action"] for event in json_lines(folder / "events.jsonl"))
    assert counts["startup"] > 0
    rows = {row["type"]: row for row in rows_of(store.types())}
    assert {name: row["count"] for name, row in rows.items()} == counts
    assert rows["startup"]["entities"] == 0


def test_local_times_are_read_in_the_zone_given(store: Store, folder: Path) -> None:
    event = json_lines(folder / "events.jsonl")[0]
    assert rows_of(store.events())[0]["time"] == event["time"].replace(" ", "T") + "Z"


def test_arrival_order_serves_as_well(folder: Path, tmp_path: Path) -> None:
    mapping = MAPPING.replace('sequence = "line"\n', "").replace('order = "sequence"', 'order = "position"')
    store, _ = load(tmp_path, [folder / "events.jsonl"], mapping + PROJECTION)
    for checkpoint in checkpoints_of(folder)["checkpoints"]:
        assert_checkpoint(packages_at(store, f"@{checkpoint['log_lines']}"), folder, checkpoint)


def test_the_envelope_is_found_without_a_mapping(folder: Path, tmp_path: Path) -> None:
    store, summary = load(tmp_path, [folder / "events.jsonl"], PROJECTION)
    assert (summary.duplicates, summary.conflicts, summary.invalid) == (0, 0, 0)
    for checkpoint in checkpoints_of(folder)["checkpoints"]:
        assert_checkpoint(packages_at(store, f"@{checkpoint['log_lines']}"), folder, checkpoint)
