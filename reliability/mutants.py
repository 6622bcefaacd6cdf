"""Change the code a little and see whether the tests notice: `python -m reliability.mutants [N] [SEED] [PART]`.

N changes are drawn of all that can be made in `MODULES` (of those under PART, where it is given); of each the tests
that concern the module are run on a copy of the tree. What no test notices is printed.
"""

from __future__ import annotations

import importlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

from msgspec import Struct

from reliability.mutant_operators import Mutant, mutants_of
from reliability.report import ROOT, keep

SAMPLE, SEED = 100, 1
MODULES = ("esctl/projection", "esctl/ask", "esctl/ledger", "esctl/log/writer.py")
CPU_SECONDS = 600
"""What a run may take at most: a change may make a loop that does not end."""
MEMORY = 12 << 30
"""Bytes that a process may have at most: a change may make a loop that gathers rows."""
BROKEN = 99
FEWER = ("-k", "not [1] and not [2]")  # of properties that are tried with several seeds, the first
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # of what is preloaded
PRELOADED = (
    "pytest", "_pytest.main", "xdist", "hypothesis", "hypothesis.strategies", "duckdb", "pyarrow", "pyarrow.parquet",
    "pyarrow.compute", "numpy", "msgspec", "typer", "rich.table", "sqlglot", "backports.zstd",
    "filelock", "cryptography.hazmat.primitives.asymmetric.ed25519",
)  # fmt: skip
"""Loaded once, before each run is forked off; of the program and its tests nothing."""

_FOLDS = ("tests/ask/states/test_fold_cells.py", "tests/ask/states/test_many_files.py")
_ENGINE = ("tests/ask/states/test_engine_reference.py",)
_STATES = ("tests/ask/states/test_review.py", *_ENGINE, "tests/ask/states")
_CLI = ("tests/cli/test_every_command.py", "tests/project/test_readme.py")
_ROWS = (
    "tests/ask/states/test_row_changes.py", "tests/ask/states/test_row_versions.py",
    "tests/oracles/test_change_logs.py", "tests/oracles/test_bare_changes.py", "tests/oracles/test_told_changes.py",
    "tests/ask/health/test_row_checks.py", "tests/views/test_row_views.py", *_CLI,
)  # fmt: skip
TESTS: dict[str, tuple[str, ...]] = {
    "esctl/projection/blame.py": ("tests/ask/changes/test_blame.py", "tests/oracles/test_blame.py"),
    "esctl/projection/partial.py": ("tests/ask/states/test_many_files.py", "tests/ask/states"),
    "esctl/projection/reads.py": ("tests/index/test_loose_fields.py", *_FOLDS, *_STATES, *_CLI),
    "esctl/projection/row_changes": _ROWS,
    "esctl/projection/spec.py": (*_FOLDS, *_CLI, "tests/cli/test_failures.py", *_STATES),
    "esctl/projection/stepping.py": (
        *_FOLDS, "tests/oracles/test_merge_patch.py", "tests/ask/changes/test_blame.py",
        "tests/ask/over_time/test_when_reference.py", *_STATES,
    ),
    "esctl/projection": (
        "tests/ask/scope/test_carried.py", *_FOLDS, *_STATES, "tests/cli/test_scaled_numbers.py",
        "tests/ask/over_time", *_CLI,
    ),
    "esctl/ask/changes": (
        *_FOLDS, "tests/ask/changes", "tests/ask/scope", *_CLI, "tests/cli/test_cli_blame.py",
        "tests/views/test_refresh.py",
    ),
    "esctl/ask/compare": ("tests/ask/compare", *_CLI),
    "esctl/ask/events": (
        "tests/ask/events", "tests/cli/test_looking.py", "tests/cli/test_raw_fields.py",
        "tests/maintain/test_redact.py", *_CLI, "tests/cli/test_cli_init.py",
    ),
    "esctl/ask/health/check_topics.py": (
        "tests/sources/kafka/test_reading.py", "tests/ask/health", "tests/cli/test_cli_doctor.py", *_CLI,
    ),
    "esctl/ask/health": ("tests/ask/health", "tests/cli/test_cli_doctor.py", *_CLI),
    "esctl/ask/over_time": ("tests/ask/over_time", "tests/cli/test_cli_when.py", *_CLI, "tests/output/test_charts.py"),
    "esctl/ask/scope": (
        *_FOLDS, "tests/ask/scope", "tests/cli/test_moments.py", "tests/cli/test_cli_time.py", *_CLI,
        "tests/views/test_refresh.py",
    ),
    "esctl/ask/sql": ("tests/ask/sql", "tests/cli/test_cli_sql.py"),
    "esctl/ask/states/row_": _ROWS,
    "esctl/ask/states/event_by_event.py": (
        *_FOLDS, "tests/ask/changes/test_blame.py", "tests/ask/over_time/test_when_reference.py", *_ENGINE, *_CLI,
    ),
    "esctl/ask/states": (*_FOLDS, "tests/cli/test_cli_snapshot.py", *_STATES, *_CLI, "tests/views/test_refresh.py"),
    "esctl/ledger": (
        "tests/ledger/check/test_chain.py", "tests/ledger", "tests/cli/test_cli_proofs.py",
        "tests/maintain/test_repair.py", "tests/bundle", "tests/maintain/test_redact.py",
    ),
    "esctl/log/writer.py": ("tests/log/test_writer.py", "tests/log", "tests/intake", "tests/maintain/test_compact.py"),
}  # fmt: skip
"""Of a folder or a module, the tests that are to notice a change of it, the quick ones first."""


