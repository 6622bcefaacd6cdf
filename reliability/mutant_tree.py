"""A copy of the checkout in which changes are tried, one after the other, each against the tests that reach it."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from reliability.checkout import copy_checkout, variables_of
from reliability.mutant_operators import Mutant
from reliability.reached import file_of
from reliability.report import ROOT

if TYPE_CHECKING:
    import pytest

CPU_SECONDS = 600
"""The most that a run may take: a change may make a loop that does not end."""
MEMORY = 12 << 30
"""The most bytes that a process may have: a change may make a loop that gathers rows."""
BROKEN = 99
QUIET = ("-q", "-W", "ignore::pytest.PytestAssertRewriteWarning")  # for what is preloaded


class Tried(Struct, frozen=True):
    """The result of trying a change.

    `tests`: how many were to notice it; `failed`: the one that did; "" if none could be imported or the run took too
    long; None if all passed.
    """

    mutant: Mutant
    tests: int
    failed: str | None
    took_too_long: bool
    seconds: float

    @property
    def noticed(self) -> bool:
        """Return whether a test failed."""
        return self.failed is not None

    def __str__(self) -> str:
        # A run that takes too long counts as noticed, which may be wrong on a machine that is busy with other work.
        result = "SURVIVES" if not self.noticed else "TOO LONG" if self.took_too_long else "noticed "
        by = f"by {self.failed}" if self.failed else f"{self.tests} tests reach it" if self.failed is None else ""
        return f"{result} {self.seconds:4.0f} s  {self.mutant}  {by}".rstrip()


class Tree:
    """A copy of the checkout in which changes are tried, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writes = 0
        self._took_too_long = False
        copy_checkout(folder)

    def attempt(self, mutant: Mutant, tests: Sequence[str]) -> Tried:
        """Make a change, run tests until one fails that passes without the change, and take the change back."""
        started, left = time.monotonic(), list(tests)
        while (failed := self._failed_with(mutant, left)) and self._run_apart([failed]) is not None:
            left = left[left.index(failed) + 1 :] if failed in left else []
        return Tried(mutant, len(tests), failed, self._took_too_long, time.monotonic() - started)

    def _failed_with(self, mutant: Mutant, tests: Sequence[str]) -> str | None:
        if not tests:
            return None
        source = (self.folder / mutant.file).read_bytes()
        if source[mutant.start : mutant.end] != mutant.before.encode():
            raise SystemExit(f"{mutant.file} was changed while changes of it were tried")
        self._write(mutant.file, mutant.applied(source))
        try:
            return self._run_apart(tests)
        finally:
            self._write(mutant.file, source)

    def _write(self, name: str, source: bytes) -> None:
        # Python decides by the file's size and the second of its time whether compiled code is current.
        self._writes += 1
        (self.folder / name).write_bytes(source)
        os.utime(self.folder / name, (1_000_000_000 + self._writes,) * 2)

    def _run_apart(self, tests: Sequence[str]) -> str | None:
        """Run tests in a forked process; return the first that fails, or None if all pass.

        Returns "" if they cannot be imported or take too long. Raises SystemExit if they cannot be run.
        """
        self._failed.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            code = BROKEN
            try:
                code = self._run(tests)
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        try:
            _, status = os.waitpid(child, 0)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)  # what a test started and left behind
        code = os.waitstatus_to_exitcode(status)
        self._took_too_long = code in (-signal.SIGALRM, -signal.SIGXCPU)
        if code not in (0, 1, 2) and code >= 0:  # passed, failed, could not be imported, or took too long
            raise SystemExit(f"pytest ends with {code}:\n{self._out.read_text(errors='replace')[-2000:]}")
        if code == 0:
            return None
        return self._failed.read_text(encoding="utf-8") if self._failed.exists() and code == 1 else ""

    @property
    def _out(self) -> Path:
        """The output of the last run."""
        return self.folder.with_suffix(".out")

    @property
    def _failed(self) -> Path:
        """The name of the first test that failed in the last run."""
        return self.folder.with_suffix(".failed")

    def _run(self, tests: Sequence[str]) -> int:
        import pytest

        os.setsid()
        signal.alarm(3 * CPU_SECONDS)  # for a test that waits without using the processor
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        out = os.open(self._out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(out, stream)
        os.chdir(self.folder)
        os.environ.update(variables_of(self.folder))
        sys.path[:] = [str(self.folder), *(place for place in sys.path if place and Path(place) != ROOT)]
        for name in [name for name in sys.modules if name.partition(".")[0] in ("esctl", "tests", "reliability")]:
            del sys.modules[name]
        files = dict.fromkeys(map(file_of, tests))
        options = ["-x", "-n", "0", "-p", "no:cacheprovider", *QUIET]
        return int(pytest.main([*options, *files], plugins=[_Chosen(tests, self._failed)]))


class _Chosen:
    """A pytest plugin that runs some tests only, in a given order, and writes down the first that fails."""

    def __init__(self, tests: Sequence[str], failed: Path) -> None:
        self._tests = tests
        self._kept = failed

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        by_name = {item.nodeid: item for item in session.items}
        session.items[:] = [by_name[test] for test in self._tests if test in by_name]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._kept.exists():
            self._kept.write_text(report.nodeid, encoding="utf-8")
