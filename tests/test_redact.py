"""What is erased is gone from every byte of the store; what is left verifies, and says that something is missing."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cli_harness import good, on_terminal, plain_event, refused, write_lines
from log_helpers import Failing, check

from esctl.errors import InputError
from esctl.log.commits import open_log
from esctl.redaction import Wanted, complete, redact
from esctl.store import Store

SECRET = "Aurelia"
EVENTS = [plain_event(n, f"thing-{n % 3}", n=n, **({"who": f"{SECRET}-{n}"} if n % 4 == 0 else {})) for n in range(24)]
NAMED = [n + 1 for n in range(0, 24, 4)]
"""Positions of the events that name her."""
YES = ("--reason", "asked to", "--actor", "dpo", "--yes", "-q")


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


def test_what_is_erased_is_nowhere_in_the_store(folder: Path) -> None:
    assert SECRET.encode() in told(folder / ".esctl")
    before = open_log(folder / ".esctl").read()
    states = {row["entity"]: row for row in good("replay", cwd=folder).rows}
    done = good("redact", "--where", "data.who IS NOT NULL", "--reason", "asked to", "--actor", "dpo", "-y", cwd=folder)
    assert [row["position"] for row in done.rows] == NAMED
    assert f"{len(NAMED)} records erased; the root is still {before.root}" in done.err
    assert "delivered again is new evidence" in done.err
    assert SECRET.encode() not in told(folder / ".esctl")
    after = open_log(folder / ".esctl").read()
    assert (after.root, after.head, after.erased) == (before.root, before.head, len(NAMED))
    assert len(list((folder / ".esctl" / "log").iterdir())) == len(after.segments) == 2
    assert "intact" in good("verify", "--full", cwd=folder).err
    left = good("replay", "--basis", cwd=folder)
    assert f"note: {len(NAMED)} erased events in scope: esctl log --erased" in left.err
    assert json.loads(left.err.splitlines()[-1])["erased"] == len(NAMED)
    assert {row["entity"]: row["version"] for row in left.rows} == {
        entity: row["version"] - 2 for entity, row in states.items()
    }
    assert [row["position"] for row in good("log", "--erased", cwd=folder).rows] == NAMED
    assert {row["invalid"] for row in good("log", "--erased", cwd=folder).rows} == {"erased"}
    status = good("status", cwd=folder).row
    assert (status["erased"], status["invalid"], status["without_entity"]) == (len(NAMED), 0, 0)
    doctor = good("doctor", cwd=folder)  # no finding of its own
    assert "note: 6 erased events in scope" in doctor.err


def test_sources_go_on_as_before(folder: Path) -> None:
    good("redact", "@1", "@13", *YES, cwd=folder)
    assert good("ingest", "a.jsonl", "b.jsonl", cwd=folder).row["new"] == 0
    write_lines(folder / "a.jsonl", [*EVENTS[:12], plain_event(30)])
    assert good("ingest", "a.jsonl", cwd=folder).row["new"] == 1
    message, hint = refused("export", "--raw", "--source", "a.jsonl", code=3, cwd=folder)
    assert "1 records of a.jsonl were erased, the first at position 1" in message
    assert "--skip-erased" in hint
    left = good("export", "--raw", "--source", "a.jsonl", "--skip-erased", cwd=folder)
    assert left.out == (folder / "a.jsonl").read_bytes().partition(b"\n")[2]
    assert "note: 1 erased records of a.jsonl are left out" in left.err
    good("verify", "--full", cwd=folder)
    good("redact", "evt-30", *YES, cwd=folder)
    again = good("ingest", "-", cwd=folder, stdin=json.dumps(plain_event(30)).encode() + b"\n").row
    assert (again["new"], again["duplicates"]) == (1, 0)


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
    old = json.loads(good("replay", "--basis", cwd=folder).err.splitlines()[-1])
    (folder / "old.json").write_text(json.dumps(old))
    good("redact", "@5", *YES, cwd=folder)
    message, hint = refused("replay", "--basis-from", "old.json", code=3, cwd=folder)
    assert "1 of the records that it rests on were erased since" in message
    assert "another one" in hint
    new = good("replay", "--basis", cwd=folder)
    (folder / "new.json").write_text(new.err.splitlines()[-1])
    write_lines(folder / "c.jsonl", [plain_event(40)])
    good("ingest", "c.jsonl", "-q", cwd=folder)
    assert good("replay", "--basis-from", "new.json", cwd=folder).out == new.out
    good("redact", "evt-40", *YES, cwd=folder)  # which that basis does not rest on
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
    assert good("show", "evt-8", cwd=folder).row["duplicate_of"] is None  # it counts from now on
    assert good("redact", "@13", "--no-duplicates", *YES, cwd=folder).row["position"] == 13
    good("verify", "--full", cwd=folder)


def test_an_entity_can_be_erased_and_looked_at_before(folder: Path) -> None:
    plan = good("redact", "--entity", "thing-1", "--dry-run", cwd=folder)
    assert [row["position"] for row in plan.rows] == list(range(2, 25, 3))
    assert "8 records would be erased" in plan.err
    assert open_log(folder / ".esctl").read().erased == 0
    good("redact", "--entity", "thing-1", "--where", "data.who IS NULL", *YES, cwd=folder)
    good("redact", "--entity", "thing-1", *YES, cwd=folder)
    assert {row["entity"] for row in good("entities", cwd=folder).rows} == {"thing-0", "thing-2"}
    assert "note: 8 erased events in scope, of whatever entity" in good("replay", "thing-0", cwd=folder).err
    assert "note: 1 erased event in scope" in good("replay", "--at", "@2", cwd=folder).err
    assert "erased" not in good("replay", "--at", "@1", cwd=folder).err


def test_what_was_recognised_stays_recognised(tmp_path: Path) -> None:
    one = json.dumps(plain_event(0)).encode() + b"\n"
    good("ingest", "--erasable", "-", "-q", cwd=tmp_path, stdin=one)
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    write_lines(tmp_path / "a.jsonl", [plain_event(n) for n in range(1, 9)])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    states = good("replay", cwd=tmp_path)
    good("redact", "evt-1", *YES, cwd=tmp_path)  # all that detection had looked at
    shutil.rmtree(tmp_path / ".esctl" / "index")
    assert good("replay", cwd=tmp_path).row["state"] == states.row["state"]
    good("verify", "--full", cwd=tmp_path)


def test_cells_can_be_erased(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"id,type,entity,name\n1,Named,t-1,{SECRET}\n2,Named,t-1,Bo\n")
    good("ingest", "--erasable", "a.csv", "-q", cwd=tmp_path)
    good("redact", "1", *YES, cwd=tmp_path)
    assert SECRET.encode() not in told(tmp_path / ".esctl")
    assert good("replay", cwd=tmp_path).row["state"] == {"name": "Bo"}
    good("verify", "--full", cwd=tmp_path)


def test_refusals(folder: Path) -> None:
    assert "--reason" in refused("redact", "@1", code=2, cwd=folder)[0]
    assert "nothing is named" in refused("redact", *YES, code=2, cwd=folder)[0]
    assert "give one or the other" in refused("redact", "@1", "--entity", "thing-1", *YES, code=2, cwd=folder)[1]
    refused("redact", "@99", *YES, code=4, cwd=folder)
    refused("redact", "--entity", "thing-9", *YES, code=4, cwd=folder)
    assert "--yes" in refused("redact", "@1", "--reason", "r", code=2, cwd=folder)[1]
    assert open_log(folder / ".esctl").read().erased == 0


def test_a_store_that_is_not_erasable_says_so(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", EVENTS)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    message, hint = refused("redact", "@1", *YES, code=2, cwd=tmp_path)
    assert "is not erasable" in message
    assert "guessed from its hash" in message
    assert "ingest --erasable" in hint


def test_on_a_terminal_it_asks(folder: Path) -> None:
    # Nobody types: the terminal's end of input is no.
    shown, code = on_terminal("redact", "@1", "--reason", "r", cwd=folder, answer=b"n\n")
    assert "Erase 1 record for good? [y/N]" in shown
    assert "nothing was erased" in shown
    assert code == 1
    _, code = on_terminal("redact", "@1", "--reason", "r", cwd=folder, answer=b"y\n")
    assert code == 0
    assert open_log(folder / ".esctl").read().erased == 1


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


def erase(path: Path, files: Failing) -> None:
    store = Store.open(path)
    redact(path, Wanted(NAMED, "asked to", "dpo"), store.updater(), files)


def test_killed_at_every_step(made: Path, tmp_path: Path) -> None:
    counting = Dying()
    undisturbed = shutil.copytree(made / ".esctl", tmp_path / "undisturbed")
    erase(undisturbed, counting)
    root = open_log(undisturbed).read().root
    assert len(counting.steps) > 25
    for step in range(len(counting.steps)):
        path = shutil.copytree(made / ".esctl", tmp_path / f"at{step}")
        with pytest.raises(Killed):
            erase(path, Dying(step))
        now = open_log(path).read()
        assert (now.root, now.erased) in ((root, 0), (root, len(NAMED)))
        check(now)
        if now.erased:
            complete(path)
        else:
            erase(path, Failing())
        assert SECRET.encode() not in told(path)
        assert check(open_log(path).read()).num_rows == len(EVENTS)
        shutil.rmtree(path)


@pytest.mark.parametrize("step", range(0, 40, 3))
def test_a_full_disk_is_an_error_and_changes_nothing_by_halves(made: Path, tmp_path: Path, step: int) -> None:
    path = shutil.copytree(made / ".esctl", tmp_path / "store")
    try:
        erase(path, Failing(step))
    except InputError:
        now = open_log(path).read()
        assert now.erased in (0, len(NAMED))
        check(now)
        erase(path, Failing())
    complete(path)
    assert SECRET.encode() not in told(path)


def test_an_index_of_before_an_erasure_is_not_read(made: Path, tmp_path: Path) -> None:
    path = shutil.copytree(made / ".esctl", tmp_path / "store")
    shutil.copytree(path / "index", tmp_path / "index")
    erase(path, Failing())
    shutil.rmtree(path / "index")
    shutil.copytree(tmp_path / "index", path / "index")
    store = Store.open(path)
    assert SECRET not in str(store.events().rows())
    left = [folder for folder in (path / "index").iterdir() if SECRET.encode() in told(folder)]
    assert store.index_folder not in left
    complete(path)
    assert SECRET.encode() not in told(path)
