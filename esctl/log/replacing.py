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
    """Segments to remove, and the tables of segment.SCHEMA to put in their place: the same positions, in order.

    Each table becomes one segment. `tables` may be a generator: each is written before the next is asked for. Every
    record must keep its leaf, because the tree does not change.
    """

    kind: Literal["compact", "redact"]
    removed: Sequence[SegmentEntry]
    tables: Iterable[pa.Table] = ()
    redaction: Redaction | None = None  # its `at` becomes that of the commit
    ready: Sequence[tuple[Path, SegmentEntry]] = ()  # in place of tables: segments written under temporary names


def replace_segments(
    log: CommitLog, files: Filesystem, store_state: StoreState, wanted: Replacement, at: int
) -> StoreState:
    """Write new segments, make one commit that names them in place of the old, then unlink the old.

    If killed before the commit, it leaves only files that no commit names; if after, `sweep` removes the old
    segments. Raises InputError for a segment that is not what was committed (damage must not be copied) or if nothing
    can be written, ConflictError if another writer has committed meanwhile, OSError if erased records cannot be removed
    for good.
    """
    check_committed(store_state, wanted.removed)
    blocks = _block_roots_by_end(wanted.removed)
    written: list[SegmentEntry] = []
    commit = None
    try:
        made = (write_segment(store_state.path / "log", table, files) for table in wanted.tables)
        named = (name_segment(temporary, entry, files) for temporary, entry in wanted.ready)
        for entry in chain(made, named):
            ends = _block_ends(entry)
            written.append(entry.with_blocks(tuple(blocks[end] for end in ends)))
        commit = _make_commit(store_state, wanted, written, at)
        after = log.append(store_state, commit)
    except BaseException as error:
        lost = isinstance(error, ConflictError)
        # append may fail after the commit was made: then the new segments are evidence.
        if commit is None or lost or not log.has(commit.seq):
            with suppress(OSError):
                _unlink_segments(log, files, written)
        raise
    # What was compacted may stay until the next writer; what was erased must not come back after a power cut.
    with suppress(OSError) if wanted.kind == "compact" else nullcontext():
        _unlink_segments(log, files, wanted.removed)
    return after


def _make_commit(store_state: StoreState, wanted: Replacement, written: Sequence[SegmentEntry], at: int) -> Commit:
    return Commit(
        seq=store_state.seq + 1,
        kind=wanted.kind,
        at=at,
        prev=store_state.commit_sha256,
        tree=store_state.tree,
        add=tuple(written),
        remove=tuple(entry.file for entry in wanted.removed),
        redaction=replace(wanted.redaction, at=at) if wanted.redaction is not None else None,
    )


def _unlink_segments(log: CommitLog, files: Filesystem, segments: Sequence[SegmentEntry]) -> None:
    """Remove segments that no commit names any more; readers that have one open keep it until they close it."""
    for segment in segments:
        files.unlink(log.path / "log" / segment.file)
    files.sync_folder(log.path / "log")


def check_committed(store_state: StoreState, segments: Iterable[SegmentEntry]) -> None:
    """Check that segments are byte for byte what was committed. Raises InputError, naming the first that is not."""
    for segment in segments:
        path = store_state.path / "log" / segment.file
        with describe_failure(f"read {path}"), open(open_plain(path), "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != segment.sha256:
            raise InputError(f"{path} is not what was committed", "see what is wrong with: esctl verify --full")


def _block_roots_by_end(segments: Iterable[SegmentEntry]) -> dict[int, bytes]:
    """Return the committed block roots by the position of each block's last record: new segment bounds keep them."""
    found: dict[int, bytes] = {}
    for segment in segments:
        found.update(zip(_block_ends(segment), segment.blocks, strict=True))
    return found


def _block_ends(segment: SegmentEntry) -> range:
    """Return the positions in a segment that are the last of their block."""
    return range(-(-segment.first // BLOCK) * BLOCK, segment.last + 1, BLOCK)
