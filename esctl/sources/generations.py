"""Which known source a stream continues, told by the hash of what was read of it before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from msgspec import Struct

from esctl.model import Cursor
from esctl.sources.feed import Feed

HEAD_SIZE = 65536


class Candidate(Struct, frozen=True):
    """A known source whose beginning may be that of the stream."""

    name: str
    cursor: Cursor


def candidates(name: str, head: bytes, cursors: Mapping[str, Cursor], foreign: bool) -> list[Candidate]:
    """List known sources with the same head, in the order in which they are to be believed.

    First the generations of `name` itself, newest first; then, where `foreign`, sources of other names, the one read
    furthest first.
    """
    names = list(reversed(generations(name, cursors)))
    own = [Candidate(known, cursors[known]) for known in names]
    others: list[Candidate] = []
    if foreign:
        digests = _digests(head, {cursor.head_size for cursor in cursors.values()})
        others = [
            Candidate(known, cursor)
            for known, cursor in cursors.items()
            # Without a record a cursor holds nothing that could be known again (an empty file, a header alone).
            if digests.get(cursor.head_size) == cursor.head_sha256
            and cursor.records
            and cursor.offset
            and known not in names
        ]
        others.sort(key=lambda other: (-other.cursor.offset, other.name))
    sizes = _digests(head, {candidate.cursor.head_size for candidate in own})
    same = [one for one in own if sizes.get(one.cursor.head_size) == one.cursor.head_sha256]
    return same + others


def _digests(head: bytes, sizes: set[int]) -> dict[int, str]:
    """Hash the first bytes of a head for each size, in one pass: a store may know thousands of sources."""
    found, hashed, done = {}, hashlib.sha256(), 0
    for size in sorted(sizes):
        if size > len(head):
            break
        hashed.update(head[done:size])
        found[size], done = hashed.copy().hexdigest(), size
    return found


def generations(name: str, cursors: Mapping[str, Cursor]) -> list[str]:
    """List the names under which `name` is known, oldest first: itself, then name#2, name#3, ..."""
    found = [name] * (name in cursors)
    number = 2
    while f"{name}#{number}" in cursors:
        found.append(f"{name}#{number}")
        number += 1
    return found


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
