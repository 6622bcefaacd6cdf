"""The protocols of sinks, which keep states in targets, and of channels, which send messages."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from msgspec import Struct

from esctl.model import Answer, Basis
from esctl.sinks.columns import Field


class Progress(Struct, frozen=True):
    """What a view is a copy of, and the basis that it is at. It is kept in the target, with the rows."""

    store: str  # its id
    projection: str  # empty: each entity by the projection that claims it
    basis: Basis


class Changes(Struct, frozen=True):
    """States to put into a target.

    `rows` has the columns of `replay`, and no entity of a kind twice. An entity with a null state is removed. `whole`:
    these are all states; any others in the target are removed.
    """

    rows: Answer
    whole: bool = False


class Content(Struct, frozen=True):
    """The content of a target: SQL of rows with entity, kind, a column per field, version, position and time.

    A field's cell is text, as `tabular.Staged.cells` gives it, and NULL for null and for what is missing; version and
    position are BIGINT, time is TIMESTAMP in UTC.
    """

    sql: str
    fields: tuple[Field, ...] = ()


EMPTY_CONTENT = Content(
    "SELECT CAST(NULL AS VARCHAR) AS entity, CAST(NULL AS VARCHAR) AS kind, CAST(NULL AS BIGINT) AS version, "
    "CAST(NULL AS BIGINT) AS position, CAST(NULL AS TIMESTAMP) AS time LIMIT 0"
)
"""The content of an empty target."""


class NeedsWholeError(Exception):
    """Report that a target in its present form cannot take some changes: it has to be made anew from all states."""


class Sink(Protocol):
    """A view in a target; all of its rows are at one basis.

    It is a context manager. Within it the target is open (for writing, if it was made for that: then no other writer is
    let in). Entering raises UsageError if there can be no such target, InputError if it cannot be read or is being
    written by another process.
    """

    def __enter__(self) -> Self:
        """Open it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; a change that was not applied completely has no effect."""

    def progress(self) -> Progress | None:
        """Return what the view is a copy of and which basis it is at; None if nothing is there yet.

        Raises InputError if that is damaged; the view can then be replaced by all states, or dropped.
        """

    def content(self) -> Content:
        """Return the content. Raises InputError if others changed the target so that it cannot be read."""

    def apply(self, changes: Changes, progress: Progress) -> None:
        """Replace states by changed ones, and move to the basis of `progress`.

        All of it or nothing: an error or the end of the process leaves the view at its former basis. Raises
        NeedsWholeError, having done nothing, if the changes do not fit the target.
        """

    def drop(self) -> None:
        """Remove the view and its progress; do nothing if there is none."""


class Message(Struct, frozen=True):
    """A message: bytes, or None for a key or value that is missing (a tombstone has a key and no value)."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Channel(Protocol):
    """A target of messages."""

    def send(self, messages: Iterable[Message]) -> int:
        """Send all messages, or none if it raises or the process ends; return their number."""
