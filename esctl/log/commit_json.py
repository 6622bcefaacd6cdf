"""Commits and summaries as the JSON of their files; each member is checked when it is read."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from msgspec import convert
from msgspec.structs import asdict, replace

from esctl.log.lines import from_line, sealed, to_line, unsealed
from esctl.log.merkle import HASH, Frontier
from esctl.log.ranges import ByteRange
from esctl.log.segments import (
    SEGMENT_NAME,
    Chunk,
    SegmentEntry,
    SegmentPart,
    bytes_of,
    check_dense,
    chunks_of,
    digest_of_names,
    join_chunks,
)
from esctl.log.store_state import Commit, Redaction, StoreState
from esctl.model import CURSORS, Cursor

PART_BYTES = 1 << 18
"""Bytes of listed segments that fill a part: a file of its own in the summary's folder."""
PART_NAME = re.compile(r"segments-(\d{20})-(\d{20})\.[0-9a-f]{8}\.json", re.ASCII)
_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stored_time(microseconds: int) -> str:
    """Write microseconds since the epoch as RFC 3339 in UTC with six digits of fraction."""
    moment = (_EPOCH + timedelta(microseconds=microseconds)).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='microseconds')}Z"  # strftime writes a year before 1000 with fewer digits


def parse_stored_time(text: str) -> int:
    """Read what `stored_time` wrote. Raises ValueError or TypeError for anything else."""
    moment = datetime.fromisoformat(text)
    if len(text) != len("2024-01-01T00:00:00.000000Z") or moment.tzinfo != UTC:
        raise ValueError(f"not a time as written here: {text!r}")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def commit_to_json(commit: Commit) -> dict[str, Any]:
    """Return a commit file's content."""
    redaction = {} if commit.redaction is None else {"redaction": _redaction_to_json(commit.redaction)}
    return sealed(
        redaction
        | {
            "seq": commit.seq,
            "kind": commit.kind,
            "at": stored_time(commit.at),
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
    if redaction is not None and redaction.at != parse_stored_time(value["at"]):
        raise ValueError("a redaction is made when its commit is")
    return Commit(
        seq=_whole(value["seq"]),
        kind=kind,
        at=parse_stored_time(value["at"]),
        prev=_hash_text(value["prev"]),
        tree=Frontier.from_json(value["tree"]),
        add=tuple(_entry_from_json(entry) for entry in value["add"]),
        remove=tuple(str(name) for name in value["remove"]),
        cursors=_cursors_from_json(value["cursors"]),
        redaction=redaction,
    )


def store_state_to_json(store_state: StoreState, identity: str) -> dict[str, Any]:
    """Return a summary file's content. `identity`: the digest that the first commit follows from."""
    redactions = [_redaction_to_json(redaction) for redaction in store_state.redactions]
    body = {
        "identity": identity,
        "seq": store_state.seq,
        "at": stored_time(store_state.at),
        "commit_sha256": store_state.commit_sha256,
        "tree": store_state.tree.to_json(),
        "segments": [entry for chunk in chunks_of(store_state.segments) for entry in _chunk_to_json(chunk)],
        "cursors": _cursors_to_json(store_state.cursors),
    }
    return sealed(body | ({"redactions": redactions} if redactions else {}))


def store_state_from_json(base: StoreState, value: Mapping[str, Any]) -> StoreState:
    """Read a summary of the store whose state without commits is `base`. Raises ValueError, KeyError or TypeError."""
    value = unsealed(value)
    if value["identity"] != base.commit_sha256:
        raise ValueError("it is of another store")
    listed = [_part_from_json(entry) if "part" in entry else _entry_from_json(entry) for entry in value["segments"]]
    tree = Frontier.from_json(value["tree"])
    check_dense(listed, tree.size)
    segments = join_chunks(base.path, [each if isinstance(each, SegmentPart) else (each,) for each in listed])
    return StoreState(
        base.path,
        base.store_id,
        base.erasable,
        _whole(value["seq"]),
        parse_stored_time(value["at"]),
        _hash_text(value["commit_sha256"]),
        tree,
        segments,
        MappingProxyType(_cursors_from_json(value["cursors"])),
        tuple(_redaction_from_json(entry) for entry in value.get("redactions", ())),
    )


def split_into_parts(store_state: StoreState) -> tuple[StoreState, Mapping[str, bytes]]:
    """Put segments into parts where they fill one; return the store state, and the new parts' files by name."""
    chunks, files = list[Chunk](), dict[str, bytes]()
    earlier = chunks_of(store_state.segments)
    for number, chunk in enumerate(earlier, 1):
        if isinstance(chunk, SegmentPart):
            chunks.append(chunk)
            continue
        for entries, is_full in _group_for_parts(chunk):
            if is_full or number < len(earlier):
                part, data = _make_part(entries)
                files[part.file] = data
                chunks.append(part)
            else:
                chunks.append(entries)
    return replace(store_state, segments=join_chunks(store_state.path, chunks)), files


def _group_for_parts(entries: Sequence[SegmentEntry]) -> Iterator[tuple[tuple[SegmentEntry, ...], bool]]:
    """Yield groups of segments, from the first on, each with whether it fills a part; only the last may not."""
    start = size = 0
    for number, entry in enumerate(entries, 1):
        size += len(to_line(_entry_to_json(entry)))
        if size >= PART_BYTES:
            yield tuple(entries[start:number]), True
            start, size = number, 0
    if start < len(entries):
        yield tuple(entries[start:]), False


def _make_part(entries: Sequence[SegmentEntry]) -> tuple[SegmentPart, bytes]:
    data = to_line({"segments": [_entry_to_json(entry) for entry in entries]})
    digest, first, last = sha256(data).hexdigest(), entries[0].first, entries[-1].last
    name, size = f"segments-{first:020d}-{last:020d}.{digest[:8]}.json", bytes_of(entries)
    names = digest_of_names(entry.file for entry in entries)
    return SegmentPart(name, len(data), digest, first, last, len(entries), size, names), data


def part_from_bytes(part: SegmentPart, data: bytes) -> tuple[SegmentEntry, ...]:
    """Return the segments in a part's file. Raises ValueError, KeyError or TypeError if it is not as written."""
    if sha256(data).hexdigest() != part.sha256:
        raise ValueError("it is not as it was written")
    entries = tuple(_entry_from_json(entry) for entry in from_line(data)["segments"])
    check_dense(entries, part.last, part.first - 1)
    if len(entries) != part.count:
        raise ValueError("it has another number of segments")
    return entries


def _chunk_to_json(chunk: Chunk) -> list[dict[str, Any]]:
    if not isinstance(chunk, SegmentPart):
        return [_entry_to_json(entry) for entry in chunk]
    part = asdict(chunk)
    return [{"part": part.pop("file"), **part}]


def _part_from_json(value: Mapping[str, Any]) -> SegmentPart:
    part = convert({**value, "file": value["part"]}, SegmentPart)
    named = PART_NAME.fullmatch(part.file)
    if not named or (part.first, part.last) != (int(named[1]), int(named[2])) or not 0 < part.first <= part.last:
        raise ValueError("a part's name must tell its positions")
    for number in (part.bytes, part.count, part.size):
        _whole(number)
    return part


def _entry_to_json(entry: SegmentEntry) -> dict[str, Any]:
    return {
        "file": entry.file,
        "bytes": entry.size,
        "sha256": entry.sha256,
        "first": entry.first,
        "last": entry.last,
        "min_recorded_at": stored_time(entry.min_recorded_at),
        "max_recorded_at": stored_time(entry.max_recorded_at),
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
        parse_stored_time(value["min_recorded_at"]),
        parse_stored_time(value["max_recorded_at"]),
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
        "at": stored_time(redaction.at),
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
    return Redaction(parse_stored_time(value["at"]), positions, value["reason"], value["actor"], mappings)


def _cursors_to_json(cursors: Mapping[str, Cursor]) -> dict[str, Any]:
    return {name: _cursor_to_json(cursor) for name, cursor in cursors.items()}


def _cursor_to_json(cursor: Cursor) -> dict[str, Any]:
    kind = _KINDS[type(cursor)]
    return asdict(cursor) | {"dialect": dict(cursor.dialect)} | ({_KIND: kind} if kind else {})


def _cursors_from_json(value: Mapping[str, Any]) -> dict[str, Cursor]:
    return {name: _cursor_from_json(cursor) for name, cursor in value.items()}


_KIND = "kind"
_KINDS = {cursor: kind for kind, cursor in CURSORS.items()}
_DELIMITED = {"delimiter": r"[,;\t| ]"}
_DIALECTS = {
    "csv": _DELIMITED,
    "tsv": _DELIMITED,
    "json": {"shape": "values|array|wrapped", "inside": "[01]"},
}
"""What a cursor's dialect must say so that a source of a format can be read again, as patterns."""


def _cursor_from_json(value: Mapping[str, Any]) -> Cursor:
    kind = value.get(_KIND, "")
    cursor: Cursor = convert({name: member for name, member in value.items() if name != _KIND}, CURSORS[kind])
    if any(number < 0 for number in asdict(cursor).values() if isinstance(number, int)):
        raise ValueError("a count of a cursor is not a count")
    for encoded in (cursor.header, getattr(cursor, "tail", "")):
        b64decode(encoded, validate=True)  # raises binascii.Error, which is a ValueError
    known = _DIALECTS.get(cursor.format, {})
    if any(not re.fullmatch(pattern, cursor.dialect.get(name, "")) for name, pattern in known.items()):
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
