"""Find which tests reach which function: run the suite once, over a copy in which each function reports that it runs.

Processes that a test starts report too, as long as they inherit PYTEST_CURRENT_TEST.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256
from itertools import chain, zip_longest
from pathlib import Path

import msgspec
from msgspec import Struct

from reliability.checkout import checkout_files, copy_checkout, variables_of
from reliability.report import ROOT

REPORTER = """
import os
from io import open

_known = set()


def report(number):
    test = os.environ.get("PYTEST_CURRENT_TEST")
    if test is not None and (number, test) not in _known:
        _known.add((number, test))
        try:
            with open(f"{FOLDER}/{os.getpid()}", "a") as out:
                out.write(f"{number} {test}\\n")
        except OSError:
            pass
"""
PLUGIN = """
import json, os


def pytest_runtest_logreport(report):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with open(OUTCOMES, "a") as out:
            print(json.dumps([report.nodeid, report.outcome == "passed", report.duration]), file=out)
"""


class Function(Struct, frozen=True):
    """A function of the program: its module, and its first and last lines."""

    file: str
    line: int
    end: int


class Reached(Struct, frozen=True):
    """The result of a run of the suite.

    `seconds`: how long each test took that passed; `tests`: by function, those of them that reach it.
    """

    functions: list[Function]
    seconds: dict[str, float]
    tests: list[list[str]]

    def of_line(self, file: str, line: int) -> list[str]:
        """Return the tests that reach the innermost function around a line; if there is none, those of its module."""
        here = [number for number, each in enumerate(self.functions) if each.file == file]
        around = [number for number in here if self.functions[number].line <= line <= self.functions[number].end]
        innermost = sorted(around, key=lambda number: self.functions[number].line)[-1:]
        return list(dict.fromkeys(chain.from_iterable(self.tests[number] for number in innermost or here)))

    def choose(self, file: str, line: int, limit: float) -> list[str]:
        """Choose tests that reach a line and take at most `limit` seconds together.

        The quickest tests of each file are chosen, and ordered so that those of a file are together; files whose
        folder is that of the module come first.
        """
        by_file = defaultdict[str, list[str]](list)
        for test in sorted(self.of_line(file, line), key=lambda test: self.seconds[test]):
            by_file[file_of(test)].append(test)
        chosen, spent = list[str](), 0.0
        for test in chain.from_iterable(zip_longest(*(by_file[name] for name in sorted(by_file)))):
            if test is not None and spent + self.seconds[test] <= limit:
                chosen.append(test)
                spent += self.seconds[test]
        cost = defaultdict[str, float](float)
        for test in chosen:
            cost[file_of(test)] += self.seconds[test]
        return sorted(chosen, key=lambda test: (-_shared_folders(file, test), cost[file_of(test)], file_of(test)))


def file_of(test: str) -> str:
    """Return the file that a test is in."""
    return test.partition("::")[0]


def _shared_folders(file: str, test: str) -> int:
    """Count the folders, from the top, that a module and a file of tests have in common below esctl/ and tests/."""
    ours, theirs = (Path(each).parts[1:-1] for each in (file, file_of(test)))
    return next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))


def with_reports(source: str, first: int) -> tuple[str, list[tuple[int, int]]]:
    """Return a module of which each function reports its number, from `first`; and the functions' lines."""
    tree = ast.parse(source)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    spans = [(node.lineno, node.end_lineno or node.lineno) for node in found]
    for number, node in enumerate(found, first):
        node.body.insert(ast.get_docstring(node) is not None, ast.parse(f"_report({number})").body[0])
    future = [at for at, node in enumerate(tree.body, 1) if getattr(node, "module", None) == "__future__"]
    after = future[-1] if future else ast.get_docstring(tree) is not None
    tree.body.insert(after, ast.parse("from esctl._reports import report as _report").body[0])
    return ast.unparse(ast.fix_missing_locations(tree)), spans


def find_reached(files: Iterable[str], home: Path) -> Reached:
    """Run the suite over a copy under `home`, or return what the last run found if nothing has changed since."""
    kept = home / f"reached-{_fingerprint()}.json"
    if not kept.exists():
        home.mkdir(parents=True, exist_ok=True)
        for old in home.glob("reached-*.json"):
            old.unlink()
        kept.write_bytes(msgspec.json.encode(_run(files, home / "reached")))
    return msgspec.json.decode(kept.read_bytes(), type=Reached)


def _fingerprint() -> str:
    digest = sha256()
    for name in checkout_files():
        digest.update(f"{name}\0".encode() + sha256((ROOT / name).read_bytes()).digest())
    return digest.hexdigest()[:16]


def _run(files: Iterable[str], tree: Path) -> Reached:
    copy_checkout(tree)
    functions = list[Function]()
    for name in files:
        text, spans = with_reports((tree / name).read_text(encoding="utf-8"), len(functions))
        (tree / name).write_text(text, encoding="utf-8")
        functions += [Function(name, *span) for span in spans]
    reports, outcomes = tree / "reports", tree / "outcomes"
    reports.mkdir()
    (tree / "esctl" / "_reports.py").write_text(f"FOLDER = {str(reports)!r}\n{REPORTER}", encoding="utf-8")
    (tree / "outcome_plugin.py").write_text(f"OUTCOMES = {str(outcomes)!r}\n{PLUGIN}", encoding="utf-8")
    workers = str(2 * (os.cpu_count() or 1))
    command = ["-m", "pytest", "-q", "-p", "outcome_plugin", "-p", "no:cacheprovider", "-n", workers]
    subprocess.run(
        [sys.executable, *command, "--dist", "worksteal"],
        cwd=tree,
        env={**os.environ, **variables_of(tree)},
        stdout=(tree / "output").open("wb"),
        check=False,  # a test that looks at the code may fail: it is not the same code
    )
    lines = chain.from_iterable(path.read_text(encoding="utf-8").splitlines() for path in reports.iterdir())
    told = [msgspec.json.decode(line, type=tuple[str, bool, float]) for line in outcomes.read_bytes().splitlines()]
    return gather(functions, told, lines)


def gather(functions: list[Function], told: Iterable[tuple[str, bool, float]], lines: Iterable[str]) -> Reached:
    """Combine the outcomes of tests with what functions reported, as lines of number, test and phase.

    A function that is reached while a test is set up is taken to be reached by all tests of its file.
    """
    seconds, failed = defaultdict[str, float](float), set[str]()
    for test, passed, duration in told:
        seconds[test] += duration
        failed |= set() if passed else {test}
    taken = {test: spent for test, spent in seconds.items() if test not in failed}
    by_file = defaultdict[str, list[str]](list)
    for test in taken:
        by_file[file_of(test)].append(test)
    tests = [dict[str, None]() for _ in functions]
    for line in lines:
        number, _, rest = line.partition(" ")
        test, _, phase = rest.rpartition(" ")
        tests[int(number)].update(dict.fromkeys(by_file[file_of(test)] if phase == "(setup)" else [test]))
    return Reached(functions, taken, [[test for test in each if test in taken] for each in tests])
