"""What intake needs of any source: records in order, and with each batch the cursor to continue from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from esctl.model import Cursor

if TYPE_CHECKING:
    import pyarrow as pa


Note = Callable[[str], None]
"""Writes a note to whoever runs the program."""


class Delivery(Struct, frozen=True):
    """A batch of records of one source, and the cursor that holds once they are kept.

    `source` is the name to record. If the batch is empty, only the cursor moved. `read` is the number of bytes taken
    from the source since the delivery before, for progress. `kept` is called once the records are durable.
    """

    source: str
    batch: pa.RecordBatch
    cursor: Cursor
    read: int = 0
    kept: Callable[[], None] | None = None


class SourceReader(Protocol):
    """A source that is read to its end.

    If the cursor of a delivery is among the known ones, the next `open` continues right after that delivery: no record
    comes twice, none is left out.
    """

    @property
    def name(self) -> str:
        """Return the name that records are kept under: once open, that of the known source that it continues."""

    @property
    def pending(self) -> int:
        """Return how many bytes at the end are in no record yet; known once everything was read."""

    @property
    def may_wait(self) -> bool:
        """Return whether reading may have to wait for a writer, as with a pipe."""

    def open(self, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        """Open the source for what is new in it.

        `known` has the cursors of all sources of the store; the reader finds the one that it continues (a file may
        have been renamed). Raises InputError if the source cannot be read.
        """


class FollowedSource(Protocol):
    """A source that is followed as it grows."""

    @property
    def names(self) -> tuple[str, ...]:
        """List the names of the sources that it continues, or would continue if anything was added."""

    @property
    def ended(self) -> bool:
        """Return whether nothing more can come."""

    @property
    def pending(self) -> list[tuple[str, int]]:
        """List the sources that end in bytes that are in no record yet, with the number of these bytes."""

    def poll(self, known: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
        """Yield about `limit` bytes of what was added since the last poll.

        `known`: the cursors of all sources of the store, including those of earlier deliveries. Raises InputError if
        the source cannot be read, UsageError if it cannot be followed.
        """

    def close(self) -> None:
        """Close all that is open."""
