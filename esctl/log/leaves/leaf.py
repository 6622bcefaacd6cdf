"""The leaf of one record as text, written and read singly; `segment.leaf_hashes` hashes leaves set-wise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from msgspec import Struct

from esctl.log.merkle import leaf_hash

WORDS = "esctl/record/1"
NOTHING = "-"
_MOST_LENGTH = 20
_NUMBER = r"0|-?[1-9][0-9]{0,18}"
_LEAF = re.compile(
    rf"{WORDS}\n([1-9][0-9]{{0,18}})\n({_NUMBER})\n({_NUMBER})\n(-|{_NUMBER})\n"
    r"(-|[0-9a-f]{64})\n(-|[0-9a-f]{64})\n(-|[0-9a-f]{64})\n([0-9a-f]{64})\n",
    re.ASCII,
)


class Leaf(Struct, frozen=True):
    """What the tree vouches for in a record. Times are microseconds since the epoch, digests lower-case hex or `-`."""

    position: int
    recorded_at: int
    offset: int
    source_time: int | None
    key: str
    headers: str
    raw: str
    source: str

    @property
    def text(self) -> str:
        """Return the leaf as text: nine lines."""
        time = NOTHING if self.source_time is None else str(self.source_time)
        numbers = (str(self.position), str(self.recorded_at), str(self.offset), time)
        return "\n".join((WORDS, *numbers, self.key, self.headers, self.raw, self.source, ""))

    @property
    def hash(self) -> bytes:
        """Return the leaf's hash in the tree."""
        return leaf_hash(self.text.encode())


def leaf_of(row: Mapping[str, Any]) -> Leaf:
    """Return the leaf of a segment's row whose times are in microseconds. The record must not be erased."""
    salt = row["salt"] or b""
    return Leaf(
        row["position"],
        row["recorded_at"],
        row["offset"],
        row["source_time"],
        digest(salt, row["key"]),
        digest(salt, None if row["headers"] is None else headers_bytes(row["headers"])),
        digest(salt, row["raw"]),
        digest(salt, row["source"].encode()),
    )


def parse_leaf(text: str) -> Leaf:
    """Read the text of a leaf. Raises ValueError for anything else."""
    found = _LEAF.fullmatch(text)
    if found is None:
        raise ValueError("not the leaf of a record")
    position, recorded_at, offset, time, key, headers, raw, source = found.groups()
    source_time = None if time == NOTHING else int(time)
    return Leaf(int(position), int(recorded_at), int(offset), source_time, key, headers, raw, source)


def digest(salt: bytes, content: bytes | None) -> str:
    """Return the SHA-256 (hex) of a salt and a part of a record's content, or `-` for null."""
    return NOTHING if content is None else sha256(salt + content).hexdigest()


def parse_headers(data: bytes) -> list[dict[str, Any]]:
    """Read headers that `headers_bytes` wrote. Raises ValueError for anything else."""
    parts: list[bytes | None] = []
    at = 0
    while at < len(data):
        length, _, _ = data[at : at + _MOST_LENGTH].partition(b":")
        start = at + len(length) + 1
        none = length == NOTHING.encode()
        at = start if none else start + int(length)
        parts.append(None if none else data[start:at])
    pairs = zip(parts[::2], parts[1::2], strict=True)
    headers = [{"name": (name or b"").decode(), "value": value} for name, value in pairs]
    if headers_bytes(headers) != data:
        raise ValueError("not headers as a leaf has them")
    return headers


def headers_bytes(headers: list[dict[str, Any]]) -> bytes:
    """Return headers end to end, name then value, each as `<length in bytes>:<bytes>`, a null value as `-:`."""
    parts = (part for each in headers for part in (each["name"].encode(), each["value"]))
    return b"".join(b"-:" if part is None else b"%d:%b" % (len(part), part) for part in parts)
