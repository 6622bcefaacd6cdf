"""What a store asks of the place that its files are in."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct


class ConflictError(Exception):
    """Tell a writer that another one took the place it was writing for."""


class Found(Struct, frozen=True):
    """A file as it lies in its place: bytes, seconds since the epoch by that place's own clock, and its version."""

    name: str
    size: int
    modified: float
    tag: str


class Depot(Protocol):
    """The files of one store. Names are relative to it, parts divided by `/`.

    Every call raises InputError for a name that leads out of the store, and OSError or UnavailableError where the place
    fails. What a call makes is durable once it returns.
    """

    def get(self, name: str, limit: int, unless: str = "") -> tuple[bytes, str] | None:
        """Return a whole file of at most `limit` bytes, and its version; None where that is still `unless`.

        Raises FileNotFoundError if there is none, InputError if it is larger or no plain file.
        """

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return parts of a file (offset, length), each shorter where the file ends before.

        Raises FileNotFoundError if there is none, InputError if not a plain file, ValueError for a negative bound.
        """

    def get_file(self, name: str, path: Path, limit: int) -> None:
        """Write a whole file of at most `limit` bytes into one of this machine. Raises as `get` does."""

    def head(self, name: str) -> Found | None:
        """Return what is known of a file without reading it; None if there is none."""

    def list(self, folder: str, after: str = "", most: int = 0) -> Sequence[Found]:
        """List a folder's whole files, in no order; none if there is no such folder. `.` is the store's own.

        `after`: only those whose names follow this one, as bytes compare; `most`: of these so many, the first by name.
        """

    def folders(self, folder: str) -> Sequence[str]:
        """List the names of the folders in a folder, sorted."""

    def create(self, name: str, data: bytes) -> str:
        """Make a whole file and return its version. Raises ConflictError if it is there, and leaves that one."""

    def replace(self, name: str, data: bytes, tag: str | None = None) -> str:
        """Make a whole file in place of any other and return its version. Who reads sees the old or the new.

        `tag`: only in place of the one of this version. Raises ConflictError if it is another, or gone.
        """

    def put_file(self, name: str, path: Path) -> None:
        """Make a file out of one of this machine, under a name that nobody else uses."""

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
