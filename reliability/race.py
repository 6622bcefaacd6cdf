"""Have processes write one store at once while others read it: `python -m reliability.race [WRITERS COMMITS]`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from esctl.log.commits import create_store
from reliability.report import keep
from reliability.running import enter_folder, esctl
from reliability.stores import STORE, events, in_process

WRITERS, COMMITS, RECORDS = 8, 12, 25
READERS = 2
BUSY, TURNS = 3, 20
"""The exit code of a writer that waited too long for the lock, and how often it is run in that case."""


@dataclass(slots=True)
class Figures:
    """What ran, and what did not hold."""

    writers: int = 0
    commits: int = 0
    records: int = 0
    reads: int = 0
    killed: int = 0
    failures: list[str] = field(default_factory=list)


def log_of(writer: int, commits: int) -> bytes:
    """Return a writer's own log."""
    return events(writer * 100_000, commits * RECORDS)


def campaign(writers: int = WRITERS, commits: int = COMMITS) -> Figures:
    """Let processes write and read at once, kill one writer in the middle, and check the result."""
    figures = Figures(writers=writers)
    context = get_context("forkserver")
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        create_store(work / STORE)  # for the readers to find one
        stop = context.Event()
        readers = [context.Pipe() for _ in range(READERS)]
        reading = [context.Process(target=_read, args=(work, stop, there)) for _, there in readers]
        writing = [context.Process(target=_write, args=(work, writer, commits)) for writer in range(writers)]
        for process in (*reading, *writing):
            process.start()
        figures.killed = _kill_one(writing, work)
        for process in writing:
            process.join()
        figures.failures += [
            f"a writer ends with {p.exitcode}" for p in writing if p.exitcode not in (0, -signal.SIGKILL)
        ]
        stop.set()
        for process, (here, _) in zip(reading, readers, strict=True):
            reads, failures = here.recv()
            process.join()
            figures.reads += reads
            figures.failures += failures
        (work / "0.jsonl").write_bytes(log_of(0, commits))  # what the killed writer had still to do
        again = esctl(work, ["ingest", "-q", "0.jsonl"])
        figures.failures += [f"after it was killed: {again.err}"] if again.code else []
        figures.commits, figures.records, failures = in_process(check_store, work, writers, commits)
        figures.failures += failures
    return figures


def _kill_one(writing: list, work: Path) -> int:  # type: ignore[type-arg]
    """Kill the first writer while it holds the lock, or at least while it runs; return 1 if it was killed, else 0."""
    victim, holder = writing[0], work / STORE / "lock.pid"
    until = time.monotonic() + 20
    while victim.is_alive() and time.monotonic() < until:
        try:
            if holder.read_text() == str(victim.pid):
                break
        except OSError:
            continue
    victim.kill()
    victim.join()
    return int(victim.exitcode == -signal.SIGKILL)


def _write(work: Path, writer: int, commits: int) -> None:
    """Let a log grow, and ingest it after each step, in this process."""
    enter_folder(work, standing=False)
    lines = log_of(writer, commits).splitlines(keepends=True)
    for number in range(commits):
        with (work / f"{writer}.jsonl").open("ab") as file:
            file.write(b"".join(lines[number * RECORDS : (number + 1) * RECORDS]))
        for _ in range(TURNS):
            code = _run_here(["ingest", "-q", f"{writer}.jsonl"])
            if code != BUSY:
                break
        if code:
            sys.exit(code)


def _run_here(arguments: list[str]) -> int:
    from esctl.cli.app import main

    sys.argv = ["esctl", *arguments]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _read(work: Path, stop, there: Connection) -> None:  # type: ignore[no-untyped-def]
    """Verify and read the store again and again; each time it must be whole and begin with its earlier records."""
    enter_folder(work, standing=False)
    reads, failures, before = 0, list[str](), (0, "")
    while not stop.is_set():
        try:
            found = list(_check_read(work, before))
        except Exception as error:
            failures.append(f"a reader fails: {type(error).__name__}: {error}")
            break
        before = found.pop()  # type: ignore[assignment]
        failures += found  # type: ignore[arg-type]
        reads += 1
    there.send((reads, failures))


def _check_read(work: Path, before: tuple[int, str]) -> Iterator[object]:
    from esctl.api import Store
    from esctl.ledger.check.verify import VerifyOptions, verify
    from esctl.ledger.prove.tree import store_tree

    verified = verify(work / STORE, VerifyOptions())
    for check in verified.checks:
        yield from (f"verify finds {one.kind}: {one.message} {one.file}" for one in check.findings)
    store = Store.open(work / STORE)
    size, root = before
    if size and store_tree(store.store_state).root(0, size).hex() != root:
        yield f"the first {size} records have changed"
    head = store.store_state.head
    seen = store.events().rows() if head else []
    at = sorted(row["position"] for row in seen)
    if at[:head] != list(range(1, head + 1)):
        yield f"of {head} records {len(set(at))} are seen"
    yield head, store.store_state.root


def check_store(work: Path, writers: int, commits: int) -> tuple[int, int, list[str]]:
    """Check that nothing is lost or doubled and all verifies; return commits, records and what does not hold."""
    from esctl.api import Store
    from esctl.ledger.check.verify import VerifyOptions, verify
    from esctl.log.reader import export_raw

    store = Store.open(work / STORE)
    store_state, wrong = store.store_state, list[str]()
    if store_state.head != writers * commits * RECORDS:
        wrong.append(f"{store_state.head} records of {writers * commits * RECORDS}")
    for writer in range(writers):
        if b"".join(export_raw(store_state, f"{writer}.jsonl")) != log_of(writer, commits):
            wrong.append(f"{writer}.jsonl is not given back as it was")
    assert store.view
    for check in verify(work / STORE, VerifyOptions(full=True, mapping=store.mapping)).checks:
        wrong += [f"verify --full: {one.kind}: {one.message} {one.file}" for one in check.findings]
    return store_state.seq, store_state.head, wrong


def numbers(arguments: Sequence[str]) -> tuple[int, int]:
    """Return how many processes write and how many commits each, by the command line and else as usual."""
    given = [int(each) for each in arguments[:2]]
    writers, commits = (*given, *(WRITERS, COMMITS)[len(given) :])
    return writers, commits


def main() -> int:
    """Run the campaign and say what it found."""
    started = time.monotonic()
    writers, commits = numbers(sys.argv[1:])
    figures = campaign(writers, commits)
    for failure in figures.failures:
        print(failure)
    line = (
        f"**{figures.writers}** processes wrote {figures.commits:,} commits of {figures.records:,} records in all, "
        f"{figures.killed} of them killed meanwhile; {READERS} others read the store {figures.reads:,} times; "
        f"{len(figures.failures)} things did not hold."
    )
    print(line)
    command = f"python -m reliability.race {writers} {commits}"
    keep("race", command, time.monotonic() - started, [line], [], {})
    return int(bool(figures.failures))


if __name__ == "__main__":
    sys.exit(main())
