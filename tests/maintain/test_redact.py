"""What is erased is gone from every byte of the store; what is left verifies, and says that something is missing."""

from __future__ import annotations

import base64
import errno
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from esctl.api import Relation, Store
from esctl.ask.events.erasable import select_records
from esctl.ask.events.status import status as status_of
from esctl.ask.scope.notes import erased_note
from esctl.errors import InputError, NotFoundError, UsageError
from esctl.index.files import write
from esctl.ledger.check.verify import VerifyOptions, verify
from esctl.log.commits import create_store, open_log
from esctl.log.reader import read_table
from esctl.log.writer import LogWriter
from esctl.maintain.redact import ErasureRequest, complete_erasure, redact
from esctl.maintain.repair import repair
from esctl.storage.local import Filesystem
from tests.support import effort
from tests.support.cli_harness import good, on_terminal, plain_event, refused, surroundings, uncompacted, write_lines
from tests.support.log_helpers import Failing, Unsynced, check, part

SECRET = "Aurelia"
EVENTS = [plain_event(n, f"thing-{n % 3}", n=n, **({"who": f"{SECRET}-{n}"} if n % 4 == 0 else {})) for n in range(24)]
NAMED = [n + 1 for n in range(0, 24, 4)]
"""Positions of the events that name her."""
YES = ("--reason", "asked to", "--actor", "dpo", "--yes", "-q")


@pytest.fixture(autouse=True)
def _user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is last seen of stores where the commands run in these tests keep it."""
    monkeypatch.setenv("XDG_STATE_HOME", surroundings()["XDG_STATE_HOME"])


def gone(folder: Path, *positions: int, files: Filesystem | None = None) -> Store:
    """Erase records, and give the store as it is then."""
    store = Store.open(folder / ".esctl")
    redact(store.path, ErasureRequest(positions or NAMED, "asked to", "dpo"), store.updater(), files)
    return Store.open(folder / ".esctl")


def intact(folder: Path) -> bool:
    store = Store.open(folder / ".esctl")
    return verify(store.path, VerifyOptions(full=True, mapping=store.mapping)).is_intact


def told(path: Path) -> bytes:
    """Everything that the files under a folder say, however it is written down."""
    found = b""
    for file in sorted(path.rglob("*")):
        if not file.is_file():
            continue
        found += str(file.name).encode() + file.read_bytes()
        if file.suffix == ".parquet":
            found += repr(pq.read_table(file).to_pylist()).encode()
        if file.suffix == ".json" and file.parent.name == "commits":
            for cursor in json.loads(file.read_text())["cursors"].values():
                found += base64.b64decode(cursor["header"]) + base64.b64decode(cursor["tail"])
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an erasable store of two segments, indexed under two mappings."""
    folder = tmp_path_factory.mktemp("made")
    write_lines(folder / "a.jsonl", EVENTS[:12])
    write_lines(folder / "b.jsonl", EVENTS[12:])
    good("ingest", "a.jsonl", "--erasable", "-q", cwd=folder)
    good("ingest", "b.jsonl", "-q", cwd=folder)
    good("reindex", "--map", "actor=data.who", "-q", cwd=folder)
    (folder / ".esctl" / "mapping.json").unlink()
    snapshots = folder / ".esctl" / "snapshots" / "0123"
    snapshots.mkdir(parents=True)
    (snapshots / "state.json").write_text(SECRET)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "copy")


@uncompacted
def test_what_is_erased_is_nowhere_in_the_store(folder: Path) -> None:
    assert SECRET.encode() in told(folder / ".esctl")
    before = open_log(folder / ".esctl").read()
    states = {row["entity"]: row for row in Store.open(folder / ".esctl").replay().rows()}
    done = good("redact", "--where", "data.who IS NOT NULL", "--reason", "asked to", "--actor", "dpo", "-y", cwd=folder)
    assert [row["position"] for row in done.rows] == NAMED
    assert f"{len(NAMED)} records erased; the root is still {before.root}" in done.err
    assert "delivered again is new evidence" in done.err
    assert SECRET.encode() not in told(folder / ".esctl")
    after = open_log(folder / ".esctl").read()
    assert (after.root, after.head, after.erased) == (before.root, before.head, len(NAMED))
    assert len(list((folder / ".esctl" / "log").iterdir())) == len(after.segments) == 2
    assert intact(folder)
    left = good("replay", "--basis", cwd=folder)
    assert f"note: {len(NAMED)} erased events in scope: esctl log --erased" in left.err
    assert json.loads(left.err.splitlines()[-1])["erased"] == len(NAMED)
    assert {row["entity"]: row["version"] for row in left.rows} == {
        entity: row["version"] - 2 for entity, row in states.items()
    }
    assert [row["position"] for row in good("log", "--erased", cwd=folder).rows] == NAMED
    store = Store.open(folder / ".esctl")
    (status,) = Relation(status_of(store.scope(), store.store_state)).rows()
    assert (status["erased"], status["invalid"], status["without_entity"]) == (len(NAMED), 0, 0)
    doctor = good("doctor", cwd=folder)  # no finding of its own
    assert "note: 6 erased events in scope" in doctor.err