def related_tests(file: str) -> tuple[str, ...]:
    """Name the tests of a module: those of the longest path above it."""
    return TESTS[max((place for place in TESTS if file.startswith(place)), key=len)]


def drawn(count: int, seed: int, part: str = "") -> list[Mutant]:
    """Draw so many of all changes; the same ones for the same code and seed."""
    files = sorted(path for place in MODULES for path in _modules(ROOT / place))
    names = [str(path.relative_to(ROOT)) for path in files]
    found = [one for name in names if name.startswith(part) for one in mutants_of(name, (ROOT / name).read_bytes())]
    return random.Random(seed).sample(found, min(count, len(found)))


def _modules(place: Path) -> Iterator[Path]:
    return iter([place]) if place.is_file() else place.rglob("*.py")


class Tree:
    """A copy of the checkout in which changes are tried, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writes = 0
        self.took_too_long = False
        shutil.rmtree(folder, ignore_errors=True)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in listed.stdout.decode().split("\0"):
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def is_noticed(self, mutant: Mutant) -> bool:
        """Make a change, run its tests, take it back; say whether they failed."""
        source = (self.folder / mutant.file).read_bytes()
        self._write(mutant.file, mutant.applied(source))
        try:
            return not self.passes(related_tests(mutant.file))
        finally:
            self._write(mutant.file, source)

    def check_unchanged(self, tests: tuple[str, ...]) -> None:
        """Hold, once, that tests pass where nothing was changed: else whatever is changed seems to be noticed.

        Once for all trees of a campaign, which goes on meanwhile, and ends where they do not.
        """
        name = sha256("\n".join(tests).encode()).hexdigest()[:16]
        try:
            self.folder.with_name(f"{name}.checked").touch(exist_ok=False)
        except FileExistsError:
            return
        if not self.passes(tests):
            raise SystemExit(f"without any change a test fails: {self.out.read_text(errors='replace')[-1000:]}")

    def _write(self, name: str, source: bytes) -> None:
        # Python takes compiled code for current by the second of the file's time and its size.
        self._writes += 1
        (self.folder / name).write_bytes(source)
        os.utime(self.folder / name, (1_000_000_000 + self._writes,) * 2)

    def passes(self, tests: Sequence[str]) -> bool:
        """Say whether tests pass, in a process forked off this one. Raises SystemExit where they cannot be run."""
        child = os.fork()
        if child == 0:
            code = BROKEN
            try:
                code = self._run([test for test in tests if (self.folder / test).exists()])
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        try:
            _, status = os.waitpid(child, 0)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)  # what a test started and left behind
        code = os.waitstatus_to_exitcode(status)
        self.took_too_long = code in (-signal.SIGALRM, -signal.SIGXCPU)
        if code not in (0, 1, 2) and code >= 0:  # passed, failed, could not be imported, or took too long
            raise SystemExit(f"pytest ends with {code}:\n{self.out.read_text(errors='replace')[-2000:]}")
        return code == 0

    @property
    def out(self) -> Path:
        """Where the output of the last run is."""
        return self.folder.with_suffix(".out")

    def _run(self, tests: Sequence[str]) -> int:
        import pytest

        os.setsid()
        signal.alarm(3 * CPU_SECONDS)  # for what waits and does not work
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        nothing = os.open(self.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(nothing, stream)
        os.chdir(self.folder)
        os.environ["PYTHONPATH"] = str(self.folder)
        os.environ.setdefault("ESCTL_REAL_LOGS", str(ROOT.parent / "shared" / "real"))
        sys.path[:] = [str(self.folder), *(place for place in sys.path if place and Path(place) != ROOT)]
        for name in [name for name in sys.modules if name.partition(".")[0] in ("esctl", "tests", "reliability")]:
            del sys.modules[name]
        return int(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *QUIET, *FEWER, *tests]))


class Tried(Struct, frozen=True):
    """What became of a change."""

    mutant: Mutant
    noticed: bool
    took_too_long: bool
    seconds: float

    def __str__(self) -> str:
        # What takes too long counts as noticed, but on a machine that is busy with other work it may not be.
        told = "SURVIVES" if not self.noticed else "TOO LONG" if self.took_too_long else "noticed "
        return f"{told} {self.seconds:4.0f} s  {self.mutant}"


_trees: list[Tree] = []  # of a process that tries changes, its one


def _begin(home: Path) -> None:
    _trees.append(Tree(home / str(os.getpid())))


def _try(mutant: Mutant) -> Tried:
    (tree,) = _trees
    tree.check_unchanged(related_tests(mutant.file))
    started = time.monotonic()
    noticed = tree.is_noticed(mutant)
    return Tried(mutant, noticed, tree.took_too_long, time.monotonic() - started)


def campaign(count: int, seed: int, part: str = "") -> tuple[Counter[str], list[Mutant]]:
    """Try changes, one on each processor, until all are or an interrupt comes.

    Gives how many of each part, and those that no test noticed. Raises SystemExit where tests fail on the code as it
    is.
    """
    for name in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)
    mutants, tried = drawn(count, seed, part), list[Tried]()
    home = ROOT / "build" / "mutants" / str(os.getpid())
    pool = ProcessPoolExecutor(os.cpu_count(), get_context("fork"), _begin, (home,))
    try:
        for done in as_completed([pool.submit(_try, mutant) for mutant in mutants]):
            tried.append(done.result())
            print(f"{len(tried)}/{len(mutants)} {tried[-1]}", flush=True)
    except KeyboardInterrupt:
        print(f"interrupted after {len(tried)} changes: these count")
    finally:
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(home, ignore_errors=True)
    return Counter(part_of(one.mutant.file) for one in tried), [one.mutant for one in tried if not one.noticed]


def part_of(file: str) -> str:
    """Name the part of the program that a module belongs to."""
    return next(place for place in MODULES if file.startswith(place))


def main() -> int:
    """Run the campaign and say what it found."""
    started = time.monotonic()
    count, seed = [int(each) for each in [*sys.argv[1:3], *(str(SAMPLE), str(SEED))[len(sys.argv[1:3]) :]]]
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    counts, survivors = campaign(count, seed, part)
    total, alive = counts.total(), Counter(part_of(one.file) for one in survivors)
    for one in survivors:
        print(f"survives: {one}")
    noticed = total - len(survivors)
    line = f"**{total}** changes were made; tests noticed {noticed} of them, {_score(total, len(survivors))}."
    print(line)
    if not part:
        rows = {place: (counts[place], alive[place], _score(counts[place], alive[place])) for place in counts}
        command = f"python -m reliability.mutants {count} {seed}"
        keep("mutants", command, time.monotonic() - started, [line], ["part", "changes", "not noticed", "score"], rows)
    return 0


def _score(total: int, alive: int) -> str:
    return f"{100 * (total - alive) / total:.0f} %"


if __name__ == "__main__":
    sys.exit(main())
