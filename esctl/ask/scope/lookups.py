"""What a question looks up of the log while it is compiled, and where that is answered.

A question that is asked of a part of the entities must come to the same SQL as one that is asked of all of them. So
what it looks up to get there is asked through these; by itself each is answered at once, by the log.
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
    """A Parquet file of rows that were computed event by event, and names that came up meanwhile."""

    path: Path
    names: frozenset[str] = frozenset()


class Lookups:
    """Answers each lookup by asking the log."""

    def once(self, compute: Callable[[], T]) -> T:
        """Return what is found of the whole log, whichever part of it is asked about."""
        return compute()

    def check(self, compute: Callable[[], Any]) -> None:
        """Run a check of the events that are asked about, which raises where it fails."""
        compute()

    def spool(self, make: Callable[[], Spooled]) -> list[Spooled]:
        """Return the files of the rows that events step through, of the entities that are asked about."""
        return [make()]

    def pieces(self, view: IndexView, connection: Any, partial: Callable[[], str]) -> list[str]:
        """Return SELECTs of partial states of ranges of the fold order that follow one another; none: fold at once.

        `partial` writes the partial states of the events that are asked about.
        """
        return []

    def whole(self, session: Session, select: Callable[[], tuple[str, T]]) -> tuple[str, T]:
        """Return a SELECT, with an `entity`, whose rows may depend on all others, and what is known of it."""
        return select()


DIRECT = Lookups()
