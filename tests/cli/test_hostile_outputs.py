"""What -o names is written to as the shell's `>` would: nothing that is not a plain file is ever replaced."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from tests.support.cli_harness import Done, esctl, good, plain_event, refused, write_lines
from tests.support.odd_files import Canary, device, put

COMMANDS = (
    "replay", "replay -f table", "replay -f parquet", "log -f arrow", "show @1", "show @1 --raw", "export",
    "export --raw", "series count(*) --every 1d --plot", "init --force", "prove @1", "bundle *", "report *",
    "checkpoint", "key show", "revert thing-1 --to @5", "doctor -f sarif", "verify -f junit", "config show",
    "ingest a.jsonl -q",
)  # fmt: skip


def size(data: bytes) -> int:
    """Count the bytes of an answer, but for those of how long it took."""
    return len(re.sub(rb'"(seconds|events_per_second)":[0-9.e-]+', b"", data))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    write_lines(folder / "a.jsonl", [plain_event(number, f"thing-{number % 3}") for number in range(9)])
    good("key", "new", cwd=folder, **user(folder))
    good("ingest", "-q", "a.jsonl", "--checkpoint", cwd=folder, **user(folder))
    return folder


def user(folder: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}


def run(store: Path, command: str, path: Path) -> Done:
    return esctl(*command.split(), "-o", path, cwd=store, **user(store))


def written(store: Path, command: str, path: Path) -> None:
    done = run(store, command, path)
    assert done.code in (0, 1), (command, done.err)
    assert done.out == b""


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_but_a_plain_file_is_replaced(store: Path, tmp_path: Path, command: str) -> None:
    plain, real, link, fifo = (tmp_path / name for name in ("plain", "real", "link", "fifo"))
    plain.write_bytes(b"older")
    plain.chmod(0o600)
    written(store, command, plain)
    expected = plain.read_bytes()
    assert expected != b"older"
    assert stat.S_IMODE(plain.stat().st_mode) == 0o600  # of an older file's rights nothing is given away
    link.symlink_to(real)
    for _ in range(2):  # at first it leads nowhere
        written(store, command, link)
        assert link.is_symlink()
        assert size(real.read_bytes()) == size(expected)
    os.mkfifo(fifo)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()), daemon=True)
    reader.start()
    written(store, command, fifo)
    reader.join()
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert size(got[0]) == size(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "link", "plain", "real"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_stays_one(store: Path, tmp_path: Path, command: str) -> None:
    null, link = tmp_path / "null", tmp_path / "link"
    device(null)
    link.symlink_to(null)
    before = null.stat()
    for path in (null, link):
        written(store, command, path)
        assert (null.stat().st_ino, null.stat().st_mode) == (before.st_ino, before.st_mode)
    assert link.is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"null", "link"}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_cannot_be_written_is_told_in_one_line(store: Path, tmp_path: Path, command: str) -> None:
    canary = Canary(tmp_path)
    put("socket", tmp_path / "socket", canary)
    (tmp_path / "to a folder").symlink_to(canary.folder)
    places = ["socket", "no folder/a", "canary/precious/a"]
    places += [] if command == "prove @1" else ["canary", "to a folder"]  # proofs may go to a folder
    for name in places:
        done = run(store, command, tmp_path / name)
        told = [line for line in done.err.splitlines() if line.startswith("esctl: error: ")]
        assert (done.code, len(told)) == (2, 1), (name, done.err)
        assert str(tmp_path / name) in told[0]
        assert "Traceback" not in done.err
        canary.check(name)
    assert stat.S_ISSOCK((tmp_path / "socket").stat().st_mode)


def test_a_name_of_an_open_file_is_that_file(store: Path, tmp_path: Path) -> None:
    done = esctl("replay", "-o", "/dev/stdout", cwd=store)
    assert done.code == 0
    assert done.out == good("replay", cwd=store).out


def test_a_bundle_through_a_pipe_is_the_same(store: Path, tmp_path: Path) -> None:
    fifo, through = tmp_path / "fifo", tmp_path / "through.zip"
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: through.write_bytes(fifo.read_bytes()), daemon=True)
    reader.start()
    written(store, "bundle *", fifo)
    reader.join()
    good("verify-bundle", through, cwd=store, **user(store))


@pytest.mark.parametrize("options", ["--columns nope", "--tz Nowhere", "-f sarif", "-o missing/x.csv", "-o ."])
@pytest.mark.parametrize("command", ["ingest -q new.jsonl", "compact", "snapshot", "repair"])
def test_what_cannot_be_shown_is_refused_before_anything_is_done(tmp_path: Path, command: str, options: str) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    write_lines(tmp_path / "new.jsonl", [plain_event(2)])
    if not command.startswith("ingest"):
        good("ingest", "-q", "a.jsonl", cwd=tmp_path, **user(tmp_path))
        (tmp_path / ".esctl" / "log" / ".tmp-half").write_bytes(b"half")
    before = files(tmp_path)
    refused(*command.split(), *options.split(), code=2, cwd=tmp_path, **user(tmp_path))
    assert files(tmp_path) == before


def files(folder: Path) -> list[Path]:
    """List all files but those of locks, which hold nothing."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
