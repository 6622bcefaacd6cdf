"""The manifest: which index files count, what positions they cover, what is in them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct, field, to_builtins
from msgspec import json as typed_json
from msgspec.structs import asdict, replace

from esctl.errors import InputError
from esctl.index.files.groups import GroupRun, RowGroup
from esctl.index.files.levels import SUFFIX, in_levels, parts_of, retire_parts
from esctl.index.files.payload_columns import PayloadColumn
from esctl.log.ranges import ByteRange
from esctl.model import Stanza
from esctl.storage.depots import LocalDepot
from esctl.storage.local import read_regular

PayloadPath = tuple[str | int, ...]

MANIFEST = "manifest.json"
LARGEST_MANIFEST = 1 << 30
"""Bytes."""
FILES = (".parquet", ".ids", SUFFIX)
"""The suffixes of the files that a manifest names."""
_FILE_NAME = re.compile(r"\d{20}-\d{20}\.[0-9a-f]{8}\.(?:parquet|ids|groups)", re.ASCII)
FORMAT = 18
FORMAT_IN_LEVELS = 19
"""The format of a manifest whose row groups are in parts; an older esctl would take its files to have none."""
ERASED = "erased"
"""The value of the column `invalid` for an erased record, which is not counted among the unreadable ones."""
NONE_NEEDED = "no time, as it needs none"
"""The value of `undated` for an event without a time whose type is in `ignore_types`; that is no finding."""
IS_UNDATED = f"(undated IS NOT NULL AND undated <> '{NONE_NEEDED}')"
IS_ERASED, UNREADABLE = f"invalid = '{ERASED}'", f"invalid <> '{ERASED}'"
_DIGEST = ',"sha256":"%s"}'  # the end of a manifest: the digest of all before it, closed by a brace


class IndexFile(Struct, frozen=True):
    """One Parquet file of the index. Events are counted by position; `rows` counts each role's row.

    `groups` is empty if parts of the manifest list the row groups (`levels.py`).
    """

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
    untyped: int  # rows whose payload is in `data`
    orderings: tuple[str, ...]
    sequence_key: str  # none | bigint | text
    unsequenced: int  # rows that are folded by sequence and have none
    roles: bool  # an event may have several rows
    twice: bool  # an event may have several rows of one entity
    duplicates: int
    conflicts: int
    invalid: int
    homeless: int  # valid events of no entity
    erased: int  # records that were erased
    undated: int  # valid events without a readable time of their own
    ties: bool  # events of one microsecond are not all ordered by arrival
    fields: tuple[tuple[str, tuple[str, ...]], ...]  # top-level payload fields seen, with the JSON types they had
    loose: tuple[str, ...]  # of these, those of payloads in `data`
    tallies: tuple[Tally, ...] = ()
    shapeless: int = 0  # valid events of an entity whose payload is neither an object nor null
    untimed: int = 0  # undated events that need no time

    @property
    def ranges(self) -> tuple[ByteRange, ...]:
        """Return the byte ranges of the file, which follow one another without a gap."""
        if not self.groups:
            raise RuntimeError(f"the row groups of {self.file} are listed elsewhere")
        return (*(group.range for group in self.groups), self.footer)

    @property
    def is_foldable(self) -> bool:
        """Return whether the event of every row is folded: it is valid, new, and has an entity."""
        return not (self.duplicates or self.conflicts or self.invalid or self.homeless or self.erased)

    def may_be_loose(self, path: PayloadPath) -> bool:
        """Return whether a payload path may be found in `data`."""
        if not self.untyped or not path:
            return self.untyped > 0
        name = str(path[0])
        return name in self.loose or name.isdigit()  # elements of a payload that is an array are not listed


class Met(Struct, frozen=True):
    """How many ids of a source other sources of a numbering knew, and how many of those with the same content.

    `numbering` is the number of a stanza.
    """

    numbering: int
    known: int
    same: int


class Tally(Struct, frozen=True):
    """The records of a source in a stretch of the log: the first position, their number, the ids that others knew."""

    source: str
    first: int
    records: int
    met: tuple[Met, ...] = ()


class Move(Struct, frozen=True):
    """A source that changed its numbering, as found at the end of the commit `at`.

    Sources of the numbering that it `left` (`than` names some) knew `known` of its ids, `same` of them with the same
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
    """One file of hashes of the ids in the index, for finding duplicates. A run of no hashes has no file."""

    file: str
    bytes: int
    sha256: str
    tail: str  # SHA-256 of the end of the file, which has checksums of all blocks before it
    count: int
    base: int  # position that is subtracted from those in the file
    first: int  # positions covered: every event of [first, last] that is neither invalid, a duplicate nor a conflict
    last: int
    made_by: str  # what the hash function made of a probe

    @property
    def ranges(self) -> tuple[ByteRange, ...]:
        """Return the byte ranges that have a digest: one, the whole file."""
        return (ByteRange(0, self.bytes, self.sha256),)


