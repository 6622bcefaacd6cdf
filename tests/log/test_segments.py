"""Summaries that name segments by parts: the same store, of which opening reads no more than it needs."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from esctl.api import Store
from esctl.config import read_config
from esctl.errors import InputError
from esctl.ledger.check.summaries import Summaries
from esctl.ledger.check.verify import VerifyOptions, verify
from esctl.log import commit_json, commits
from esctl.log.commits import create_store, open_log, summary_names
from esctl.log.erasing import erase
from esctl.log.reader import raw_of, read_table
from esctl.log.replacing import Replacement
from esctl.log.segments import PartedSegments, SegmentPart, begun_by, bytes_of, chunks_of, find_unnamed, segments_in
from esctl.log.store_state import Redaction, StoreState
from esctl.log.writer import LogWriter
from esctl.maintain.repair import repair
from tests.support.effort import some
from tests.support.log_helpers import Failing, Unsynced, check, clock, part

COMMITS = 37


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make summaries frequent, and parts of them small."""
    shrink(monkeypatch)


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commits, "SUMMARY_EVERY", 5)
    patch.setattr("esctl.ledger.check.commits.SUMMARY_EVERY", 5)
    patch.setattr(commit_json, "PART_BYTES", 1500)


def raws(number: int) -> list[bytes]:
    return [b'{"n":%d}\n' % number] * (number % 3 + 1)


def writing(path: Path) -> LogWriter:
    return LogWriter(path, clock=clock, files=Unsynced())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a store of many commits, of which one replaces segments in the middle, and one erases records."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        path = tmp_path_factory.mktemp("made") / ".esctl"
        create_store(path, erasable=True, files=Unsynced())
        for number in range(COMMITS):
            with writing(path) as writer:
                writer.append([part(f"s{number % 4}-{number}", raws(number))])
                if number == 20:
                    held = writer.store_state.segments[3:9]
                    table = read_table(writer.store_state, held[0].first, held[-1].last).combine_chunks()
                    writer.replace(Replacement("compact", held, [table]))
                if number == 27:
                    erase(writer, [2, 40], Redaction(0, (), "asked to", "dpo"))
        yield path


