"""What a store consists of at one commit, and how commits add up to it. Pure: reads and writes no file."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from esctl.errors import InputError
from esctl.log.lines import sealed, to_line, unsealed
from esctl.log.merkle import HASH, Frontier
from esctl.log.ranges import ByteRange
from esctl.model import Cursor

FORMAT = 1
SEGMENT_NAME = re.compile(r"(\d{20})-(\d{20})\.[0-9a-f]{8}\.parquet", re.ASCII)
_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RESTORE_HINT = "the store is damaged: restore it from a copy"

Kind = Literal["append", "compact", "redact"]


class SegmentEntry(Struct, frozen=True):
    """One segment as a commit names it. Positions are inclusive, times microseconds since the epoch (UTC)."""

    file: str
    size: int  # of the file, in bytes
    sha256: str
    first: int
    last: int
    min_recorded_at: int
    max_recorded_at: int
    ranges: tuple[ByteRange, ...]  # its row groups in order, then its footer
    blocks: tuple[bytes, ...] = ()  # roots of the aligned 4,096-leaf blocks whose last leaf is in here

    def with_blocks(self, blocks: tuple[bytes, ...]) -> SegmentEntry:
        """Give the same entry with these block roots."""
        return replace(self, blocks=blocks)


class Redaction(Struct, frozen=True):
    """The erasure of records: which (inclusive ranges of positions, ascending and apart), when, why, by whom.

    `mappings`: what had been recognised in their sources, which could not be from what is left.
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
        """Tell whether the record at a position was erased by it."""
        return any(first <= position <= last for first, last in self.positions)


class Commit(Struct, frozen=True):
    """One atomic step of a store, as one commit file says it. A `redaction` is told of by that kind alone."""

    seq: int
    kind: Kind
    at: int  # microseconds since the epoch
    prev: str  # SHA-256 of the commit file before; of the store's identity for the first
    tree: Frontier
    add: tuple[SegmentEntry, ...] = ()
    remove: tuple[str, ...] = ()
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    redaction: Redaction | None = None


class Snapshot(Struct, frozen=True):
    """A store at one commit: everything a reader needs to know, without opening a segment."""

    path: Path  # the store's folder
    store_id: str
    erasable: bool
    seq: int  # number of the commit, 0 for a store without any
    at: int  # its time, microseconds since the epoch; 0 without any commit
    commit_sha256: str  # what the next commit's `prev` must be
    tree: Frontier
    segments: tuple[SegmentEntry, ...]  # in order of position
    cursors: Mapping[str, Cursor]  # by source name
    redactions: tuple[Redaction, ...] = ()  # in the order of their commits

    @property
    def erased(self) -> int:
        """Count the records that were erased."""
        return sum(redaction.count(self.head) for redaction in self.redactions)

    def redaction_of(self, position: int) -> Redaction | None:
        """Give what erased the record at a position; None where it was not erased."""
        return next((redaction for redaction in self.redactions if redaction.covers(position)), None)

    @property
    def head(self) -> int:
        """Position of the last record, 0 when there is none."""
        return self.tree.size

    @property
    def root(self) -> str:
        """Root of the tree over all records, lower-case hex."""
        return self.tree.root().hex()

    @property
    def blocks(self) -> tuple[bytes, ...]:
        """Roots of all complete aligned 4,096-leaf blocks, in order."""
        return tuple(block for segment in self.segments for block in segment.blocks)


def identity(store_id: str, erasable: bool) -> dict[str, Any]:
    """Give the content of format.json."""
    return {"format": FORMAT, "store_id": store_id, "erasable": erasable}


def empty(path: Path, store_id: str, erasable: bool) -> Snapshot:
    """Give the snapshot of a store without commits; its chain starts from the store's identity."""
    first = sha256(to_line(identity(store_id, erasable))).hexdigest()
    return Snapshot(path, store_id, erasable, 0, 0, first, Frontier(), (), MappingProxyType({}))


