"""Events are named by ids, parts of ids and positions; what names none says what to type."""

from __future__ import annotations

import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_harness import esctl, good, plain_event, surroundings, write_lines

STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    events = [
        {
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "aa-1", "stage": stage, "verb": "create",
            "user": {"username": "u"}, "objectRef": {"resource": "pods", "namespace": "d", "name": "p"},
            "requestReceivedTimestamp": "2024-01-01T00:00:00Z", "stageTimestamp": f"2024-01-01T00:00:0{second}Z",
        }
        for second, stage in enumerate(STAGES)
    ]  # fmt: skip
    write_lines(folder / "k.jsonl", events)
    good("ingest", "k.jsonl", cwd=folder)
    return folder


@pytest.mark.parametrize("asked", [["--at", "id:aa-1"], ["--without", "aa-1"], ["--known-at", "id:aa-1"]])
def test_a_part_of_an_id_names_the_events_that_have_it(audited: Path, asked: list[str]) -> None:
    done = esctl("replay", *asked, cwd=audited)
    assert done.code == 4
    assert "no event has the id 'aa-1' alone: it is part of the ids of @1, @2, @3" in done.err
    hint = shlex.split(done.err.rpartition("position: ")[2])
    assert hint == [asked[0], "@3"]
    assert esctl("replay", *hint, cwd=audited).code == 0


def test_an_id_that_there_is_not_is_told(audited: Path) -> None:
    assert "no event has the id 'zz'\n" in esctl("replay", "--at", "id:zz", cwd=audited).err
    assert "no event has the id 'zz'\n" in esctl("replay", "--without", "zz", cwd=audited).err


def test_one_of_several_values_that_are_an_id_names_the_events_that_have_it(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"of": of, "n": n, "stream": "s-1"} for of in ("x", "y") for n in (1, 2)])
    good("ingest", "a.jsonl", "-q", "--dedupe-by", "of,n", "--map", "entity=stream", cwd=tmp_path)
    assert esctl("replay", "--at", "id:zz", cwd=tmp_path).err.startswith("esctl: error: no event has the id 'zz'\n")
    assert "'y' alone: it is part of the ids of @3, @4\n" in esctl("replay", "--at", "id:y", cwd=tmp_path).err
    assert [row["position"] for row in good("show", "x", cwd=tmp_path).rows] == [1, 2]


def test_an_error_about_an_event_says_how_to_see_it(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1, n=5), plain_event(2, "thing-2", n="x")])
    good("ingest", "a.jsonl", cwd=tmp_path)
    done = esctl("replay", "--where", "n > 1", cwd=tmp_path)
    assert done.code == 2
    assert 'event @2: n is not a number: "x"' in done.err
    assert shlex.split(done.err.rpartition("hint: see it with: ")[2]) == ["esctl", "show", "@2"]


def test_what_was_known_is_told(audited: Path) -> None:
    assert (
        "known at 2020-01-01T23:59:59.999999Z: no record" in good("replay", "--known-at", "2020-01-01", cwd=audited).err
    )
    assert "known at @2: the records up to position 2" in good("replay", "--known-at", "@2", cwd=audited).err
    assert "known at" not in good("replay", "--known-at", "@2", "-q", cwd=audited).err


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_a_new_store_is_one_that_is_found_again(tmp_path: Path, mask: int) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    for command in (["ingest", "a.jsonl"], ["replay"]):
        called = [sys.executable, "-m", "esctl", "-q", *command]
        done = subprocess.run(called, cwd=tmp_path, umask=mask, capture_output=True, env=surroundings(), check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    for path in (tmp_path / ".esctl").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & (mask | stat.S_IWOTH), path
