"""The files of snapshots of states, in `.esctl/snapshots/<what they are of>/`. They are derived and can be deleted.

A snapshot is a manifest and two files that it names: the partial states as Parquet, sorted by kind and entity, and the
states as JSON Lines, in zstd. A file that no manifest names does not exist; a damaged snapshot counts as missing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field, to_builtins

from esctl import __version__
from esctl.errors import InputError
from esctl.index.files import manifest
from esctl.index.files.freshness import zones_of
from esctl.index.files.manifest import LARGEST_MANIFEST, digest_holds, with_digest
from esctl.log.store_state import StoreState, commit_name
from esctl.storage.depots import LocalDepot
from esctl.storage.local import (
    TEMPORARY,
    create_new,
    entries,
    make_folder,
    open_plain,
    read_regular,
    remove,
    remove_folder,
    staged,
    subfolders,
)
from esctl.storage.places import ages

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "snapshots"
FORMAT = 4
"""Raise it also if a fold changes what the same operations do: saved states are known by these, not by the SQL."""
LINGER_SECONDS = 600
"""How long files that no manifest names stay, for readers that opened one before and writers that are not done."""
_BLOCK = 1 << 20
_ROWS = 65_536


class SnapshotFile(Struct, frozen=True):
    """One file of a snapshot."""

    file: str
    bytes: int
    sha256: str


class Extent(Struct, frozen=True):
    """Which events a snapshot is of: those up to a position and, if `until` is given, up to a time.

    Times are in microseconds since the epoch. `last`, `latest` and `known` are the greatest position, time and
    recorded_at among them.
    """

    position: int
    until: int | None
    last: int
    latest: int
    known: int
    events: int


class StateSnapshot(Struct, frozen=True):
    """The states of one projection's entities after some events. `meaning` is what they were computed with."""

    name: str  # of its manifest, without suffix
    projection: str
    origin: str  # ingest | user
    extent: Extent
    entities: int
    alive: int  # of these, those not deleted, each of which has a line
    seq: int  # the commit it was made from, and the digest of its file
    commit_sha256: str
    redactions: int  # in the log then
    text_keys: bool  # fold keys are a text and a number
    meaning: dict[str, Any]
    cells: SnapshotFile
    lines: SnapshotFile


class Shelf(Struct, frozen=True):
    """The snapshots of states under one mapping that a reader of one commit can use."""

    store: Path
    mapping: str
    log: StoreState
    always: bool = False  # use them for questions about named entities too
    unfit: list[str] = field(default_factory=list)  # files that were found damaged, or of another log

    def folder(self, projection: str, condition: str) -> Path:
        """Name the folder of the snapshots of a projection (its digest) over the entities for which a condition holds.

        What is read or folded in another way, or by another version of esctl, has another folder.
        """
        zones = sorted(zones_of(self.log, self.log.cursors).items())
        parts = [FORMAT, manifest.FORMAT, __version__, self.mapping, projection, condition, *zones]
        return self.store / FOLDER / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def found(self, folder: Path) -> list[StateSnapshot]:
        """List a folder's snapshots of this log, whole as far as their manifests go; add others to `unfit`."""
        kept = {path: read_snapshot(path) for path in _manifests(folder)}
        fit = [found for found in kept.values() if found is not None and self._is_of_log(found)]
        self.unfit.extend(str(path) for path, found in kept.items() if found not in fit)
        return [found for found in fit if found.extent.position <= self.log.head]

    def is_whole(self, folder: Path, store_state: StateSnapshot, *, lines: bool) -> bool:
        """Return whether the files of a snapshot that will be read match their digests; add damaged ones to `unfit`."""
        parts = (store_state.cells, store_state.lines) if lines else (store_state.cells,)
        damaged = [part.file for part in parts if not _is_whole(folder, part)]
        self.unfit.extend(str(folder / name) for name in damaged)
        return not damaged

    def _is_of_log(self, store_state: StateSnapshot) -> bool:
        """Return whether the log has the commit that a snapshot was made from, and nothing has been erased since."""
        if store_state.redactions != len(self.log.redactions):
            return False
        path = self.store / "commits" / commit_name(store_state.seq)
        try:
            return hashlib.sha256(read_regular(path, LARGEST_MANIFEST)).hexdigest() == store_state.commit_sha256
        except (OSError, InputError):
            return False


def _manifests(folder: Path) -> list[Path]:
    return [folder / name for name in sorted(entries(folder)) if name[0].isdigit() and name.endswith(".json")]


