"""What every sink must do: a module of tests for one inherits these and says how to make it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from esctl.api import Store
from esctl.ask.changes.since import changes_since
from esctl.model import Basis
from esctl.sinks.protocol import Sink

EVENTS = [
    ("Opened", "a-1", {"owner": "x", "n": 1}),
    ("Opened", "a-2", {"owner": "y"}),
    ("Closed", "a-2", {}),
    ("Changed", "a-1", {"n": 2.5}),
    ("Opened", "a-3", {"n": 12345678901234567890123456789012345678901234.5}),
    ("Opened", "a-2", {"owner": "again"}),
    ("Changed", "a-3", {"n": None, "o": {"p": [1, "\ue000"]}}),
    ("Closed", "a-1", {}),
]
DAYS = (1, 2, 3, 4, 5, 6, 4, 8)  # the seventh comes late
CONFIG = """
[projections.a.on."*"]
merge = "data"
[projections.a.on.Closed]
delete = true
"""
Rows = dict[tuple[str, str], Mapping[str, Any]]


def grown(folder: Path, count: int) -> Store:
    """Return a store of the first events, the rest to come by calling this again; the last ones are late."""
    (folder / "esctl.toml").write_text(CONFIG, encoding="utf-8")
    lines = [
        json.dumps({"id": i, "type": kind, "time": f"2024-01-{day:02}T00:00:00Z", "stream": entity, "data": data})
        for i, (day, (kind, entity, data)) in enumerate(zip(DAYS, EVENTS[:count], strict=False), 1)
    ]  # fmt: skip
    (folder / "log.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    store = Store.create(folder / ".esctl", folder / "esctl.toml")
    store.ingest(str(folder / "log.jsonl"))
    return store


def basis(store: Store) -> Basis:
    return store.basis_of(store.scope(projection="a"))


def replayed(store: Store) -> Rows:
    return {(row["kind"], row["entity"]): row for row in store.replay(projection="a").rows()}


class SinkContract(ABC):
    """The tests of a sink."""

    @abstractmethod
    def make(self, folder: Path) -> Sink:
        """Open the sink that is in a folder, or a new one."""

    @abstractmethod
    def rows(self, sink: Sink) -> Rows:
        """Read what is in the sink, by kind and entity."""

    def test_it_is_empty_at_first(self, tmp_path: Path) -> None:
        sink = self.make(tmp_path)
        assert sink.basis() is None
        assert self.rows(sink) == {}

    @pytest.mark.parametrize("steps", [(8,), (1, 8), (3, 4, 6, 7, 8), tuple(range(1, 9))])
    def test_it_is_what_replay_gives_at_its_basis(self, tmp_path: Path, steps: tuple[int, ...]) -> None:
        sink, at = self.make(tmp_path), 0
        for count in steps:
            store = grown(tmp_path, count)
            sink.apply(changes_since(store.scope(projection="a"), at), basis(store))
            at = store.snapshot.head
            assert self.rows(sink) == replayed(store)
            assert sink.basis() == basis(store)
        assert self.rows(self.make(tmp_path)) == replayed(store)

    def test_the_same_changes_again_change_nothing(self, tmp_path: Path) -> None:
        sink, store = self.make(tmp_path), grown(tmp_path, 6)
        for start in (0, 0, 2, 6):
            sink.apply(changes_since(store.scope(projection="a"), start), basis(store))
            assert self.rows(sink) == replayed(store)

    def test_what_fails_leaves_the_sink_at_the_basis_before(self, tmp_path: Path) -> None:
        sink, store = self.make(tmp_path), grown(tmp_path, 4)
        sink.apply(changes_since(store.scope(projection="a"), 0), basis(store))
        before, rows = basis(store), self.rows(sink)
        store = grown(tmp_path, 8)
        good = changes_since(store.scope(projection="a"), 4)
        unordered = good.sql.rpartition(" ORDER BY ")[0]
        bad = replace(good, sql=f"{unordered} UNION ALL SELECT error('broken'), '', '', 1, 1, now()")
        with pytest.raises(Exception, match="broken"):
            sink.apply(bad, basis(store))
        for each in (sink, self.make(tmp_path)):
            assert each.basis() == before
            assert self.rows(each) == rows
        sink.apply(good, basis(store))
        assert self.rows(sink) == replayed(store)