def test_sources_go_on_as_before(folder: Path) -> None:
    store = gone(folder, 1, 13)
    write_lines(folder / "a.jsonl", [*EVENTS[:12], plain_event(30)])
    assert good("ingest", "a.jsonl", "b.jsonl", cwd=folder).row["new"] == 1
    message, hint = refused("export", "--raw", "--source", "a.jsonl", code=3, cwd=folder)
    assert "1 records of a.jsonl were erased, the first at position 1" in message
    assert "--skip-erased" in hint
    left = good("export", "--raw", "--source", "a.jsonl", "--skip-erased", cwd=folder)
    assert left.out == (folder / "a.jsonl").read_bytes().partition(b"\n")[2]
    assert "note: 1 erased records of a.jsonl are left out" in left.err
    assert intact(folder)
    gone(folder, 25)
    again = good("ingest", "-", cwd=folder, stdin=json.dumps(plain_event(30)).encode() + b"\n").row
    assert (again["new"], again["duplicates"]) == (1, 0)
    assert store.store_state.erased == 2


def test_an_erased_event_says_when_why_and_by_whom(folder: Path) -> None:
    good("redact", "@5", *YES, cwd=folder)
    shown = good("show", "@5", cwd=folder)
    assert shown.row["raw"] is None
    assert shown.row["invalid"] == "erased"
    assert "@5 was erased on 20" in shown.err
    assert shown.err.rstrip().endswith("by dpo: asked to")
    assert "by dpo: asked to" in refused("show", "@5", "--raw", code=3, cwd=folder)[0]
    again = good("redact", "@5", "--reason", "twice", "-y", cwd=folder)
    assert again.row["result"] == "erased before"
    assert "by dpo: asked to" in again.err
    _, hint = refused("redact", "evt-4", *YES, code=4, cwd=folder)
    assert "it may be one of the 1 that were erased" in hint
    assert len(open_log(folder / ".esctl").read().redactions) == 1


def test_a_basis_of_before_an_erasure_fails(folder: Path) -> None:
    path = folder / ".esctl"
    old = Store.open(path)
    basis = old.basis_of(old.scope())
    now = gone(folder, 5)
    with pytest.raises(InputError, match="1 of the records that it rests on were erased since"):
        now.on_basis(basis)
    new = good("replay", "--basis", cwd=folder)
    (folder / "new.json").write_text(new.err.splitlines()[-1])
    with LogWriter(path, files=Unsynced()) as writer:
        writer.append([part("c", [json.dumps(plain_event(40)).encode() + b"\n"])])
    gone(folder, 25)  # which that basis does not rest on
    assert good("replay", "--basis-from", "new.json", cwd=folder).out == new.out


def test_records_of_the_same_bytes_are_not_left_over_in_silence(folder: Path) -> None:
    twice = [EVENTS[4], {**plain_event(8), "data": {"n": "other"}}]
    write_lines(folder / "c.jsonl", twice)
    good("ingest", "c.jsonl", "-q", cwd=folder)
    message, hint = refused("redact", "@5", "@9", *YES, code=2, cwd=folder)
    assert message == "@25 holds the same bytes"
    assert "--duplicates" in hint
    done = good("redact", "@5", "@9", "--duplicates", *YES, cwd=folder)
    assert [row["position"] for row in done.rows] == [5, 9, 25]
    assert "@26 has the id of an event to be erased" in done.err
    assert f"{SECRET}-4".encode() not in told(folder / ".esctl")
    left = {row["position"]: row for row in Store.open(folder / ".esctl").events().rows()}
    assert (left[26]["id"], left[26]["duplicate_of"]) == ("evt-8", None)  # it counts from now on
    assert good("redact", "@13", "--no-duplicates", *YES, cwd=folder).row["position"] == 13
    assert intact(folder)


