"""Logs to test with, a leaf hash written apart from the engine's, and file systems that fail or end the process."""

from __future__ import annotations

import base64
import errno
import os
import signal
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from esctl.log.commits import create_store, open_log
from esctl.log.lock import WriterLock
from esctl.log.merkle import HASH, Tree, leaf_hash, tree_root
from esctl.log.reader import read_table
from esctl.log.segment import SCHEMA
from esctl.log.store_state import StoreState
from esctl.log.writer import LogWriter, Part
from esctl.model import Cursor, FileCursor
from esctl.storage.local import Filesystem

NOW = 1_700_000_000_000_000


def clock() -> int:
    return NOW


class Unsynced(Filesystem):
    """Leaves durability out, where a test makes hundreds of commits."""

    @staticmethod
    def _sync(descriptor: int) -> None:
        del descriptor


class Failing(Unsynced):
    """Calls `fail` in place of the n-th change to the store, from 0 on; many writes to one file are one change."""

    def __init__(self, at: int = 1 << 30) -> None:
        self.left = at
        self.failed = ""
        self.steps: list[str] = []
        self.written: list[BinaryIO] = []  # by the objects: their numbers come again once they are closed

    def fail(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def step(self, name: str) -> None:
        self.left -= 1
        self.steps.append(name)
        if self.left == -1:
            self.failed = name
            self.fail()

    def create(self, path: Path) -> BinaryIO:
        self.step("create")
        return super().create(path)

    def write(self, file: BinaryIO, data: bytes | memoryview) -> None:
        if not any(file is each for each in self.written):
            self.written.append(file)
            super().write(file, data[: len(data) // 2])
            file.flush()
            self.step("write")
            data = data[len(data) // 2 :]
        super().write(file, data)

    def sync(self, file: BinaryIO) -> None:
        self.step("sync")
        super().sync(file)

    def sync_folder(self, path: Path) -> None:
        self.step("sync_folder")
        super().sync_folder(path)

    def rename(self, old: Path, new: Path) -> None:
        self.step("rename")
        super().rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        self.step("link")
        super().link(old, new)


class Killing(Failing):
    """Ends the process in place of the n-th change, as a power cut would."""

    def fail(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def unlink(self, path: Path) -> None:
        self.step("unlink")
        super().unlink(path)


class _NoLock(WriterLock):
    def acquire(self) -> None:
        pass

    def release(self) -> None:
        pass


class Unlocked(LogWriter):
    """A writer to which the lock means nothing: what a removed lock file or a network disk amounts to."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self._lock = _NoLock(path, 0)


def memory_tree(hashes: bytes) -> Tree:
    """Return a tree of leaf hashes that are in memory."""
    return Tree(lambda start, stop: hashes[start * HASH : stop * HASH])


def cursor(data: bytes, records: int, **rest: Any) -> Cursor:
    digest = sha256(data).hexdigest()
    return FileCursor(len(data), digest, len(data), digest, format="jsonl", records=records, **rest)


def batch(raws: Sequence[bytes | None], offset: int = 0, **columns: Any) -> pa.RecordBatch:
    offsets = []
    for raw in raws:
        offsets.append(offset)
        offset += len(raw or b"")
    given = {"offset": pa.array(offsets, pa.int64()), "raw": pa.array(raws, pa.large_binary())}
    for name, values in columns.items():
        given[name] = pa.array(values, SCHEMA.field(name).type)
    return pa.RecordBatch.from_pydict(given)


def part(source: str, raws: Sequence[bytes | None], **columns: Any) -> Part:
    data = b"".join(raw or b"" for raw in raws)
    return Part(source, [batch(raws, **columns)] if raws else [], cursor(data, len(raws)))


def store(path: Path, parts: Sequence[Sequence[Part]], *, erasable: bool = False) -> StoreState:
    """Make a store with one commit for each of these."""
    create_store(path, erasable, Unsynced())
    with LogWriter(path, clock=clock, files=Unsynced()) as writer:
        for each in parts:
            writer.append(each)
        return writer.store_state


def reference_leaf(row: dict[str, Any]) -> bytes:
    """The leaf as it is specified, from one row of a segment."""
    if row["erased_leaf"] is not None:
        return bytes(row["erased_leaf"])
    salt = row["salt"] or b""

    def digest(content: bytes | None) -> str:
        return "-" if content is None else sha256(salt + content).hexdigest()

    def prefixed(content: bytes | None) -> bytes:
        return b"-:" if content is None else b"%d:%s" % (len(content), content)

    headers = row["headers"]
    packed = None if headers is None else b"".join(prefixed(h["name"].encode()) + prefixed(h["value"]) for h in headers)
    lines = [
        "esctl/record/1",
        str(row["position"]),
        str(row["recorded_at"]),
        str(row["offset"]),
        "-" if row["source_time"] is None else str(row["source_time"]),
        digest(row["key"]),
        digest(packed),
        digest(row["raw"]),
        digest(row["source"].encode()),
    ]
    return leaf_hash("".join(line + "\n" for line in lines).encode())


def reference_leaves(table: pa.Table) -> bytes:
    for name in ("recorded_at", "source_time"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].cast(pa.int64()))
    return b"".join(reference_leaf(row) for row in table.to_pylist())


def check(store_state: StoreState) -> pa.Table:
    """Judge a whole store by what its files say; give its records."""
    table = read_table(store_state, 1, store_state.head)
    assert table["position"].to_pylist() == list(range(1, store_state.head + 1))
    leaves = reference_leaves(table)
    assert tree_root(leaves).hex() == store_state.root
    assert store_state.blocks == tuple(
        tree_root(leaves[at * 32 : (at + 4096) * 32]) for at in range(0, store_state.head - 4095, 4096)
    )
    for segment in store_state.segments:
        data = (store_state.path / "log" / segment.file).read_bytes()
        assert (len(data), sha256(data).hexdigest()) == (segment.size, segment.sha256)
    return table


def stray_files(store_state: StoreState) -> list[str]:
    """Names of files in the store that are neither its own nor evidence."""
    named = {f"log/{segment.file}" for segment in store_state.segments} | {"format.json", "lock"}
    found = {str(path.relative_to(store_state.path)) for path in store_state.path.rglob("*") if path.is_file()}
    return sorted(name for name in found - named if ".tmp-" in name or not name.startswith("commits/"))


ROWS = 1100
LINES = [b'{"id":%d}\n' % number for number in range(4 * ROWS)]


def resume(path: Path, files: Filesystem) -> None:
    """Ingest LINES in four commits, from where an earlier run has come to."""
    create_store(path, files=files)
    with LogWriter(path, clock=clock, files=files) as writer:
        before = writer.store_state.cursors.get("lines")
        for start in range(before.records if before else 0, len(LINES), ROWS):
            stop = start + ROWS
            done = b"".join(LINES[:start])
            records = batch(LINES[start:stop], len(done))
            writer.append([Part("lines", [records], cursor(b"".join(LINES[:stop]), stop))])


def resume_staged(path: Path, files: Filesystem) -> None:
    """Ingest LINES in one commit of two segments, unless an earlier run has."""
    create_store(path, files=files)
    with LogWriter(path, clock=clock, files=files) as writer:
        if writer.store_state.head == 0:
            for start in (0, 2 * ROWS):
                stop = start + 2 * ROWS
                records = batch(LINES[start:stop], len(b"".join(LINES[:start])))
                writer.stage([Part("lines", [records], cursor(b"".join(LINES[:stop]), stop))])
            writer.commit()


def many_appends(path: Path, source: str, commits: int, writer_class: type[LogWriter]) -> None:
    """Append commits of ten records each, as one of several processes."""
    raws: list[bytes] = []
    for number in range(commits):
        raws += [b"%s-%d\n" % (source.encode(), number * 10 + at) for at in range(10)]
        with writer_class(path, timeout=60, files=Unsynced()) as writer:
            records = batch(raws[-10:], len(b"".join(raws[:-10])))
            writer.append([Part(source, [records], cursor(b"".join(raws), len(raws)))])


def reopened(path: Path) -> StoreState:
    return open_log(path).read()


def as_header(data: bytes) -> str:
    return base64.b64encode(data).decode()
