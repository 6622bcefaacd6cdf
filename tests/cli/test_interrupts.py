"""Ctrl-C and a killed process: exit 130, and a run that goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_harness import ESCTL, good, surroundings

LINES = 60_000
INTERRUPTED = "esctl: interrupted: what is committed is kept; the same command goes on from there"

# Commits are made small, so that there is something between two of them. The signal is sent by the process itself, at a
# place that is counted, not timed.
PROGRAM = """
import os, signal, sys
import esctl.intake.intake
from esctl.cli import app
from esctl.log import writer

esctl.intake.intake.COMMIT_ROWS = 10_000
number, stop = int(sys.argv.pop(1)), getattr(signal, sys.argv.pop(1))
import esctl.sources.files.reading as reading
plain = reading.SourceOptions
reading.SourceOptions = lambda *arguments, **named: plain(*arguments, **{**named, "batch_rows": 5_000})
append, calls = writer.LogWriter.append, 0

def counted(self, *arguments, **named):
    global calls
    calls += 1
    if calls == number:
        os.kill(os.getpid(), stop)
    return append(self, *arguments, **named)

writer.LogWriter.append = counted
app.main()
"""


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a log of many commits and a store of an undisturbed run."""
    folder = tmp_path_factory.mktemp("big")
    with (folder / "big.jsonl").open("w") as file:
        for i in range(LINES):
            file.write(
                f'{{"id":"e{i}","type":"Added","time":"2024-01-01T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}Z",'
                f'"stream":"thing-{i % 500}","data":{{"n":{i}}}}}\n'
            )
    good("ingest", "big.jsonl", "-q", cwd=folder)
    return folder


def run_to(number: int, stop: str, folder: Path, source: Path) -> tuple[int, str]:
    command = [sys.executable, "-c", PROGRAM, str(number), stop, "ingest", str(source), "-q"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=surroundings(), check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(("stop", "code", "talk"), [("SIGINT", 130, f"{INTERRUPTED}\n"), ("SIGKILL", -9, "")])
@pytest.mark.parametrize("number", [1, 3])
def test_an_ingest_that_was_stopped_goes_on(
    big: Path, tmp_path: Path, number: int, stop: str, code: int, talk: str
) -> None:
    source = Path(os.path.relpath(big / "big.jsonl", tmp_path))
    assert run_to(number, stop, tmp_path, source) == (code, talk)
    commits = list((tmp_path / ".esctl" / "commits").glob("0*.json"))
    assert len(commits) == number - 1
    assert not list(tmp_path.rglob("*.lock.tmp"))
    kept = good("status", cwd=tmp_path).row["head"] if commits else 0
    assert kept == (number - 1) * 10_000
    summary = good("ingest", source, "-q", cwd=tmp_path).row
    assert (summary["new"], summary["head"]) == (LINES - kept, LINES)
    again, undisturbed = (good("status", cwd=folder).row for folder in (tmp_path, big))
    for name in ("head", "entities", "types", "first", "last", "duplicates", "invalid"):
        assert again[name] == undisturbed[name]
    assert good("replay", cwd=tmp_path).out == good("replay", cwd=big).out
    exported = good("export", "--raw", cwd=tmp_path).out
    assert exported == (big / "big.jsonl").read_bytes()
    listed = "position,offset,time,id,type,entity,data"
    assert good("log", "--columns", listed, cwd=tmp_path).out == good("log", "--columns", listed, cwd=big).out


def test_ctrl_c_while_a_replay_runs_ends_with_130(big: Path) -> None:
    config = big / "slow.toml"
    # One state a row of a product that takes minutes: it cannot be done before the signal comes.
    config.write_text(
        "[projections.slow]\n"
        'sql = "select a.entity, count(*) as n from events a, events b, events c group by a.entity"\n'
    )
    process = subprocess.Popen(
        [*ESCTL, "--config", str(config), "replay", "--at", "2024-01-03"],
        cwd=big,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=surroundings(),
    )
    assert process.stderr is not None
    # What the bound was resolved to is said when all is ready, before the query runs.
    assert process.stderr.readline() == b"at 2024-01-03T23:59:59.999999Z, position 60000\n"
    process.send_signal(signal.SIGINT)
    out, talk = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, b""), talk.decode()
    assert talk.splitlines()[-1] == b"esctl: interrupted"
    assert b"Traceback" not in talk


def test_ctrl_c_while_rows_are_written_ends_with_130(big: Path) -> None:
    process = subprocess.Popen(
        [*ESCTL, "log"], cwd=big, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings()
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["position"] == 1  # a pipe holds far less than the whole answer
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=60)
    assert (process.returncode, talk) == (130, b"esctl: interrupted\n")


def test_an_interrupt_inside_exec_is_handled_like_any_other(tmp_path: Path) -> None:
    # As it happens when Ctrl-C comes while a named tuple is being made in an import; `python -m` alone minds it.
    (tmp_path / "interrupted.py").write_text(
        "import sys\n"
        "from esctl.cli import app\n"
        "app.print_version = lambda: exec('raise KeyboardInterrupt')\n"
        "sys.argv[1:] = ['--version']\n"
        "app.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        cwd=tmp_path,
        capture_output=True,
        env=surroundings(),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"esctl: interrupted\n")
