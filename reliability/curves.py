"""Measure what each command costs as logs grow: `python -m reliability.curves [SCALE] [CURVE...]`.

Each curve is measured at n, 5n and 25n of one thing: processor time and peak memory of each command, above what it
takes for a log of almost nothing. The exponent between the last two is checked, not the seconds.
"""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from textwrap import fill
from typing import Any

from reliability.report import keep
from reliability.running import set_commit_rows, use_folder

STEP = 5
MOST = 1.3
"""The largest exponent that a curve may have: linear is 1, and sorting is a little more."""
SECONDS, MEBIBYTES = 0.4, 48.0
"""Costs less than this above those for a log of almost nothing are not a curve."""
LEAST = 1
"""The size of a log of almost nothing."""
AGAIN = 2
"""How often a curve is measured again if a command is too steep; the lowest costs count, as other work may have slowed
the machine meanwhile.
"""
PATIENCE = 900
DAY = "2024-01-01"

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("ingest", "logs"),
    ("ingest", "logs", "--skip-duplicates"),
    ("types",),
    ("entities",),
    ("status",),
    ("log", "--limit", "5"),
    ("log", "-o", "out"),
    ("replay", "-o", "out"),
    ("replay", "a-0"),
    ("diff", "2023-01-01", "now", "-o", "out"),
    ("diff", "2023-01-01", "now", "--summary"),
    ("diff", f"{DAY}T00:00:10", "now", "--summary"),
    ("audit", "a-0"),
    ("audit", "-o", "out"),
    ("blame", "a-0"),
    ("when", "n > 1"),
    ("when", "position > 1"),
    ("series", "count(*)", "--every", "1d"),
    ("trace", "e0"),
    ("doctor",),
    ("sql", "select count(*), max(position) from events"),
    ("verify",),
    ("verify", "--full"),
    ("config", "show"),
    ("init",),
    ("snapshot",),
    ("compact",),
    ("reindex",),
)


def event(number: int, entity: str, data: Mapping[str, Any], kind: str = "T") -> bytes:
    """Write one event as a line."""
    at = f"{DAY}T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    written = {"id": f"e{number}", "type": kind, "time": at, "stream": entity, "data": data}
    return json.dumps(written).encode() + b"\n"