def test_an_entity_can_be_erased_and_looked_at_before(folder: Path) -> None:
    plan = good("redact", "--entity", "thing-1", "--dry-run", cwd=folder)
    assert [row["position"] for row in plan.rows] == list(range(2, 25, 3))
    assert "8 records would be erased" in plan.err
    assert open_log(folder / ".esctl").read().erased == 0
    good("redact", "--entity", "thing-1", "--where", "data.who IS NULL", *YES, cwd=folder)
    good("redact", "--entity", "thing-1", *YES, cwd=folder)
    store = Store.open(folder / ".esctl")
    assert {row["entity"] for row in store.entities().rows()} == {"thing-0", "thing-2"}
    note = erased_note(store.scope(["thing-0"]))
    assert note == "note: 8 erased events in scope, of whatever entity: esctl log --erased"
    assert erased_note(store.scope(), store.bound("@2")).startswith("note: 1 erased event in scope:")
    assert erased_note(store.scope(), store.bound("@1")) == ""
    assert erased_note(store.scope(known_at="@4")).startswith("note: 1 erased event")


def test_what_was_recognised_stays_recognised(tmp_path: Path) -> None:
    lines = [json.dumps(plain_event(n)).encode() + b"\n" for n in range(1, 9)]
    create_store(tmp_path / ".esctl", erasable=True, files=Unsynced())
    with LogWriter(tmp_path / ".esctl", files=Unsynced()) as writer:
        for each in (lines[:1], lines[1:]):
            read = part("a", each)
            writer.append([replace(read, cursor=replace(read.cursor, sampled=1))])
    (state,) = Store.open(tmp_path / ".esctl").replay().rows()
    gone(tmp_path, 1)  # all that detection had looked at
    shutil.rmtree(tmp_path / ".esctl" / "index")
    (now,) = Store.open(tmp_path / ".esctl").replay().rows()
    assert (now["entity"], now["state"]) == (state["entity"], state["state"])


def test_cells_can_be_erased(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"id,type,entity,name\n1,Named,t-1,{SECRET}\n2,Named,t-1,Bo\n")
    good("ingest", "--erasable", "a.csv", "-q", cwd=tmp_path)
    (state,) = gone(tmp_path, 1).replay().rows()
    assert SECRET.encode() not in told(tmp_path / ".esctl")
    assert state["state"] == {"name": "Bo"}
    assert intact(tmp_path)


def test_refusals(folder: Path, tmp_path: Path) -> None:
    assert "--reason" in refused("redact", "@1", code=2, cwd=folder)[0]
    assert "--yes" in refused("redact", "@1", "--reason", "r", code=2, cwd=folder)[1]
    store = Store.open(folder / ".esctl")
    for events, entities, where, error in (
        ((), (), "", UsageError),
        (("@1",), ("thing-1",), "", UsageError),
        (("@99",), (), "", NotFoundError),
        (("@0",), (), "", NotFoundError),
        ((), ("thing-9",), "", NotFoundError),
    ):
        with pytest.raises(error):
            select_records(store.scope(entities), store.store_state, events, where)
    assert store.store_state.erased == 0


@pytest.mark.parametrize(
    "options", [("--columns", "position,id"), ("-o", "/nonexistent/x.csv"), ("--tz", "Nowhere"), ("-f", "sarif")]
)
def test_what_cannot_be_shown_is_refused_before_anything_is_erased(folder: Path, options: tuple[str, ...]) -> None:
    refused("redact", "@1", *YES, *options, code=2, cwd=folder)
    assert Store.open(folder / ".esctl").store_state.erased == 0


def test_a_failure_to_tell_of_an_erasure_says_that_it_happened(folder: Path) -> None:
    message, hint = refused("redact", "@1", *YES, "-o", "/dev/full", code=3, cwd=folder)
    assert message.endswith("; the records are erased")
    assert hint == "look at them with: esctl log --erased"
    assert Store.open(folder / ".esctl").store_state.erased == 1


