"""What a store consists of at one commit, and how commits add up to it. Pure: reads and writes no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.log.lines import to_line
from esctl.log.merkle import Frontier
from esctl.log.segments import SEGMENT_NAME as SEGMENT_NAME
from esctl.log.segments import GrowingSegments, check_dense
from esctl.log.segments import SegmentEntry as SegmentEntry
from esctl.model import Cursor

FORMAT = 1
_RESTORE_HINT = "the store is damaged: restore it from a copy"

Kind = Literal["append", "compact", "redact"]


class Redaction(Struct, frozen=True):
    """An erasure of records: which (inclusive ranges of positions, ascending and disjoint), when, why and by whom.

    `mappings`: what was recognised in their sources, which cannot be recognised in what is left.
    """

    at: int  # microseconds since the epoch
    positions: tuple[tuple[int, int], ...]
    reason: str
    actor: str
    mappings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def count(self, head: int) -> int:
        """Count the records that it erased among the first `head`."""
        return sum(min(last, head) - first + 1 for first, last in self.positions if first <= head)

    def covers(self, position: int) -> bool:
        """Return whether it erased the record at a position."""
        return any(first <= position <= last for first, last in self.positions)


class Commit(Struct, frozen=True):
    """One atomic step of a store, as its commit file describes it. Only the kind `redact` has a `redaction`."""

    seq: int
    kind: Kind
    at: int  # microseconds since the epoch
    prev: str  # SHA-256 of the commit file before; of the store's identity for the first
    tree: Frontier
    add: tuple[SegmentEntry, ...] = ()
    remove: tuple[str, ...] = ()
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    redaction: Redaction | None = None


class StoreState(Struct, frozen=True):
    """A store at one commit: everything a reader needs to know, without opening a segment."""

    path: Path  # the store's folder
    store_id: str
    erasable: bool
    seq: int  # number of the commit, 0 for a store without any
    at: int  # its time, microseconds since the epoch; 0 without any commit
    commit_sha256: str  # what the next commit's `prev` must be
    tree: Frontier
    segments: Sequence[SegmentEntry]  # in order of position; some may be in parts that are read when needed
    cursors: Mapping[str, Cursor]  # by source name
    redactions: tuple[Redaction, ...] = ()  # in the order of their commits

    @property
    def erased(self) -> int:
        """Count the records that were erased."""
        return sum(redaction.count(self.head) for redaction in self.redactions)

    def redaction_of(self, position: int) -> Redaction | None:
        """Return the redaction that erased the record at a position, or None if it was not erased."""
        return next((redaction for redaction in self.redactions if redaction.covers(position)), None)

    @property
    def head(self) -> int:
        """Return the position of the last record, or 0 if there is none."""
        return self.tree.size

    @property
    def root(self) -> str:
        """Return the root of the tree over all records, in lower-case hex."""
        return self.tree.root().hex()

    @property
    def blocks(self) -> tuple[bytes, ...]:
        """Return the roots of all complete aligned 4,096-leaf blocks, in order."""
        return tuple(block for segment in self.segments for block in segment.blocks)


def identity(store_id: str, erasable: bool) -> dict[str, Any]:
    """Return the content of format.json."""
    return {"format": FORMAT, "store_id": store_id, "erasable": erasable}


def sendable(state: StoreState) -> StoreState:
    """Return the store state in a form that can be pickled."""
    return replace(state, cursors=dict(state.cursors))


def state_without_commits(path: Path, store_id: str, erasable: bool) -> StoreState:
    """Return the state of a store without commits; its hash chain starts from the store's identity."""
    first = sha256(to_line(identity(store_id, erasable))).hexdigest()
    return StoreState(path, store_id, erasable, 0, 0, first, Frontier(), (), MappingProxyType({}))


def after_commits(store_state: StoreState, commits: Sequence[tuple[Commit, str]]) -> StoreState:
    """Return a store state after further commits, each given with the SHA-256 of its file.

    Raises InputError, naming the commit, if one does not follow from those before it.
    """
    segments = GrowingSegments(store_state.path, store_state.segments)
    cursors, redactions = dict(store_state.cursors), list(store_state.redactions)
    seq, at, prev, tree = store_state.seq, store_state.at, store_state.commit_sha256, store_state.tree
    for commit, digest in commits:
        name = store_state.path / "commits" / commit_name(seq + 1)
        if commit.seq != seq + 1 or commit.prev != prev:
            before = f"from {store_state.path / 'format.json'}" if seq == 0 else "the commit before it"
            raise InputError(f"{name} does not follow {before}", _RESTORE_HINT)
        try:
            _grow(segments, tree, commit)
            if commit.at <= at:
                raise ValueError("its time goes back")
            if commit.redaction is not None:
                _check_ranges(commit.redaction.positions, tree.size)
        except ValueError as error:
            raise InputError(f"{name} contradicts the commits before it: {error}", _RESTORE_HINT) from error
        cursors.update(commit.cursors)
        redactions += [commit.redaction] if commit.redaction is not None else []
        seq, at, prev, tree = commit.seq, commit.at, digest, commit.tree
    return StoreState(
        store_state.path,
        store_state.store_id,
        store_state.erasable,
        seq,
        at,
        prev,
        tree,
        segments.done(),
        MappingProxyType(cursors),
        tuple(redactions),
    )


def commit_name(seq: int) -> str:
    """Name the file of a commit."""
    return f"{seq:020d}.json"


def _grow(segments: GrowingSegments, tree: Frontier, commit: Commit) -> None:
    if commit.kind == "append":
        if commit.remove:
            raise ValueError("an append removes nothing")
        check_dense(commit.add, commit.tree.size, tree.size)
        segments.append(commit.add)
        return
    if commit.tree != tree:
        raise ValueError("only segments that are there can be replaced, and by the same records")
    segments.replace(commit.remove, commit.add)


def _check_ranges(ranges: Sequence[tuple[int, int]], head: int) -> None:
    """Raise ValueError unless these are ascending, disjoint ranges of positions up to the head, at least one."""
    reached = 0
    for first, last in ranges:
        if not reached < first <= last <= head:
            raise ValueError(f"not ranges of its positions: {first} to {last}")
        reached = last
    if not ranges:
        raise ValueError("it erased nothing")
