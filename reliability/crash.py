"""Fail every call that changes a file, one per run, and check what is left: `python -m reliability.crash [POINTS]`."""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from reliability.report import FOLDER, keep
from reliability.running import BROKEN, FULL, KILLED, Fault, Ran, esctl, prepare
from reliability.stores import STORE, State, read_state, write_log

FAULTS = (KILLED, BROKEN, FULL)
SUCCESS_STANDS = re.compile(r"(unlink|mkdir) |.* (\.esctl/lock\.pid|state($|/))")
"""Calls that may fail while the command succeeds: a file that is not removed now is removed later; `lock.pid` is a
courtesy; the head last seen is kept if possible; a folder may be there already, or the index is made in a temporary
one, or the next call fails without it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A command, and the store that it finds. `first`: commands that are run before it, undisturbed."""

    name: str
    arguments: tuple[str, ...]
    first: tuple[tuple[str, ...], ...] = ()
    lost: str = ""  # a folder of the store that is then removed
    lingers: bool = False  # the files that it replaces are removed by the next process that writes


INGEST = ("ingest", "one.jsonl", "two.jsonl.gz")
ERASABLE = ("ingest", "--erasable", "one.jsonl")
SCENARIOS = (
    Scenario("ingest, a new store", INGEST),
    Scenario("ingest, into a store", INGEST, (("ingest", "zero.jsonl"),)),
    Scenario("ingest --checkpoint", (*INGEST, "--checkpoint"), (("key", "new"),)),
    Scenario("ingest --strict", ("ingest", "--strict", "one.jsonl"), (("ingest", "zero.jsonl"),)),
    Scenario("reindex", ("reindex",), (INGEST,)),
    Scenario("reindex --map", ("reindex", "--map", "actor=data.by"), (INGEST,)),
    Scenario("compact", ("compact",), (("ingest", "zero.jsonl"), INGEST), lingers=True),
    Scenario("snapshot", ("snapshot",), (INGEST,)),
    Scenario("checkpoint", ("checkpoint",), (INGEST, ("key", "new"))),
    Scenario("redact", ("redact", "@4", "@7", "--reason", "asked for", "--actor", "ann", "--yes"), (ERASABLE,)),
    Scenario("replay, an index to build", ("replay", "-q"), (INGEST,), lost="index"),
)


