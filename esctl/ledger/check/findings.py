"""Checks of a store and their findings, and the anchors that times are checked against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

Kind = Literal[
    "changed", "removed", "inserted", "reordered", "rolled back", "file replaced", "index out of step",
    "signature by an unknown key", "back-dated",
]  # fmt: skip

RULES: tuple[tuple[str, str], ...] = (
    ("identity", "format.json is the store's own"),
    ("commits", "every commit file is there and follows from the one before"),
    ("summaries", "summaries say what the commits add up to"),
    ("segments", "every segment has the size and SHA-256 that were committed"),
    ("index files", "every index file has the size and SHA-256 that its manifest says"),
    ("snapshots", "every snapshot of states is as it was written"),
    ("mapping", "mapping.json says what --map last said"),
    ("checkpoints", "every checkpoint is signed by a known key, and the log only grew since"),
    ("last seen", "the log only grew since it was last seen here"),
    ("since", "the log only grew since a checkpoint kept elsewhere"),
    ("stamps", "every time stamp is of its checkpoint, and signed by a known authority"),
    ("back-dating", "no record claims to have been recorded before the log is known not to have had it"),
    ("records", "every record hashes to the tree that was committed, in its place"),
    ("times", "the time of recording never goes back"),
    ("cursors", "the records of each source are the bytes that were read from it"),
    ("index", "the index says what the records say"),
)
"""What is checked, in order: name and meaning."""


class Finding(Struct, frozen=True):
    """Something that is not as it was committed, and where it begins. Positions and blocks are those of the log."""

    kind: Kind
    message: str
    file: str = ""
    position: int | None = None
    block: int | None = None  # of 4,096 records, from 0


class Anchor(Struct, frozen=True):
    """A time (microseconds since the epoch) at which the log is known to have had `size` records and no more."""

    name: str
    size: int
    at: int


class Check(Struct, frozen=True):
    """One check: what it compared with, how many things it looked at, what it found.

    `skipped` says why it could not be judged.
    """

    rule: str
    against: str
    count: int = 0
    findings: tuple[Finding, ...] = ()
    skipped: str = ""
    note: str = ""


Digest = tuple[int, str]
"""Size and SHA-256 of a file."""


class FullChecks(Struct, frozen=True):
    """The checks that read every record, and the root of the log at each size.

    `digests` of segments and `damages` of index files: None if these were not read on the way.
    """

    checks: tuple[Check, ...]
    roots: Mapping[int, bytes]
    digests: Sequence[Digest | None] | None = None
    damages: Mapping[Path, str] | None = None
