"""Change the code a little and see whether the tests notice: `python -m reliability.mutants [N] [SEED] [PART]`.

N changes are drawn from all that can be made in `MODULES` (under PART, if it is given). For each, the tests that reach
the changed function are run on a copy of the tree. Changes that no test notices are printed.
"""

from __future__ import annotations

import importlib
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

from reliability.mutant_operators import Mutant, mutants_of
from reliability.mutant_tree import Tree, Tried
from reliability.reached import Reached, find_reached
from reliability.report import ROOT, keep

SAMPLE, SEED = 100, 1
MODULES = ("esctl/projection", "esctl/ask", "esctl/ledger", "esctl/log/writer.py")
TEST_SECONDS = 400
"""The most that the tests of one change may take together, as measured when the whole suite ran."""
PRELOADED = (
    "pytest", "_pytest.main", "xdist", "hypothesis", "hypothesis.strategies", "duckdb", "pyarrow", "pyarrow.parquet",
    "pyarrow.compute", "numpy", "msgspec", "typer", "rich.table", "sqlglot", "backports.zstd",
    "filelock", "cryptography.hazmat.primitives.asymmetric.ed25519",
)  # fmt: skip
"""Modules loaded once, before runs are forked: none of esctl or its tests."""
_HOME = ROOT / "build" / "mutants"


def modules(part: str = "") -> list[str]:
    """List the modules that are changed, sorted, of those whose path begins with `part`."""
    places = [ROOT / place for place in MODULES]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))]
    return sorted(name for file in files if (name := file.relative_to(ROOT).as_posix()).startswith(part))


def drawn(count: int, seed: int, part: str = "") -> list[Mutant]:
    """Draw `count` of all changes; the same ones for the same code and seed."""
    found = [one for name in modules(part) for one in mutants_of(name, (ROOT / name).read_bytes())]
    return random.Random(seed).sample(found, min(count, len(found)))


_trees: list[Tree] = []  # in a process that tries changes: its only tree


def _begin(home: Path) -> None:
    _trees.append(Tree(home / str(os.getpid())))


def _try(mutant: Mutant, tests: list[str]) -> Tried:
    (tree,) = _trees
    return tree.attempt(mutant, tests)


def campaign(mutants: Iterable[Mutant], reached: Reached) -> list[Tried]:
    """Try changes, one on each processor, until all are tried or an interrupt comes."""
    for name in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)
    home, tried = _HOME / str(os.getpid()), list[Tried]()
    pool = ProcessPoolExecutor(os.cpu_count(), get_context("fork"), _begin, (home,))
    begun = [pool.submit(_try, one, reached.choose(one.file, one.line, TEST_SECONDS)) for one in mutants]
    try:
        for done in as_completed(begun):
            tried.append(done.result())
            print(f"{len(tried)}/{len(begun)} {tried[-1]}", flush=True)
    except KeyboardInterrupt:
        print(f"interrupted after {len(tried)} changes: these count")
    finally:
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(home, ignore_errors=True)
    return tried


def main() -> int:
    """Run the campaign and print what it found."""
    started = time.monotonic()
    count, seed = [int(each) for each in [*sys.argv[1:3], *(str(SAMPLE), str(SEED))[len(sys.argv[1:3]) :]]]
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    mutants = drawn(count, seed, part)
    reached = find_reached(modules(), _HOME)
    print(f"{len(reached.seconds)} tests reach {sum(map(bool, reached.tests))} of {len(reached.tests)} functions")
    tried = campaign(mutants, reached)
    survivors = [one for one in tried if not one.noticed]
    for one in survivors:
        print(f"survives: {one.mutant}")
    counts, alive = _by_part(tried), _by_part(survivors)
    total, noticed = len(tried), len(tried) - len(survivors)
    line = f"**{total}** changes were made; tests noticed {noticed} of them, {_score(total, len(survivors))}."
    print(line)
    if not part:
        rows = {place: (counts[place], alive[place], _score(counts[place], alive[place])) for place in counts}
        command = f"python -m reliability.mutants {count} {seed}"
        keep("mutants", command, time.monotonic() - started, [line], ["part", "changes", "not noticed", "score"], rows)
    return 0


def _by_part(tried: Iterable[Tried]) -> Counter[str]:
    """Count changes by the place in `MODULES` that they were made in."""
    return Counter(next(place for place in MODULES if one.mutant.file.startswith(place)) for one in tried)


def _score(total: int, alive: int) -> str:
    return f"{100 * (total - alive) / total:.0f} %"


if __name__ == "__main__":
    sys.exit(main())
