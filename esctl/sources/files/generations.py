"""Which known source a stream continues, found by the hash of what was read of it before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.model import Cursor, FileCursor
from esctl.sources.feed import Feed
from esctl.sources.names import generations
from esctl.sources.pieces import BLANKS, NEWLINE

if TYPE_CHECKING:
    from esctl.sources.files.beginnings import Kept

HEAD_SIZE = 65536
COLUMNAR = frozenset({"parquet", "arrow", "avro", "evtx"})
_LINED = frozenset({"jsonl", "csv", "tsv", "text"})

_Shelf = tuple[str, int]
_FILES: _Shelf = ("file", 0)


class Candidate(Struct, frozen=True):
    """A known source that the stream may continue."""

    name: str
    cursor: FileCursor


class KnownSources(dict[str, Cursor]):
    """The cursors of a store by source name, which are also found by how their sources begin.

    So a new file is compared with a few known ones, however many there are. `kept` gives the bytes of known sources.
    What was found with them are pairs of a stream's name and the name of the source that it is the beginning of
    (`begun`), or may be the beginning of, as records of that source were erased (`maybe_begun`).
    """

    def __init__(self, cursors: Mapping[str, Cursor]) -> None:
        super().__init__()
        self.kept: Kept | None = None
        self.begun: list[tuple[str, str]] = []
        self.maybe_begun: list[tuple[str, str]] = []
        self.longest_head = 0
        self._shelves: dict[_Shelf, dict[str, dict[str, None]]] = {}  # shelf -> digest -> names
        for name, cursor in cursors.items():
            self[name] = cursor

    def __setitem__(self, name: str, cursor: Cursor) -> None:
        before = self.get(name)
        if isinstance(before, FileCursor) and before.records and before.offset:
            shelf, digest = _shelf_of(before)
            del self._shelves[shelf][digest][name]
            if not self._shelves[shelf][digest]:
                del self._shelves[shelf][digest]
        super().__setitem__(name, cursor)
        # Without a record there is nothing to recognise the source by (an empty file, a header alone).
        if isinstance(cursor, FileCursor) and cursor.records and cursor.offset:
            shelf, digest = _shelf_of(cursor)
            self.longest_head = max(self.longest_head, cursor.head_size)
            self._shelves.setdefault(shelf, {}).setdefault(digest, {})[name] = None

    def find_by_digest(self, sha256: str) -> list[Candidate]:
        """List the known Parquet and Arrow files with this digest."""
        return file_candidates(self._shelves.get(_FILES, {}).get(sha256, ()), self)

    def find_by_head(self, head: bytes) -> list[Candidate]:
        """List the known sources of text that a stream with these first bytes may continue."""
        shelves = [shelf for shelf in self._shelves if _may_end_within(head, *shelf)]
        head_digests = digests(head, {size for _, size in shelves})
        found = (name for shelf in shelves for name in self._shelves[shelf].get(head_digests[shelf[1]], ()))
        return file_candidates(found, self)


def _shelf_of(cursor: FileCursor) -> tuple[_Shelf, str]:
    """Return the shelf of a cursor (how the read part of its source ends, and the size of its head), and its digest."""
    if cursor.format in COLUMNAR:
        return _FILES, cursor.sha256
    if cursor.format == "json-document":
        end = "stream"
    else:
        end = "line" if cursor.format in _LINED and not cursor.tail and cursor.head_size < HEAD_SIZE else "anywhere"
    return (end, cursor.head_size), cursor.head_sha256


def _may_end_within(head: bytes, end: str, size: int) -> bool:
    """Return whether a source that was read to `size` bytes may end within this head, without hashing it."""
    if not 0 < size <= len(head):
        return False
    if end == "anywhere" or size == len(head):
        return True
    if end == "stream":
        return False
    if head[size - 1] == NEWLINE:
        return True
    # If the last line was read without its end, that end is the first thing that was added.
    return head[size] in BLANKS and not head[size:].lstrip(BLANKS[:2])[:1].strip(BLANKS)


def find_candidates(
    name: str, head: bytes, cursors: Mapping[str, Cursor], foreign: bool, agrees: Callable[[FileCursor], bool]
) -> list[Candidate]:
    """List the known sources with the same head that `agrees` accepts, the most credible first.

    First the generations of `name` itself, newest first; then, if `foreign`, sources of other names, the one read
    furthest first.
    """
    names = list(reversed(generations(name, cursors)))
    own = [known for known in file_candidates(names, cursors) if agrees(known.cursor)]
    sizes = digests(head, {candidate.cursor.head_size for candidate in own})
    same = [one for one in own if sizes.get(one.cursor.head_size) == one.cursor.head_sha256]
    if not foreign or any(_is_whole(one.cursor, head) for one in same):
        return same
    known = cursors if isinstance(cursors, KnownSources) else KnownSources(cursors)
    others = [other for other in known.find_by_head(head) if other.name not in names and agrees(other.cursor)]
    return same + sorted(others, key=lambda other: (-other.cursor.offset, other.name))


def _is_whole(cursor: FileCursor, head: bytes) -> bool:
    """Return whether the head of a source is all that was read of it, so that nothing more has to be compared."""
    return cursor.offset == cursor.head_size and (cursor.format != "json-document" or cursor.offset == len(head))


def digests(head: bytes, sizes: Iterable[int]) -> dict[int, str]:
    """Return, by size, the SHA-256 (hex) of the first `size` bytes of a head, for each size that it has.

    It is one pass, as a store may know thousands of sources.
    """
    found, hashed, done = {}, hashlib.sha256(), 0
    for size in sorted(sizes):
        if size > len(head):
            break
        hashed.update(head[done:size])
        found[size], done = hashed.copy().hexdigest(), size
    return found


def same_files(name: str, sha256: str, cursors: Mapping[str, Cursor], foreign: bool) -> list[Candidate]:
    """List the known Parquet and Arrow files with this digest, the most credible first."""
    names = list(reversed(generations(name, cursors)))
    own = [known for known in file_candidates(names, cursors) if _shelf_of(known.cursor) == (_FILES, sha256)]
    if own or not foreign:
        return own
    return (cursors if isinstance(cursors, KnownSources) else KnownSources(cursors)).find_by_digest(sha256)


def file_candidates(names: Iterable[str], cursors: Mapping[str, Cursor]) -> list[Candidate]:
    """Return the named sources whose cursors are those of files, in the same order."""
    known = ((name, cursors[name]) for name in names)
    return [Candidate(name, cursor) for name, cursor in known if isinstance(cursor, FileCursor)]


def select_matching(feed: Feed, found: list[Candidate], size: int) -> list[Candidate]:
    """Return the candidates whose whole read prefix the stream has, in the same order.

    The feed is read to the furthest offset. A `json-document` matches only if the stream ends where it did: a longer
    document is another one.
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
