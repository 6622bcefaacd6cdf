"""What is derived is mended; what evidence is lost is said, and nothing of it is touched."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from esctl.config import read_config
from esctl.errors import InputError
from esctl.index.files.write import locked
from esctl.ledger.check.commits import Chain
from esctl.ledger.check.verify import VerifyOptions, verify
from esctl.ledger.sign.checkpoints import make_checkpoint
from esctl.ledger.sign.note import SigningKey
from esctl.log import compacting
from esctl.log.commits import SUMMARY_EVERY
from esctl.log.lock import store_lock
from esctl.log.store_state import commit_name
from esctl.log.writer import LogWriter
from esctl.maintain import repair as repairing
from esctl.maintain.repair import RepairStep, repair
from tests.support.cli_harness import esctl, good, plain_event, refused, surroundings, uncompacted, write_lines
from tests.support.log_helpers import Unsynced, part

pytestmark = uncompacted

KEY = SigningKey("tester", b"\x07" * 32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a store of three segments of four events, a checkpoint after the first, and an index."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings().items():
            patch.setenv(name, value)
        for number in range(3):
            write_lines(folder / f"{number}.jsonl", [plain_event(number * 4 + n) for n in range(4)])
            good("ingest", f"{number}.jsonl", "-q", cwd=folder, ESCTL_SNAPSHOTS="off")
            if number == 0:
                make_checkpoint(folder / ".esctl", KEY)
    return folder / ".esctl"


@pytest.fixture
def store(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, never seen here before."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return shutil.copytree(made, tmp_path / ".esctl")


def mend(path: Path, *, dry: bool = False) -> list[RepairStep]:
    """Repair a store that may be damaged, and that no configuration belongs to."""
    return repair(path, Store(path, read_config(None)).updater(), dry=dry, files=Unsynced())


def prints(path: Path, *parts: str) -> dict[str, str]:
    """Digest the files of evidence."""
    files = (file for part in parts for file in (path / part).rglob("*") if file.is_file())
    return {str(file.relative_to(path)): sha256(file.read_bytes()).hexdigest() for file in files}


def evidence(path: Path) -> dict[str, str]:
    return prints(path, "log", "commits", "checkpoints")


def segment(path: Path, number: int = 1) -> Path:
    return sorted((path / "log").iterdir())[number]


def index(path: Path) -> Path:
    return next((path / "index").iterdir())


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


def test_a_whole_store_is_left_alone(store: Path) -> None:
    before = prints(store, ".")
    assert mend(store) == []
    assert {name: digest for name, digest in prints(store, ".").items() if name != "lock"} == {
        name: digest for name, digest in before.items() if name != "lock"
    }


DERIVED: dict[str, Callable[[Path], object]] = {
    "manifest changed": lambda path: flip(index(path) / "manifest.json"),
    "manifest removed": lambda path: (index(path) / "manifest.json").unlink(),
    "index file changed": lambda path: flip(next(index(path).glob("*.parquet"))),
    "index file removed": lambda path: next(index(path).glob("*.parquet")).unlink(),
    "temporary files": lambda path: [
        (path / name).write_bytes(b"half")
        for name in (
            ".tmp-format.json.1",
            "log/.tmp-00000000000000000013-x",
            "commits/.tmp-00000000000000000009.json.1",
        )
    ],
    "lock": lambda path: (path / "lock.pid").write_text("1"),
    "segment left over": lambda path: shutil.copy(segment(path), path / "log" / f"{1:020d}-{4:020d}.00000000.parquet"),
}


@pytest.mark.parametrize("name", DERIVED)
def test_what_is_derived_is_mended(store: Path, name: str) -> None:
    whole = evidence(store)
    states = Store.open(store).replay().rows()
    DERIVED[name](store)
    before = prints(store, ".")
    told = mend(store, dry=True)
    assert {step.result for step in told} <= {"to be mended"}
    assert prints(store, ".") == before
    steps = mend(store)
    assert steps
    assert {step.result for step in steps} == {"mended"}
    assert evidence(store) == whole
    assert mend(store) == []
    assert Store.open(store).replay().rows() == states
    assert verify(store, VerifyOptions()).is_intact


def test_an_index_that_is_being_built_is_waited_for(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, looked = index(store) / "manifest.json", threading.Event()
    whole, steps = manifest.read_bytes(), list[RepairStep]()
    real = repairing.index_problem

    def look(folder: Path, chain: Chain) -> str:
        found = real(folder, chain)
        looked.set()
        return found

    monkeypatch.setattr(repairing, "index_problem", look)
    before = prints(store, "index")
    with locked(index(store)):  # as a builder does, which writes its manifest last
        manifest.unlink()
        mending = threading.Thread(target=lambda: steps.extend(mend(store)))
        mending.start()
        assert looked.wait(60)
        manifest.write_bytes(whole)
    mending.join(60)
    assert not mending.is_alive()
    assert steps == []
    assert prints(store, "index") == before


def test_summaries_are_written_anew(store: Path) -> None:
    with LogWriter(store, files=Unsynced()) as writer:
        for number in range(2 * SUMMARY_EVERY):
            writer.append([part(f"s{number}", [b"{}\n"])])
    names = [store / "commits" / f"summary-{commit_name(seq)}" for seq in (SUMMARY_EVERY, 2 * SUMMARY_EVERY)]
    whole = [name.read_bytes() for name in names]
    flip(names[0])
    names[1].unlink()
    assert [step.what for step in mend(store)] == ["summary", "summary"]
    assert [name.read_bytes() for name in names] == whole


def test_what_a_compaction_is_merging_is_kept(store: Path) -> None:
    young, old = (store / "log" / f".tmp-compact-1-8.{name}" for name in ("young", "old"))
    for file in (young, old):
        file.write_bytes(b"half")
    past = time.time() - compacting.ABANDONED - 1
    os.utime(old, (past, past))
    assert [(step.file, step.result) for step in mend(store)] == [
        ("log/.tmp-compact-1-8.old", "mended"),
        ("log/.tmp-compact-1-8.young", "kept"),
    ]
    assert young.exists()
    assert not old.exists()


def test_a_segment_that_may_be_committed_yet_is_kept(store: Path) -> None:
    late = store / "log" / f"{13:020d}-{16:020d}.00000000.parquet"
    shutil.copy(segment(store), late)
    (step,) = mend(store)
    assert (step.result, step.first, step.last) == ("kept", 13, 16)
    assert late.exists()


@pytest.mark.parametrize("harm", [flip, Path.unlink])
def test_what_is_lost_with_a_segment_is_said(store: Path, harm: Callable[[Path], object]) -> None:
    file = segment(store)
    digest = sha256(file.read_bytes()).hexdigest()
    harm(file)
    whole = prints(store, "log", "commits", "checkpoints", "index")
    (step,) = mend(store)
    assert (step.what, step.result, step.file, step.first, step.last) == ("evidence", "lost", f"log/{file.name}", 5, 8)
    assert "4 records are lost, recorded 20" in step.message
    assert "still knows them: of 1.jsonl, happened 2024-01-02T00:04:00.000000Z to 2024-01-02T00:07:00" in step.message
    assert "what is left proves 00000000000000000004-" in step.message
    assert f"restore it from a copy with the SHA-256 {digest}" in step.message
    assert prints(store, "log", "commits", "checkpoints", "index") == whole


@pytest.mark.parametrize(
    ("events", "happened"),
    [
        ([plain_event(4), plain_event(5)], "2024-01-02T00:04:00.000000Z to 2024-01-02T00:05:00.000000Z"),
        ([plain_event(6) | {"time": None}], "at no time that is known"),
    ],
)
def test_lost_events_happened_at_their_own_times(tmp_path: Path, events: list[dict[str, Any]], happened: str) -> None:
    """Not at those of their neighbours, nor when a record that could not be read was recorded."""
    write_lines(tmp_path / "0.jsonl", [plain_event(0)])
    with write_lines(tmp_path / "1.jsonl", events).open("a") as file:
        file.write("{not json\n")
    for number in range(2):
        good("ingest", f"{number}.jsonl", "-q", cwd=tmp_path, ESCTL_SNAPSHOTS="off")
    segment(tmp_path / ".esctl").unlink()
    step = next(step for step in mend(tmp_path / ".esctl") if step.result == "lost")
    assert f"still knows them: of 1.jsonl, happened {happened};" in step.message


def test_an_index_is_kept_where_it_is_all_that_is_left(store: Path) -> None:
    segment(store, 0).unlink()
    (index(store) / "manifest.json").unlink()
    lost, kept = mend(store)
    assert "no index knows of them" in lost.message
    assert "what is left proves no checkpoint; 1 that cover the loss cannot be checked" in lost.message
    assert (kept.what, kept.result) == ("index", "kept")
    assert list(index(store).glob("*.parquet"))


def test_what_is_lost_with_a_commit_is_said(store: Path) -> None:
    (store / "commits" / commit_name(2)).write_text("{}")
    whole = evidence(store)
    (step,) = mend(store)
    assert (step.result, step.file, step.first, step.last) == ("lost", f"commits/{commit_name(2)}", 5, 8)
    assert f"the records themselves may be in log/{segment(store).name}" in step.message
    assert evidence(store) == whole


def test_a_store_that_went_back_is_said(store: Path) -> None:
    assert verify(store, VerifyOptions()).is_intact  # and is kept in mind
    (store / "commits" / commit_name(3)).unlink()
    steps = mend(store)
    assert steps[0].result == "lost"
    assert (steps[0].first, steps[0].last) == (9, 12)
    assert segment(store, 2).exists()


def test_it_waits_for_a_writer(store: Path) -> None:
    with store_lock(store), pytest.raises(InputError, match="is being written"), store_lock(store, timeout=0.01):
        pass


def test_the_command(store: Path) -> None:
    folder = store.parent
    assert good("repair", cwd=folder).err == "0 mended; the evidence is whole\n"
    flip(index(store) / "manifest.json")
    done = good("repair", "--dry-run", cwd=folder)
    assert "1 to be mended; the evidence is whole" in done.err
    assert good("repair", cwd=folder).row["result"] == "mended"
    segment(store).unlink()
    done = esctl("repair", cwd=folder)
    assert (done.code, done.row["result"]) == (1, "lost")
    assert "evidence is damaged in 1 place; 0 mended" in done.err
    refused("repair", "--store", "nowhere", code=3, cwd=folder)
