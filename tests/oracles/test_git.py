"""Real git histories as file events: the state at any point must be the tree that git itself lists there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from tests.support import effort
from tests.support.real_log_helpers import json_lines, load, rows_of, states, text_of

CONFIG = """
[mapping]
id = "event_id"
type = "type"
time = "monotonic_time"
sequence = "seq"
order = "sequence"
actor = "author"
correlation = "commit"
[mapping.entities]
from = "old_path"
to = "path"

[projections.file.on.FileAdded]
set = { mode = "data.mode", blob = "data.blob" }
[projections.file.on.FileModified]
set = { mode = "data.mode", blob = "data.blob" }
[projections.file.on.FileDeleted]
delete = true
[projections.file.on."FileRenamed[from]"]
delete = true
[projections.file.on."FileRenamed[to]"]
set = { mode = "data.mode", blob = "data.blob" }
"""

Tree = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class History:
    """A git history: the folder of its log and oracles, and the store it was read into."""

    folder: Path
    store: Store

    @property
    def oracle(self) -> Any:
        """Read what git says."""
        return json.loads((self.folder / "checkpoints.json").read_text(encoding="utf-8"))

    def tree(self, file: str) -> Tree:
        """Read a tree as git listed it: path -> mode, blob."""
        rows = [line.split("\t") for line in text_of(self.folder / file).split("\n") if line]
        return {_unescaped(path): (mode, blob) for mode, blob, path in rows}


def _unescaped(path: str) -> str:
    return path.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\")


@pytest.fixture(scope="module", params=["git_harlequin", "git_pm4py"])
def history(request: pytest.FixtureRequest, real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> History:
    """Give a git history read into a store."""
    folder = real_logs / request.param
    if not folder.is_dir():
        pytest.skip(f"no {request.param} among the real logs")
    store, summary = load(tmp_path_factory.mktemp(request.param), [folder / "events.jsonl.zst"], CONFIG)
    history = History(folder, store)
    events = history.oracle["events"]
    assert (summary.records, summary.new, summary.head) == (events, events, events)
    assert (summary.duplicates, summary.conflicts, summary.invalid) == (0, 0, 0)
    return history


def tree_of(store: Store, **bounds: str) -> Tree:
    """Replay the store as a tree."""
    found = states(store, **bounds)
    assert all(set(state) == {"mode", "blob"} for state in found.values())
    return {path: (state["mode"], state["blob"]) for path, state in found.items()}


def test_every_checkpoint_by_sequence_is_the_tree_git_lists(history: History) -> None:
    checkpoints = history.oracle["checkpoints"]
    assert len(checkpoints) > 10
    for checkpoint in checkpoints:
        assert tree_of(history.store, at=f"seq:{checkpoint['last_seq']}") == history.tree(checkpoint["file"])


def test_every_instant_takes_in_all_commits_of_its_second(history: History) -> None:
    instants = history.oracle["asof"]
    assert any(instant["exact_commit_second"] for instant in instants)
    for instant in instants:
        assert tree_of(history.store, at=instant["T"]) == history.tree(instant["file"])


def test_the_end_of_the_log_is_the_last_tree(history: History) -> None:
    last = max(history.oracle["checkpoints"], key=lambda checkpoint: checkpoint["last_seq"])
    assert tree_of(history.store) == history.tree(last["file"])
    assert tree_of(history.store, at=f"@{last['last_seq']}") == history.tree(last["file"])


def test_a_tree_between_checkpoints_is_the_fold_by_hand(history: History) -> None:
    events = json_lines(history.folder / "events.jsonl.zst")
    tree: Tree = {}
    for event in events[: len(events) // 3]:
        if event["type"] == "FileRenamed":
            del tree[event["old_path"]]
        if event["type"] == "FileDeleted":
            del tree[event["path"]]
        else:
            tree[event["path"]] = (event["mode"], event["blob"])
    assert tree_of(history.store, at=f"seq:{len(events) // 3}") == tree
    assert tree_of(history.store, before=f"seq:{len(events) // 3 + 1}") == tree


def test_trails_are_the_commits_that_git_log_lists(history: History) -> None:
    trails = document(history.folder / "trails.json")
    assert any(not trail["exists"] for trail in trails)
    for trail in effort.some(trails, 50):
        rows = rows_of(history.store.audit(trail["path"], at=f"seq:{trail['last_seq']}"))
        commits = list(dict.fromkeys(row["id"].partition(":")[0] for row in rows))
        assert commits == trail["trail"], trail["path"]
        assert rows[-1]["correlation"] == trail["blame"]
        assert [row["version"] for row in rows] == list(range(1, len(rows) + 1))


def test_a_trail_ends_where_the_state_says(history: History) -> None:
    for trail in document(history.folder / "trails.json")[:25]:
        bound = f"seq:{trail['last_seq']}"
        last = rows_of(history.store.audit(trail["path"], at=bound))[-1]
        [state] = rows_of(history.store.replay(trail["path"], at=bound, deleted=True))
        assert (state["state"] is not None) == trail["exists"]
        assert (last["position"], last["version"]) == (state["position"], state["version"])


def test_changes_chain_from_nothing_to_the_state(history: History) -> None:
    for trail in document(history.folder / "trails.json")[:25]:
        state: dict[str, str] = {}
        for row in rows_of(history.store.audit(trail["path"], at=f"seq:{trail['last_seq']}")):
            for change in row["changes"]:
                assert state.pop(change["field"], None) == change.get("before")
                if "after" in change:
                    state[change["field"]] = change["after"]
        assert bool(state) == trail["exists"]
        if trail["exists"]:
            rows = rows_of(history.store.replay(trail["path"], at=f"seq:{trail['last_seq']}"))
            assert rows[0]["state"] == state


def test_a_diff_is_the_difference_of_two_trees(history: History) -> None:
    checkpoints = history.oracle["checkpoints"]
    first, second = checkpoints[len(checkpoints) // 3], checkpoints[-1]
    before, after = history.tree(first["file"]), history.tree(second["file"])
    expected = {
        (path, field): (old, new)
        for path in before.keys() | after.keys()
        for field, old, new in zip(
            ("mode", "blob"), before.get(path, (None, None)), after.get(path, (None, None)), strict=True
        )
        if old != new
    }
    rows = rows_of(history.store.diff(f"seq:{first['last_seq']}", f"seq:{second['last_seq']}"))
    assert {(row["entity"], row["field"]): (row.get("before"), row.get("after")) for row in rows} == expected
    assert {row["entity"] for row in rows if row["change"] == "created"} == after.keys() - before.keys()
    assert {row["entity"] for row in rows if row["change"] == "deleted"} == before.keys() - after.keys()
    assert all(first["last_seq"] < position <= second["last_seq"] for row in rows for position in row["positions"])


def test_a_rename_concerns_both_names(history: History) -> None:
    renames = [event for event in json_lines(history.folder / "events.jsonl.zst") if event["type"] == "FileRenamed"]
    for event in renames[:20]:
        rows = rows_of(history.store.audit(event["old_path"], event["path"]))
        found = {(row["role"], row["entity"]) for row in rows if row["position"] == event["seq"]}
        assert found == {("from", event["old_path"]), ("to", event["path"])}


def test_types_are_counted_once_per_event_not_per_role(history: History) -> None:
    assert {row["type"]: row["count"] for row in rows_of(history.store.types())} == {
        kind: count for kind, count in history.oracle["kinds"].items() if count
    }


def document(path: Path) -> Any:
    """Read a JSON document."""
    return json.loads(path.read_text(encoding="utf-8"))
