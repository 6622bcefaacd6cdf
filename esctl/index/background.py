"""Index committed records while the next ones are read and committed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import pyarrow as pa

    from esctl.index.scan import IndexView
    from esctl.index.update import Updater
    from esctl.log.store_state import StoreState

_SWITCH_SECONDS = 0.0005
"""How often a waiting thread requests Python's global lock: at the default, hashing would starve the index."""


class BackgroundIndexer:
    """Brings an index up to date in a thread of its own, one store state at a time, within a `with` block.

    An error in the thread is raised by the next call.
    """

    def __init__(self, updater: Updater) -> None:
        self._updater = updater
        self._pool = ThreadPoolExecutor(1, "index")
        self._running: Future[IndexView] | None = None
        self._switch = sys.getswitchinterval()

    def __enter__(self) -> Self:
        sys.setswitchinterval(_SWITCH_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.wait()
        except Exception:
            if kind is None:  # otherwise the first error counts
                raise
        finally:
            self._pool.shutdown()
            sys.setswitchinterval(self._switch)

    def put(self, store_state: StoreState, fresh: Sequence[pa.Table]) -> None:
        """Index a store state, whose newest records are `fresh`, in the background, once the previous one is done."""
        self.wait()
        self._running = self._pool.submit(self._updater.run, store_state, fresh)

    def check(self) -> None:
        """Raise the error of the running update if it has ended with one; do not wait for it."""
        if self._running is not None and self._running.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the last store state put is indexed, and raise its error if it has one."""
        running, self._running = self._running, None
        if running is not None:
            running.result()
