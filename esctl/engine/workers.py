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
"""The number of rows of a source that is still being read: it is worth as many parts as possible."""


class Call(Struct, frozen=True):
    """A function that can be imported by its name, and its arguments, which can be pickled.

    `returns` is the type of its result, which must be representable as JSON.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    returns: Any


class Workers(Protocol):
    """What runs calls."""

    @property
    def memory_limit(self) -> str | None:
        """Return the memory that one call may take."""

    @property
    def folder(self) -> Path:
        """Return a folder that all workers see; what a call leaves there is removed when the driver is done."""

    def parts(self, rows: int) -> int:
        """Return how many parts are worthwhile for a number of rows."""

    def spans(self, manifest: Manifest) -> list[Predicate]:
        """Return conditions that cut the rows of an index into spans of entities, each large enough for a call."""

    def stop(self) -> None:
        """End the calls that another thread runs: nobody waits for them any more."""

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Run calls and return their results, in their order. Raises the EsctlError of the first that fails."""


@contextmanager
def own_connection(memory_limit: str | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a DuckDB connection for one call, with one thread; the folder that it spills to is removed after it."""
    session = open_session(memory_limit, threads=1)
    try:
        yield session.connection
    finally:
        session.close()


def cut_ranges(count: int, parts: int) -> list[tuple[int, int]]:
    """Cut the numbers from 1 to `count` into at most `parts` ranges (first, last), none of them empty."""
    bounds = sorted({count * part // parts for part in range(parts + 1)})
    return [(low + 1, high) for low, high in pairwise(bounds)]
