"""Compacting changes files and nothing else, whoever reads, writes, compacts or dies meanwhile."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest

from esctl.errors import InputError
from esctl.ledger.check.verify import VerifyOptions, verify
from esctl.log import compacting
from esctl.log.commits import open_log
from esctl.log.compacting import compact_log, segments_to_merge
from esctl.log.merkle import BLOCK
from esctl.log.reader import export_raw, first_positions, iter_batches, iter_firsts, raw_of, read_table
from esctl.log.replacing import Replacement
from esctl.log.store_state import Redaction, StoreState
from esctl.log.writer import LogWriter, Part
from tests.support import effort
from tests.support.cli_harness import good, plain_event, uncompacted, write_lines
from tests.support.log_helpers import Killing, Unsynced, batch, check, clock, cursor, part, store, stray_files

ROWS = BLOCK // 2 + 100
LINES = [b'{"n":%d}\n' % number for number in range(ROWS)]


def four_segments(path: Path, *, erasable: bool = False) -> StoreState:
    return store(path, [[part(name, LINES)] for name in "abcd"], erasable=erasable)


def same(now: StoreState, before: StoreState) -> bool:
    mine, others = ((s.head, s.root, s.blocks, dict(s.cursors)) for s in (now, before))
    return mine == others


@pytest.mark.parametrize("erasable", [False, True])
def test_only_files_change(tmp_path: Path, erasable: bool) -> None:
    before = four_segments(tmp_path, erasable=erasable)
    records = check(before)
    assert [len(group) for group in segments_to_merge(before)] == [4]
    compact_log(tmp_path, Unsynced())
    after = open_log(tmp_path).read()
    assert same(after, before)
    assert len(after.segments) == 1
    assert check(after).equals(records)
    assert stray_files(after) == []
    assert segments_to_merge(after) == []
    compact_log(tmp_path, Unsynced())
    assert open_log(tmp_path).read() == after


def test_segments_of_some_size_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store(
        tmp_path, [[part(name, LINES[:count])] for name, count in (("a", 9), ("b", ROWS), ("c", 9), ("d", 9))]
    )
    monkeypatch.setattr(compacting, "SEGMENT_ROWS", 4 * ROWS - 1)
    assert segments_to_merge(before) == [before.segments[2:]]
    monkeypatch.setattr(compacting, "SEGMENT_ROWS", 4 * ROWS)
    assert segments_to_merge(before) == [before.segments]
    monkeypatch.setattr(compacting, "SEGMENT_ROWS", 10**6)
    monkeypatch.setattr(compacting, "MOST_RAW", 10)
    assert segments_to_merge(before) == []


def test_readers_of_an_earlier_snapshot_go_on(tmp_path: Path) -> None:
    before = four_segments(tmp_path)
    earlier = open_log(tmp_path).read(2)
    records = check(before)
    reading = iter_batches(before, 1, before.head, 1000)
    started = [next(reading)]
    compact_log(tmp_path, Unsynced())
    assert pa.Table.from_batches([*started, *reading]).equals(records.combine_chunks())
    assert read_table(before, 1, before.head).equals(records)
    assert read_table(before, ROWS + 5, 3 * ROWS).equals(records.slice(ROWS + 4, 2 * ROWS - 4))
    assert read_table(earlier, 1, 10**9).equals(records.slice(0, 2 * ROWS))
    assert first_positions(earlier) == {"a": 1, "b": ROWS + 1}
    assert first_positions(earlier, ROWS + 5) == first_positions(earlier)
    firsts = list(iter_firsts(earlier, len(LINES[0]), ["source", "offset"]))
    assert pa.Table.from_batches(firsts).to_pydict() == {"source": ["a", "b"], "offset": [0, 0]}
    assert raw_of(before, [0, 1, 2 * ROWS, 10**9]) == {1: LINES[0], 2 * ROWS: LINES[-1]}
    for store_state, name in ((before, "d"), (earlier, "b")):
        assert b"".join(export_raw(store_state, name)) == b"".join(LINES)


def test_a_missing_segment_is_still_told(tmp_path: Path) -> None:
    before = four_segments(tmp_path)
    (tmp_path / "log" / before.segments[1].file).unlink()
    with pytest.raises(InputError, match="is missing"):
        read_table(before, 1, before.head)
    with pytest.raises(InputError, match="is missing"):
        compact_log(tmp_path, Unsynced())
    assert open_log(tmp_path).read() == before


def test_readers_are_told_of_an_erasure(tmp_path: Path) -> None:
    before = four_segments(tmp_path, erasable=True)
    table = read_table(before, 1, ROWS)
    with LogWriter(tmp_path, clock=clock, files=Unsynced()) as writer:
        writer.replace(Replacement("redact", before.segments[:1], [table], Redaction(0, ((3, 3),), "r", "a")))
    with pytest.raises(InputError, match="records were erased"):
        read_table(before, 1, 2)
    assert read_table(before, ROWS + 1, before.head).num_rows == 3 * ROWS


def compacted(path: Path, files: Killing) -> None:
    compact_log(path, files)


@pytest.mark.thorough
def test_killed_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "ABANDONED", -1.0)
    whole = store(tmp_path / "whole", [[part(name, LINES[:5])] for name in "abc"])
    records = check(whole)
    counting = Killing()
    compact_log(tmp_path / "whole", counting)
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.support.log_helpers", "esctl.log.compacting"])
    for step in effort.some(range(len(counting.steps)), 12):
        path = tmp_path / str(step)
        before = store(path, [[part(name, LINES[:5])] for name in "abc"])
        process = context.Process(target=compacted, args=(path, Killing(step)))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        now = open_log(path).read()
        assert same(now, before)
        assert read_table(before, 1, before.head).equals(records.slice(0, before.head))
        assert read_table(now, 1, now.head).equals(read_table(before, 1, before.head))
        compact_log(path, Unsynced())
        with LogWriter(path, clock=clock, files=Unsynced()) as writer:
            writer.append([part("later", LINES[:5])])
            after = writer.store_state
        assert len(after.segments) == 2
        check(after)
        assert stray_files(after) == []


class Meanwhile(Unsynced):
    """Does something else once the merged segment is written, before it is committed."""

    def __init__(self, what: Callable[[], object]) -> None:
        self.what: Callable[[], object] | None = what

    def create(self, path: Path) -> BinaryIO:
        file = super().create(path)
        what, self.what = self.what, None
        if what is not None:
            what()
        return file


def test_an_ingest_meanwhile_loses_nothing(tmp_path: Path) -> None:
    before = four_segments(tmp_path)

    def ingest() -> None:
        with LogWriter(tmp_path, clock=clock, files=Unsynced()) as writer:
            records = batch(LINES[:7], before.cursors["a"].offset)
            writer.append([Part("a", [records], cursor(b"".join(LINES + LINES[:7]), ROWS + 7))])

    compact_log(tmp_path, Meanwhile(ingest))
    after = open_log(tmp_path).read()
    assert (len(after.segments), after.head) == (2, before.head + 7)
    assert read_table(after, 1, before.head).equals(read_table(before, 1, before.head))
    check(after)
    assert stray_files(after) == []


def test_two_at_once(tmp_path: Path) -> None:
    before = four_segments(tmp_path)
    compact_log(tmp_path, Meanwhile(lambda: compact_log(tmp_path, Unsynced())))
    after = open_log(tmp_path).read()
    assert (len(after.segments), after.seq) == (1, before.seq + 1)
    check(after)
    assert stray_files(after) == []


def test_verify_meanwhile_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import esctl.ledger.check.verify as module

    four_segments(tmp_path)
    walk = module.walk

    def walk_then_compact(path: Path, pin: object) -> object:
        chain = walk(path, pin)  # type: ignore[arg-type]
        compact_log(tmp_path, Unsynced())
        return chain

    monkeypatch.setattr(module, "walk", walk_then_compact)
    done = verify(tmp_path, VerifyOptions(full=True))
    assert done.is_intact, [check for check in done.checks if check.findings]


ASKED = (["replay"], ["log"], ["entities"], ["types"])


@uncompacted
def test_no_answer_changes(samples: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(samples, tmp_path / "copy")
    for number in range(2):
        write_lines(folder / f"more-{number}.jsonl", [plain_event(number, **{f"field{number}": number})])
        good("ingest", f"more-{number}.jsonl", "-q", cwd=folder)
    answers = [good(*asked, cwd=folder).out for asked in ASKED]
    basis = folder / "basis.txt"
    basis.write_text(good("replay", "--basis", cwd=folder).err)
    told = {row["part"]: row for row in good("compact", "--dry-run", cwd=folder).rows}
    done = {row["part"]: row for row in good("compact", cwd=folder).rows}
    for name in ("log", "index"):
        assert done[name]["files_after"] == told[name]["files_after"] < done[name]["files_before"]
        assert done[name]["bytes_after"] < done[name]["bytes_before"]
    assert [good(*asked, cwd=folder).out for asked in ASKED] == answers
    assert good("replay", "--basis-from", basis, cwd=folder).out == answers[0]
    good("verify", "--full", cwd=folder)
