"""Replace segments by others of the same records in one commit: what erasing and compacting have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.log.commits import CommitLog
from esctl.log.merkle import BLOCK
from esctl.log.segment import name_segment, write_segment
from esctl.log.store_state import Commit, Redaction, SegmentEntry, StoreState
from esctl.storage.local import Filesystem, describe_failure, open_plain
from esctl.storage.protocol import ConflictError

if TYPE_CHECKING:
    import pyarrow as pa


class Replacement(Struct, frozen=True):
    """Segments that go, and the tables of segment.SCHEMA that come: together the same positions, in order.

    Each table becomes one segment. They may be generated: one is written before the next is asked for. Every record
    must keep its leaf, for the tree stays as it is.
    """

    kind: Literal["compact", "redact"]
    removed: Sequence[SegmentEntry]
    tables: Iterable[pa.Table] = ()
    redaction: Redaction | None = None  # its `at` becomes that of the commit
    ready: Sequence[tuple[Path, SegmentEntry]] = ()  # in place of tables: segments written under temporary names


def replace_segments(
    log: CommitLog, files: Filesystem, snapshot: StoreState, wanted: Replacement, at: int
) -> StoreState:
    """Write new segments, make one commit that names them in place of the old, then unlink the old.

    Killed before the commit, nothing has happened but files that no commit names; after it, `sweep` removes the
    old ones. Raises InputError for a segment that is not what was committed (damage must not be written down anew) or
    where nothing can be written, ConflictError if another writer has made a commit meanwhile, OSError where what was
    erased cannot be removed for good.
    """
    check_committed(snapshot, wanted.removed)
    blocks = _blocks_of(wanted.removed)
    written: list[SegmentEntry] = []
    commit = None
    try:
        made = (write_segment(snapshot.path / "log", table, files) for table in wanted.tables)
        named = (name_segment(temporary, entry, files) for temporary, entry in wanted.ready)
        for entry in chain(made, named):
            ends = range(-(-entry.first // BLOCK) * BLOCK, entry.last + 1, BLOCK)
            written.append(entry.with_blocks(tuple(blocks[end] for end in ends)))
        commit = _commit_of(snapshot, wanted, written, at)
        after = log.append(snapshot, commit)
    except BaseException as error:
        lost = isinstance(error, ConflictError)
        if commit is None or lost or not log.has(commit.seq):  # it may fail after it was made: then they are evidence
            with suppress(OSError):
                _unlink_segments(log, files, written)
        raise
    # What was compacted may stay until the next writer; what was erased must not come back after a power cut.
    with suppress(OSError) if wanted.kind == "compact" else nullcontext():
        _unlink_segments(log, files, wanted.removed)
    return after


def _commit_of(snapshot: StoreState, wanted: Replacement, written: Sequence[SegmentEntry], at: int) -> Commit:
    return Commit(
        seq=snapshot.seq + 1,
        kind=wanted.kind,
        at=at,
        prev=snapshot.commit_sha256,
        tree=snapshot.tree,
        add=tuple(written),
        remove=tuple(entry.file for entry in wanted.removed),
        redaction=replace(wanted.redaction, at=at) if wanted.redaction is not None else None,
    )


def _unlink_segments(log: CommitLog, files: Filesystem, segments: Sequence[SegmentEntry]) -> None:
    """Remove segments that no commit names any more; those who read one keep it until they close it."""
    for segment in segments:
        files.unlink(log.path / "log" / segment.file)
    files.sync_folder(log.path / "log")


def check_committed(snapshot: StoreState, segments: Iterable[SegmentEntry]) -> None:
    """Make sure that segments are byte for byte what was committed. Raises InputError naming the first that is not."""
    for segment in segments:
        path = snapshot.path / "log" / segment.file
        with describe_failure(f"read {path}"), open(open_plain(path), "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != segment.sha256:
            raise InputError(f"{path} is not what was committed", "see what is wrong with: esctl verify --full")


def _blocks_of(segments: Iterable[SegmentEntry]) -> dict[int, bytes]:
    """Return the committed block roots by the position of the block's last record: they do not depend on the cut."""
    found: dict[int, bytes] = {}
    for segment in segments:
        ends = range(-(-segment.first // BLOCK) * BLOCK, segment.last + 1, BLOCK)
        found.update(zip(ends, segment.blocks, strict=True))
    return found