@pytest.fixture
def store(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return shutil.copytree(made, tmp_path / ".esctl")


@pytest.fixture
def parts_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read, keep = list[str](), commits.read_part
    monkeypatch.setattr(commits, "read_part", lambda path, part: [read.append(part.file), keep(path, part)][1])
    return read


def parts_of(store_state: StoreState) -> list[SegmentPart]:
    return [chunk for chunk in chunks_of(store_state.segments) if isinstance(chunk, SegmentPart)]


def findings(path: Path) -> list[str]:
    return [finding.file for check in verify(path, VerifyOptions()).checks for finding in check.findings]


def test_a_store_is_what_all_its_commits_add_up_to(made: Path) -> None:
    log = open_log(made)
    assert len(parts_of(log.read())) > 5
    for upto in range(log.read().seq + 1):
        assert log.read(upto) == log.read(upto, summaries=False)
    check(log.read())


def test_opening_reads_no_part_and_few_commits(
    made: Path, parts_read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, keep = list[str](), commits.read_regular
    monkeypatch.setattr(commits, "read_regular", lambda path, limit: [read.append(path.name), keep(path, limit)][1])
    store_state = open_log(made).read()
    assert (bytes_of(store_state.segments), len(store_state.segments)) > (0, 30)
    assert not parts_read
    assert len(read) < 8


def test_what_lies_at_a_position_reads_one_part(made: Path, parts_read: list[str]) -> None:
    store_state, whole = open_log(made).read(), tuple(open_log(made).read(summaries=False).segments)
    assert not parts_read
    for segment in whole[:5]:
        assert segments_in(store_state.segments, segment.first, segment.last) == (segment,)
    assert len(set(parts_read)) < 3
    parts_read.clear()
    assert raw_of(store_state, [7]).keys() == {7}
    assert len(parts_read) == 1
    for position in (0, 1, 30, store_state.head):
        there = tuple(segment for segment in whole if segment.first <= position)
        assert begun_by(store_state.segments, position) == there
    assert pickle.loads(pickle.dumps(store_state.segments)) == whole  # its own
    assert PartedSegments(made, ()) != whole
    assert store_state.segments != 5


def test_a_writer_that_sweeps_reads_no_part_but_where_a_stray_file_lies(store: Path, parts_read: list[str]) -> None:
    with writing(store):
        pass
    assert not parts_read
    store_state = open_log(store).read()
    stray = store / "log" / f"{7:020d}-{9:020d}.0badc0de.parquet"
    stray.write_bytes(b"x")
    names = [path.name for path in (store / "log").iterdir()]
    assert find_unnamed(store_state.segments, [*names, "notes.txt"]) == {stray.name}
    assert len(parts_read) == 1
    with writing(store):
        pass
    assert not stray.exists()
    check(open_log(store).read())


def test_parts_are_read_where_something_in_them_is_replaced(store: Path, parts_read: list[str]) -> None:
    with writing(store) as writer:
        held = writer.store_state.segments[-6:-3]
        parts_read.clear()
        table = read_table(writer.store_state, held[0].first, held[-1].last).combine_chunks()
        after = writer.replace(Replacement("compact", held, [table]))
        assert len(set(parts_read)) <= 3
        with pytest.raises(InputError, match="contradicts"):
            writer.replace(Replacement("compact", after.segments[:1], [table]))
    parts_read.clear()
    assert open_log(store).read().seq == after.seq
    assert not parts_read  # as the writer left a summary, though it made few commits
    assert open_log(store).read() == open_log(store).read(summaries=False)
    with writing(store) as writer:
        for number in range(12):
            writer.append([part(f"more{number}", raws(number))])
    assert open_log(store).read() == open_log(store).read(summaries=False)
    assert not findings(store)


def test_a_damaged_part_is_named_and_mended(store: Path) -> None:
    rng, store_state = random.Random(5), open_log(store).read()
    for each in some(parts_of(store_state), 3):
        path = store / "commits" / each.file
        good = path.read_bytes()
        for bit in (0, rng.randrange(len(good) * 8), len(good) * 8 - 1):
            data = bytearray(good)
            data[bit // 8] ^= 1 << bit % 8
            path.write_bytes(data)
            assert findings(store) == [f"commits/{each.file}"]
            with pytest.raises(InputError, match=each.file):
                raw_of(open_log(store).read(), [each.first])
        path.write_bytes(good)
    path.unlink()
    assert findings(store) == [f"commits/{each.file}"]
    steps = repair(store, Store(store, read_config(None)).updater(), files=Unsynced())
    assert {step.what for step in steps} == {"summary"}
    assert not findings(store)
    assert open_log(store).read() == open_log(store).read(summaries=False)


def test_a_damaged_or_old_summary_is_named(store: Path) -> None:
    names = summary_names(path.name for path in (store / "commits").iterdir())
    for name, seq in some(sorted(names.items()), 4):
        path = store / "commits" / name
        good = path.read_bytes()
        path.write_bytes(good[:60] + bytes([good[60] ^ 1]) + good[61:])
        assert findings(store) == [f"commits/{name}"]
        other = commits.summary_line(replace(open_log(store).read(seq), at=1), open_log(store).read(0).commit_sha256)
        path.write_bytes(other)
        assert findings(store) == [f"commits/{name}"]
        path.write_bytes(good)
    head = store / "commits" / f"head-{99:020d}.json"
    head.write_bytes(good)
    assert findings(store) == [f"commits/{head.name}"]


def test_summaries_of_before_are_gone_on_from(store: Path) -> None:
    """A store of an older version has no parts and no summaries of last commits."""
    log = open_log(store)
    for path in [*(store / "commits").glob("segments-*"), *(store / "commits").glob("head-*")]:
        path.unlink()
    for name, seq in summary_names(path.name for path in (store / "commits").iterdir()).items():
        whole = log.read(seq, summaries=False)
        (store / "commits" / name).write_bytes(commits.summary_line(whole, log.read(0).commit_sha256))
    assert isinstance(open_log(store).read().segments, tuple)
    with writing(store) as writer:
        for number in range(6):
            writer.append([part(f"more{number}", raws(number))])
    assert parts_of(open_log(store).read())
    assert open_log(store).read() == open_log(store).read(summaries=False)
    assert not findings(store)


def test_a_writer_of_several_commits_leaves_a_summary_of_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "SUMMARY_EVERY", 100)
    create_store(tmp_path, files=Unsynced())
    for count in (9, 3, 9):
        with writing(tmp_path) as writer:
            for number in range(count):
                writer.append([part(f"{count}-{writer.store_state.seq}", raws(number))])
    heads = [path.name for path in (tmp_path / "commits").glob("head-*")]
    assert heads == [f"head-{21:020d}.json"]  # the one before is gone
    assert open_log(tmp_path).read() == open_log(tmp_path).read(summaries=False)
    monkeypatch.setattr(commits, "HEAD_BYTES", 100)  # a large summary is not written as often
    with writing(tmp_path) as writer:
        for number in range(9):
            writer.append([part(f"last{number}", raws(number))])
    assert heads == [path.name for path in (tmp_path / "commits").glob("head-*")]
    assert open_log(tmp_path).read() == open_log(tmp_path).read(summaries=False)


def test_a_commit_that_was_made_while_names_were_listed_is_not_missed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log(store)
    head = log.read().head
    names = [path.name for path in (store / "commits").iterdir()]
    for lost in (f"{max(summary_names(names).values()):020d}.json", f"{7:020d}.json"):
        listings = iter([[name for name in names if name != lost], names])
        monkeypatch.setattr(commits, "list_numbered", lambda folder, listings=listings: next(listings))
        assert log.read().head == head
        left = [name for name in names if name != lost]
        monkeypatch.setattr(commits, "list_numbered", lambda folder, left=left: left)
        with pytest.raises(InputError, match=f"{lost} is missing"):
            log.read()


def test_a_summary_of_a_last_commit_may_go_while_all_is_verified(store: Path) -> None:
    with writing(store) as writer:
        writer.append([part("more", raws(1))])
    store_state = open_log(store).read()
    names = ["head-00000000000000000038.json", f"summary-{store_state.seq:020d}.json"]
    found = Summaries.of(store, names, open_log(store).read(0))
    found.names = dict.fromkeys(names, store_state.seq)
    for name in names:
        (store / "commits" / name).unlink(missing_ok=True)
    found.compare(store_state)
    assert list(found.findings) == [f"commits/{names[1]}"]


def test_wherever_a_writer_fails_the_store_is_whole(made: Path, tmp_path: Path) -> None:
    def grow(path: Path, files: Failing) -> None:
        with LogWriter(path, clock=clock, files=files) as writer:
            for number in range(9):
                writer.append([part(f"more{number}", raws(number))])

    counting = Failing()
    grow(shutil.copytree(made, tmp_path / "whole"), counting)
    for step in some(range(len(counting.steps)), 6):
        path = shutil.copytree(made, tmp_path / f"{step}")
        with pytest.raises((InputError, OSError)):
            grow(path, Failing(step))
        with writing(path) as writer:
            writer.append([part("after", raws(1))])
        assert open_log(path).read() == open_log(path).read(summaries=False)
        check(open_log(path).read())
        shutil.rmtree(path)


def test_a_part_that_a_summary_should_not_name_is_none(made: Path) -> None:
    log = open_log(made)
    value = json.loads(commits.summary_line(log.read(), log.read(0).commit_sha256))
    listed = next(told for told in value["segments"] if "part" in told)
    for changed in ({"part": "../../secret"}, {"first": 0}, {"bytes": -1}, {"part": listed["part"] + "x"}):
        with pytest.raises((ValueError, KeyError, TypeError)):
            commit_json._part_from_json({**listed, **changed})