def read_snapshot(path: Path) -> StateSnapshot | None:
    """Read a snapshot's manifest; None if it is not a whole one."""
    try:
        text = read_regular(path, LARGEST_MANIFEST).decode("utf-8")
        document = json.loads(text)
        if document.pop("format") != FORMAT or not digest_holds(text):
            return None
        del document["sha256"]
        parts = {name: SnapshotFile(**document[name]) for name in ("cells", "lines")}
        found = StateSnapshot(**{**document, **parts, "extent": Extent(**document["extent"])})
        named = (found.name, found.cells.file, found.lines.file)
        return found if named == (path.stem, f"{path.stem}.parquet", f"{path.stem}.jsonl.zst") else None
    except (OSError, InputError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def list_snapshots(store: Path) -> list[tuple[Path, StateSnapshot | None]]:
    """List the manifests of all snapshots of a store, by projection and position; None for a damaged one."""
    manifests = [path for folder in subfolders(store / FOLDER) for path in _manifests(folder)]
    found = [(path, read_snapshot(path)) for path in manifests]
    return sorted(found, key=lambda one: ("", -1) if one[1] is None else (one[1].projection, one[1].extent.position))


def _is_whole(folder: Path, part: SnapshotFile) -> bool:
    try:
        with open(open_plain(folder / part.file), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == part.sha256
    except OSError:
        return False


def lines_of(folder: Path, part: SnapshotFile) -> Callable[[], Iterator[bytes]]:
    """Return a function that reads a snapshot's lines in blocks."""

    def read() -> Iterator[bytes]:
        if not part.bytes:
            return  # no entity is left, and an empty file is not a frame of zstd
        with open(open_plain(folder / part.file), "rb") as packed, _zstd().open(packed, "rb") as file:
            while block := file.read(_BLOCK):
                yield block

    return read


def _zstd() -> Any:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


class Draft:
    """The files of a snapshot while they are written. Without `keep`, nothing of them is left.

    Raises InputError where the store cannot be written.
    """

    def __init__(self, folder: Path, extent: Extent) -> None:
        until = "" if extent.until is None else f".{extent.until}"
        self.name = f"{extent.position:020d}{until}.{os.urandom(4).hex()}"
        self.folder = folder
        self.raw = folder / f"{TEMPORARY}{self.name}.jsonl"

    def __enter__(self) -> Draft:
        try:
            make_folder(self.folder.parent)
            make_folder(self.folder)
            create_new(self.raw).close()  # so that it has the rights of its folder
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        remove(self.raw)

    def keep(
        self, batches: Iterable[pa.RecordBatch], about: Callable[[str, SnapshotFile, SnapshotFile], StateSnapshot]
    ) -> StateSnapshot:
        """Make the snapshot from its partial states, in order, and the lines that were written to `raw`."""
        try:
            cells, lines = (self.folder / f"{self.name}{suffix}" for suffix in (".parquet", ".jsonl.zst"))
            with staged(lines, durable=True) as path:
                ends = _compress_lines(self.raw, path)
            with staged(cells, durable=True) as path:
                _write_cells(path, batches, ends)
            store_state = about(self.name, _describe_file(cells), _describe_file(lines))
            text = with_digest(json.dumps({"format": FORMAT, **to_builtins(store_state)}, separators=(",", ":")))
            LocalDepot(self.folder).replace(f"{self.name}.json", text.encode())
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return store_state


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"{folder}: cannot write a snapshot: {error.strerror or error}", "the store must be writable, with room left"
    )


def _describe_file(path: Path) -> SnapshotFile:
    """Return the name, size and digest of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return SnapshotFile(path.name, file.tell(), digest)


def _compress_lines(raw: Path, packed: Path) -> Any:
    """Compress lines; return the offset at which each ends, after a first 0."""
    import numpy as np

    ends, done = [np.zeros(1, np.int64)], 0
    with raw.open("rb") as source, _zstd().open(packed, "wb", level=1) as sink:
        while block := source.read(_BLOCK):
            sink.write(block)
            ends.append(np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + done + 1)
            done += len(block)
    return np.concatenate(ends)


def _write_cells(path: Path, batches: Iterable[pa.RecordBatch], ends: Any) -> None:
    """Write partial states, each with the byte range of its line, which is empty for a deleted entity."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer, done = None, 0
    try:
        for batch in batches:
            alive = ~np.asarray(batch.column("deleted").to_numpy(zero_copy_only=False), np.bool_)
            after = done + np.cumsum(alive)
            table = pa.table(
                {
                    **{name: batch.column(name) for name in batch.schema.names},
                    "line_start": ends[after - alive],
                    "line_end": ends[after],
                }
            )
            done = int(after[-1]) if len(after) else done
            if writer is None:
                plain = ["kind", "time", "deleted"]
                writer = pq.ParquetWriter(
                    path, table.schema, compression="zstd", compression_level=1, use_dictionary=plain,
                    write_page_checksum=True, write_statistics=["kind", "position", "line_start"],
                )  # fmt: skip
            writer.write_table(table, _ROWS)
    finally:
        if writer is not None:
            writer.close()
    assert done == len(ends) - 1, "a line for each state"


def drop(paths: Sequence[Path]) -> None:
    """Remove snapshots, given the paths of their manifests: these first, so that nothing names a missing file."""
    for path in paths:
        remove(path)
        for suffix in (".parquet", ".jsonl.zst"):
            remove(path.with_name(path.name.removesuffix(".json") + suffix))


def drop_all(store: Path) -> None:
    """Remove all snapshots of a store, and whatever else is in their folder."""
    remove_folder(store / FOLDER)


def sweep(folder: Path) -> None:
    """Remove files that no manifest names and that are older than LINGER_SECONDS."""
    named = {path.name.removesuffix(".json") for path in _manifests(folder)}
    since = ages(folder)
    for file, age in since.items():
        name = file.removeprefix(".tmp-")
        stem = name.removesuffix(".json").removesuffix(".zst").removesuffix(".jsonl").removesuffix(".parquet")
        if (stem not in named or name != file) and age > LINGER_SECONDS:
            remove(folder / file)
