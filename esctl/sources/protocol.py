"""What intake asks of a source, whatever it is: records in order, and with each batch the cursor to go on from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from esctl.model import Cursor

if TYPE_CHECKING:
    import pyarrow as pa


class Delivery(Struct, frozen=True):
    """A batch of records of one source, and the cursor that holds once they are kept.

    `source` is the name to record. A batch may be empty: then only the cursor moved. `read` are the bytes taken from
    the source since the delivery before, for progress. `kept` is called once they are durable.
    """

    source: str
    batch: pa.RecordBatch
    cursor: Cursor
    read: int = 0
    kept: Callable[[], None] | None = None


class SourceReader(Protocol):
    """A source that is read to its end.

    A delivery's cursor, kept among the known ones, makes the next `open` go on right after that delivery: nothing
    twice, nothing left out.
    """

    @property
    def name(self) -> str:
        """Return the name that records are kept under; where a known source is continued, its name, once open."""

    @property
    def pending(self) -> int:
        """Return the bytes at the end that are in no record yet; known once all was read."""

    @property
    def may_wait(self) -> bool:
        """Return whether reading may have to wait for whoever writes, as at a pipe."""

    def open(self, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        """Open the source for what is new in it.

        `known` has the cursors of all sources of the store: which of them this one continues is for it to tell (a file
        may have been renamed). Raises InputError where it cannot be read.
        """


class FollowedSource(Protocol):
    """A source that is read on as it grows."""

    @property
    def names(self) -> tuple[str, ...]:
        """List the names of known sources that are continued, or would be, if anything was added."""

    @property
    def ended(self) -> bool:
        """Return whether nothing can follow."""

    @property
    def pending(self) -> list[tuple[str, int]]:
        """List what is in no record yet: names of sources, and bytes at their ends."""

    def poll(self, known: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
        """Yield what was added since the last time, of about `limit` bytes.

        `known`: the cursors of all sources of the store, with what was given here so far. Raises InputError for what
        cannot be read, UsageError for what cannot be followed.
        """

    def close(self) -> None:
        """Close all that is open."""
