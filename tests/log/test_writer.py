"""Appending: positions, times, salts, staging, and writers in each other's way."""

from __future__ import annotations

import os
import threading
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esctl.errors import InputError
from esctl.log import parts as parts_module
from esctl.log.commits import create_store
from esctl.log.reader import read_table
from esctl.log.writer import LogWriter, Part
from tests.support import effort
from tests.support.log_helpers import (
    LINES,
    NOW,
    Failing,
    Unlocked,
    Unsynced,
    batch,
    check,
    clock,
    cursor,
    many_appends,
    part,
    reopened,
    store,
    stray_files,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_store(tmp_path / "s", files=Unsynced())
    return tmp_path / "s"


def test_several_sources_in_one_commit(path: Path) -> None:
    with LogWriter(path, clock=clock) as writer:
        store_state = writer.append([part("a", [b"1\n", b"2\n"]), part("b", [b"3\n"])])
    table = check(store_state)
    assert table["source"].to_pylist() == ["a", "a", "b"]
    assert table["raw"].to_pylist() == [b"1\n", b"2\n", b"3\n"]
    assert table["recorded_at"].cast(pa.int64()).to_pylist() == [NOW] * 3
    assert (store_state.seq, len(store_state.segments), set(store_state.cursors)) == (1, 1, {"a", "b"})
    assert stray_files(store_state) == []


def test_what_an_append_returns_is_what_is_read(path: Path) -> None:
    with LogWriter(path) as writer:
        for number in range(3):
            assert writer.append([part("a", LINES[: number + 1])]) == reopened(path)


def test_what_is_built_on_is_brought_to_the_disk_first(path: Path) -> None:
    """A commit may be there whose writer was ended before its name was durable."""
    files = Failing()
    with LogWriter(path, clock=clock, files=files):
        assert files.steps == ["sync_folder"] * 2
    for number in range(2):
        with pytest.raises(InputError, match="No space left"), LogWriter(path, clock=clock, files=Failing(number)):
            pass
        with LogWriter(path, timeout=0.1):  # the lock was given back
            pass


def test_nothing_new_makes_no_commit(path: Path) -> None:
    same = part("a", [])
    with LogWriter(path) as writer:
        assert writer.append([]).seq == 0
        assert writer.append([same]).seq == 1  # the source was seen, though it has no record yet
        assert writer.append([same]).seq == 1
        assert writer.append([Part("a", [batch([])], same.cursor)]).seq == 1
        assert writer.store_state.head == 0


def test_recorded_at_never_goes_back(path: Path) -> None:
    now = iter([NOW, NOW - 10**9, NOW, NOW + 50])
    with LogWriter(path, clock=lambda: next(now)) as writer:
        for number in range(4):
            writer.append([part(f"s{number}", [b"x", b"y"])])
    times = read_table(reopened(path), 1, 8, ["recorded_at"])["recorded_at"].cast(pa.int64()).to_pylist()
    assert times == [NOW, NOW, NOW + 1, NOW + 1, NOW + 2, NOW + 2, NOW + 50, NOW + 50]


@pytest.mark.parametrize("erasable", [False, True])
def test_salts_are_random_where_records_can_be_erased(tmp_path: Path, erasable: bool) -> None:
    store_state = store(tmp_path / "s", [[part("a", [b"same\n"] * 50)]] * 2, erasable=erasable)
    salts = check(store_state)["salt"].to_pylist()
    if erasable:
        assert {len(salt) for salt in salts} == {16}
        assert len(set(salts)) == 100
    else:
        assert salts == [None] * 100


def test_tables_chunks_and_narrow_columns_are_taken(path: Path) -> None:
    table = pa.table({"offset": pa.array([0, 2], pa.int32()), "raw": pa.array([b"1\n", b"2\n"], pa.binary())})
    with LogWriter(path, clock=clock) as writer:
        store_state = writer.append([Part("a", [table, table.to_batches()[0].slice(1)], cursor(b"", 3))])
    assert check(store_state)["raw"].to_pylist() == [b"1\n", b"2\n", b"2\n"]


def test_large_appends_are_cut_into_segments(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "SEGMENT_ROWS", 100)
    monkeypatch.setattr(parts_module, "SEGMENT_RAW_BYTES", 1000)
    with LogWriter(path, clock=clock) as writer:
        small, large = [b"%d\n" % number for number in range(250)], [b"%600d\n" % number for number in range(4)]
        store_state = writer.append([part("a", small), Part("b", [batch([raw]) for raw in large], cursor(b"", 4))])
    assert [segment.last - segment.first + 1 for segment in store_state.segments] == [100, 100, 51, 1, 1, 1]
    assert check(store_state)["raw"].to_pylist() == small + large
    assert store_state.seq == 1


@settings(max_examples=effort.examples(25, 8))
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=5), st.integers(1, 3000))
def test_any_segmentation_gives_the_same_tree(
    tmp_path_factory: pytest.TempPathFactory, commits: list[int], rows: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "s"
    create_store(path, files=Unsynced())
    raws = [b"%d\n" % number for number in range(sum(commits))]
    with pytest.MonkeyPatch.context() as patch, LogWriter(path, clock=clock, files=Unsynced()) as writer:
        patch.setattr(parts_module, "SEGMENT_ROWS", rows)
        start = 0
        for count in commits:
            writer.stage([Part("a", [batch(raws[start : start + count], start)], cursor(b"x" * start, start))])
            start += count
        store_state = writer.commit()
    check(store_state)
    assert all(segment.last - segment.first < rows for segment in store_state.segments)


def test_staged_records_are_one_commit_with_one_time(path: Path) -> None:
    now = iter([NOW, NOW + 5, NOW + 9])
    with LogWriter(path, clock=lambda: next(now)) as writer:
        writer.stage([part("a", [b"1\n"])])
        writer.stage([part("b", [b"2\n"])])
        assert (reopened(path).head, writer.store_state.head) == (0, 0)
        store_state = writer.commit()
        assert (store_state.head, store_state.seq, len(store_state.segments)) == (2, 1, 2)
        assert writer.commit() == store_state
    assert check(store_state)["recorded_at"].cast(pa.int64()).to_pylist() == [NOW, NOW]


def test_abandoned_records_leave_nothing(path: Path) -> None:
    with LogWriter(path) as writer:
        writer.append([part("a", [b"1\n"])])
        writer.stage([part("b", [b"2\n"])])
        assert len(list((path / "log").iterdir())) == 2
        writer.abandon()
        assert writer.append([part("c", [b"3\n"])]).head == 2
        writer.stage([part("d", [b"4\n"])])
    assert check(reopened(path))["raw"].to_pylist() == [b"1\n", b"3\n"]
    assert stray_files(reopened(path)) == []


def test_an_error_inside_with_abandons_what_is_staged(path: Path) -> None:
    def fail_while_staging() -> None:
        with LogWriter(path) as writer:
            writer.stage([part("b", [b"2\n"])])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_while_staging()
    assert stray_files(reopened(path)) == []


def test_append_and_stage_do_not_mix(path: Path) -> None:
    with LogWriter(path) as writer:
        writer.stage([part("a", [b"1\n"])])
        with pytest.raises(RuntimeError, match="committed or abandoned"):
            writer.append([part("b", [b"2\n"])])


def test_a_source_name_that_is_no_text_is_refused(path: Path) -> None:
    with LogWriter(path) as writer:
        with pytest.raises(InputError, match="not Unicode text"):
            writer.append([part("\udcff", [b"1\n"])])
        assert writer.append([part("a", [b"1\n"])]).head == 1


def test_a_locked_store_names_the_holder(path: Path) -> None:
    outcome: list[InputError] = []

    def second() -> None:
        try:
            with LogWriter(path, timeout=0.05):
                pass
        except InputError as error:
            outcome.append(error)

    with LogWriter(path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert f"is being written by process {os.getpid()}" in outcome[0].message
    with LogWriter(path, timeout=0.05) as writer:
        assert writer.store_state.head == 0


def test_a_read_only_store_is_an_error_with_a_hint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(InputError, match=r"cannot lock .*Permission denied"), LogWriter(path):
        pass


def test_a_writer_past_the_lock_loses_and_tries_again(path: Path) -> None:
    with Unlocked(path, clock=clock) as first, Unlocked(path, clock=clock) as second:
        first.append([part("a", [b"1\n"])])
        second.append([part("b", [b"2\n", b"3\n"])])
        first.append([part("c", [b"4\n"])])
    store_state = reopened(path)
    table = check(store_state)
    assert table["raw"].to_pylist() == [b"1\n", b"2\n", b"3\n", b"4\n"]
    assert len(set(table["recorded_at"].to_pylist())) == 3
    assert set(store_state.cursors) == {"a", "b", "c"}
    assert stray_files(store_state) == []


def test_a_source_read_by_two_is_recorded_once(path: Path) -> None:
    with Unlocked(path) as first, Unlocked(path) as second:
        first.append([part("a", [b"1\n"])])
        with pytest.raises(InputError, match="another process has read a "):
            second.append([part("a", [b"1\n"])])
    assert check(reopened(path))["raw"].to_pylist() == [b"1\n"]
    assert stray_files(reopened(path)) == []


def test_staged_records_move_behind_those_of_the_winner(path: Path) -> None:
    with Unlocked(path, clock=clock) as first, Unlocked(path, clock=clock) as second:
        second.stage([part("b", LINES)])
        second.stage([part("c", [b"c\n"])])
        first.append([part("a", [b"1\n", b"2\n"])])
        store_state = second.commit()
        assert stray_files(store_state) == [], "what was written for other positions is gone at once"
    table = check(store_state)
    assert table["raw"].to_pylist() == [b"1\n", b"2\n", *LINES, b"c\n"]
    assert table["recorded_at"].cast(pa.int64()).unique().to_pylist() == [NOW, NOW + 1]
    assert stray_files(store_state) == []


def test_a_loser_of_the_same_source_drops_what_it_staged(path: Path) -> None:
    with Unlocked(path) as first, Unlocked(path) as second:
        second.stage([part("a", [b"1\n"])])
        first.append([part("a", [b"1\n"])])
        with pytest.raises(InputError, match="another process has read a "):
            second.commit()
    assert check(reopened(path)).num_rows == 1
    assert stray_files(reopened(path)) == []


@pytest.mark.parametrize("writer_class", [LogWriter, Unlocked])
def test_processes_at_once_lose_nothing_and_record_nothing_twice(path: Path, writer_class: type[LogWriter]) -> None:
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.support.log_helpers"])
    sources = ["a", "b", "c"]
    running = [context.Process(target=many_appends, args=(path, source, 8, writer_class)) for source in sources]
    for process in running:
        process.start()
    for process in running:
        process.join(120)
    assert [process.exitcode for process in running] == [0, 0, 0]
    store_state = reopened(path)
    table = check(store_state)
    expected = {b"%s-%d\n" % (source.encode(), number) for source in sources for number in range(80)}
    assert Counter(table["raw"].to_pylist()) == Counter(expected)
    assert store_state.seq == 24
    assert stray_files(store_state) == []


def test_only_what_an_interrupted_writer_left_is_removed(path: Path) -> None:
    with LogWriter(path) as writer:
        writer.append([part("a", [b"1\n", b"2\n"])])
    segment = reopened(path).segments[0].file
    stale = [
        f"log/{1:020d}-{5:020d}.0badc0de.parquet",
        f"log/.tmp-{2:020d}-{5:020d}.12345678",
        f"commits/.tmp-{1:020d}.json.12345678",
        f"commits/.tmp-summary-{0:020d}.json.12345678",
        ".tmp-format.json.12345678",
    ]
    kept = [
        f"log/{3:020d}-{5:020d}.0badc0de.parquet",  # another writer may be about to commit it
        f"log/.tmp-{3:020d}-{5:020d}.12345678",
        f"commits/.tmp-{2:020d}.json.12345678",
        "log/notes.txt",
        "log/.tmp-notes",
        "commits/README",
        "notes.parquet",
        "index",
    ]
    for name in [*stale, *kept]:
        (path / name).write_bytes(b"x")
    with LogWriter(path):
        pass
    assert [name for name in stale if (path / name).exists()] == []
    assert [name for name in kept if not (path / name).exists()] == []
    assert (path / "log" / segment).exists()


def test_an_old_store_gets_its_lost_summary_from_the_next_writer(path: Path) -> None:
    with LogWriter(path, files=Unsynced()) as writer:
        for number in range(100):
            writer.append([Part("a", [], cursor(b"x" * number, 0))])
    summary = path / "commits" / f"summary-{100:020d}.json"
    good = summary.read_bytes()
    summary.unlink()
    with LogWriter(path):
        assert summary.read_bytes() == good