def _keys(logs: Path, n: int) -> None:
    """Write events with ten fields each that no other event has."""
    lines = (
        event(i, f"a-{i % 50}", {"n": i, **{f"k{10 * i + j}": j for j in range(10)}}) for i in range(max(n // 10, 1))
    )
    (logs / "log.jsonl").write_bytes(b"".join(lines))


def _fields(logs: Path, n: int) -> None:
    """Write events that all have the same n fields."""
    lines = (event(i, f"a-{i % 5}", {"n": i, **{f"f{j}": i + j for j in range(n)}}) for i in range(50))
    (logs / "log.jsonl").write_bytes(b"".join(lines))


def _sources(logs: Path, n: int) -> None:
    """Write files of three events, of different sizes."""
    for number in range(n):
        lines = (event(3 * number + j, f"a-{number % 50}", {"n": j, "s": "x" * (number % 97)}) for j in range(3))
        (logs / f"{number:06}.jsonl").write_bytes(b"".join(lines))


def _entity(logs: Path, n: int) -> None:
    """Write events of one entity, each with a field of its own and one that all have: it is folded event by event."""
    lines = (event(i, "a-0", {f"k{i}": i, "n": i}) for i in range(n))
    (logs / "log.jsonl").write_bytes(b"".join(lines))


def _entities(logs: Path, n: int) -> None:
    """Write three events of each entity."""
    lines = (event(i, f"a-{i % n}", {"n": i, "s": "x"}) for i in range(3 * n))
    (logs / "log.jsonl").write_bytes(b"".join(lines))


def _types(logs: Path, n: int) -> None:
    """Write two events of each type, which has a field of its own."""
    lines = (event(i, f"a-{i % 50}", {"n": i, f"t{i % n}": 1}, f"T{i % n}") for i in range(2 * n))
    (logs / "log.jsonl").write_bytes(b"".join(lines))


def _commits(logs: Path, n: int) -> None:
    """Write two events for each commit that is to be made."""
    lines = (event(i, f"a-{i % 50}", {"n": i, "s": "x"}) for i in range(2 * n))
    (logs / "log.jsonl").write_bytes(b"".join(lines))


@dataclass(frozen=True, slots=True)
class Curve:
    """A thing to have more of: its name, the smallest number, how logs are written, records per commit (0: default)."""

    name: str
    least: int
    write: Callable[[Path, int], None]
    commit: int = 0


CURVES = (
    Curve("keys", 800, _keys),
    Curve("fields", 40, _fields),
    Curve("entity", 800, _entity),
    Curve("sources", 200, _sources),
    Curve("entities", 2000, _entities),
    Curve("types", 200, _types),
    Curve("commits", 20, _commits, commit=2),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: seconds of processor time, peak memory in MiB, and its exit code."""

    seconds: float
    mebibytes: float
    code: int


@dataclass(slots=True)
class Figures:
    """What was measured: costs at almost nothing, n, 5n and 25n; and what is too steep or failed."""

    costs: dict[tuple[str, str], list[Cost]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def exponent(costs: Sequence[float], least: float) -> float | None:
    """Return the exponent between the last two costs, less the first (of almost nothing); None if it is not a curve."""
    last, before = costs[-1] - costs[0], costs[-2] - costs[0]
    return math.log(last / max(before, least / STEP), STEP) if last > least else None


def campaign(curves: Sequence[Curve], scale: float = 1.0, commands: Sequence[Sequence[str]] = COMMANDS) -> Figures:
    """Measure the commands along curves, and check exponents and exit codes."""
    figures = Figures()
    for curve in curves:
        sizes = (LEAST, *(round(curve.least * scale * STEP**power) for power in range(3)))
        costs = _measure_sizes(curve, sizes, commands)
        for _ in range(AGAIN):
            if any(map(_too_steep, costs.values())):
                again = _measure_sizes(curve, sizes, commands)
                costs = {name: list(map(_lower, costs[name], each)) for name, each in again.items()}
        for command, each in costs.items():
            figures.costs[curve.name, command] = each
            figures.failures += [
                f"{curve.name}: {command}: exit {cost.code}" for cost in each if cost.code not in (0, 1)
            ]
            figures.failures += [f"{curve.name}: {command}: {found}" for found in _too_steep(each)]
    return figures


def _measure_sizes(curve: Curve, sizes: Sequence[int], commands: Sequence[Sequence[str]]) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {}
    for size in sizes:
        for command, cost in _measure_commands(curve, size, commands):
            costs.setdefault(command, []).append(cost)
    return costs


def _lower(one: Cost, other: Cost) -> Cost:
    return Cost(
        min(one.seconds, other.seconds), min(one.mebibytes, other.mebibytes), max(one.code, other.code, key=abs)
    )


def _too_steep(costs: Sequence[Cost]) -> list[str]:
    return [
        f"the exponent of {what} is {each:.2f}" for what, each in _exponents(costs) if each is not None and each > MOST
    ]


def _exponents(costs: Sequence[Cost]) -> Iterator[tuple[str, float | None]]:
    yield "time", exponent([cost.seconds for cost in costs], SECONDS)
    yield "memory", exponent([cost.mebibytes for cost in costs], MEBIBYTES)


def _measure_commands(curve: Curve, size: int, commands: Sequence[Sequence[str]]) -> Iterator[tuple[str, Cost]]:
    with tempfile.TemporaryDirectory(prefix="curves-") as folder:
        work = Path(folder)
        (work / "logs").mkdir()
        curve.write(work / "logs", size)
        for command in commands:
            if command[0] == "ingest" and (work / ".esctl").exists():
                shutil.rmtree(work / ".esctl")
            yield " ".join(command), cost(work, command, curve.commit)


def cost(work: Path, command: Sequence[str], commit: int = 0) -> Cost:
    """Run a command in a folder and measure it; a command that is killed or runs out of time costs infinite memory."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["reliability.loaded"])
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_run_measured, args=(work, list(command), commit, there))
    process.start()
    there.close()
    try:
        if not here.poll(PATIENCE):
            process.kill()
            return Cost(PATIENCE, math.inf, -9)
        return Cost(*here.recv())
    except EOFError:
        return Cost(0.0, math.inf, -9)
    finally:
        process.join()


def _run_measured(work: Path, command: list[str], commit: int, there: Any) -> None:
    from esctl.cli.app import main

    use_folder(work)
    for number, name in ((1, "said"), (2, "errors")):
        os.dup2(os.open(work / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    if commit:
        set_commit_rows(commit)
    before, code = _processor_time(), 0
    sys.argv = ["esctl", "-q", *command]
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    there.send((_processor_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, code))
    there.close()


def _processor_time() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def rows(figures: Figures) -> dict[str, list[object]]:
    """Return the figures as rows of a table: seconds and MiB at 25n, and their exponents."""
    written: dict[str, list[object]] = {}
    for (name, command), costs in figures.costs.items():
        of_time, of_memory = ("-" if each is None else f"{each:.2f}" for _, each in _exponents(costs))
        last = costs[-1]
        written[f"{name}: `{command}`"] = [f"{last.seconds:.1f}", of_time, f"{last.mebibytes:.0f}", of_memory]
    return written


def main() -> int:
    """Run the campaign and say what it found."""
    started = time.monotonic()
    scale = float(sys.argv[1]) if sys.argv[1:] else 1.0
    wanted = [curve for curve in CURVES if not sys.argv[2:] or curve.name in sys.argv[2:]]
    figures = campaign(wanted, scale)
    table = rows(figures)
    for name, cells in table.items():
        print(f"{name:60} {cells}")
    for failure in figures.failures:
        print(failure)
    sizes = ", ".join(f"{round(curve.least * scale * STEP**2):,} {curve.name}" for curve in wanted)
    line = fill(f"**{len(table)}** curves up to {sizes}; {len(figures.failures)} things did not hold.", 100)
    heads = ["Curve", "s at 25n", "exponent", "MiB at 25n", "exponent"]
    keep("curves", f"python -m reliability.curves {scale:g}", time.monotonic() - started, [line], heads, table)
    return int(bool(figures.failures))


if __name__ == "__main__":
    sys.exit(main())
