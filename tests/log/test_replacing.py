"""Segments replaced by others of the same records: one commit, the same tree, nothing left of the old."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.ledger.check.commits import walk
from esctl.log.commits import SUMMARY_EVERY, open_log
from esctl.log.merkle import BLOCK
from esctl.log.reader import read_table
from esctl.log.replacing import Replacement
from esctl.log.store_state import Redaction, StoreState
from esctl.log.writer import LogWriter
from esctl.storage.local import Filesystem
from tests.support.log_helpers import Failing, Unlocked, Unsynced, check, clock, part, store, stray_files

ROWS = BLOCK // 2 + 100


def three_segments(path: Path) -> StoreState:
    return store(path, [[part(name, [b'{"n":%d}\n' % n for n in range(ROWS)])] for name in "abc"])


def merged(path: Path, store_state: StoreState, files: Filesystem | None = None, kind: str = "compact") -> StoreState:
    """Make one segment of all."""
    whole = read_table(store_state, 1, store_state.head).combine_chunks()
    with LogWriter(path, clock=clock, files=files or Unsynced()) as writer:
        return writer.replace(Replacement(kind, store_state.segments, [whole]))  # type: ignore[arg-type]


def test_segments_are_replaced_in_one_commit(tmp_path: Path) -> None:
    before = three_segments(tmp_path)
    records = check(before)
    after = merged(tmp_path, before)
    assert len(after.segments) == 1
    assert (after.seq, after.head, after.root) == (before.seq + 1, before.head, before.root)
    assert after.blocks == before.blocks
    assert check(after).equals(records)
    assert stray_files(after) == []
    assert open_log(tmp_path).read() == after
    assert all(not one.findings for one in walk(tmp_path).checks)


def test_records_can_be_added_afterwards(tmp_path: Path) -> None:
    merged(tmp_path, three_segments(tmp_path))
    with LogWriter(tmp_path, clock=clock, files=Unsynced()) as writer:
        after = writer.append([part("d", [b"{}\n"] * ROWS)])
    assert check(after).num_rows == 4 * ROWS
    assert all(not one.findings for one in walk(tmp_path).checks)


def test_damage_is_not_written_down_anew(tmp_path: Path) -> None:
    before = three_segments(tmp_path)
    records = read_table(before, 1, before.head).combine_chunks()
    file = tmp_path / "log" / before.segments[1].file
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with LogWriter(tmp_path, files=Unsynced()) as writer, pytest.raises(InputError, match="is not what was committed"):
        writer.replace(Replacement("compact", before.segments, [records]))
    assert open_log(tmp_path).read() == before
    assert stray_files(before) == []


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    before = three_segments(tmp_path)
    counting = Failing()
    merged(tmp_path, before, counting)
    for step in range(len(counting.steps)):
        path = tmp_path / f"again{step}"
        store_state = three_segments(path)
        records = read_table(store_state, 1, store_state.head)
        with suppress(InputError):
            merged(path, store_state, Failing(step))
        now = open_log(path).read()
        assert (now.head, now.root) == (before.head, store_state.root)
        assert read_table(now, 1, now.head).equals(records)


def test_a_writer_that_passed_the_lock_by_is_noticed(tmp_path: Path) -> None:
    before = three_segments(tmp_path)
    whole = read_table(before, 1, before.head).combine_chunks()
    with Unlocked(tmp_path, clock=clock, files=Unsynced()) as writer:
        with Unlocked(tmp_path, clock=clock, files=Unsynced()) as other:
            other.append([part("d", [b"{}\n"])])
        with pytest.raises(InputError, match="another process keeps writing"):
            writer.replace(Replacement("compact", before.segments, [whole]))
    assert check(open_log(tmp_path).read()).num_rows == before.head + 1


def test_other_records_are_refused(tmp_path: Path) -> None:
    before = three_segments(tmp_path)
    part_of = read_table(before, 1, before.head - 1).combine_chunks()
    with LogWriter(tmp_path, files=Unsynced()) as writer, pytest.raises(InputError, match="contradicts"):
        writer.replace(Replacement("compact", before.segments, [part_of]))
    assert open_log(tmp_path).read() == before


@pytest.mark.parametrize("summarized", [False, True])
def test_a_redaction_is_told_of_in_its_commit_and_in_summaries(tmp_path: Path, summarized: bool) -> None:
    before = three_segments(tmp_path)
    table = read_table(before, 1, ROWS).combine_chunks()
    told = Redaction(0, ((2, 4), (9, 9)), "asked to", "dpo")
    with LogWriter(tmp_path, clock=clock, files=Unsynced()) as writer:
        after = writer.replace(Replacement("redact", before.segments[:1], [table], told))
        for number in range(SUMMARY_EVERY if summarized else 0):
            writer.append([part(f"s{number}", [b"{}\n"])])
    again = open_log(tmp_path).read()
    assert again.redactions == after.redactions == (replace(told, at=after.at),)
    assert (after.erased, told.count(3), told.count(1)) == (4, 2, 0)
    assert [after.redaction_of(position) is not None for position in (1, 2, 4, 5, 9)] == [
        False,
        True,
        True,
        False,
        True,
    ]
    assert all(not one.findings for one in walk(tmp_path).checks)


@pytest.mark.parametrize("positions", [(), ((2, 1),), ((1, 2), (2, 3)), ((0, 1),), ((1, 10**7),)])
def test_a_redaction_of_odd_positions_is_refused(tmp_path: Path, positions: tuple[tuple[int, int], ...]) -> None:
    before = three_segments(tmp_path)
    table: pa.Table = read_table(before, 1, ROWS).combine_chunks()
    odd = Replacement("redact", before.segments[:1], [table], Redaction(0, positions, "r", "a"))
    with LogWriter(tmp_path, files=Unsynced()) as writer, pytest.raises((InputError, ValueError)):
        writer.replace(odd)
    assert open_log(tmp_path).read() == before
