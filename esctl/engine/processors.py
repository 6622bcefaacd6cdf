"""How many processors this process uses."""

from __future__ import annotations

import os

_chosen: list[int] = []


def use_processors(count: int | None) -> None:
    """Use `count` processors from now on; None: all that this process may run on."""
    import pyarrow as pa

    _chosen[:] = [] if count is None else [count]
    pa.set_cpu_count(processors())


def processors() -> int:
    """Return how many processors to use."""
    if _chosen:
        return _chosen[0]
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
