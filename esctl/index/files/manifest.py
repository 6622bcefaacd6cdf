"""The manifest: which index files count, what positions they cover, what is in them."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from msgspec import Struct, convert, field, to_builtins
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.index.files.payload_columns import PayloadColumn
from esctl.log.ranges import ByteRange
from esctl.model import Stanza
from esctl.storage.depots import LocalDepot
from esctl.storage.local import read_regular

PayloadPath = tuple[str | int, ...]

MANIFEST = "manifest.json"
LARGEST_MANIFEST = 1 << 30
"""Bytes."""
_FILE_NAME = re.compile(r"\d{20}-\d{20}\.[0-9a-f]{8}\.(?:parquet|ids)", re.ASCII)
FORMAT = 12
ERASED = "erased"
"""What the column `invalid` says of a record that was erased; it counts apart from those that could not be read."""
NONE_NEEDED = "no time, as it needs none"
"""Why an event is undated that is of no entity, and declared to be of none: a tombstone. It is no finding."""
IS_UNDATED = f"(undated IS NOT NULL AND undated <> '{NONE_NEEDED}')"
IS_ERASED, UNREADABLE = f"invalid = '{ERASED}'", f"invalid <> '{ERASED}'"
_DIGEST = ',"sha256":"%s"}'  # the end of a manifest: the digest of all before it, closed by a brace


class RowGroup(Struct, frozen=True):
    """A row group of an index file: where its bytes are, and between which names its entities lie.

    `low` and `high` are None where that is not kept, because a name is long or there is none.
    """

    range: ByteRange
    low: str | None
    high: str | None

    def may_hold(self, names: Sequence[str]) -> bool:
        """Return whether one of these names, which are sorted, may be in here."""
        if self.low is None or self.high is None:
            return True
        at = bisect_left(names, self.low)
        return at < len(names) and names[at] <= self.high

    def may_reach(self, low: str | None, high: str | None) -> bool:
        """Return whether a name between these two, themselves among them, may be in here; None: no limit."""
        if self.low is None or self.high is None:
            return True
        return (low is None or low <= self.high) and (high is None or self.low <= high)


class IndexFile(Struct, frozen=True):
    """One Parquet file of the index. Counts of events count positions; `rows` counts role rows too."""

    file: str
    bytes: int
    groups: tuple[RowGroup, ...]
    footer: ByteRange
    rows: int
    events: int
    first: int  # positions covered: every event of [first, last] that is not in another file
    last: int
    min_time: int  # of its events, in microseconds since the epoch
    max_time: int
    columns: tuple[PayloadColumn, ...]
    untyped: int  # rows whose payload stands in `data`
    orderings: tuple[str, ...]
    sequence_key: str  # none | bigint | text
    unsequenced: int  # rows folded by sequence that have none
    roles: bool  # an event may have several rows
    twice: bool  # of one entity
    duplicates: int
    conflicts: int
    invalid: int
    homeless: int  # valid events of no entity
    erased: int  # records that were erased, and say nothing any more
    undated: int  # valid events without a time of their own that can be read
    ties: bool  # events of one microsecond are not all ordered by arrival
    fields: tuple[tuple[str, tuple[str, ...]], ...]  # top-level payload fields seen, with the JSON types they had
    loose: tuple[str, ...]  # of these, those of payloads that stand in `data`
    tallies: tuple[Tally, ...] = ()
    shapeless: int = 0  # valid events of an entity whose payload is neither an object nor null
    untimed: int = 0  # of the undated ones, those that need no time

    @property
    def ranges(self) -> tuple[ByteRange, ...]:
        """Return the parts of the file, which follow one another and leave nothing out."""
        return (*(group.range for group in self.groups), self.footer)

    def may_be_loose(self, path: PayloadPath) -> bool:
        """Return whether a payload path may be found in `data`."""
        if not self.untyped or not path:
            return self.untyped > 0
        name = str(path[0])
        return name in self.loose or name.isdigit()  # an element of a payload that is an array is not a field


class Met(Struct, frozen=True):
    """Events of a source whose ids were known from other sources of a numbering: how many, of those with its content.

    `numbering` is the number of a stanza.
    """

    numbering: int
    known: int
    same: int


class Tally(Struct, frozen=True):
    """What a stretch of the log has of a source: from which position on, how many records, which ids others knew."""

    source: str
    first: int
    records: int
    met: tuple[Met, ...] = ()


class Move(Struct, frozen=True):
    """A source that turned out, at the end of the commit `at`, to belong to another numbering than it was taken for.

    Of its ids, sources of the numbering that it left (some of them: `than`) knew `known`, and `same` of these with its
    content.
    """

    source: str
    at: int
    left: int
    numbering: int
    known: int
    same: int
    than: tuple[str, ...] = ()


class IdRun(Struct, frozen=True):
    """One file of hashes of the ids in the index, for finding duplicates; without hashes there is none."""

    file: str
    bytes: int
    sha256: str
    tail: str  # SHA-256 of the end of the file, which vouches for each block before
    count: int
    base: int  # position from which those in the file count
    first: int  # positions covered: every event of [first, last] that is neither invalid, a duplicate nor a conflict
    last: int
    made_by: str  # what the hash function made of a probe

    @property
    def ranges(self) -> tuple[ByteRange, ...]:
        """Return the parts of the file that have a digest: all of it is one."""
        return (ByteRange(0, self.bytes, self.sha256),)


class Manifest(Struct, frozen=True, dict=True):
    """What the index of one mapping consists of. Covers the positions [1, head] without a gap."""

    head: int = 0
    files: tuple[IndexFile, ...] = ()
    stanzas: tuple[Stanza, ...] = ()
    sources: Mapping[str, int] = field(default_factory=dict)  # source -> number of its stanza
    ids: tuple[IdRun, ...] = ()
    redactions: int = 0  # erasures after which the records were read
    zones: Mapping[str, str] = field(default_factory=dict)  # source -> the zone that its times were read in, if not UTC
    moves: tuple[Move, ...] = ()  # in order
    judged: int = 0  # the end of the last commit after which a source changed its numbering
    unjudged: bool = False  # some ids of the last commit were known elsewhere, and it goes on beyond the head

    @property
    def names(self) -> frozenset[str]:
        """List the files that count."""
        return frozenset([*(file.file for file in self.files), *(run.file for run in self.ids if run.count)])

    @property
    def fields(self) -> tuple[str, ...]:
        """List the payload fields seen anywhere, by name: however the index was built, the order is the same."""
        return tuple(self.kinds)

    @cached_property
    def kinds(self) -> Mapping[str, frozenset[str]]:
        """Return the JSON types of each payload field, by name: STRING, NUMBER, BOOLEAN, CONTAINER, NULL."""
        seen: dict[str, set[str]] = {}
        for name, kinds in (told for file in self.files for told in file.fields):
            seen.setdefault(name, set()).update(kinds)
        return {name: frozenset(seen[name]) for name in sorted(seen)}

    @property
    def shapeless(self) -> int:
        """Count events of an entity whose payload is neither an object nor null."""
        return sum(file.shapeless for file in self.files)

    @property
    def undated(self) -> int:
        """Count the events without a time of their own that can be read."""
        return sum(file.undated for file in self.files)

    @property
    def homeless(self) -> int:
        """Count the events that name no entity."""
        return sum(file.homeless for file in self.files)

    @property
    def events(self) -> int:
        """Count the events, whatever became of them."""
        return sum(file.events for file in self.files)


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of an index folder; None if there is none or it is of another format.

    Raises InputError if it is damaged.
    """
    path = folder / MANIFEST
    try:
        text = read_regular(path, LARGEST_MANIFEST).decode("utf-8")
        document = json.loads(text)
        if document["format"] != FORMAT:
            return None
        if not digest_holds(text):
            raise ValueError("its digest does not match")
        manifest = convert(document, Manifest)
        if not all(map(_FILE_NAME.fullmatch, manifest.names)):
            raise ValueError("a file in it does not belong to an index")
        if manifest.head < 0:
            raise ValueError("its head is before the first record")
        return manifest
    except FileNotFoundError:
        return None
    except (OSError, InputError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable index manifest", "rebuild the index with: esctl reindex") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest atomically and durably."""
    document = {"format": FORMAT, **to_builtins(manifest)}
    text = with_digest(json.dumps(document, separators=(",", ":"), sort_keys=True))
    LocalDepot(folder).replace(MANIFEST, text.encode())


def with_digest(body: str) -> str:
    """Add the digest of a JSON object to it, as its last member."""
    return body[:-1] + _DIGEST % _digest(body)


def digest_holds(text: str) -> bool:
    """Return whether a manifest's text is that which was written."""
    return text == with_digest(text[: -len(_DIGEST % _digest(""))] + "}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def with_file(manifest: Manifest, file: IndexFile) -> Manifest:
    """Add a file that continues the manifest's positions."""
    return replace(manifest, head=file.last, files=(*manifest.files, file))


def first_sources(manifest: Manifest) -> dict[Stanza, str]:
    """Return the stanzas of known sources, each with the first source of it."""
    first: dict[int, str] = {}
    for name, number in manifest.sources.items():
        first.setdefault(number, name)
    return {manifest.stanzas[number]: name for number, name in first.items()}


def with_sources(manifest: Manifest, assigned: Mapping[str, Stanza]) -> Manifest:
    """Record the stanza of new sources; equal stanzas share one number."""
    numbers: dict[Stanza, int] = {}
    for number, stanza in enumerate(manifest.stanzas):
        numbers.setdefault(stanza, number)
    named = {name: numbers.setdefault(stanza, len(numbers)) for name, stanza in assigned.items()}
    return replace(manifest, stanzas=tuple(numbers), sources={**manifest.sources, **named})
