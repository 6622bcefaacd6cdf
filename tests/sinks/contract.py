"""What every sink must do: a module of tests for one inherits these and says how to make it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from esctl.api import Store
from esctl.ask.changes.since import changes_since
from esctl.ask.scope.basis import to_json
from esctl.engine.duckdb import Session, relational
from esctl.errors import EsctlError
from esctl.sinks.columns import WHOLE_STATE
from esctl.sinks.protocol import Changes, NeedsWholeError, Progress, Sink

EVENTS = [
    ("Opened", "a-1", {"owner": "x", "n": 1}),
    ("Opened", "a-2", {"owner": "y"}),
    ("Closed", "a-2", {}),
    ("Changed", "a-1", {"n": 2.5}),
    ("Opened", "a-3", {"n": 12345678901234567890123456789012345678901234.5}),
    ("Opened", "a-2", {"owner": "again", "Owner": "'; --", "version": True, "": 0.1}),
    ("Changed", "a-3", {"n": None, "o": {"p": [1, "\ue000", 12345678901234567890.5]}}),
    ("Closed", "a-1", {}),
    ("Changed", "a-3", {"owner": 7, "n": "1"}),
    ("Changed", "a'\"3\n", {"time": "\ue000?", 'q"\x1b': [], "n": -0.000001}),
]
DAYS = (1, 2, 3, 4, 5, 6, 4, 8, 9, 1)  # the seventh comes late, as does the last
CONFIG = """
[projections.a.on."*"]
merge = "data"
[projections.a.on.Closed]
delete = true
"""
Rows = dict[tuple[str, str], Mapping[str, Any]]


def grow_store(folder: Path, count: int) -> Store:
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


def progress(store: Store) -> Progress:
    return Progress(store.store_state.store_id, "a", store.basis_of(store.scope(projection="a")))


def replayed(store: Store, projection: str = "a") -> Rows:
    """Return what `replay` gives; null is as if missing, as in any table."""
    rows: Rows = {}
    for row in store.replay(projection=projection).rows():
        state = {name: value for name, value in row["state"].items() if value is not None}
        rows[row["kind"], row["entity"]] = {**row, "state": state}
    return rows


def rows_in(sink: Sink, session: Session) -> Rows:
    """Read what is in a sink, each cell as its kind says."""
    content = sink.content()
    found = relational(session.connection).sql(content.sql)
    rows: Rows = {}
    for values in found.fetchall():
        row = dict(zip(found.columns, values, strict=True))
        state = {field.name: _value(row[field.column], field.kind) for field in content.fields}
        if any(field.whole_state for field in content.fields):
            state = state[WHOLE_STATE]
        state = {name: value for name, value in state.items() if value is not None}
        time = f"{row['time']:%Y-%m-%dT%H:%M:%SZ}"
        own = {name: row[name] for name in ("entity", "kind", "version", "position")}
        rows[row["kind"], row["entity"]] = {**own, "time": time, "state": state}
    return rows


def _value(cell: str | None, kind: str) -> Any:
    return cell if cell is None or kind == "text" else json.loads(cell, parse_float=Decimal)


class SinkContract(ABC):
    """The tests of a sink."""

    @abstractmethod
    def make(self, folder: Path, session: Session, *, writing: bool = True) -> Sink:
        """Make the sink that is in a folder, or a new one."""

    def put(self, folder: Path, store: Store, since: int = 0, *, whole: bool = False) -> None:
        """Apply the changes after a position."""
        with self.make(folder, store.session) as sink:
            self.apply(sink, store, since, whole=whole)

    def apply(self, sink: Sink, store: Store, since: int, *, whole: bool = False) -> None:
        try:
            sink.apply(Changes(changes_since(store.scope(projection="a"), since), whole), progress(store))
        except NeedsWholeError:
            assert not whole
            sink.apply(Changes(changes_since(store.scope(projection="a"), 0), whole=True), progress(store))

    def assert_is(self, folder: Path, store: Store) -> None:
        """Hold what is there against the store."""
        with self.make(folder, store.session, writing=False) as sink:
            assert rows_in(sink, store.session) == replayed(store)
            assert sink.progress() == progress(store)

    def test_it_is_empty_at_first(self, tmp_path: Path) -> None:
        store, before = grow_store(tmp_path, 1), {path.name for path in tmp_path.iterdir()} | {"log.jsonl", ".esctl"}
        for writing in (True, False):
            with self.make(tmp_path, store.session, writing=writing) as sink:
                assert sink.progress() is None
                assert rows_in(sink, store.session) == {}
        assert {path.name for path in tmp_path.iterdir()} <= before | {"esctl.toml"}

    @pytest.mark.parametrize("steps", [(10,), (3, 4, 6, 7, 10)])
    def test_it_is_what_replay_gives_at_its_basis(self, tmp_path: Path, steps: tuple[int, ...]) -> None:
        at = 0
        for count in steps:
            store = grow_store(tmp_path, count)
            self.put(tmp_path, store, at)
            at = store.store_state.head
            self.assert_is(tmp_path, store)

    def test_the_same_changes_again_change_nothing(self, tmp_path: Path) -> None:
        store = grow_store(tmp_path, 6)
        with self.make(tmp_path, store.session) as sink:
            for start in (0, 0, 2, 6):
                self.apply(sink, store, start)
                assert rows_in(sink, store.session) == replayed(store)
        self.assert_is(tmp_path, store)

    def test_what_is_whole_takes_the_place_of_all(self, tmp_path: Path) -> None:
        store = grow_store(tmp_path, 10)
        self.put(tmp_path, store)
        (tmp_path / "other").mkdir()
        other = grow_store(tmp_path / "other", 4)
        self.put(tmp_path, other, whole=True)
        self.assert_is(tmp_path, other)

    def test_what_fails_leaves_the_sink_at_the_basis_before(self, tmp_path: Path) -> None:
        store = grow_store(tmp_path, 4)
        self.put(tmp_path, store)
        before, rows = progress(store), replayed(store)
        store = grow_store(tmp_path, 8)
        good = changes_since(store.scope(projection="a"), 4)
        unordered = good.sql.rpartition(" ORDER BY ")[0]
        bad = replace(good, sql=f"{unordered} UNION ALL SELECT error('broken'), '', '', 1, 1, now()")
        for whole in (False, True):
            with self.make(tmp_path, store.session) as sink:
                with pytest.raises(Exception, match="broken"):
                    sink.apply(Changes(bad, whole), progress(store))
                assert sink.progress() == before
                assert rows_in(sink, store.session) == rows
        self.put(tmp_path, store, 4)
        self.assert_is(tmp_path, store)

    def test_a_second_writer_is_kept_out(self, tmp_path: Path) -> None:
        store, other = grow_store(tmp_path, 4), grow_store(tmp_path, 4)
        with self.make(tmp_path, store.session) as sink:
            self.apply(sink, store, 0)
            with pytest.raises(EsctlError, match="another process"), self.make(tmp_path, other.session):
                self.apply(sink, store, 0)  # where the second is let in, the first is out
        self.put(tmp_path, other)

    def test_its_basis_can_be_read_in_it(self, tmp_path: Path) -> None:
        store = grow_store(tmp_path, 4)
        self.put(tmp_path, store)
        assert self.read_basis(tmp_path) == json.loads(to_json(progress(store).basis))

    @abstractmethod
    def read_basis(self, folder: Path) -> Any:
        """Read the basis that stands in the target, as anybody would."""

    def test_nothing_is_left_of_what_is_dropped(self, tmp_path: Path) -> None:
        store = grow_store(tmp_path, 6)
        self.put(tmp_path, store)
        with self.make(tmp_path, store.session) as sink:
            sink.drop()
            sink.drop()
            assert sink.progress() is None
            assert rows_in(sink, store.session) == {}
        self.put(tmp_path, store)
        self.assert_is(tmp_path, store)
