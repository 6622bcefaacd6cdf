"""Run esctl in processes whose calls to the kernel fail at a chosen place."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).parent
NOW = 1_700_000_000_000_000
"""What every process takes for the time: two runs then give the same tree."""
ROWS = 150
"""Records of a commit, so that a small log makes several."""
SUMMARY_EVERY = 2
"""Commits from one summary to the next, so that there are some."""
SECONDS = 120
"""A command that takes longer hangs."""
_KILL = -1  # as fault.c has it


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of a call: the error it fails with, 0 for none. `lasting`: and of all later ones, but removals."""

    name: str
    error: int
    lasting: bool = False


NONE = Fault("none", 0)
KILLED = Fault("SIGKILL", _KILL)
BROKEN = Fault("EIO", errno.EIO)
FULL = Fault("ENOSPC", errno.ENOSPC, lasting=True)
READ_ONLY = Fault("EROFS", errno.EROFS, lasting=True)
FORBIDDEN = Fault("EACCES", errno.EACCES, lasting=True)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: exit code (-9: killed), what it said, which calls it made in its folder."""

    code: int
    out: str
    said: str
    calls: tuple[str, ...]


def prepare(build: Path) -> str:
    """Compile fault.c and have every process of this campaign begin with it; gives why not where that is impossible."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not sys.platform.startswith("linux") or compiler is None:
        return "faults are injected on Linux, where there is a C compiler"
    build.mkdir(parents=True, exist_ok=True)
    library = build / "fault.so"
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, HERE / "fault.c", "-ldl"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        return f"fault.c does not compile: {made.stderr}"
    _serve(library)
    return ""


def _serve(library: Path) -> None:
    """Start the process that all others are forked from, with everything imported and the library preloaded."""
    from multiprocessing import forkserver

    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # one that others started has no library preloaded
    get_context("forkserver").set_forkserver_preload(["reliability.loaded"])
    before = os.environ.get("LD_PRELOAD")
    os.environ["LD_PRELOAD"] = str(library.resolve())
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["LD_PRELOAD"]
        else:
            os.environ["LD_PRELOAD"] = before


def esctl(work: Path, arguments: Sequence[str], fault: Fault = NONE, place: int = 0) -> Ran:
    """Run a command in a folder, the call number `place` below it failing (0: none does)."""
    outside = work.with_name(f"{work.name}.run")
    outside.mkdir(exist_ok=True)
    process = get_context("forkserver").Process(target=_run, args=(work, outside, list(arguments), fault, place))
    process.start()
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{' '.join(arguments)} hangs with {fault.name} at {place}")
    out, said, calls = ((outside / name).read_text("utf-8", "replace") for name in ("out", "said", "calls"))
    shutil.rmtree(outside)
    return Ran(process.exitcode, out, said, tuple(calls.splitlines()))


def _run(work: Path, outside: Path, arguments: list[str], fault: Fault, place: int) -> None:
    import ctypes

    from esctl.cli.app import main

    os.setpgrp()
    surround(work)
    for number, name in ((1, "out"), (2, "said")):
        os.dup2(os.open(outside / name, os.O_WRONLY | os.O_CREAT), number)
    calls = os.open(outside / "calls", os.O_WRONLY | os.O_CREAT)
    sys.argv = ["esctl", *arguments]
    arm = getattr(ctypes.CDLL(None), "fault_arm", None)
    if arm is None and fault != NONE:
        raise RuntimeError("no fault can be injected: fault.so is not preloaded")
    if arm is not None:
        arm(os.fsencode(work), ctypes.c_long(place), fault.error, int(fault.lasting), calls)
    main()


def surround(work: Path, *, standing: bool = True) -> None:
    """Let this process be in a folder, with its user's folders there, commits small, and the clock `standing`."""
    from esctl.intake import batch
    from esctl.ledger.check import commits as chain
    from esctl.log import commits
    from esctl.log.writer import LogWriter
    from esctl.sources.files import reading

    os.chdir(work)
    os.environ.update(XDG_STATE_HOME=str(work / "state"), XDG_CONFIG_HOME=str(work / "config"))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    batch.COMMIT_ROWS = ROWS
    commits.SUMMARY_EVERY = chain.SUMMARY_EVERY = SUMMARY_EVERY  # type: ignore[attr-defined]
    reading.SourceOptions = partial(reading.SourceOptions, batch_rows=ROWS)  # type: ignore[assignment,misc]
    if standing:
        LogWriter.__init__.__kwdefaults__["clock"] = clock  # type: ignore[index]


def clock() -> int:
    """Give the time that it always is."""
    return NOW
