"""What a question looks up in the log while it is compiled, and how that is answered.

A question about a part of the entities must compile to the same SQL as one about all of them. So compiling looks
things up only through `Lookups`; unless a subclass does otherwise, each is answered at once, from the log.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from esctl.engine.duckdb import Session
    from esctl.index.scan import IndexView

T = TypeVar("T")


class Spooled(Struct, frozen=True):
    """A Parquet file of rows that were computed event by event, and names that were found on the way."""

    path: Path
    names: frozenset[str] = frozenset()


class Lookups:
    """Answers each lookup by asking the log."""

    def once(self, compute: Callable[[], T]) -> T:
        """Return what `compute` finds in the whole log, whichever part of it is asked about."""
        return compute()

    def check(self, compute: Callable[[], Any]) -> None:
        """Run a check of the events that are asked about, which raises an error if it fails."""
        compute()

    def spool(self, make: Callable[[], Spooled]) -> list[Spooled]:
        """Return the files of the rows that stepping makes, for the entities that are asked about."""
        return [make()]

    def pieces(self, view: IndexView, connection: Any, partial: Callable[[], str]) -> list[str]:
        """Return SELECTs of partial states of consecutive ranges of the fold order; empty: fold all events at once.

        `partial` writes the SQL of the partial states of the events that are asked about.
        """
        return []

    def whole(self, session: Session, select: Callable[[], tuple[str, T]]) -> tuple[str, T]:
        """Return a SELECT with a column `entity` whose rows may depend on all entities, and what is known of it."""
        return select()


DIRECT = Lookups()