def format_instant(microseconds: int) -> str:
    """Write microseconds since the epoch as RFC 3339 in UTC with six digits of fraction."""
    return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_instant(text: str) -> int:
    """Read what `format_instant` wrote. Raises ValueError or TypeError for anything else."""
    moment = datetime.fromisoformat(text)
    if len(text) != len("2024-01-01T00:00:00.000000Z") or moment.tzinfo != UTC:
        raise ValueError(f"not a time as written here: {text!r}")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def commit_to_json(commit: Commit) -> dict[str, Any]:
    """Give a commit file's content."""
    told = {} if commit.redaction is None else {"redaction": _redaction_to_json(commit.redaction)}
    return sealed(
        told
        | {
            "seq": commit.seq,
            "kind": commit.kind,
            "at": format_instant(commit.at),
            "prev": commit.prev,
            "add": [_entry_to_json(entry) for entry in commit.add],
            "remove": list(commit.remove),
            "tree": commit.tree.to_json(),
            "cursors": _cursors_to_json(commit.cursors),
        }
    )


def commit_from_json(value: Mapping[str, Any]) -> Commit:
    """Read a commit file's content. Raises ValueError, KeyError or TypeError for anything else."""
    value = unsealed(value)
    kind = value["kind"]
    if kind not in ("append", "compact", "redact"):
        raise ValueError(f"unknown kind of commit: {kind!r}")
    if (kind == "redact") != ("redaction" in value):
        raise ValueError("a redaction is told of where records were erased, and only there")
    redaction = _redaction_from_json(value["redaction"]) if kind == "redact" else None
    if redaction is not None and redaction.at != parse_instant(value["at"]):
        raise ValueError("a redaction is made when its commit is")
    return Commit(
        seq=_whole(value["seq"]),
        kind=kind,
        at=parse_instant(value["at"]),
        prev=_hash_text(value["prev"]),
        tree=Frontier.from_json(value["tree"]),
        add=tuple(_entry_from_json(entry) for entry in value["add"]),
        remove=tuple(str(name) for name in value["remove"]),
        cursors=_cursors_from_json(value["cursors"]),
        redaction=redaction,
    )


def snapshot_to_json(snapshot: Snapshot, identity: str) -> dict[str, Any]:
    """Give a summary file's content. `identity`: the digest that the first commit follows from."""
    redactions = [_redaction_to_json(redaction) for redaction in snapshot.redactions]
    body = {
        "identity": identity,
        "seq": snapshot.seq,
        "at": format_instant(snapshot.at),
        "commit_sha256": snapshot.commit_sha256,
        "tree": snapshot.tree.to_json(),
        "segments": [_entry_to_json(entry) for entry in snapshot.segments],
        "cursors": _cursors_to_json(snapshot.cursors),
    }
    return sealed(body | ({"redactions": redactions} if redactions else {}))


def snapshot_from_json(base: Snapshot, value: Mapping[str, Any]) -> Snapshot:
    """Read a summary of the store whose empty snapshot is `base`. Raises ValueError, KeyError or TypeError."""
    value = unsealed(value)
    if value["identity"] != base.commit_sha256:
        raise ValueError("it is of another store")
    segments = tuple(_entry_from_json(entry) for entry in value["segments"])
    tree = Frontier.from_json(value["tree"])
    _check_dense(segments, tree.size)
    return Snapshot(
        base.path,
        base.store_id,
        base.erasable,
        _whole(value["seq"]),
        parse_instant(value["at"]),
        _hash_text(value["commit_sha256"]),
        tree,
        segments,
        MappingProxyType(_cursors_from_json(value["cursors"])),
        tuple(_redaction_from_json(told) for told in value.get("redactions", ())),
    )


