"""Damaged files answer no question: what is read is held against its digest first, and only that."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from esctl.api import Store
from esctl.errors import InputError
from esctl.index.files.manifest import IndexFile, read_manifest
from esctl.index.files.merge import merge
from esctl.index.files.write import ROW_GROUP
from esctl.log.commits import create_store
from esctl.log.reader import export_raw, raw_of
from esctl.log.writer import LogWriter, Part
from tests.support import log_helpers as logs
from tests.support.forgery import cursor, events

COUNT = ROW_GROUP + 5000
"""Events in the store: enough for a second row group."""
FLIPS = 40


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / ".esctl"
    create_store(path, files=logs.Unsynced())
    lines = events(0, COUNT)
    with LogWriter(path, clock=logs.clock, files=logs.Unsynced()) as writer:
        for start, stop in ((0, 66_000), (66_000, COUNT)):
            offset = len(b"".join(lines[:start]))
            read = cursor(b"".join(lines[:stop]), stop)
            writer.append([Part("log.jsonl", [logs.batch(lines[start:stop], offset)], read)])
            assert Store.open(path).view  # an index file for each
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(whole, tmp_path / ".esctl")
    yield tmp_path / ".esctl"
    shutil.rmtree(tmp_path / ".esctl")


def index_files(path: Path) -> tuple[Path, tuple[IndexFile, ...]]:
    (folder,) = (path / "index").iterdir()
    manifest = read_manifest(folder)
    assert manifest is not None
    return folder, manifest.files


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def states(path: Path, *entities: str) -> list[dict[str, object]]:
    return Store.open(path).replay(*entities).rows()


def records(path: Path) -> bytes:
    return b"".join(export_raw(Store.open(path).store_state, "log.jsonl"))


@pytest.mark.parametrize(("folder", "ask"), [("index", states), ("log", records)])
def test_no_question_is_answered_from_a_flipped_bit(path: Path, folder: str, ask: Callable[[Path], object]) -> None:
    files = sorted((path / folder).rglob("*.parquet"))
    rng, expected = random.Random(7), ask(path)
    for file in files:
        good = file.read_bytes()
        for bit in [0, len(good) * 8 - 1, *(rng.randrange(len(good) * 8) for _ in range(FLIPS // len(files)))]:
            flip(file, bit)
            with pytest.raises(InputError, match=file.name):
                ask(path)
            file.write_bytes(good)
        assert ask(path) == expected
        file.write_bytes(good[:-1])
        with pytest.raises(InputError, match=file.name):
            ask(path)
        file.unlink()
        with pytest.raises(InputError, match=file.name):
            ask(path)
        file.write_bytes(good)


def test_one_entity_needs_only_its_own_row_groups(path: Path) -> None:
    folder, files = index_files(path)
    first, second = files[0].groups
    assert (first.low, second.high) == ("thing-00", "thing-16")
    expected = states(path, "thing-00")
    flip(folder / files[0].file, 8 * (second.range.offset + second.range.bytes // 2))
    assert states(path, "thing-00") == expected
    for asked in ([], ["thing-16"], ["thing-00", "thing-16"], ["thing-0*"]):
        with pytest.raises(InputError, match=files[0].file):
            states(path, *asked)


def test_one_record_needs_only_its_own_row_group(path: Path) -> None:
    store_state = Store.open(path).store_state
    segment = store_state.segments[0]
    expected = raw_of(store_state, [1])
    flip(path / "log" / segment.file, 8 * (segment.ranges[1].offset + 100))
    assert raw_of(store_state, [1]) == expected
    with pytest.raises(InputError, match=segment.file):
        raw_of(store_state, [1, segment.last])


def test_a_file_that_begins_after_the_bound_is_not_needed(path: Path) -> None:
    folder, files = index_files(path)
    expected = Store.open(path).replay(at="@5").rows()
    (folder / files[1].file).write_bytes(b"")
    assert Store.open(path).replay(at="@5").rows() == expected
    assert len(Store.open(path).replay(at="2024-01-02T00:00:09Z").rows()) == 10
    with pytest.raises(InputError, match=files[1].file):
        states(path)


def test_damage_is_not_merged_into_a_file_that_is_in_order(path: Path) -> None:
    folder, files = index_files(path)
    flip(folder / files[0].file, 8 * files[0].groups[0].range.bytes // 2)
    store = Store.open(path)
    with pytest.raises(InputError, match=files[0].file):
        merge(store.session.connection, folder, files)
