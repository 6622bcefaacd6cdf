"""Whatever stands in a store's place, nothing outside it is read for it, written, removed or waited for."""

from __future__ import annotations

import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from esctl.index.files.manifest import read_manifest, write_manifest
from tests.support import effort
from tests.support.cli_harness import Done, esctl, good, plain_event, refused, write_lines
from tests.support.odd_files import KINDS, Canary, put

COMMANDS = (
    "ingest more.jsonl", "replay", "repair", "verify --full", "reindex", "compact", "redact @2 --reason r --yes",
    "snapshot", "log", "show @1 --raw", "export --raw --source a.jsonl", "status", "doctor", "checkpoint", "prove @1",
    "bundle * -o out.zip", "repair --dry-run", "verify", "sql 'from events'", "config show",
)  # fmt: skip
EVIDENCE = ("log", "commits", "checkpoints", "format.json", "mapping.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store that has one of everything."""
    folder = tmp_path_factory.mktemp("whole")
    for name, start in (("a", 0), ("b", 20), ("more", 40)):
        write_lines(folder / f"{name}.jsonl", [plain_event(start + n, f"thing-{n % 3}") for n in range(20)])
    user = surrounded(folder)
    good("key", "new", cwd=folder, **user)
    good("ingest", "-q", "--erasable", "a.jsonl", "--checkpoint", "--map", "entity=stream", cwd=folder, **user)
    good("ingest", "-q", "b.jsonl", cwd=folder, **user)
    good("snapshot", cwd=folder, **user)
    good("replay", cwd=folder, **user)
    (folder / ".esctl" / "lock.pid").write_text("1")
    return folder


def surrounded(folder: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}


def places(store: Path) -> list[str]:
    """List every path of a store, and some where something may be put."""
    there = [str(path.relative_to(store)) for path in sorted(store.rglob("*"))]
    index = next(name for name in there if name.startswith("index/"))
    added = ["index/0123456789abcdef", "snapshots/0123456789abcdef", f"{index}/.tmp-left", "log/.tmp-left", ".tmp-left"]
    segment = "00000000000000000001-00000000000000000003.0a0b0c0d.parquet"
    return [*there, *added, f"{index}/{segment}", f"log/{segment}", "commits/summary-00000000000000000100.json"]


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Let no test wait for ever."""
    signal.alarm(120)
    yield
    signal.alarm(0)


def check(done: Done, command: str, place: str, told: object) -> None:
    """Hold an exit code: what is evidence is refused, what is not can be removed by `repair`."""
    is_config, is_ingest = command == "config show", command.startswith("ingest")
    if place == "format.json" and (is_config or is_ingest):
        return  # there is no store any more to be found
    is_mended = command.startswith("repair") and not place.startswith(EVIDENCE)
    assert done.code == (0 if is_mended or (is_config and place != "mapping.json") else 3), told
    if done.code == 3:
        assert place in done.err or "there is no store" in done.err, told


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_a_store_is_followed_out_of_it(whole: Path, tmp_path: Path, kind: str) -> None:
    canary = Canary(tmp_path)
    user = surrounded(whole)
    for number, place in enumerate(places(whole / ".esctl")):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        path = folder / ".esctl" / place
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        put(kind, path, canary)
        for asked in range(3 if effort.ALL else 1):
            command = COMMANDS[(3 * number + asked + KINDS.index(kind)) % len(COMMANDS)]
            done = esctl(*shlex.split(command), cwd=folder, **user)
            canary.check((kind, place, command))
            assert "Traceback" not in done.err
            check(done, command, place, (kind, place, command, done.err))
            if command == "repair":
                break
        shutil.rmtree(folder)


def test_repair_removes_links_and_leaves_what_they_lead_to(whole: Path, tmp_path: Path) -> None:
    canary = Canary(tmp_path)
    folder = tmp_path / "work"
    shutil.copytree(whole, folder)
    user = surrounded(whole)
    expected = good("replay", cwd=folder, **user).text
    for place in ("index", "snapshots", "lock", "lock.pid", ".tmp-left"):
        path = folder / ".esctl" / place
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.symlink_to(canary.folder)
    message, hint = refused("replay", code=3, cwd=folder, **user)
    assert "is a symbolic link" in message
    assert hint.startswith("remove it with: rm ")
    told = good("repair", cwd=folder, **user)
    assert sum(row["what"] == "intruder" for row in told.rows) == 5
    canary.check()
    assert good("replay", cwd=folder, **user).text == expected
    good("verify", "--full", cwd=folder, **user)


def test_a_lock_of_two_names_is_not_truncated(whole: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "work", tmp_path / "other"
    shutil.copytree(whole, folder)
    other.write_bytes(b"not yours")
    for name in ("lock", "lock.pid"):
        path = folder / ".esctl" / name
        path.unlink()
        path.hardlink_to(other)
        refused("ingest", "more.jsonl", code=3, cwd=folder)
        path.unlink()
        assert other.read_bytes() == b"not yours"


def test_names_in_manifests_are_of_their_folder(whole: Path, tmp_path: Path) -> None:

    canary = Canary(tmp_path)
    folder = tmp_path / "work"
    shutil.copytree(whole, folder)
    (index,) = (folder / ".esctl" / "index").iterdir()
    manifest = read_manifest(index)
    assert manifest is not None
    files = (replace(manifest.files[0], file="../../../../canary/precious"), *manifest.files[1:])
    write_manifest(index, replace(manifest, files=files))
    refused("replay", code=3, cwd=folder)
    good("reindex", cwd=folder)
    canary.check()


def test_a_store_that_is_named_may_be_a_link(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    shutil.copytree(whole, folder)
    (tmp_path / "link").symlink_to(folder / ".esctl")
    good("--store", tmp_path / "link", "ingest", "more.jsonl", cwd=folder)
    good("--store", tmp_path / "link", "repair", cwd=folder)
    assert good("--store", tmp_path / "link", "verify", "--full", cwd=folder).code == 0