def replay(snapshot: Snapshot, commits: Sequence[tuple[Commit, str]]) -> Snapshot:
    """Add commits, each with the SHA-256 of its file, to a snapshot.

    Raises InputError, naming the commit, if one does not follow from what is before it.
    """
    segments, cursors, redactions = list(snapshot.segments), dict(snapshot.cursors), list(snapshot.redactions)
    seq, at, prev, tree = snapshot.seq, snapshot.at, snapshot.commit_sha256, snapshot.tree
    for commit, digest in commits:
        name = snapshot.path / "commits" / commit_name(seq + 1)
        if commit.seq != seq + 1 or commit.prev != prev:
            before = f"from {snapshot.path / 'format.json'}" if seq == 0 else "the commit before it"
            raise InputError(f"{name} does not follow {before}", _RESTORE_HINT)
        try:
            segments = _next_segments(segments, tree, commit)
            if commit.at <= at:
                raise ValueError("its time goes back")
            if commit.redaction is not None:
                _check_apart(commit.redaction.positions, tree.size)
        except ValueError as error:
            raise InputError(f"{name} contradicts the commits before it: {error}", _RESTORE_HINT) from error
        cursors.update(commit.cursors)
        redactions += [commit.redaction] if commit.redaction is not None else []
        seq, at, prev, tree = commit.seq, commit.at, digest, commit.tree
    return Snapshot(
        snapshot.path,
        snapshot.store_id,
        snapshot.erasable,
        seq,
        at,
        prev,
        tree,
        tuple(segments),
        MappingProxyType(cursors),
        tuple(redactions),
    )


def commit_name(seq: int) -> str:
    """Name the file of a commit."""
    return f"{seq:020d}.json"


def _next_segments(segments: list[SegmentEntry], tree: Frontier, commit: Commit) -> list[SegmentEntry]:
    if commit.kind == "append":
        if commit.remove:
            raise ValueError("an append removes nothing")
        _check_dense(commit.add, commit.tree.size, tree.size)
        segments.extend(commit.add)
        return segments
    gone = set(commit.remove)
    kept = [segment for segment in segments if segment.file not in gone]
    if len(kept) + len(gone) != len(segments) or commit.tree != tree:
        raise ValueError("only segments that are there can be replaced, and by the same records")
    replaced = sorted([*kept, *commit.add], key=lambda segment: segment.first)
    _check_dense(replaced, tree.size)
    return replaced


def _check_dense(segments: Sequence[SegmentEntry], head: int, before: int = 0) -> None:
    """Raise ValueError unless the segments cover the positions (before, head], each once."""
    reached = before
    for segment in segments:
        if segment.first != reached + 1:
            raise ValueError(f"position {reached + 1} is not in {segment.file}, which comes next")
        reached = segment.last
    if reached != head:
        raise ValueError(f"the segments end at position {reached}, the tree at {head}")


def _check_apart(ranges: Sequence[tuple[int, int]], head: int) -> None:
    """Raise ValueError unless these are ranges of positions up to the head, ascending and apart."""
    reached = 0
    for first, last in ranges:
        if not reached < first <= last <= head:
            raise ValueError(f"not ranges of its positions: {first} to {last}")
        reached = last
    if not ranges:
        raise ValueError("it erased nothing")


def _entry_to_json(entry: SegmentEntry) -> dict[str, Any]:
    return {
        "file": entry.file,
        "bytes": entry.size,
        "sha256": entry.sha256,
        "first": entry.first,
        "last": entry.last,
        "min_recorded_at": format_instant(entry.min_recorded_at),
        "max_recorded_at": format_instant(entry.max_recorded_at),
        "ranges": [[part.bytes, part.sha256] for part in entry.ranges],
        "blocks": [block.hex() for block in entry.blocks],
    }


