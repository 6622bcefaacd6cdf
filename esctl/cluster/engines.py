"""Where tasks run: in this process, or in a pool of processes of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from esctl.cluster.spans import Span, spans_of
from esctl.cluster.task import Failure, Part, Task, run
from esctl.errors import UsageError
from esctl.index.files.manifest import Manifest

SPANS_A_WORKER = 3
"""So that a worker that has the dear entities does not keep the others waiting for long."""
MOST_WORKERS = 1024


class Engine(Protocol):
    """What runs tasks."""

    memory_limit: str | None  # of one task

    def spans(self, manifest: Manifest) -> list[Span]:
        """Return the spans that a question is asked in."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Part | Failure]:
        """Run tasks, in any order; one whose worker is lost is run again. Raises InputError where that is in vain."""


class InProcess:
    """Runs tasks one after the other in this process."""

    def __init__(self, memory_limit: str | None = None) -> None:
        self.memory_limit = memory_limit

    def spans(self, manifest: Manifest) -> list[Span]:
        """Return the spans that a question is asked in."""
        return spans_of(manifest, SPANS_A_WORKER)

    def run(self, tasks: Sequence[Task]) -> Iterator[Part | Failure]:
        """Run tasks in their order."""
        return map(run, tasks)


def engine_of(text: str, memory_limit: str | None, option: str) -> Engine | None:
    """Return the engine of a name, such as `local:4`; None for `off`.

    Raises UsageError for a name of none, naming the option.
    """
    if text == "off":
        return None
    found = re.fullmatch(r"local:([0-9]{1,4})", text)
    if found is None or not 1 <= int(found[1]) <= MOST_WORKERS:
        raise UsageError(f"{option} {text!r} is not an engine", "local:4 is one, of four processes of this machine")
    if int(found[1]) == 1:
        return InProcess(memory_limit)
    from esctl.cluster.local_pool import LocalPool

    return LocalPool(int(found[1]), memory_limit)
