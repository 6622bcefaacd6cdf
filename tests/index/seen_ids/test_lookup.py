"""An id that is looked up by the runs of hashes is found in the events in which a scan finds it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from esctl.ask.events import log
from esctl.ask.scope.scope import Scope
from esctl.errors import InputError
from esctl.index.envelope import event_columns
from esctl.index.envelope.mapping import parse_mapping
from esctl.index.files import write
from esctl.index.scan import IndexView
from esctl.index.seen_ids import runs
from esctl.index.seen_ids.lookup import positions_of
from esctl.index.update import Updater
from esctl.log.commits import create_store
from esctl.log.store_state import StoreState
from esctl.log.writer import LogWriter, Part
from esctl.model import FileCursor
from tests.support import effort
from tests.support.engine_harness import session, store_folder
from tests.support.log_helpers import Unsynced, batch, clock

MAPPING = {"id": "i", "type": "t", "entities": {"of": "e[*]"}, "order": "position"}
IDS = [f"id-{number}" for number in range(5)]
Event = tuple[str | None, list[str]]
"""Its id and its entities."""


def commit(path: Path, source: str, events: list[Event]) -> StoreState:
    raws = [b"none" if i is None else json.dumps({"i": i, "t": "T", "e": e}).encode() + b"\n" for i, e in events]
    with LogWriter(path, clock=clock, files=Unsynced(), connection=session().connection) as writer:
        before = writer.store_state.cursors.get(source)
        offset, count = (before.offset, before.records) if before else (0, 0)
        size = sum(map(len, raws))
        cursor = FileCursor(offset + size, "0" * 64, 0, "0" * 64, format="jsonl", records=count + len(raws))
        return writer.append([Part(source, [batch(raws, offset)], cursor)])


def view_of(path: Path, commits: list[tuple[str, list[Event]]], **mapping: object) -> IndexView:
    create_store(path, files=Unsynced())
    made = Updater(session().connection, parse_mapping({**MAPPING, **mapping}), path / "index" / "test")
    return [made.run(commit(path, source, events)) for source, events in commits][-1]


def scanned(view: IndexView, event: str) -> list[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "SCANNED_BYTES", 1 << 60)
        return log.find_event(Scope(session(), view), event)


events = st.lists(
    st.tuples(st.none() | st.sampled_from(IDS), st.lists(st.sampled_from("xyz"), max_size=3, unique=True)), max_size=6
)
commits = st.lists(st.tuples(st.sampled_from(["a.jsonl", "b.jsonl"]), events.filter(bool)), min_size=1, max_size=4)


@settings(max_examples=10 * effort.TIMES)
@given(commits=commits, scope=st.sampled_from([None, "source", "store"]), bits=st.sampled_from([0, 64]), data=st.data())
def test_an_id_is_looked_up_as_it_is_found(
    commits: list[tuple[str, list[Event]]], scope: str | None, bits: int, data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch, store_folder() as folder:
        patch.setattr(event_columns, "MOST_ENTITIES", 2)  # events of more are invalid, and have their ids
        patch.setattr(write, "ROW_GROUP", 2)
        own = runs.hash_sql()
        patch.setattr(runs, "hash_sql", lambda: f"({own} & {(1 << bits) - 1}::UBIGINT)")
        view = view_of(folder / "store", commits, **({} if scope is None else {"scope": scope}))
        view = replace(view, upto=data.draw(st.none() | st.integers(1, view.manifest.head)))
        for event in (*IDS, "nobody"):
            found = positions_of(session().connection, view, [event])
            assert found == scanned(view, event) or (bits == 0 and found is None)  # then all have one hash


TWICE: list[tuple[str, list[Event]]] = [("a.jsonl", [("id-1", ["x"]), ("id-2", ["x"]), ("id-1", ["x"])])]


@pytest.mark.parametrize("scope", ["source", "store"])
def test_a_large_index_is_not_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str) -> None:
    view = view_of(
        tmp_path / "store", [*TWICE, ("b.jsonl", [("id-1", ["x"])]), ("a.jsonl", [("id-1", ["x"])])], scope=scope
    )
    monkeypatch.setattr(log, "SCANNED_BYTES", 0)
    monkeypatch.setattr(log, "_positions", lambda scope, condition: pytest.fail("all events were looked at"))
    assert log.find_event(Scope(session(), view), "id:id-1") == [1, 3, 4, 5]


def test_what_only_a_scan_can_tell_is_left_to_it(tmp_path: Path) -> None:
    made = view_of(tmp_path / "parts", TWICE, id=["t", "i"])
    assert positions_of(session().connection, made, ["id-1"]) is None
    view = view_of(tmp_path / "store", TWICE)
    unlike = replace(view.manifest.ids[0], made_by="another function")
    for ids in ((), (unlike,), view.manifest.ids[1:]):
        other = replace(view, manifest=replace(view.manifest, ids=ids))
        assert positions_of(session().connection, other, ["id-1"]) is None


def test_where_an_id_is_found_is_held_against_its_digest(tmp_path: Path) -> None:
    view = view_of(tmp_path / "store", TWICE)
    assert positions_of(session().connection, view, ["id-1"]) == [1, 3]
    (file,) = view.manifest.files
    other = [replace(group, range=replace(group.range, sha256="0" * 64)) for group in file.groups]
    files = (replace(file, groups=tuple(other)),)
    changed = IndexView(view.folder, replace(view.manifest, files=files), view.upto)
    with pytest.raises(InputError, match="index"):
        positions_of(session().connection, changed, ["id-1"])


@pytest.mark.parametrize("suffix", [".parquet", ".ids"])
def test_damage_is_not_taken_for_an_answer(tmp_path: Path, suffix: str) -> None:
    view = view_of(tmp_path / "store", TWICE)
    (path,) = (tmp_path / "store/index/test").glob(f"*{suffix}")
    path.write_bytes(bytes(byte ^ 1 if at in (4, 60, 200, 1000) else byte for at, byte in enumerate(path.read_bytes())))
    assert positions_of(session().connection, view, ["id-1"]) is None
