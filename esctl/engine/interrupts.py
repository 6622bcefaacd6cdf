"""Stop running queries: DuckDB does not look for Ctrl-C while it is deep in one."""

from __future__ import annotations

import contextlib
from typing import Protocol
from weakref import WeakSet


class Interruptible(Protocol):
    """A connection that can be told, from another thread, to stop what it runs."""

    def interrupt(self) -> None:
        """Stop the running query; do nothing if none runs."""


_open: WeakSet[Interruptible] = WeakSet()


def register(connection: Interruptible) -> None:
    """Remember a connection for as long as it is in use."""
    _open.add(connection)


def interrupt_all() -> None:
    """Stop the queries of all connections; may be called from any thread."""
    for connection in list(_open):
        with contextlib.suppress(Exception):  # closed meanwhile
            connection.interrupt()
