"""What a target of states must do, whatever it is."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from msgspec import Struct

from esctl.model import Answer, Basis
from esctl.sinks.columns import Field


class Progress(Struct, frozen=True):
    """What a copy of states is a copy of, and how far it has come. It is kept in the target, beside the rows."""

    store: str  # its id
    projection: str  # empty: each entity by the projection that claims it
    basis: Basis


class Changes(Struct, frozen=True):
    """States to put into a target.

    `rows` has the columns of `replay`, and no entity of a kind twice. A null state is to be taken out. `whole`: these
    are all there are; whatever else is in the target goes.
    """

    rows: Answer
    whole: bool = False


class Copied(Struct, frozen=True):
    """What is in a target: SQL of rows with entity, kind, a column per field, version, position and time.

    A field's cell is text, as `tabular.Staged.cells` gives it, and NULL for null and for what is missing; version and
    position are BIGINT, time is TIMESTAMP in UTC.
    """

    sql: str
    fields: tuple[Field, ...] = ()


NOTHING = Copied(
    "SELECT CAST(NULL AS VARCHAR) AS entity, CAST(NULL AS VARCHAR) AS kind, CAST(NULL AS BIGINT) AS version, "
    "CAST(NULL AS BIGINT) AS position, CAST(NULL AS TIMESTAMP) AS time LIMIT 0"
)
"""Of a target where nothing is."""


class NeedsWholeError(Exception):
    """Tell that a target cannot take some changes as it is made: it has to be made anew, of all states."""


class Sink(Protocol):
    """A copy of the states of a projection, which is at one basis as a whole.

    It is a context: entered, it is open (for writing, as its maker was told: then no other writer is let in), and has
    to be left again. Entering raises UsageError for a target that is none, InputError for one that cannot be read or
    is being written by another.
    """

    def __enter__(self) -> Self:
        """Open it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; what was not applied wholly is not there."""

    def progress(self) -> Progress | None:
        """Return what the copy is of and which basis it is at; None where nothing is there yet."""

    def copied(self) -> Copied:
        """Return what is there. Raises InputError where others changed the target so that it cannot be read."""

    def apply(self, changes: Changes, progress: Progress) -> None:
        """Put changed states in place of those there, and go to the basis of `progress`.

        All of it or nothing: an error or the end of the process leaves the copy at the basis it was at. Raises
        NeedsWholeError, having done nothing, where the changes do not fit what is there.
        """

    def drop(self) -> None:
        """Remove the copy and what is known of it; nothing where there is none."""


class Message(Struct, frozen=True):
    """What is sent to others: bytes, none of them where there is nothing (a tombstone has a key and no value)."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Channel(Protocol):
    """A target of messages."""

    def send(self, messages: Iterable[Message]) -> int:
        """Send all messages, or none where it raises or the process ends; return their number."""
