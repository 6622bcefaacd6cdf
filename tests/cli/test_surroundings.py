"""Full and read-only disks, closed and oddly named folders, clocks that go back: clear errors, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from esctl.ledger.check.verify import VerifyOptions, verify
from esctl.log.commits import create_store
from esctl.log.reader import read_table
from esctl.log.writer import LogWriter
from tests.support import log_helpers as logs
from tests.support.cli_harness import esctl, good, plain_event, refused, surroundings, write_lines

EVENTS = 300


@pytest.fixture
def work(tmp_path: Path) -> Path:
    write_lines(tmp_path / "one.jsonl", [plain_event(number, f"thing-{number % 5}") for number in range(EVENTS)])
    return tmp_path


def mounted(script: str, work: Path) -> list[str]:
    """Run a shell script that may mount, in a namespace of its own; gives the lines it wrote."""
    enter = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    program = f'esctl() {{ "{sys.executable}" -m esctl "$@"; }}\n'
    done = subprocess.run(
        [*enter, "sh", "-ec", program + script],
        cwd=work,
        env=surroundings(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_full_disk_loses_nothing(work: Path) -> None:
    (work / "disk").mkdir()
    before, full, told, after, intact, same = mounted(
        """
        mount -t tmpfs -o size=160k tmpfs disk
        head -n 20 one.jsonl > some.jsonl
        esctl --store disk/.esctl ingest -q some.jsonl > out 2>&1; echo $?
        dd if=/dev/zero of=disk/ballast bs=4k 2> /dev/null || true
        code=0; esctl --store disk/.esctl ingest -q one.jsonl > out 2> said || code=$?; echo $code
        grep -c 'No space left on device' said
        rm disk/ballast; mount -o remount,size=8m disk
        esctl --store disk/.esctl ingest -q one.jsonl > out; echo $?
        esctl --store disk/.esctl verify -q --full > out; echo $?
        esctl --store disk/.esctl export -q --raw --source some.jsonl | cmp - one.jsonl; echo $?
        """,
        work,
    )
    assert (before, full, told, after, intact, same) == ("0", "3", "1", "0", "0", "0")


def test_a_read_only_disk_answers_and_takes_nothing(work: Path) -> None:
    good("ingest", "-q", "one.jsonl", cwd=work)
    expected = good("replay", "-q", cwd=work).text
    shutil.rmtree(work / ".esctl" / "index")
    write_lines(work / "two.jsonl", [plain_event(1000)])
    ingested, told, verified, *states = mounted(
        """
        mount --bind .esctl .esctl; mount -o remount,ro,bind .esctl
        code=0; esctl ingest -q two.jsonl > out 2> said || code=$?; echo $code
        grep -c 'esctl: error: cannot .*Read-only file system' said
        esctl verify -q --full > out; echo $?
        esctl replay -q
        """,
        work,
    )
    assert (ingested, told, verified) == ("3", "1", "0")
    assert states == expected.splitlines()


def test_folders_that_may_not_be_entered_are_named(work: Path) -> None:
    good("ingest", "-q", "one.jsonl", cwd=work)
    command = [sys.executable, "-m", "esctl"]
    if os.getuid() == 0:  # whom no mode of a file stops, unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("root can read everything here")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    expected = good("replay", "-q", cwd=work).text
    for folder, asked in (("log", "export --raw --source one.jsonl"), ("commits", "replay"), ("commits", "verify")):
        closed = work / ".esctl" / folder
        closed.chmod(0)
        try:
            done = esctl(*asked.split(), cwd=work, command=command)
        finally:
            closed.chmod(0o755)
        assert done.code == 3, (folder, asked, done.err)
        assert f".esctl/{folder}" in done.err
        assert "Permission denied" in done.err
    write_lines(work / "two.jsonl", [plain_event(1000)])
    (work / ".esctl" / "log").chmod(0o555)
    done = esctl("ingest", "two.jsonl", cwd=work, command=command)
    (work / ".esctl" / "log").chmod(0o755)
    assert done.code == 3
    assert "Permission denied" in done.err
    assert good("replay", "-q", cwd=work).text == expected
    good("verify", "-q", "--full", cwd=work)


def test_a_store_may_lie_anywhere(work: Path) -> None:
    odd = work / "a b\n'ü\" %s*?[x] 日本"
    odd.mkdir()
    shutil.copy(work / "one.jsonl", odd / "one.jsonl")
    good("ingest", "-q", "one.jsonl", cwd=odd)
    good("verify", "-q", "--full", cwd=odd)
    assert good("export", "-q", "--raw", "--source", "one.jsonl", cwd=odd).out == (odd / "one.jsonl").read_bytes()
    assert len(good("replay", "-q", cwd=odd).rows) == 5
    shutil.move(odd / ".esctl", work / "-store 2")
    assert len(good("--store", str(work / "-store 2"), "replay", "-q", cwd=work).rows) == 5


def test_a_store_of_a_newer_format_is_left_alone(work: Path) -> None:
    good("ingest", "-q", "one.jsonl", cwd=work)
    path = work / ".esctl" / "format.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    kept = {each: each.read_bytes() for each in (work / ".esctl").rglob("*") if each.is_file()}
    for asked in (["ingest", "one.jsonl"], ["replay"], ["reindex"], ["status"]):
        message, hint = refused(*asked, code=3, cwd=work)
        assert "has the format 2; this esctl knows 1" in message
        assert "newer" in hint
    assert {each: each.read_bytes() for each in (work / ".esctl").rglob("*") if each.is_file()} == kept


def test_a_clock_set_back_moves_no_record_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / ".esctl"
    create_store(path)
    for number, now in enumerate((logs.NOW, logs.NOW - 3_600_000_000, 0)):
        with LogWriter(path, clock=lambda now=now: now, files=logs.Unsynced()) as writer:  # type: ignore[misc]
            writer.append([logs.part(f"source-{number}", [b'{"n":1}\n'])])
    assert verify(path, VerifyOptions(full=True)).is_intact
    store_state = logs.reopened(path)
    times = read_table(store_state, 1, 3, ["recorded_at"])["recorded_at"].cast("int64").to_pylist()
    assert times == [logs.NOW, logs.NOW + 1, logs.NOW + 2]
