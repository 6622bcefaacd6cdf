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
from multiprocessing import process as processes
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock
from types import ModuleType

HERE = Path(__file__).parent
NOW = 1_700_000_000_000_000
"""The time that every process is given, so that two runs give the same tree."""
ROWS = 150
"""Records of a commit, so that a small log makes several commits."""
SUMMARY_EVERY = 2
"""Commits from one summary to the next, so that there are summaries."""
SECONDS = 120
"""A command that takes longer is taken to hang."""
_KILL = -1  # as fault.c has it
_STARTING = Lock()


@dataclass(frozen=True, slots=True)
class Fault:
    """The errno that a call fails with (0: none, -1: SIGKILL). `lasting`: all later calls fail too, except removals."""

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
    """How a command ended: exit code (-9: killed), stdout, stderr, and the calls it made in its folder."""

    code: int
    out: str
    err: str
    calls: tuple[str, ...]


def prepare(build: Path) -> str:
    """Compile fault.c and preload it in every process of this campaign; return why not if that is impossible."""
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
    _start_fork_server(library)
    return ""


def _start_fork_server(library: Path) -> None:
    """Start the process from which all others are forked, with everything imported and the library preloaded."""
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
    """Run a command in a folder, and have call number `place` in it fail (0: none). Raises TimeoutError if it hangs."""
    outside = work.with_name(f"{work.name}.run")
    outside.mkdir(exist_ok=True)
    process = get_context("forkserver").Process(target=_run, args=(work, outside, list(arguments), fault, place))
    start_alone(process)
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{' '.join(arguments)} hangs with {fault.name} at {place}")
    out, err, calls = ((outside / name).read_text("utf-8", "replace") for name in ("out", "said", "calls"))
    shutil.rmtree(outside)
    return Ran(process.exitcode, out, err, tuple(calls.splitlines()))


def start_alone(process: BaseProcess) -> None:
    """Start a process whose exit code only this thread reads.

    `start` asks all children that it knows of for theirs, which can be read once: a thread that came second got 255.
    """
    with _STARTING:
        process.start()
        processes._children.discard(process)  # type: ignore[attr-defined]


def _run(work: Path, outside: Path, arguments: list[str], fault: Fault, place: int) -> None:
    import ctypes

    from esctl.cli.app import main

    os.setpgrp()
    enter_folder(work)
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


def enter_folder(work: Path, *, standing: bool = True) -> None:
    """Move this process into a folder with the user's folders, small commits and, if `standing`, a fixed time."""
    from esctl.ledger.check import commits as chain
    from esctl.log import commits
    from esctl.log.writer import LogWriter

    use_folder(work)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    set_commit_rows(ROWS)
    set_constant(commits, "SUMMARY_EVERY", SUMMARY_EVERY)
    set_constant(chain, "SUMMARY_EVERY", SUMMARY_EVERY)
    if standing:
        LogWriter.__init__.__kwdefaults__["clock"] = clock  # type: ignore[index]


def use_folder(work: Path) -> None:
    """Move this process into a folder, with the user's own folders inside it."""
    os.chdir(work)
    os.environ.update(XDG_STATE_HOME=str(work / "state"), XDG_CONFIG_HOME=str(work / "config"))


def set_commit_rows(rows: int) -> None:
    """Make this process read and commit `rows` records at a time."""
    from esctl.intake import intake
    from esctl.sources.files import reading

    set_constant(intake, "COMMIT_ROWS", rows)
    set_constant(reading, "SourceOptions", partial(reading.SourceOptions, batch_rows=rows))


def set_constant(module: ModuleType, name: str, value: object) -> None:
    """Set a name of a module. Raises AttributeError if it has none: a constant that moved would be set in vain."""
    getattr(module, name)
    setattr(module, name, value)


def clock() -> int:
    """Return the fixed time."""
    return NOW
