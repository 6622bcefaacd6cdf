"""Which known source a stream continues, told by the hash of what was read of it before."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from esctl.model import Cursor
from esctl.sources.feed import Feed

HEAD_SIZE = 65536


@dataclass(frozen=True, slots=True)
class Candidate:
    """A known source whose beginning may be that of the stream."""

    name: str
    cursor: Cursor


def candidates(name: str, head: bytes, cursors: Mapping[str, Cursor], foreign: bool) -> list[Candidate]:
    """List known sources with the same head, in the order in which they are to be believed.

    First the generations of `name` itself, newest first; then, where `foreign`, sources of other names, the one read
    furthest first.
    """
    own = [Candidate(known, cursors[known]) for known in reversed(generations(name, cursors))]
    names = {candidate.name for candidate in own}
    others = [
        Candidate(known, cursor)
        for known, cursor in cursors.items()
        # Without a record a cursor holds nothing that could be known again (an empty file, a header alone).
        if foreign and known not in names and cursor.records and cursor.offset
    ]
    others.sort(key=lambda other: (-other.cursor.offset, other.name))
    return [candidate for candidate in own + others if _same_head(head, candidate.cursor)]


def _same_head(head: bytes, cursor: Cursor) -> bool:
    if len(head) < cursor.head_size:
        return False
    return hashlib.sha256(head[: cursor.head_size]).hexdigest() == cursor.head_sha256


def generations(name: str, cursors: Mapping[str, Cursor]) -> list[str]:
    """List the names under which `name` is known, oldest first: itself, then name#2, name#3, ..."""
    pattern = re.compile(re.escape(name) + r"#([1-9][0-9]*)")
    numbered = [(int(found[1]), known) for known in cursors if (found := pattern.fullmatch(known))]
    return [name] * (name in cursors) + [known for _, known in sorted(numbered)]


def next_name(name: str, cursors: Mapping[str, Cursor]) -> str:
    """Give the name for a stream that continues no known source."""
    known = generations(name, cursors)
    if not known:
        return name
    last = known[-1].rpartition("#")[2] if known[-1] != name else "1"
    return f"{name}#{int(last) + 1}"


def matching(feed: Feed, found: list[Candidate], size: int) -> list[Candidate]:
    """Keep those whose whole read prefix the stream has, in the same order; reads the feed to the furthest offset.

    A `json-document` matches only when the stream ends where it did: a longer document is another one.
    """
    agreed: set[str] = set()
    for candidate in sorted(found, key=lambda one: one.cursor.offset):
        cursor = candidate.cursor
        if not feed.skip_to(cursor.offset, size):
            break
        if feed.digest(cursor.offset) != cursor.sha256:
            continue
        if cursor.format == "json-document" and (len(feed.window) or feed.fill(1)):
            continue
        agreed.add(candidate.name)
    return [candidate for candidate in found if candidate.name in agreed]
