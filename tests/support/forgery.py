"""A small store with one of every kind of file, and what somebody with write access might do to it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

from esctl.api import Store
from esctl.engine.duckdb import connect
from esctl.ledger.check.verify import Verified, VerifyOptions, verify
from esctl.ledger.sign import checkpoints, last_seen
from esctl.ledger.sign.note import SigningKey
from esctl.log.commit_json import commit_from_json, commit_to_json
from esctl.log.commits import create_store, open_log
from esctl.log.lines import to_line
from esctl.log.merkle import BLOCK, Frontier
from esctl.log.reader import read_table
from esctl.log.segment import leaf_hashes, write_segment
from esctl.log.store_state import Commit, commit_name, state_without_commits
from esctl.log.writer import LogWriter, Part
from esctl.model import Cursor, FileCursor, MappingConfig
from tests.support import log_helpers as logs

KEY = SigningKey("keeper", bytes(32))
COMMITS = 101
FIRST = 4200
"""Records of the first commit: more than a block."""


def events(start: int, count: int) -> list[bytes]:
    """Records of a plain envelope, all different and all of one length."""
    return [
        json.dumps(
            {
                "id": f"e-{number:06d}",
                "type": "Changed" if number % 3 else "Opened",
                "time": f"2024-01-02T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
                "stream": f"thing-{number % 17:02d}",
                "actor": f"user-{number % 5}",
                "data": {"n": 100_000 + number, "note": f"text {number:06d}"},
            }
        ).encode()
        + b"\n"
        for number in range(start, start + count)
    ]


def cursor(data: bytes, records: int) -> Cursor:
    head = data[:65_536]
    return FileCursor(
        len(data), sha256(data).hexdigest(), len(head), sha256(head).hexdigest(), format="jsonl", records=records
    )


def make(folder: Path, *, commits: int = COMMITS, first: int = FIRST, erasable: bool = False) -> Path:
    """Make a store of several commits, its index, a checkpoint and the memory of it."""
    path = folder / ".esctl"
    create_store(path, erasable, logs.Unsynced())
    lines: list[bytes] = []
    with LogWriter(path, clock=logs.clock, files=logs.Unsynced()) as writer:
        for number in range(commits):
            new = events(len(lines), first if number == 0 else 3)
            offset = len(b"".join(lines))
            lines += new
            writer.append([Part("log.jsonl", [logs.batch(new, offset)], cursor(b"".join(lines), len(lines)))])
    assert Store.open(path).view
    checkpoints.make_checkpoint(path, KEY)
    return path


def files(path: Path, rng: random.Random, most: int) -> list[Path]:
    """All files of a store whose content matters, of each folder at most so many, the last commit among them."""
    found = sorted(p for p in path.rglob("*") if p.is_file() and p.name not in ("lock", "lock.pid", "readers"))
    folders: dict[Path, list[Path]] = {}
    for file in found:
        folders.setdefault(file.parent, []).append(file)
    some: set[Path] = set()
    for inside in folders.values():
        some |= {inside[0], *inside[-2:], *rng.sample(inside, min(len(inside), most))}
    return sorted(some)


def places(some: list[Path], rng: random.Random, each: int) -> Iterator[tuple[Path, int]]:
    """Some bits of each file: of its beginning, its end, and anywhere between."""
    for file in some:
        size = file.stat().st_size * 8
        drawn = {rng.randrange(min(64, size)), size - 1 - rng.randrange(min(64, size))}
        drawn |= {rng.randrange(size) for _ in range(each)}
        yield from ((file, bit) for bit in sorted(drawn))


@dataclass(frozen=True, slots=True)
class Judged:
    """What verify said: (kind, file, position, rule) of each finding."""

    verified: Verified

    @property
    def kinds(self) -> set[str]:
        return {finding.kind for check in self.verified.checks for finding in check.findings}

    @property
    def files(self) -> set[str]:
        return {finding.file for check in self.verified.checks for finding in check.findings}

    @property
    def messages(self) -> set[str]:
        return {finding.message for check in self.verified.checks for finding in check.findings}

    @property
    def rules(self) -> set[str]:
        return {check.rule for check in self.verified.checks if check.findings}

    def of(self, rule: str) -> list[tuple[str, int | None]]:
        return [(f.kind, f.position) for check in self.verified.checks if check.rule == rule for f in check.findings]


def judge(path: Path, *, full: bool = False, since: Path | None = None, trust: tuple[SigningKey, ...] = ()) -> Judged:
    """Verify a store as it is, whatever was last seen of it staying as it was; each block is that of its position."""
    remembered = last_seen.pin_path(path).read_bytes() if last_seen.pin_path(path).exists() else None
    mapping = MappingConfig() if full else None
    try:
        judged = Judged(verify(path, VerifyOptions(full, since, tuple(key.verifier for key in trust), mapping)))
    finally:
        if remembered is not None:
            last_seen.pin_path(path).write_bytes(remembered)
    for finding in (finding for check in judged.verified.checks for finding in check.findings):
        assert finding.block is None or finding.position is None or finding.block == (finding.position - 1) // BLOCK
    return judged


Edit = Callable[[pa.Table], pa.Table]


def edited(raws: Callable[[list[bytes]], list[bytes]]) -> Edit:
    """Edit the bytes of the records: change, remove, insert or reorder."""

    def edit(table: pa.Table) -> pa.Table:
        old = table["raw"].to_pylist()
        tagged = raws(list(old))
        rows = [min(at, len(old) - 1) for at in range(len(tagged))]
        taken = table.take(pa.array(rows, pa.int64()))
        return taken.set_column(taken.schema.get_field_index("raw"), "raw", pa.array(tagged, pa.large_binary()))

    return edit


def forge(path: Path, edit: Edit, *, trees: bool = True, cursors: bool = False) -> None:
    """Write the log anew with edited records, its commits patched to match, under the same identity.

    `trees`: their roots too, else only the files' digests and the chain. `cursors`: those too.
    """
    log = open_log(path)
    store_state = log.read()
    table = edit(read_table(store_state, 1, store_state.head))
    positions = pa.array(np.arange(1, table.num_rows + 1, dtype=np.int64))
    table = table.set_column(0, table.schema.field(0), positions)
    old = [
        commit_from_json(json.loads((path / "commits" / commit_name(n)).read_bytes()))
        for n in range(1, store_state.seq + 1)
    ]
    shutil.rmtree(path / "log")
    shutil.rmtree(path / "commits")
    (path / "log").mkdir()
    (path / "commits").mkdir()
    connection = connect()
    tree, prev, raw = Frontier(), state_without_commits(path, log.store_id, log.erasable).commit_sha256, b""
    for commit in old:
        stop = table.num_rows if commit is old[-1] else commit.tree.size
        rows = table.slice(tree.size, stop - tree.size)
        entry = write_segment(path / "log", rows, logs.Unsynced())
        tree, blocks = tree.extend(leaf_hashes(rows, connection))
        raw += b"".join(each or b"" for each in rows["raw"].to_pylist())
        made = Commit(
            seq=commit.seq, kind="append", at=commit.at, prev=prev, tree=tree if trees else commit.tree,
            add=(entry.with_blocks(blocks if trees else commit.add[0].blocks),),
            cursors={"log.jsonl": cursor(raw, tree.size)} if cursors else commit.cursors,
        )  # fmt: skip
        data = to_line(commit_to_json(made))
        (path / "commits" / commit_name(commit.seq)).write_bytes(data)
        prev = sha256(data).hexdigest()


def reindex(path: Path) -> None:
    """Build the index anew from whatever the log says now."""
    shutil.rmtree(path / "index")
    assert Store.open(path).view
