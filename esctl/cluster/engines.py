"""Where tasks run: in this process, in a pool of processes of this machine, or on an engine that the user runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from esctl.cluster.spans import Span, spans_of
from esctl.cluster.work import Failure, Part, Work
from esctl.errors import UsageError
from esctl.index.files.manifest import Manifest

SPANS_A_WORKER = 3
"""So that a worker that has the dear entities does not keep the others waiting for long."""
LEAST_ROWS = 50_000
"""Rows that are worth a span of their own: to compile a question takes as long as to fold so many."""
MOST_WORKERS = 1024
_HINT = "it is off, local:N for N processes, or the address of one: sc://HOST, spark://HOST, ray://HOST, dask://HOST"


class Engine(Protocol):
    """What runs tasks."""

    memory_limit: str | None  # of one task
    folder: Path | None  # where parts are written, seen by all workers; None: where the driver's temporary files are

    def spans(self, manifest: Manifest) -> list[Span]:
        """Return the spans that a question is asked in."""

    def parts(self, rows: int) -> int:
        """Return how many parts so many rows are cut into, where any cut will do."""

    def kept(self) -> AbstractContextManager[None]:
        """Keep what runs tasks at hand from one run to the next."""

    def stop(self) -> None:
        """End the tasks that run, in another thread, as far as that can be done."""

    def run(self, tasks: Sequence[Work]) -> Iterator[Part | Failure]:
        """Run tasks, in any order; one whose worker is lost is run again. Raises InputError where that is in vain."""


def parts_for(rows: int, workers: int) -> int:
    """Return how many parts are worth the while for so many workers."""
    return max(1, min(workers * SPANS_A_WORKER, rows // LEAST_ROWS))


def spans_for(manifest: Manifest, workers: int) -> list[Span]:
    """Return spans for so many workers, each worth the while."""
    return spans_of(manifest, parts_for(sum(file.rows for file in manifest.files), workers))


class InProcess:
    """Runs tasks one after the other in this process."""

    folder: Path | None = None

    def __init__(self, memory_limit: str | None = None) -> None:
        self.memory_limit = memory_limit

    def spans(self, manifest: Manifest) -> list[Span]:
        """Return the spans that a question is asked in; pieces of them would be folded one after the other."""
        return [replace(span, pieces=1) for span in spans_for(manifest, 1)]

    def parts(self, rows: int) -> int:
        """Return how many parts so many rows are cut into."""
        return parts_for(rows, 1)

    def kept(self) -> AbstractContextManager[None]:
        """Do nothing: this process is at hand."""
        return nullcontext()

    def stop(self) -> None:
        """Do nothing: a task is run to its end."""

    def run(self, tasks: Sequence[Work]) -> Iterator[Part | Failure]:
        """Run tasks in their order."""
        return (task.run() for task in tasks)


def engine_of(text: str, memory_limit: str | None, option: str) -> Engine | None:
    """Return the engine of a name, such as `local:4`; None for `off`.

    Raises UsageError for a name of none, naming the option, and for one whose library is not installed.
    """
    if text == "off":
        return None
    if (found := re.fullmatch(r"local:([0-9]{1,4})", text)) and 1 <= int(found[1]) <= MOST_WORKERS:
        if int(found[1]) == 1:
            return InProcess(memory_limit)
        from esctl.cluster.local_pool import LocalPool

        return LocalPool(int(found[1]), memory_limit)
    scheme = text.partition(":")[0]
    if scheme not in ("sc", "spark", "ray", "dask") or not re.fullmatch(r"\w+:\S+", text):
        raise UsageError(f"{option} {_shown(text)!r} is not an engine", _HINT)
    from esctl.cluster import remote

    return remote.connect(scheme, text, memory_limit)


def _shown(text: str) -> str:
    """Return a name without what may be secret in an address."""
    return text.partition("://")[0] + "://..." if "://" in text else text
