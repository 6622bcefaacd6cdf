"""Run the examples of the documents: every `$` line of a ```console block, in order, in a copy of the sample logs.

`make examples` writes the outputs anew. In an expected output a line `...` stands for any lines; what
cannot be the same in two runs (durations, digests, the time of recording) is left out of the comparison.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
REFERENCE = (
    *("ingest", "init", "status", "types", "entities", "log", "show", "replay", "diff", "audit", "blame", "when"),
    *("series", "revert", "trace", "doctor", "reconcile", "sql", "export", "verify", "checkpoint", "prove"),
    *("verify-proof", "bundle", "report", "verify-bundle", "key", "redact", "repair", "reindex", "presets"),
    *("snapshot", "emit", "view", "compact", "config", "browse", "mcp"),
)
"""The pages of commands, in the order in which their examples are run."""
SESSIONS: tuple[tuple[str, ...], ...] = (
    (
        "README.md",
        "docs/getting-started.md",
        "docs/recipes.md",
        *(f"docs/concepts/{name}.md" for name in ("times", "what-if", "basis")),
        *(f"docs/reference/{name}.md" for name in REFERENCE),
    ),
    (
        "sample_logs/README.md",
        *(f"docs/guides/{name}.md" for name in ("incident", "dispute", "hand-over", "ci")),
    ),
    ("docs/guides/your-own-log.md",),
    ("docs/guides/change-logs.md",),
)
"""Documents whose examples are run one after another, each session in a folder of its own."""
WILDCARD = "..."
VOLATILE = (
    (
        re.compile(r"\b20(?:2[5-9]|[3-9]\d)-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?"),
        "<recorded>",
    ),
    (re.compile(r"\b[0-9a-f]{12,64}\b(?:…|\.\.\.)?"), "<digest>"),
    (re.compile(r"^((?:\s*\d+){6})\s+[\d.]+\s+\d+$"), r"\1 <seconds> <rate>"),  # the row of ingest's summary
    (re.compile(r"(\b(?:log|index)_bytes\W+)\d+"), r"\1<size>"),
    (re.compile(r"(\"seconds\":|\bseconds\b\W+|\bin )\d+(?:\.\d+)?"), r"\1<seconds>"),
    (re.compile(r"(\"events_per_second\":|\bevents_per_second\b\W+|\bevents/s\b\W+)[\d,.]+"), r"\1<rate>"),
    (re.compile(r"[\d,.]+ ?(?=events/s\b|(?:[KMG]i?)?B\b)"), "<amount>"),
    (re.compile(r"\btzdata 20\d\d[a-z]"), "tzdata <release>"),
    (re.compile(r"[─━═-]{3,}"), "---"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True)
class Example:
    """One command of a document and the output written below it."""

    line: int  # of the command, from 1
    command: str
    expected: tuple[str, ...]
    prompt: tuple[str, ...]  # the command as written, with its continuation lines


@dataclass(frozen=True, slots=True)
class Run:
    """What a command really gave."""

    example: Example
    output: tuple[str, ...]
    code: int


def examples(text: str) -> Iterator[Example]:
    """Find the examples of a document, in order."""
    inside, prompt, expected, start = False, list[str](), list[str](), 0

    def finished() -> Iterator[Example]:
        if prompt:
            command = "\n".join([prompt[0][2:], *(line.removeprefix("> ") for line in prompt[1:])])
            yield Example(start, command, tuple(expected), tuple(prompt))

    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            yield from finished()
            inside, prompt, expected = line == "```console", [], []
        elif inside and line.startswith("$ "):
            yield from finished()
            prompt, expected, start = [line], [], number
        elif inside and prompt and not expected and line.startswith("> "):
            prompt.append(line)
        elif inside:
            expected.append(line)


@contextmanager
def environment(folder: Path) -> Iterator[dict[str, str]]:
    """Give an environment in which a terminal's tables come out the same on every machine.

    `esctl` is a program there that has it run in a process forked from one that has everything imported.
    """
    programs = folder / "bin"
    programs.mkdir()
    support, env = ROOT / "tests" / "support", _variables(folder, programs)
    with tempfile.TemporaryDirectory(prefix="esctl-") as short:  # the path of a socket has at most 107 bytes
        place, esctl = Path(short) / "warm", programs / "esctl"
        esctl.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{support / "warm_client.py"}" "{place}" "$@"\n')
        esctl.chmod(0o755)
        command = [sys.executable, str(support / "warm.py"), str(place)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=env) as warm:
            try:
                while not place.exists() and warm.poll() is None:
                    time.sleep(0.01)
                yield env
            finally:
                warm.communicate()


def _variables(folder: Path, programs: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ESCTL_", "CLICOLOR", "XDG_"))}
    return kept | {
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "COLUMNS": "100",
        "LINES": "1000",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "TZ": "UTC",
    }


def run(session: Sequence[str], folder: Path) -> dict[str, list[Run]]:
    """Run all examples of documents one after another, from the folder of the first, beside the sample logs."""
    ignored = shutil.ignore_patterns("__pycache__", ".esctl")
    shutil.copytree(ROOT / "sample_logs", folder / "sample_logs", ignore=ignored)
    where = folder / Path(session[0]).parent
    where.mkdir(parents=True, exist_ok=True)
    runs = {}
    with environment(folder) as env:
        for document in session:
            runs[document], where = walk(document, where, env)
    return runs


def walk(document: str, where: Path, env: Mapping[str, str]) -> tuple[list[Run], Path]:
    """Run the examples of one document, beginning in a folder; gives them and the folder that `cd` led to."""
    runs = []
    for example in examples((ROOT / document).read_text(encoding="utf-8")):
        if example.command.startswith("cd "):
            where = (where / example.command[3:]).resolve(strict=True)
            runs.append(Run(example, (), 0))
        else:
            runs.append(execute(example, where, env))
    return runs, where


def execute(example: Example, where: Path, env: Mapping[str, str]) -> Run:
    """Run one example: as on a terminal, or as in a pipe where the command is one."""
    piped = re.search(r"[|>]", re.sub(r"'[^']*'|\"[^\"]*\"", "", example.command))
    shown = env if piped else {**env, "ESCTL_FORMAT": "table"}
    done = subprocess.run(
        ["sh", "-c", example.command],
        cwd=where,
        env=shown,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    # Not `~`: that would say that a store is in the reader's home.
    shown_as = f"/srv/{where.name if where.name == 'sample_logs' else 'my-system'}"
    lines = done.stdout.decode(errors="replace").replace(str(where.resolve()), shown_as).splitlines()
    return Run(example, tuple(line.rstrip() for line in lines), done.returncode)


def steady(line: str) -> str:
    """Replace what differs from run to run."""
    for pattern, replacement in VOLATILE:
        line = pattern.sub(replacement, line)
    return line.strip()


def matches(expected: Sequence[str], output: Sequence[str]) -> bool:
    """Compare an output with what is written, a line `...` standing for any lines, none included."""
    parts: list[list[str]] = [[]]
    for line in expected:
        if line == WILDCARD:
            parts.append([])
        else:
            parts[-1].append(steady(line))
    rest = [steady(line) for line in output]
    if len(parts) == 1:
        return rest == parts[0]
    first, *middle, last = parts
    if rest[: len(first)] != first:
        return False
    rest = rest[len(first) :]
    for part in middle:
        found = next((at for at in range(len(rest)) if rest[at : at + len(part)] == part), None)
        if found is None:
            return False
        rest = rest[found + len(part) :]
    return len(rest) >= len(last) and rest[len(rest) - len(last) :] == last


def shortened(expected: Sequence[str], output: Sequence[str]) -> list[str]:
    """Give the lines to write: as many as there were before and after a wildcard, else all."""
    if expected.count(WILDCARD) != 1:
        return list(output)
    before, after = expected.index(WILDCARD), len(expected) - expected.index(WILDCARD) - 1
    if before + after >= len(output):
        return list(output)
    return [*output[:before], WILDCARD, *output[len(output) - after :]]


def updated(text: str, runs: Sequence[Run]) -> str:
    """Put the outputs that differ into the text of a document."""
    lines = text.splitlines()
    for done in reversed(runs):
        example = done.example
        if not matches(example.expected, done.output):
            start = example.line - 1 + len(example.prompt)
            lines[start : start + len(example.expected)] = shortened(example.expected, done.output)
    return "\n".join(lines) + "\n"


def hold(document: str, runs: Sequence[Run]) -> None:
    """Assert that examples gave what is written below them; with ESCTL_UPDATE_GUIDE=1, write it anew instead."""
    if os.environ.get("ESCTL_UPDATE_GUIDE"):
        path = ROOT / document
        path.write_text(updated(path.read_text(encoding="utf-8"), runs), encoding="utf-8")
        return
    for done in runs:
        assert done.code == 0, (done.example.command, done.output)
        assert matches(done.example.expected, done.output), (done.example.command, done.output)


def main() -> None:
    """Write the outputs of all documents anew; where an example fails, leave its document alone and exit with 1."""
    failed = False
    for session in SESSIONS:
        with tempfile.TemporaryDirectory() as folder:
            found = run(session, Path(folder))
        for document, runs in found.items():
            wrong = [done for done in runs if done.code]
            for done in wrong:
                sys.stderr.write(f"{document}:{done.example.line}: exit {done.code}: {done.example.command}\n")
            failed |= bool(wrong)
            path = ROOT / document
            if not wrong:
                path.write_text(updated(path.read_text(encoding="utf-8"), runs), encoding="utf-8")
    sys.exit(failed)


if __name__ == "__main__":
    main()
