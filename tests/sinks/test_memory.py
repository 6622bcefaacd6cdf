"""The contract of sinks holds for the simplest one there can be, so that it asks nothing impossible."""

from __future__ import annotations

from pathlib import Path

from esctl.model import Answer, Basis
from esctl.output import to_rows
from esctl.sinks.protocol import Sink
from tests.sinks.contract import Rows, SinkContract

KEPT: dict[Path, MemorySink] = {}


class MemorySink:
    def __init__(self) -> None:
        self.kept: tuple[Basis | None, Rows] = (None, {})

    def basis(self) -> Basis | None:
        return self.kept[0]

    def apply(self, changes: Answer, basis: Basis) -> None:
        rows = dict(self.kept[1])
        for row in to_rows(changes):
            if row["state"] is None:
                rows.pop((row["kind"], row["entity"]), None)
            else:
                rows[row["kind"], row["entity"]] = row
        self.kept = (basis, rows)


class TestMemorySink(SinkContract):
    def make(self, folder: Path) -> Sink:
        return KEPT.setdefault(folder, MemorySink())

    def rows(self, sink: Sink) -> Rows:
        assert isinstance(sink, MemorySink)
        return sink.kept[1]
