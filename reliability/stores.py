"""The log that campaigns ingest, and what a store holds."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.connection import Connection
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

if TYPE_CHECKING:
    from esctl.log.store_state import StoreState

STORE = ".esctl"
PROJECTION = """
[projections.thing]
kinds = ["thing"]
[projections.thing.on]
Opened = { set = { n = "data.n", by = "data.by" } }
Changed = { set = { n = "data.n" }, add = { changes = 1 } }
"""


def events(start: int, count: int) -> bytes:
    """Return events in a plain envelope as JSON Lines, all different."""
    return b"".join(
        json.dumps(
            {
                "id": f"e-{number:06d}",
                "type": "Opened" if number % 3 == 0 else "Changed",
                "time": f"2024-01-02T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
                "stream": f"thing-{number % 7}",
                "actor": "ann",
                "data": {"n": number, "by": f"user-{number % 5}", "note": sha256(b"%d" % number).hexdigest()},
            }
        ).encode()
        + b"\n"
        for number in range(start, start + count)
    )


def table(start: int, count: int) -> bytes:
    """Return other events as CSV, with an empty line at the end."""
    lines = ["id,type,time,stream,actor,n"]
    lines += [
        f"c-{n},Changed,2024-01-03T00:00:{n % 60:02d}Z,thing-{n % 7},bob,{n}" for n in range(start, start + count)
    ]
    return "\n".join(lines).encode() + b"\n\n"


def write_log(work: Path) -> None:
    """Write the files to be ingested, and the esctl.toml by which they are folded."""
    (work / "esctl.toml").write_text(PROJECTION)
    (work / "zero.jsonl").write_bytes(events(0, 40))
    (work / "one.jsonl").write_bytes(events(100, 320))
    (work / "two.jsonl.gz").write_bytes(gzip.compress(events(500, 200), mtime=0))
    (work / "three.csv").write_bytes(table(0, 60))


@dataclass(frozen=True, slots=True)
class State:
    """What a store holds, and what `verify --full` found. `roots`: the root at each head that it ever had."""

    findings: tuple[str, ...] = ()
    head: int = 0
    root: str = sha256().hexdigest()
    roots: dict[int, str] = field(default_factory=lambda: {0: sha256().hexdigest()})
    cursors: str = ""
    states: str = ""
    erased: tuple[int, ...] = ()
    checkpoints: int = 0
    strays: tuple[str, ...] = ()


def read_state(work: Path) -> State:
    """Verify the store of a folder, bring its index up to date and read it, in another process."""
    found: State = in_process(_read_state, work)
    return found


def in_process(task: Any, *arguments: Any) -> Any:
    """Run a task in another process, whose working folder is the first argument; return its result."""
    here, there = get_context("forkserver").Pipe()
    process = get_context("forkserver").Process(target=_send_result, args=(there, task, *arguments))
    process.start()
    there.close()
    try:
        return here.recv()
    finally:
        process.join()


def _send_result(there: Connection, task: Any, work: Path, *arguments: Any) -> None:
    from reliability.running import enter_folder

    enter_folder(work)
    there.send(task(work, *arguments))


def _read_state(work: Path) -> State:
    from esctl.api import Store
    from esctl.ledger.check.verify import VerifyOptions, verify
    from esctl.log.commits import open_log

    path = work / STORE
    if not (path / "format.json").exists():
        return State()
    store = Store.open(path)
    verified = verify(path, VerifyOptions(full=True, mapping=store.mapping))
    findings = tuple(f"{one.kind}: {one.message} {one.file}" for check in verified.checks for one in check.findings)
    log = open_log(path)
    snapshots = [log.read(seq) for seq in range(store.store_state.seq + 1)]
    states = store.replay().rows() if store.store_state.head else []
    return State(
        findings,
        store.store_state.head,
        store.store_state.root,
        {each.head: each.root for each in snapshots},
        _cursors(store.store_state),
        sha256(json.dumps(states, default=str).encode()).hexdigest(),
        tuple(at for at in range(1, store.store_state.head + 1) if store.store_state.redaction_of(at)),
        len(list((path / "checkpoints").glob("*.checkpoint"))),
        _strays(path, {segment.file for segment in store.store_state.segments}),
    )


def _cursors(store_state: StoreState) -> str:
    """Return a digest of how far sources were read, in however many runs.

    It leaves out the hash of each source's beginning, which is as long as what the first run read.
    """
    alike = [
        (name, structs.replace(cursor, head_size=0, head_sha256="")) for name, cursor in store_state.cursors.items()
    ]
    return sha256(repr(sorted(alike, key=itemgetter(0))).encode()).hexdigest()


def _strays(path: Path, segments: set[str]) -> tuple[str, ...]:
    """List files of the evidence that should not be there: temporary ones, and segments that no commit names."""
    found = [*(path / "log").glob("*"), *(path / "commits").glob(".tmp-*")]
    return tuple(sorted(each.name for each in found if each.name not in segments))