class Manifest(Struct, frozen=True, dict=True):
    """What the index of one mapping consists of. Covers the positions [1, head] without a gap."""

    head: int = 0
    files: tuple[IndexFile, ...] = ()
    stanzas: tuple[Stanza, ...] = ()
    sources: Mapping[str, int] = field(default_factory=dict)  # source -> number of its stanza
    ids: tuple[IdRun, ...] = ()
    redactions: int = 0  # number of erasures before the records were read
    zones: Mapping[str, str] = field(default_factory=dict)  # source -> the zone that its times were read in, if not UTC
    moves: tuple[Move, ...] = ()  # in order
    judged: int = 0  # the end of the last commit after which a source changed its numbering
    unjudged: bool = False  # other sources knew ids of the last commit, which goes on beyond the head
    runs: tuple[GroupRun, ...] = ()  # lists of the row groups of files without `groups`

    @property
    def names(self) -> frozenset[str]:
        """Return the names of the files that count."""
        ids, parts = (run.file for run in self.ids if run.count), (part.file for part in parts_of(self))
        return frozenset([*(file.file for file in self.files), *ids, *parts])

    @property
    def fields(self) -> tuple[str, ...]:
        """List the payload fields seen anywhere, sorted, so the order does not depend on how the index was built."""
        return tuple(self.kinds)

    @cached_property
    def kinds(self) -> Mapping[str, frozenset[str]]:
        """Return the JSON types of each payload field, by name: STRING, NUMBER, BOOLEAN, CONTAINER, NULL."""
        return {name: frozenset(kinds) for name, kinds in sorted(kinds_by_field(self.files).items())}

    @property
    def shapeless(self) -> int:
        """Count events of an entity whose payload is neither an object nor null."""
        return sum(file.shapeless for file in self.files)

    @property
    def undated(self) -> int:
        """Count the events without a readable time of their own."""
        return sum(file.undated for file in self.files)

    @property
    def is_timed(self) -> bool:
        """Return whether each record is an event with a readable time of its own."""
        return not any(file.undated or file.invalid or file.erased for file in self.files)

    @property
    def homeless(self) -> int:
        """Count the events that name no entity."""
        return sum(file.homeless for file in self.files)

    @property
    def events(self) -> int:
        """Count all events, folded or not."""
        return sum(file.events for file in self.files)

    @property
    def rows(self) -> int:
        """Count the rows of all events: one for each entity and role."""
        return sum(file.rows for file in self.files)


def kinds_by_field(files: Iterable[IndexFile]) -> dict[str, set[str]]:
    """Return the JSON types of each payload field that some files have, in the order of the files."""
    found: dict[str, set[str]] = {}
    for file in files:
        for name, kinds in file.fields:
            found.setdefault(name, set()).update(kinds)
    return found


class _Format(Struct, frozen=True):
    format: Any


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of an index folder; None if there is none or its format is another.

    Raises InputError if it is damaged.
    """
    path = folder / MANIFEST
    try:
        text = read_regular(path, LARGEST_MANIFEST).decode("utf-8")
        found = typed_json.decode(text, type=_Format).format
        if found not in (FORMAT, FORMAT_IN_LEVELS):
            return None
        if not digest_holds(text):
            raise ValueError("its digest does not match")
        manifest = typed_json.decode(text, type=Manifest) if found == FORMAT else _from_levels(text)
        if not all(map(_FILE_NAME.fullmatch, manifest.names)):
            raise ValueError("a file in it does not belong to an index")
        if manifest.head < 0:
            raise ValueError("its head is before the first record")
        listed = {first for run in manifest.runs for first in run.files}
        if not all(file.groups or file.first in listed for file in manifest.files):
            raise ValueError("the row groups of a file are listed nowhere")
        return manifest
    except FileNotFoundError:
        return None
    except (OSError, InputError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable index manifest", "rebuild the index with: esctl reindex") from error


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write a manifest's parts, then replace the manifest, atomically and durably. Return it as written."""
    written = in_levels(folder, manifest)
    document = {"format": FORMAT_IN_LEVELS, **to_builtins(_in_shapes(written))} if written.runs else _as_flat(written)
    text = with_digest(json.dumps(document, separators=(",", ":"), sort_keys=True))
    LocalDepot(folder).replace(MANIFEST, text.encode())
    retire_parts(folder, manifest, written)
    return written


def _as_flat(manifest: Manifest) -> dict[str, Any]:
    document = {"format": FORMAT, **to_builtins(manifest)}
    del document["runs"]
    return document


class _Shared(Manifest, frozen=True, dict=True):
    """A manifest of many files as it is stored: what most files have in common is written once, as a shape."""

    shapes: tuple[_Shape, ...] = ()
    shaped: tuple[int, ...] = ()  # the number of each file's shape


class _Shape(Struct, frozen=True):
    columns: tuple[PayloadColumn, ...] = ()
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    loose: tuple[str, ...] = ()


def _in_shapes(manifest: Manifest) -> _Shared:
    numbers: dict[_Shape, int] = {}
    shapes = (_Shape(file.columns, file.fields, file.loose) for file in manifest.files)
    shaped = tuple(numbers.setdefault(shape, len(numbers)) for shape in shapes)
    files = tuple(replace(file, **asdict(_Shape())) for file in manifest.files)
    return _Shared(**(asdict(manifest) | {"files": files}), shapes=tuple(numbers), shaped=shaped)


def _from_levels(text: str) -> Manifest:
    kept = typed_json.decode(text, type=_Shared)
    shapes = [asdict(kept.shapes[number]) for number in kept.shaped]
    files = tuple(replace(file, **shape) for file, shape in zip(kept.files, shapes, strict=True))
    told = {name: getattr(kept, name) for name in Manifest.__struct_fields__}
    return Manifest(**(told | {"files": files}))


def with_digest(body: str) -> str:
    """Add the digest of a JSON object to it, as its last member."""
    return body[:-1] + _DIGEST % _digest(body)


def digest_holds(text: str) -> bool:
    """Return whether a manifest's text matches the digest at its end."""
    end = len(_DIGEST % _digest(""))
    return text.endswith(_DIGEST % _digest(text[:-end] + "}"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def with_file(manifest: Manifest, file: IndexFile) -> Manifest:
    """Add a file that continues the manifest's positions."""
    return replace(manifest, head=file.last, files=(*manifest.files, file))


def first_sources(manifest: Manifest) -> dict[Stanza, str]:
    """Return the stanzas of known sources, each with its first source."""
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