def test_a_store_that_is_not_erasable_says_so(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", EVENTS)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    message, hint = refused("redact", "@1", *YES, code=2, cwd=tmp_path)
    assert "is not erasable" in message
    assert "guessed from its hash" in message
    assert "ingest --erasable" in hint


def test_on_a_terminal_it_asks(folder: Path) -> None:
    shown, code = on_terminal("redact", "@1", "--reason", "r", cwd=folder, answer=b"n\n")
    assert "Erase 1 record for good? [y/N]" in shown
    assert "nothing was erased" in shown
    assert code == 1
    assert open_log(folder / ".esctl").read().erased == 0


class Killed(BaseException):
    """The end of the process."""


class Dying(Failing):
    """Ends the process in place of the n-th change: nothing is changed after it."""

    def fail(self) -> None:
        raise Killed

    def step(self, name: str) -> None:
        if self.failed:
            raise Killed
        super().step(name)

    def unlink(self, path: Path) -> None:
        self.step("unlink")
        super().unlink(path)


def test_killed_at_every_step(made: Path, tmp_path: Path) -> None:
    counting = Dying()
    root = gone(shutil.copytree(made, tmp_path / "undisturbed"), files=counting).store_state.root
    assert len(counting.steps) > 25
    for step in range(0, len(counting.steps), 1 if effort.ALL else 3):
        folder = shutil.copytree(made, tmp_path / f"at{step}")
        path = folder / ".esctl"
        with pytest.raises(Killed):
            gone(folder, files=Dying(step))
        now = open_log(path).read()
        assert (now.root, now.erased) in ((root, 0), (root, len(NAMED)))
        check(now)
        if now.erased:
            complete_erasure(path)
        else:
            gone(folder, files=Unsynced())
        assert SECRET.encode() not in told(path)
        assert check(open_log(path).read()).num_rows == len(EVENTS)
        shutil.rmtree(folder)


@pytest.mark.parametrize("step", range(0, 40, 2 if effort.ALL else 8))
def test_a_full_disk_is_an_error_and_changes_nothing_by_halves(made: Path, tmp_path: Path, step: int) -> None:
    folder = shutil.copytree(made, tmp_path / "copy")
    path = folder / ".esctl"
    try:
        gone(folder, files=Failing(step))
    except InputError:
        now = open_log(path).read()
        assert now.erased in (0, len(NAMED))
        check(now)
        gone(folder, files=Unsynced())
    complete_erasure(path)
    assert SECRET.encode() not in told(path)


class Forgetful(Unsynced):
    """Cannot bring to the disk that a segment was removed."""

    removed = False

    def unlink(self, path: Path) -> None:
        self.removed |= path.match("log/*.parquet")
        super().unlink(path)

    def sync_folder(self, path: Path) -> None:
        if self.removed and path.name == "log":
            raise OSError(errno.EIO, "Input/output error", str(path))
        super().sync_folder(path)


def test_a_removal_that_may_not_last_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match=r"log: Input/output error; the records are erased, but"):
        gone(folder, files=Forgetful())
    assert open_log(folder / ".esctl").read().erased == len(NAMED)
    complete_erasure(folder / ".esctl")


def test_an_index_of_before_an_erasure_is_not_read(made: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "copy")
    path = folder / ".esctl"
    shutil.copytree(path / "index", tmp_path / "index")
    gone(folder)
    shutil.rmtree(path / "index")
    shutil.copytree(tmp_path / "index", path / "index")
    store = Store.open(path)
    assert SECRET not in str(store.events().rows())
    left = [folder for folder in (path / "index").iterdir() if SECRET.encode() in told(folder)]
    assert store.index_folder not in left
    complete_erasure(path)
    assert SECRET.encode() not in told(path)


def test_who_still_reads_what_was_replaced_is_told_so(made: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "copy")
    before = open_log(folder / ".esctl").read()
    old = Store.open(folder / ".esctl")
    assert old.store_state == before
    gone(folder)
    with pytest.raises(InputError, match="was replaced meanwhile"):
        read_table(before, 1, before.head)
    with pytest.raises(InputError, match="were erased meanwhile"):
        old.replay()


@uncompacted
def test_what_an_interrupted_erasure_left_is_repaired(made: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "copy")
    path = folder / ".esctl"
    kept = shutil.copytree(path, tmp_path / "kept")
    store = gone(folder)
    for place in ("log", "index", "snapshots"):
        shutil.copytree(kept / place, path / place, dirs_exist_ok=True)
    checks = {check.rule: check for check in verify(path, VerifyOptions()).checks}
    assert checks["segments"].note.startswith("2 replaced files still lie there")
    assert "was built before records were erased" in checks["index files"].note
    repair(path, Store.open(path).updater())
    assert SECRET.encode() not in told(path)
    assert repair(path, Store.open(path).updater()) == []
    assert store.replay().rows() == Store.open(path).replay().rows()


@pytest.mark.parametrize("name", ["00000000000000000001-00000000000000000009.0123abcd.parquet", ".tmp-half"])
def test_what_a_question_is_writing_is_not_repaired(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(write, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(write, "LOCK_SECONDS", 0.05)
    store = gone(folder)
    index = store.updater().folder
    with write.locked(index):
        assert repair(store.path, store.updater()) == []
        (index / name).write_bytes(b"no manifest names it yet")
        with pytest.raises(InputError, match="has been building the index"):
            repair(store.path, store.updater())
        assert (index / name).exists()
    assert [step.file for step in repair(store.path, store.updater())] == [f"index/{index.name}/{name}"]
