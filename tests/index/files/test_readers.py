"""Index files that were merged: they go at once where nobody reads them, and stay for those who do."""

from __future__ import annotations

import fcntl
import os
import pickle
import sys
from pathlib import Path

import pytest

from esctl import Store
from esctl.index import merge_policy
from esctl.index.files import merge, readers
from esctl.index.files.manifest import read_manifest
from tests.support.cli_harness import plain_event, write_lines


@pytest.fixture
def merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a store, of which each third commit merges index files."""
    monkeypatch.setattr(merge_policy, "MOST_SMALL", 3)
    monkeypatch.setattr(merge, "SIZE_UNIT", 1)
    commits(tmp_path, 0, 2)
    return tmp_path


def commits(folder: Path, first: int, count: int) -> None:
    for number in range(first, first + count):
        events = [plain_event(10 * number + at, f"thing-{at % 3}") for at in range(10)]
        with Store.create(folder / ".esctl") as store:
            store.ingest(write_lines(folder / f"log-{number}.jsonl", events))


def left(folder: Path) -> set[str]:
    """Name the index files that no manifest names."""
    (index,) = (folder / ".esctl" / "index").iterdir()
    manifest = read_manifest(index)
    assert manifest is not None
    return {path.name for path in index.iterdir() if path.suffix in (".parquet", ".ids")} - manifest.names


def test_files_that_nobody_reads_go_at_once(merged: Path) -> None:
    commits(merged, 2, 4)
    assert not left(merged)


def test_files_stay_for_their_reader(merged: Path) -> None:
    reader = Store.open(merged / ".esctl")
    before = len(reader.events())
    commits(merged, 2, 2)
    kept = left(merged)
    assert kept
    assert len(reader.events()) == before == 20
    reader.close()
    del reader
    commits(merged, 4, 1)
    assert not left(merged) & kept
    assert len(Store.open(merged / ".esctl").events()) == 50


def test_a_basis_is_read_whole_while_files_are_merged(merged: Path) -> None:
    basis = Store.open(merged / ".esctl").replay().basis
    assert basis is not None
    commits(merged, 2, 1)
    bound = Store.open(merged / ".esctl").on_basis(basis)
    states = bound.replay()
    commits(merged, 3, 3)
    assert len(states.rows()) == 3


def test_readers_wait_no_longer_than_a_moment(merged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_TRIES", 2)
    (index,) = (merged / ".esctl" / "index").iterdir()
    held = os.open(index / readers.READERS, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        assert readers.announce_reader(index) is None
        assert len(Store.open(merged / ".esctl").events()) == 20
    finally:
        os.close(held)
    assert readers.announce_reader(index) is not None


def test_files_stay_where_readers_cannot_announce_themselves(merged: Path) -> None:
    (index,) = (merged / ".esctl" / "index").iterdir()
    (index / readers.READERS).unlink()
    commits(merged, 2, 1)
    assert left(merged)


def test_a_share_is_none_in_another_process(tmp_path: Path) -> None:
    readers.make_readers_file(tmp_path)
    share = readers.announce_reader(tmp_path)
    assert share is not None
    assert pickle.loads(pickle.dumps(share)) is None
    with readers.hold_off_readers(tmp_path) as nobody:  # the share is still held
        assert not nobody


def test_a_share_ends_after_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers.make_readers_file(tmp_path)
    share = readers.announce_reader(tmp_path)
    assert share is not None
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with monkeypatch.context() as ending:
        for name in vars(readers).copy():  # as the interpreter does at its end
            ending.setattr(readers, name, None)
        del share
    assert told == []
    with readers.hold_off_readers(tmp_path) as nobody:
        assert nobody
