"""What a store asks of the place that its files are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class ConflictError(Exception):
    """Tell a writer that another one took the place it was writing for."""


class Storage(Protocol):
    """The files of one store. Names are relative to it, parts divided by `/`.

    Every call raises InputError for a name that leads out of the store, and OSError where the place fails.
    """

    def list(self, folder: str) -> Sequence[str]:
        """List the names of a folder's whole files, in no order; none if there is no such folder."""

    def read(self, name: str, limit: int) -> bytes:
        """Return a whole file of at most `limit` bytes.

        Raises FileNotFoundError if there is none, InputError if it is larger or no plain file.
        """

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Return `length` bytes of a file from `start` on, fewer where it ends before.

        Raises FileNotFoundError if there is none, InputError if not a plain file, ValueError for a negative bound.
        """

    def put_new(self, name: str, data: bytes) -> None:
        """Make a whole file, durable once this returns. Raises ConflictError if it is there, and leaves that one."""

    def put(self, name: str, data: bytes) -> None:
        """Make a whole file in place of any other, durable once this returns. Who reads sees the old or the new."""

    def delete(self, name: str) -> None:
        """Remove a file; one that is gone already is fine."""
