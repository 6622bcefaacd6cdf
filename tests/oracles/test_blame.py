"""Blame on real logs: git says which commit touched a file last, a library which version changed an aggregate."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Relation, Store
from esctl.ask.changes.blame import blame
from esctl.projection import fold
from tests.oracles import test_eventsourcing as library
from tests.oracles import test_git as git
from tests.support import effort
from tests.support.real_log_helpers import Rows, json_lines, rows_of

history = git.history
folder = library.folder
store = library.store


def blamed(store: Store, *entities: str, at: str = "", every: bool = False) -> Rows:
    """Ask for blame."""
    return rows_of(Relation(blame(store.scope(entities), store.bound(at), every=every)))


def test_every_blame_is_the_commit_that_git_log_gives(history: git.History) -> None:
    trails = git.document(history.folder / "trails.json")
    assert len(trails) > 100
    for trail in effort.some(trails, 50):
        rows = blamed(history.store, trail["path"], at=f"seq:{trail['last_seq']}")
        fields = [row["field"] for row in rows]
        assert fields == (["blob", "mode"] if trail["exists"] else [None]), trail["path"]
        assert {row["change"] for row in rows} == ({"set"} if trail["exists"] else {"deleted"})
        assert {row["id"].partition(":")[0] for row in rows} == {trail["blame"]}, trail["path"]


def test_every_file_of_a_history_is_blamed_on_its_last_event(history: git.History) -> None:
    last: dict[str, tuple[int, str | None, dict[str, Any]]] = {}
    for event in json_lines(history.folder / "events.jsonl.zst"):
        if event["type"] == "FileRenamed":
            last[event["old_path"]] = (event["seq"], "from", {})
        state = {} if event["type"] == "FileDeleted" else {"blob": event["blob"], "mode": event["mode"]}
        last[event["path"]] = (event["seq"], "to", state)
    found: dict[str, tuple[int, str, dict[str, Any]]] = {}
    for row in blamed(history.store):
        state = found.setdefault(row["entity"], (row["position"], row["role"], {}))[2]
        assert found[row["entity"]][:2] == (row["position"], row["role"])
        assert (row["field"] is None) == (row["change"] == "deleted")
        if row["field"] is not None:
            state[row["field"]] = row["value"]
    assert found == last


def test_what_a_version_changed_is_blamed_on_it(store: Store, folder: Path) -> None:
    states = {(line["_id"], line["_version"]): library.dumped(line) for line in json_lines(folder / "versions.jsonl")}
    events = {event["id"]: event["originator_version"] for event in json_lines(folder / "events.jsonl")}
    compared = 0
    for version in {version for _, version in states}:
        names = [name for name, other in states if other == version]
        found: dict[str, Rows] = defaultdict(list)
        for row in blamed(store, *names, at=f"version:{version}"):
            found[row["entity"]].append(row)
        assert found.keys() == set(names)
        for entity, rows in found.items():
            values = {row["field"]: row["value"] for row in rows}
            after = states[entity, version]
            assert library.aggregate({"entity": entity, "version": version, "state": values}) == after
            versions = {row["field"]: events[row["position"]] for row in rows}
            assert max(versions.values()) == versions["_modified_on"] == version
            before = states.get((entity, version - 1))
            for field in versions if before else ():
                compared += 1
                assert versions[field] == version or before.get(field) == after[field], (entity, version, field)
    assert compared > 300


OPENED = {
    "BankAccount.Opened": (
        "full_name",
        "email_address",
        "balance",
        "overdraft_limit",
        "is_closed",
        "_class",
        "_created_on",
    ),
    "Dog.Registered": ("name", "tricks", "_class", "_created_on"),
}
SETS = {"BankAccount.OverdraftLimitSet": "overdraft_limit", "BankAccount.Closed": "is_closed", "Dog.Renamed": "name"}
ADDS = {"BankAccount.Credited": "balance", "BankAccount.Debited": "balance", "Dog.TrickAdded": "tricks"}


def made_by(events: Rows) -> dict[tuple[str, str], list[int]]:
    """List the events that each field of each aggregate is made of, one event after the other."""
    made: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in events:
        topic, entity = event["topic"].partition(":")[2], event["originator_id"]
        for field in (*OPENED.get(topic, ()), *([SETS[topic]] if topic in SETS else ()), "_modified_on"):
            made[entity, field] = [event["id"]]
        if topic in ADDS:
            made[entity, ADDS[topic]].append(event["id"])
    return made


def test_contributions_are_the_events_since_a_field_was_set(store: Store, folder: Path) -> None:
    made = made_by(json_lines(folder / "events.jsonl"))
    assert max(map(len, made.values())) > 10
    last = {(row["entity"], row["field"]): (row["contributions"], row["position"]) for row in blamed(store)}
    assert last == {key: (len(parts), parts[-1]) for key, parts in made.items()}
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in blamed(store, every=True):
        found[row["entity"], row["field"]].append(row["position"])
        assert row["contributions"] == len(found[row["entity"], row["field"]])
    assert found == made


@pytest.mark.parametrize("every", [False, True])
def test_a_stream_gives_the_same_blame(store: Store, monkeypatch: pytest.MonkeyPatch, every: bool) -> None:
    whole = blamed(store, every=every)
    monkeypatch.setattr(fold, "MOST_FIELDS", -1)
    assert blamed(store, every=every) == whole
