"""Calls of functions that may be run anywhere: in this process, or by the workers of an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from esctl.engine.duckdb import open_session

if TYPE_CHECKING:
    import duckdb

    from esctl.index.files.manifest import Manifest
    from esctl.index.pruning import Predicate


WITHOUT_END = 1 << 62
"""Rows of what is still being read: worth as many parts as there can be."""


class Call(Struct, frozen=True):
    """A function that can be imported by its name, and its arguments, which can be pickled.

    `returns` is the type of what it gives, which must do as JSON.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    returns: Any


class Workers(Protocol):
    """Who runs calls."""

    @property
    def memory_limit(self) -> str | None:
        """Return the memory that one call may take."""

    @property
    def folder(self) -> Path:
        """Return a folder that all of them see; what a call leaves there goes when the driver is done."""

    def parts(self, rows: int) -> int:
        """Return how many parts so many rows are worth cutting into."""

    def spans(self, manifest: Manifest) -> list[Predicate]:
        """Return conditions that cut the rows of an index by their entities, each worth the while."""

    def stop(self) -> None:
        """End what runs now, in another thread: nobody waits for it any more."""

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Run calls and return what they give, in their order. Raises the EsctlError of the first that fails."""


@contextmanager
def own_connection(memory_limit: str | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Lend a connection to DuckDB for one call, with one thread; it spills to a folder that goes with it."""
    session = open_session(memory_limit, threads=1)
    try:
        yield session.connection
    finally:
        session.close()


def cuts(count: int, parts: int) -> list[tuple[int, int]]:
    """Cut the numbers from 1 to `count` into about so many ranges, first and last, none of them empty."""
    bounds = sorted({count * part // parts for part in range(parts + 1)})
    return [(low + 1, high) for low, high in pairwise(bounds)]
