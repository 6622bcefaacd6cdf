"""Run the examples of the READMEs: every `$` line of a ```console block, in order, in a copy of the sample logs.

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "sample_logs/README.md", "docs/guides/your-own-log.md", "docs/guides/change-logs.md")
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
    """One command of a README and the output written below it."""

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
    """Find the examples of a README, in order."""
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


def environment(folder: Path) -> dict[str, str]:
    """Give an environment in which a terminal's tables come out the same on every machine."""
    programs = folder / "bin"
    programs.mkdir()
    esctl = programs / "esctl"
    esctl.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m esctl "$@"\n')
    esctl.chmod(0o755)
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


def run(readme: str, folder: Path) -> list[Run]:
    """Run all examples of a README in `folder`; those of sample_logs/README.md start among the sample logs."""
    ignored = shutil.ignore_patterns("__pycache__", ".esctl")
    shutil.copytree(ROOT / "sample_logs", folder / "sample_logs", ignore=ignored)
    env = environment(folder)
    where = folder / Path(readme).parent
    where.mkdir(parents=True, exist_ok=True)
    runs = []
    for example in examples((ROOT / readme).read_text(encoding="utf-8")):
        if example.command.startswith("cd "):
            where = (where / example.command[3:]).resolve(strict=True)
            runs.append(Run(example, (), 0))
        else:
            runs.append(execute(example, where, env))
    return runs


def execute(example: Example, where: Path, env: dict[str, str]) -> Run:
    """Run one example: as on a terminal, or as in a pipe where the command is one."""
    piped = re.search(r"[|>]", re.sub(r"'[^']*'|\"[^\"]*\"", "", example.command))
    shown = env if piped else env | {"ESCTL_FORMAT": "table"}
    done = subprocess.run(
        ["sh", "-c", example.command],
        cwd=where,
        env=shown,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    lines = done.stdout.decode(errors="replace").replace(str(where.resolve()), "~").splitlines()
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
    """Put the outputs that differ into the text of a README."""
    lines = text.splitlines()
    for done in reversed(runs):
        example = done.example
        if not matches(example.expected, done.output):
            start = example.line - 1 + len(example.prompt)
            lines[start : start + len(example.expected)] = shortened(example.expected, done.output)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the outputs of all READMEs anew; where an example fails, leave its README alone and exit with 1."""
    failed = False
    for readme in READMES:
        with tempfile.TemporaryDirectory() as folder:
            runs = run(readme, Path(folder))
        wrong = [done for done in runs if done.code]
        for done in wrong:
            sys.stderr.write(f"{readme}:{done.example.line}: exit {done.code}: {done.example.command}\n")
        if wrong:
            failed = True
        else:
            path = ROOT / readme
            path.write_text(updated(path.read_text(encoding="utf-8"), runs), encoding="utf-8")
    sys.exit(failed)


if __name__ == "__main__":
    main()
