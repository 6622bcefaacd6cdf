"""Wait for a log to grow, until the user asks to stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esctl.api import Store

POLL_SECONDS = 0.2


def new_commits(store: Store) -> Iterator[None]:
    """Yield each time the log has a new commit, with the store brought up to it."""
    from esctl.cli.failures import asked_to_stop
    from esctl.log.commits import open_log

    with asked_to_stop() as stop:
        seen = store.store_state.seq
        while not stop():
            if open_log(store.path).read().seq == seen:
                time.sleep(POLL_SECONDS)
                continue
            store.refresh()
            seen = store.store_state.seq
            yield
