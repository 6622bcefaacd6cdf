"""Where tasks run: in this process, in a pool of processes of this machine, or on an engine that the user runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from esctl.cluster.spans import Span, spans_of
from esctl.cluster.work import Failure, Work, WorkPart
from esctl.errors import UsageError
from esctl.index.files.manifest import Manifest

SPANS_A_WORKER = 3
"""Several, so that a worker with costly entities does not keep the others waiting for long."""
LEAST_ROWS = 50_000
"""The fewest rows that are worth a span: to compile a question takes as long as to fold that many."""
MOST_WORKERS = 1024
_HINT = "it is off, local:N for N processes, or the address of one: sc://HOST, spark://HOST, ray://HOST, dask://HOST"


class Engine(Protocol):
    """What runs tasks."""

    memory_limit: str | None  # of one task
    folder: Path | None  # where parts are written, seen by all workers; None: where the driver's temporary files are

    def spans(self, manifest: Manifest) -> list[Span]:
        """Return the spans that a question is asked in."""

    def parts(self, rows: int) -> int:
        """Return how many parts a number of rows is cut into, if any cut will do."""

    def keep_workers(self) -> AbstractContextManager[None]:
        """Keep the workers from one run to the next, until the context ends."""

    def stop(self) -> None:
        """End the tasks that another thread runs, as far as that is possible."""

    def run(self, tasks: Sequence[Work]) -> Iterator[WorkPart | Failure]:
        """Run tasks, in any order; one whose worker is lost is run again. Raises InputError if that keeps failing."""


def parts_for(rows: int, workers: int) -> int:
    """Return how many parts are worthwhile for a number of rows and of workers."""
    return max(1, min(workers * SPANS_A_WORKER, rows // LEAST_ROWS))


def spans_for(manifest: Manifest, workers: int) -> list[Span]:
    """Return the spans of an index for a number of workers, each with enough rows to be worthwhile."""
    return spans_of(manifest, parts_for(sum(file.rows for file in manifest.files), workers))


class ManyWorkers:
    """What engines with several workers have in common: how questions are cut for these."""

    workers: int

    def spans(self, manifest: Manifest) -> list[Span]:
        """Return the spans that a question is asked in."""
        return spans_for(manifest, self.workers)

    def parts(self, rows: int) -> int:
        """Return how many parts a number of rows is cut into."""
        return parts_for(rows, self.workers)


class InProcess:
    """Runs tasks one after the other in this process."""

    folder: Path | None = None

    def __init__(self, memory_limit: str | None = None) -> None:
        self.memory_limit = memory_limit

    def spans(self, manifest: Manifest) -> list[Span]:
        """Return the spans that a question is asked in, without pieces: these would be folded one after the other."""
        return [replace(span, pieces=1) for span in spans_for(manifest, 1)]

    def parts(self, rows: int) -> int:
        """Return how many parts a number of rows is cut into."""
        return parts_for(rows, 1)

    def keep_workers(self) -> AbstractContextManager[None]:
        """Do nothing: this process is kept anyway."""
        return nullcontext()

    def stop(self) -> None:
        """Do nothing: a task is run to its end."""

    def run(self, tasks: Sequence[Work]) -> Iterator[WorkPart | Failure]:
        """Run tasks in their order."""
        return (task.run() for task in tasks)


def engine_of(text: str, memory_limit: str | None, option: str) -> Engine | None:
    """Return the engine of a name, such as `local:4`; None for `off`.

    Raises UsageError, naming the option, if there is no such engine, and if its library is not installed.
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
        raise UsageError(f"{option} {_without_address(text)!r} is not an engine", _HINT)
    from esctl.cluster import remote

    return remote.connect(scheme, text, memory_limit)


def _without_address(text: str) -> str:
    """Return a name without its address, which may hold a secret."""
    return text.partition("://")[0] + "://..." if "://" in text else text
