"""Seeded samples of the campaigns in reliability/; `make reliability` runs them whole.

Where everything is tried they are of other points: see tests/support/effort.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from multiprocessing import active_children, get_context
from pathlib import Path

import pytest

from esctl.log.commits import open_log
from reliability import crash, damage, flips, race
from reliability.running import BROKEN, esctl, prepare, start_alone
from reliability.stores import STORE, write_log
from tests.support import effort

SEED = effort.SEED or 7
SCENARIOS = {scenario.name: scenario for scenario in crash.SCENARIOS}


COUNTED = """
import ctypes, os, sys
from pathlib import Path
from esctl.cli.app import main
from reliability.running import enter_folder
work = Path(sys.argv[1])
enter_folder(work)
calls = os.open(work.with_name("calls"), os.O_WRONLY | os.O_CREAT)
sys.argv = ["esctl", "ingest", "-q", str(work / "one.jsonl")]
ctypes.CDLL(None).fault_arm(os.fsencode(work), ctypes.c_long(0), 0, 0, calls)
main()
"""
CHANGING = "write,pwrite64,writev,pwritev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir"
ALIKE = {"pwrite64": "write", "writev": "write", "pwritev": "write", "fdatasync": "fsync", "open": "create"}
CALL = re.compile(r"^\d+ +(\w+)\((.*)", re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("build")
    if problem := prepare(build):
        pytest.skip(problem)
    return build / "fault.so"


@pytest.mark.thorough
def test_the_kernel_sees_just_the_calls_that_are_counted(tmp_path: Path, library: Path) -> None:
    work, trace = tmp_path / "work", tmp_path / "trace"
    work.mkdir()
    write_log(work)
    traced = ["strace", "-f", "-y", "-e", f"trace={CHANGING},open,openat", "-o", str(trace)]
    if shutil.which("strace") is None or subprocess.run([*traced, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no process can be traced here")
    here = {"PYTHONPATH": str(Path(__file__).parents[2]), "LD_PRELOAD": str(library), "PATH": os.environ["PATH"]}
    program = [sys.executable, "-c", COUNTED, str(work)]
    subprocess.run([*traced, *program], env=here, check=True, capture_output=True)
    counted = Counter(line.partition(" ")[0] for line in (tmp_path / "calls").read_text().splitlines())
    seen: Counter[str] = Counter()
    for name, rest in CALL.findall(trace.read_text()):
        inside = f"{work}/" in rest or '".esctl' in rest
        if inside and (not name.startswith("open") or "O_CREAT" in rest):
            kind = re.sub(r"at2?$", "", name)
            seen[ALIKE.get(kind, kind)] += 1
    assert seen == counted
    assert counted.total() > 100


@pytest.mark.parametrize("name", ["ingest, a new store", "redact", "compact"])
def test_a_command_that_fails_anywhere_leaves_the_store_whole(name: str) -> None:
    figures = crash.campaign(effort.examples(7, 5), SEED, [SCENARIOS[name]])
    assert figures.failures == [], SEED
    assert figures.points.total() == effort.examples(7, 5)


def test_an_ingest_makes_several_commits(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    write_log(work)
    assert esctl(work, ["ingest", "-q", "one.jsonl"]).code == 0  # 320 records, 150 to a commit
    assert open_log(work / STORE).read().seq == 3


def test_no_other_thread_takes_the_exit_code_of_a_process() -> None:
    context = get_context("forkserver")
    go_on = context.Event()
    process = context.Process(target=go_on.wait)
    start_alone(process)
    asked = active_children()  # each start asks all of these for their codes
    go_on.set()
    process.join()
    assert process not in asked
    assert process.exitcode == 0


def test_calls_of_all_libraries_are_seen(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    write_log(work)
    calls = esctl(work, ["ingest", "one.jsonl"]).calls
    assert {call.partition(" ")[0] for call in calls} >= {
        "create",
        "write",
        "fsync",
        "rename",
        "link",
        "unlink",
        "mkdir",
    }
    assert any(call.startswith("write .esctl/index/") and ".parquet" in call for call in calls)  # by Arrow's own writer
    place = next(at for at, call in enumerate(esctl(work, ["reindex"]).calls, 1) if call.startswith("fsync "))
    assert esctl(work, ["reindex"], BROKEN, place).code == 3


@pytest.mark.thorough
def test_flipped_bits_are_found_and_mislead_nobody() -> None:
    figures = flips.campaign(effort.examples(800, 300), SEED, workers=1, read_every=20)
    assert figures.failures == [], SEED
    kinds = {kind for kind, _ in figures.flips}
    assert kinds >= {
        "segment", "index file", "manifest", "summary", "commit", "checkpoint", "format.json", "mapping.json",
    }  # fmt: skip
    assert "another file" not in kinds
    assert figures.reads["refused, the file named"]


def test_files_that_are_cut_gone_old_or_anothers_are_found() -> None:
    figures = damage.campaign()
    assert figures.failures == []
    assert {what for _, what in figures.cases} >= {"removed", "cut in half", "another's content", "older version"}


def test_the_numbers_of_a_race_may_be_left_out() -> None:
    assert race.numbers([]) == (race.WRITERS, race.COMMITS)
    assert race.numbers(["3"]) == (3, race.COMMITS)
    assert race.numbers(["3", "2"]) == (3, 2)


def test_writers_and_readers_at_once() -> None:
    figures = race.campaign(3, 2)
    assert figures.failures == []
    assert (figures.records, figures.writers) == (3 * 2 * race.RECORDS, 3)
    assert figures.reads
