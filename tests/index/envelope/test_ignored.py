"""Events of no entity that the mapping declares to be of none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli_harness import esctl, good

RECORDS = [
    {"id": 1, "type": "T", "on": "x-1", "data": {"n": 1}},
    {"id": 2, "type": "marker", "data": {"n": 2}},
    {"id": 3, "type": "T", "data": {"n": 3}},
    {"id": 4, "type": "marker", "on": "x-1", "data": {"m": 4}},
    {"id": 5, "data": None},
]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    return tmp_path


def config(folder: Path, condition: str, more: str = "") -> None:
    fields = 'id = "id"\ntype = "type"\nentity = "on"\ndata = "data"\norder = "position"\n'
    (folder / "esctl.toml").write_text(f"[mapping]\n{fields}{more}ignore = {json.dumps(condition)}\n")


def test_they_are_kept_counted_apart_and_no_finding(kept: Path) -> None:
    config(kept, "type = 'marker' or (type is null and data.n is null)")
    done = esctl("ingest", "a.jsonl", cwd=kept)
    assert "2 events of no entity are ignored, as the mapping says: esctl log --ignored" in done.err
    assert "note: 1 event of no entity: esctl doctor --homeless" in done.err
    assert [row["position"] for row in good("log", "--ignored", cwd=kept).rows] == [2, 5]
    assert [row["position"] for row in esctl("doctor", "--homeless", cwd=kept).rows] == [3]
    (status,) = good("status", cwd=kept).rows
    assert (status["without_entity"], status["ignored"], status["head"]) == (1, 2, 5)
    assert good("replay", cwd=kept).rows[0]["version"] == 2  # what has an entity is folded
    assert len(good("log", cwd=kept).rows) == 5


def test_without_a_condition_nothing_is_ignored(kept: Path) -> None:
    good("ingest", "a.jsonl", "--map", "entity=on", cwd=kept)
    assert good("log", "--ignored", cwd=kept).rows == []
    assert good("status", cwd=kept).rows[0]["ignored"] == 0


def test_a_condition_may_stand_beside_what_is_recognised(kept: Path) -> None:
    (kept / "esctl.toml").write_text('[mapping]\nignore = "data.unheard = 1 or data.n = 2"\n')
    esctl("ingest", "a.jsonl", "--map", "entity=on", cwd=kept)
    assert [row["position"] for row in good("log", "--ignored", cwd=kept).rows] == [2]


@pytest.mark.parametrize("condition", ["", "type = ", "select 1", "nothing = 1", "1", "upper(type)"])
def test_a_condition_that_is_none_is_told_before_anything_is_kept(kept: Path, condition: str) -> None:
    config(kept, condition)
    done = esctl("ingest", "a.jsonl", cwd=kept)
    assert (done.code, "mapping.ignore" in done.err, (kept / ".esctl").exists()) == (2, True, False)


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("a?", "ax", "a"),
        ("a\\*", "a\\bc", "abc"),
        ("*\\", "b\\", "b"),
        ("*\\a", "b\\a", "ba"),
        ("10%_*", "10%_x", "100x"),
        ("?\\", "é\\", "ab\\"),
    ],
)
def test_an_ignored_event_needs_no_time_whatever_its_glob(glob: str, matching: str, other: str, tmp_path: Path) -> None:
    timed = {"type": "T", "on": "x-1", "at": "2024-03-05T10:00:00Z", "n": 1}
    events = [timed, {"type": matching, "on": "x-1"}, {"type": other, "on": "x-1"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    fields = f'type = "type"\ntime = "at"\nentity = "on"\nignore_types = [{json.dumps(glob)}]\n'
    (tmp_path / "esctl.toml").write_text(f"[mapping]\n{fields}")
    esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["position"] for row in good("log", "--ignored", cwd=tmp_path).rows] == [2]
    assert [row["position"] for row in esctl("doctor", "--undated", cwd=tmp_path).rows] == [3]