def _entry_from_json(value: Mapping[str, Any]) -> SegmentEntry:
    named = SEGMENT_NAME.fullmatch(value["file"])
    blocks = tuple(bytes.fromhex(block) for block in value["blocks"])
    if not named or any(len(block) != HASH for block in blocks):
        raise ValueError("not the name of a segment, or not a hash")
    first, last = _whole(value["first"]), _whole(value["last"])
    if (first, last) != (int(named[1]), int(named[2])) or not 0 < first <= last:
        raise ValueError("a segment's name must tell its positions")
    return SegmentEntry(
        value["file"],
        _whole(value["bytes"]),
        _hash_text(value["sha256"]),
        first,
        last,
        parse_instant(value["min_recorded_at"]),
        parse_instant(value["max_recorded_at"]),
        _ranges_from_json(value["ranges"], value["bytes"]),
        blocks,
    )


def _ranges_from_json(value: Sequence[Sequence[Any]], size: int) -> tuple[ByteRange, ...]:
    offset, ranges = 0, []
    for length, digest in value:
        ranges.append(ByteRange(offset, _whole(length), _hash_text(digest)))
        offset += length
    if not ranges or offset != size:
        raise ValueError("a segment's ranges must cover its file")
    return tuple(ranges)


def _redaction_to_json(redaction: Redaction) -> dict[str, Any]:
    return {
        "at": format_instant(redaction.at),
        "positions": [list(range_) for range_ in redaction.positions],
        "reason": redaction.reason,
        "actor": redaction.actor,
        "mappings": {source: dict(mapping) for source, mapping in redaction.mappings.items()},
    }


def _redaction_from_json(value: Mapping[str, Any]) -> Redaction:
    positions = tuple((_whole(first), _whole(last)) for first, last in value["positions"])
    if not isinstance(value["reason"], str) or not isinstance(value["actor"], str):
        raise ValueError("a redaction has a reason and an actor")
    mappings = {str(source): dict(mapping) for source, mapping in value["mappings"].items()}
    return Redaction(parse_instant(value["at"]), positions, value["reason"], value["actor"], mappings)


def _cursors_to_json(cursors: Mapping[str, Cursor]) -> dict[str, Any]:
    return {name: asdict(cursor) | {"dialect": dict(cursor.dialect)} for name, cursor in cursors.items()}


def _cursors_from_json(value: Mapping[str, Any]) -> dict[str, Cursor]:
    return {name: _cursor_from_json(cursor) for name, cursor in value.items()}


_CURSOR_TYPES: Mapping[str, type] = {
    name: {"int": int, "str": str}.get(Cursor.__annotations__[name], dict) for name in Cursor.__struct_fields__
}


_DELIMITED = {"delimiter": re.compile(r"[,;\t|]")}
_DIALECTS = {
    "csv": _DELIMITED,
    "tsv": _DELIMITED,
    "json": {"shape": re.compile("values|array|wrapped"), "inside": re.compile("[01]")},
}
"""What reading a source of a format again rests on."""


def _cursor_from_json(value: Mapping[str, Any]) -> Cursor:
    for name, given in value.items():
        if type(given) is not _CURSOR_TYPES.get(name):
            raise ValueError(f"{name!r} is not a part of a cursor, or of another type")
    cursor = Cursor(**value)
    counts = (cursor.offset, cursor.head_size, cursor.records, cursor.sampled)
    if any(count < 0 for count in counts) or not all(isinstance(text, str) for text in cursor.dialect.values()):
        raise ValueError("a count or a text of a cursor is none")
    for encoded in (cursor.header, cursor.tail):
        b64decode(encoded, validate=True)  # raises binascii.Error, which is a ValueError
    known = _DIALECTS.get(cursor.format, {})
    if any(not pattern.fullmatch(cursor.dialect.get(name, "")) for name, pattern in known.items()):
        raise ValueError("a cursor does not say how its source is written")
    return cursor


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(f"not a count: {value!r}")
    return value


def _hash_text(value: Any) -> str:
    if not isinstance(value, str) or not _HEX64.fullmatch(value):
        raise ValueError("not a SHA-256 in hex")
    return value
