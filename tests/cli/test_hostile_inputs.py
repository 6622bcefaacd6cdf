"""Files that are named are read within bounds: a device, a FIFO or a folder in their place is told at once."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from esctl.named import read_named
from tests.support.cli_harness import esctl, good, plain_event, surroundings, write_lines
from tests.support.odd_files import Canary, device, put

OPTIONS = (
    "replay --config {}", "replay --basis-from {}", "replay --projection-file {}", "verify-bundle {}",
    "verify-bundle out.zip --config {}", "verify-bundle out.zip --trust {}", "verify-proof {} --event record",
    "verify-proof proof --event {}", "verify-proof proof --event record --trust {}", "verify --since {}",
    "verify --trust {}", "prove @1 --checkpoint {}", "bundle * --checkpoint {} -o other.zip",
    "revert thing-1 --to @1 --as-events {}", "reconcile {}", "config show --config {}",
)  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_lines(folder / "a.jsonl", [plain_event(number) for number in range(5)])
    user = surrounded(folder)
    good("key", "new", cwd=folder, **user)
    good("ingest", "-q", "a.jsonl", "--checkpoint", cwd=folder, **user)
    good("prove", "@1", "-o", "proof", cwd=folder, **user)
    good("show", "@1", "--raw", "-o", "record", cwd=folder, **user)
    good("bundle", "*", "-o", "out.zip", cwd=folder, **user)
    return folder


def surrounded(folder: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    signal.alarm(300)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "zeros", "folder link"])
def test_what_is_no_file_is_refused_at_once(work: Path, tmp_path: Path, kind: str) -> None:
    canary = Canary(tmp_path)
    path = tmp_path / "odd"
    device(path, 5) if kind == "zeros" else put(kind, path, canary)
    for option in OPTIONS:
        done = esctl(*shlex.split(option.format(path)), cwd=work, **surrounded(work))
        assert done.code in (2, 3), (option, done.err)
        assert "esctl: error: " in done.err, option
        assert str(path) in done.err or "--trust" in option, (option, done.err)
        assert "Errno" not in done.err, (option, done.err)
        assert "Traceback" not in done.err, (option, done.err)
        assert not (work / "other.zip").exists()
        canary.check(option)


def test_what_is_too_long_is_refused(work: Path, tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.touch()
    os.truncate(path, 1 << 40)  # which takes no room
    for option in OPTIONS:
        if "reconcile" in option:
            continue
        done = esctl(*shlex.split(option.format(path)), cwd=work, **surrounded(work))
        assert done.code in (2, 3), (option, done.err)


def test_a_file_that_is_too_long_is_not_read_to_know_it(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="it has more than"):
        read_named(path, (1 << 40) - 1)  # more than there is memory for


def test_what_a_shell_hands_over_is_read_where_once_is_enough(work: Path) -> None:
    basis = good("replay", "--basis", cwd=work, **surrounded(work)).err.encode()
    expected = good("replay", cwd=work, **surrounded(work)).out
    program = f'exec 9< <(cat); exec "{sys.executable}" -m esctl'
    for command, code in (("replay -q --basis-from /dev/fd/9", 0), ("replay --config /dev/fd/9", 3)):
        done = subprocess.run(
            ["bash", "-c", f"{program} {command}"], cwd=work, input=basis, env=surroundings(**surrounded(work)),
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert done.stdout == (b"" if code else expected)