@dataclass(slots=True)
class Figures:
    """What was tried, and what did not hold."""

    points: Counter[tuple[str, str]] = field(default_factory=Counter)  # (scenario, fault)
    calls: Counter[str] = field(default_factory=Counter)  # by kind of call
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A scenario run undisturbed: the folder it starts from, the calls it makes, the states before and after."""

    scenario: Scenario
    start: Path
    calls: tuple[str, ...]
    before: State
    after: State


def run_undisturbed(scenario: Scenario, folder: Path) -> Undisturbed:
    """Run a scenario undisturbed."""
    start = folder / "start"
    start.mkdir(parents=True)
    write_log(start)
    for arguments in scenario.first:
        run_good(start, arguments)
    before = read_state(start)
    if scenario.lost:
        shutil.rmtree(start / STORE / scenario.lost)
    done = folder / "done"
    shutil.copytree(start, done)
    ran = run_good(done, scenario.arguments)
    return Undisturbed(scenario, start, ran.calls, before, read_state(done))


def run_good(work: Path, arguments: Sequence[str]) -> Ran:
    """Run a command that must succeed."""
    ran = esctl(work, arguments)
    if ran.code:
        raise RuntimeError(f"{' '.join(arguments)}: {ran.code}, {ran.err}")
    return ran


def attempt(given: Undisturbed, fault: Fault, place: int) -> tuple[str, list[str]]:
    """Fail one call; return the call, and what does not hold afterwards."""
    with tempfile.TemporaryDirectory(dir=given.start.parent) as folder:
        work = Path(folder) / "work"
        shutil.copytree(given.start, work)
        ran = esctl(work, given.scenario.arguments, fault, place)
        call = ran.calls[place - 1] if len(ran.calls) >= place else "none"
        stands = success_stands(given, ran.calls, place)
        wrong = [*check_end(ran, fault, call, stands=stands), *check_store(given, ran, read_state(work))]
        again = esctl(work, given.scenario.arguments)
        if again.code:
            wrong.append(f"run again it exits {again.code}: {again.err}")
        wrong += check_again(given, read_state(work))
        return call, wrong


def success_stands(given: Undisturbed, calls: Sequence[str], place: int) -> bool:
    """Return whether a command may succeed although a call failed.

    Of removals that the next writer makes up for, the folder need not be synced either.
    """
    before, call = ("", *calls)[place - 1 : place + 1] if place <= len(calls) else ("", "")
    kind, _, folder = call.partition(" ")
    is_made_up_for = given.scenario.lingers and kind == "fsync" and before.startswith(f"unlink {folder}/")
    return is_made_up_for or SUCCESS_STANDS.match(call) is not None


def check_end(ran: Ran, fault: Fault, call: str, *, stands: bool) -> Iterator[str]:
    """Check that a process to be killed died, and that one whose disk failed reports it; yield what does not hold.

    `stands`: it may report success all the same.
    """
    if call == "none":
        return
    if fault is KILLED:
        if ran.code != -9:
            yield f"it was to be killed and exits {ran.code}"
    elif ran.code == 0:
        if not stands:
            yield "it reports success"
    elif ran.code != 3 or ran.err.count("esctl: error: ") != 1 or "Traceback" in ran.err:
        yield f"it exits {ran.code} and says: {ran.err}"


def check_store(given: Undisturbed, ran: Ran, left: State) -> Iterator[str]:
    """Check that the store is whole, ends at a commit, and holds all records that were reported as kept."""
    yield from (f"verify --full: {finding}" for finding in left.findings)
    known = {**given.before.roots, **given.after.roots}
    if known.get(left.head) != left.root:
        yield f"it ends at {left.head}, {left.root}"
    if left.head < given.before.head:
        yield f"it lost {given.before.head - left.head} records"
    if ran.code == 0 and left.head != given.after.head:
        yield f"success was reported with {left.head} of {given.after.head} records"
    kept = left.head - given.before.head
    is_told = f" {kept:,} new records are in the log" in ran.err or f'"new":{kept},' in ran.out
    if ran.code == 3 and is_told != bool(kept):
        yield f"{kept} new records are in the log, and it says: {ran.err}"
    if (
        left.head == given.after.head
        and left.states != given.after.states
        and not given.scenario.name.startswith("red")
    ):
        yield "its states are others"


def check_again(given: Undisturbed, left: State) -> Iterator[str]:
    """Check that a command, run again, leaves what the undisturbed one did."""
    yield from (f"run again, verify --full: {finding}" for finding in left.findings)
    for name in ("head", "root", "cursors", "states", "erased", "checkpoints"):
        found, wanted = getattr(left, name), getattr(given.after, name)
        if found != wanted:
            yield f"run again, {name} is {found!s:.200}, not {wanted!s:.200}"
    if not given.scenario.lingers:
        yield from (f"run again, {name} is left over" for name in left.strays)


def places(calls: Sequence[str]) -> list[int]:
    """Return the numbers of the calls to fail: all, but of successive writes to a file the first, middle and last."""
    found: list[int] = []
    for call, run in groupby(range(len(calls)), key=lambda at: calls[at]):
        at = list(run)
        found += sorted({at[0], at[len(at) // 2], at[-1]}) if call.startswith("write ") else at
    return [at + 1 for at in found]


def campaign(most: int | None = None, seed: int = 7, scenarios: Sequence[Scenario] = SCENARIOS) -> Figures:
    """Try every point of every scenario, or a sample of at most `most` points in all."""
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        undisturbed = [run_undisturbed(each, Path(folder) / str(number)) for number, each in enumerate(scenarios)]
        points = [(each, fault, at) for each in undisturbed for at in places(each.calls) for fault in FAULTS]
        if most is not None:
            points = random.Random(seed).sample(points, min(most, len(points)))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for (given, fault, place), (call, wrong) in zip(
                points, pool.map(lambda p: attempt(*p), points), strict=True
            ):
                figures.points[given.scenario.name, fault.name] += 1
                figures.calls[call.partition(" ")[0]] += 1
                figures.failures += [f"{given.scenario.name}, {fault.name} at {place} ({call}): {one}" for one in wrong]
    return figures


def main() -> int:
    """Run the campaign and say what it found."""
    if problem := prepare(FOLDER):
        print(problem)
        return 3
    started = time.monotonic()
    most = int(sys.argv[1]) if len(sys.argv) > 1 else None
    figures = campaign(most)
    for failure in figures.failures:
        print(failure)
    print(f"{figures.points.total()} points, {len(figures.failures)} failures")
    calls = ", ".join(f"{count} {name}" for name, count in figures.calls.most_common())
    lines = [f"**{figures.points.total():,}** points were tried ({calls}); {len(figures.failures)} did not hold."]
    names = dict.fromkeys(name for name, _ in figures.points)
    rows = {name: [figures.points[name, fault.name] for fault in FAULTS] for name in names}
    command = f"python -m reliability.crash{f' {most}' if most else ''}"
    heads = ["command", *(fault.name for fault in FAULTS)]
    keep("crash", command, time.monotonic() - started, lines, heads, rows)
    return int(bool(figures.failures))


if __name__ == "__main__":
    sys.exit(main())
