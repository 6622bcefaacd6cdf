"""Workers of this process, among which a test cuts work as it likes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from esctl.cluster.calls import EngineWorkers, lent_workers
from esctl.cluster.engines import InProcess
from esctl.cluster.spans import Span, spans_of
from esctl.index.files.manifest import Manifest


class Cut(InProcess):
    """An engine that cuts work into so many parts, however small it is."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def parts(self, rows: int) -> int:
        """Give the number of parts."""
        return self.count

    def spans(self, manifest: Manifest) -> list[Span]:
        """Give as many spans, where there are so many row groups."""
        return spans_of(manifest, self.count)


@contextmanager
def workers(count: int) -> Iterator[EngineWorkers]:
    """Lend workers who do so many parts."""
    with lent_workers(Cut(count)) as lent:
        yield lent
