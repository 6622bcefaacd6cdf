"""Proofs and bundles of large records stay within the memory they are given, which grows no faster than a record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_harness import good, plain_event, surroundings, write_lines

SMALL, LARGE = 2 << 20, 12 << 20
MOST_PER_BYTE = 45
"""Bytes of memory for each more of a record's: its text stands in the state and in the trail, and is compared twice."""


def peak(folder: Path, *arguments: str, code: int = 0) -> tuple[int, bytes]:
    """Run esctl in a process of its own; gives the most memory that it had, in bytes, and what it said."""
    env = surroundings(**user(folder))
    process = subprocess.Popen(
        [sys.executable, "-m", "esctl", *arguments],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    with process.stdout as said:
        text = said.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == code, text[-2000:]
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), text


def user(folder: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}


def bundled(folder: Path, size: int) -> Path:
    folder.mkdir()
    write_lines(folder / "a.jsonl", [plain_event(1, n=1, text="x" * size)])
    good("key", "new", cwd=folder, **user(folder))
    good("ingest", "-q", "a.jsonl", "--checkpoint", cwd=folder, **user(folder))
    good("bundle", "*", "-o", "out.zip", cwd=folder, **user(folder))
    good("prove", "@1", "-o", "proof", cwd=folder, **user(folder))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("large")
    return bundled(base / "small", SMALL), bundled(base / "large", LARGE)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "command", ["verify-bundle out.zip", "verify-proof proof --event a.jsonl", "bundle * -o again.zip", "prove @1"]
)
def test_memory_grows_no_faster_than_the_record(folders: tuple[Path, Path], command: str) -> None:
    small, large = (peak(folder, *command.split())[0] for folder in folders)
    assert large - small < MOST_PER_BYTE * (LARGE - SMALL)


def test_a_bundle_that_does_not_fit_is_not_judged(folders: tuple[Path, Path]) -> None:
    limit = 64 << 20
    least, _ = peak(folders[0], "verify-proof", "proof", "--event", "a.jsonl")
    most, said = peak(folders[1], "verify-bundle", "out.zip", "--memory-limit", str(limit), code=3)
    assert b"not judged: states: not replayed: a record of " in said
    assert most < least + limit + 3 * LARGE
    rows = [json.loads(line) for line in said.splitlines() if line.startswith(b"{")]
    assert [row["check"] for row in rows if row["result"] != "ok"] == ["states", "trail"]
    _, said = peak(folders[1], "verify-bundle", "out.zip", "--memory-limit", str(9 * LARGE), code=3)
    assert b"not judged: states: not replayed: " in said
    assert b"unexpected" not in said
