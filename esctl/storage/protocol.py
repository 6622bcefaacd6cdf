"""What a store needs from the place that keeps its files."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

TEMPORARY = ".tmp-"
"""Prefix of the names of files that are still being written."""
MISPLACED = "something else was put in the store's place"
"""The hint of errors about a file that no store has."""


class ConflictError(Exception):
    """Report to a writer that another writer was first."""


class Found(Struct, frozen=True):
    """A file in a depot: bytes, time of change (seconds since the epoch, by the depot's own clock), and version."""

    name: str
    size: int
    modified: float
    tag: str


class Depot(Protocol):
    """The files of one store. Names are relative to it, parts divided by `/`.

    Every call raises InputError for a name that leads out of the store, and OSError or UnavailableError if the depot
    fails. What a call writes is durable once it returns.
    """

    def get(self, name: str, limit: int, unless: str = "") -> tuple[bytes, str] | None:
        """Return a whole file of at most `limit` bytes, and its version; None if that is still `unless`.

        Raises FileNotFoundError if there is none, InputError if it is larger or not a plain file.
        """

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return parts of a file (offset, length), each shorter if the file ends within it.

        Raises FileNotFoundError if there is none, InputError if not a plain file, ValueError for a negative bound.
        """

    def get_file(self, name: str, path: Path, limit: int) -> None:
        """Copy a whole file of at most `limit` bytes to a path of this machine. Raises as `get` does."""

    def head(self, name: str) -> Found | None:
        """Return a file's size, time and version, which is that of `get`, or None if there is none."""

    def list(self, folder: str, after: str = "", most: int = 0) -> Sequence[Found]:
        """List a folder's complete files, in no order; none if there is no such folder. `.` is the store's own.

        `after`: only names after this one, compared as bytes; `most`: at most this many of these, the first by name.
        """

    def folders(self, folder: str) -> Sequence[str]:
        """List the names of the folders in a folder, sorted."""

    def create(self, name: str, data: bytes) -> str:
        """Create a whole file and return its version. Raises ConflictError if one exists, and leaves that one alone."""

    def replace(self, name: str, data: bytes, tag: str | None = None) -> str:
        """Write a whole file in place of any other and return its version. Readers see the old file or the new one.

        `tag`: replace only this version. Raises ConflictError if there is another version, or none.
        """

    def put_file(self, name: str, path: Path) -> None:
        """Copy a file of this machine to a name that nobody else uses."""

    def delete(self, name: str) -> None:
        """Remove a file; one that is gone already is fine."""


def clock(depot: Depot) -> float:
    """Return the time by a depot's own clock, in seconds since the epoch."""
    name = f"clock-{secrets.token_hex(8)}"
    depot.create(name, b"")
    try:
        found = depot.head(name)
    finally:
        depot.delete(name)
    return found.modified if found is not None else 0.0
