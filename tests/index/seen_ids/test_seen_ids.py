"""Duplicates are found by hashes of ids and told by the ids, whatever the hash and whatever becomes of runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from esctl.index.envelope.mapping import parse_mapping
from esctl.index.files.manifest import Manifest, read_manifest
from esctl.index.seen_ids import run_file
from esctl.index.seen_ids import runs as ids
from esctl.index.seen_ids.run_file import DamagedRunError, OpenRun, RunKey, merge_runs, write_run
from esctl.index.update import Updater
from esctl.log.commits import create_store, open_log
from esctl.log.store_state import StoreState
from esctl.log.writer import LogWriter, Part
from esctl.model import FileCursor
from tests.support import effort
from tests.support.cli_harness import good
from tests.support.engine_harness import session, store_folder
from tests.support.log_helpers import Unsynced, batch, clock

MAPPING = {"id": ["source", "i"], "type": "t", "entity": "e", "order": "position"}
Event = tuple[str, str | None, int]
"""Its source (of which the id is in two parts), its id and what else it says."""


def commit(path: Path, events: Sequence[Event], source: str = "drawn.jsonl") -> StoreState:
    raws = [json.dumps({"source": part, "i": i, "t": "T", "e": "x", "n": n}).encode() + b"\n" for part, i, n in events]
    with LogWriter(path, clock=clock, files=Unsynced(), connection=session().connection) as writer:
        before = writer.store_state.cursors.get(source)
        offset, count = (before.offset, before.records) if before else (0, 0)
        cursor = FileCursor(
            offset + sum(map(len, raws)), "0" * 64, 0, "0" * 64, format="jsonl", records=count + len(raws)
        )
        return writer.append([Part(source, [batch(raws, offset)], cursor)])


def updater(path: Path) -> Updater:
    return Updater(session().connection, parse_mapping(MAPPING), path / "index" / "test")


def told(made: Updater) -> list[tuple[int | None, bool]]:
    view = made.run(open_log(made.folder.parents[1]).read())
    rows = view.relation(["position", "duplicate_of", "conflict"])
    found = made.connection.execute(f"SELECT * FROM ({rows}) ORDER BY position").fetchall()
    return [(duplicate_of, conflict) for _, duplicate_of, conflict in found]


def expected(events: Sequence[Event]) -> list[tuple[int | None, bool]]:
    first: dict[tuple[str, str], int] = {}
    found: list[tuple[int | None, bool]] = []
    for position, (part, key, _) in enumerate(events, 1):
        at = first.setdefault((part, key), position) if key is not None else position
        found.append((None, False) if at == position else (at, events[at - 1] != events[position - 1]))
    return found


def make_tiny(patch: pytest.MonkeyPatch) -> None:
    """Let merges of runs, blocks and partitions come with a handful of ids."""
    patch.setattr(ids, "SIZE_UNIT", 1)
    patch.setattr(run_file, "BLOCK", 2)
    patch.setattr(run_file, "GROUP", 2)
    patch.setattr(run_file, "_PARTITION", 3)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    make_tiny(monkeypatch)
    return monkeypatch


keys = st.none() | st.sampled_from([f"id-{number}" for number in range(12)])
events = st.lists(st.tuples(st.sampled_from("ab"), keys, st.integers(0, 1)), min_size=1, max_size=5)


@settings(max_examples=7 * effort.TIMES)
@given(commits=st.lists(events, min_size=1, max_size=4), bits=st.sampled_from([0, 1, 2, 64]))
def test_the_hash_decides_nothing(commits: list[list[Event]], bits: int) -> None:
    with pytest.MonkeyPatch.context() as patch, store_folder() as folder:
        make_tiny(patch)
        own = ids.hash_sql()
        patch.setattr(ids, "hash_sql", lambda: f"({own} & {(1 << bits) - 1}::UBIGINT)")
        path = folder / "store"
        create_store(path, files=Unsynced())
        made = updater(path)
        for part in commits:
            made.run(commit(path, part))
        assert told(made) == expected([event for part in commits for event in part])
        again = Updater(made.connection, made.config, path / "index" / "again")  # at once
        assert told(again) == told(made)


needles = st.lists(st.integers(0, 40), max_size=60)


@settings(max_examples=60)
@given(runs=st.lists(needles, min_size=1, max_size=3), asked=st.sets(st.integers(0, 45), min_size=1))
def test_a_lookup_finds_all_that_match(runs: list[list[int]], asked: set[int]) -> None:
    with pytest.MonkeyPatch.context() as patch, store_folder() as folder:
        patch.setattr(run_file, "BLOCK", 3)
        patch.setattr(run_file, "GROUP", 2)
        patch.setattr(run_file, "_PARTITION", 4)
        whole, made, first = list[tuple[int, int]](), [], 1
        for values in runs:
            rows = sorted((value, first + at) for at, value in enumerate(values))
            whole += rows
            columns = np.array([row[0] for row in rows], np.uint64), np.array([row[1] for row in rows], np.int64)
            made.append(write_run(folder, RunKey("", first, first + len(rows)), [columns], len(rows)))
            first += len(rows) + 1
        held = [OpenRun(folder, run) for run in made if run.count]
        if not held:
            return
        one = OpenRun(folder, merge_runs(folder, held))
        wanted = sorted(asked)
        hit, positions = one.find(np.array(wanted, np.uint64))
        assert hit.tolist() == [value in {row[0] for row in whole} for value in wanted]
        assert sorted(positions.tolist()) == sorted(at for value, at in whole if value in asked)


def five_commits(path: Path) -> tuple[Updater, list[Event]]:
    create_store(path, files=Unsynced())
    made, done = updater(path), list[Event]()
    for number in range(5):
        new = [("a", f"id-{3 * number + at}", 0) for at in range(3)]
        done += [*new, ("a", f"id-{number}", number % 3)]
        made.run(commit(path, done[-4:]))
    return made, done


def test_runs_become_few_and_old_ones_go(tmp_path: Path, tiny: pytest.MonkeyPatch) -> None:
    made, done = five_commits(tmp_path)
    manifest = read_manifest(made.folder)
    assert manifest is not None
    assert told(made) == expected(done)
    assert len(manifest.ids) < 5
    assert [run.first for run in manifest.ids] == [1, *(run.last + 1 for run in manifest.ids[:-1])]
    assert manifest.ids[-1].last == manifest.head == 20
    tiny.setattr("esctl.index.files.write.LINGER_SECONDS", -1)
    made.run(commit(tmp_path, [("a", "last", 0)]))
    manifest = read_manifest(made.folder)
    assert manifest is not None
    kept = {run.file for run in manifest.ids if run.count}
    assert {file.name for file in made.folder.glob("*.ids")} >= kept


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)


MISHAPS: dict[str, Any] = {
    "missing": lambda file: file.unlink(),
    "a flipped bit": flipped,
}


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_damaged_run_is_built_again(tmp_path: Path, tiny: pytest.MonkeyPatch, mishap: str) -> None:
    made, done = five_commits(tmp_path)
    manifest = read_manifest(made.folder)
    assert manifest is not None
    for run in manifest.ids:
        if run.count:
            MISHAPS[mishap](made.folder / run.file)
    more: list[Event] = [("a", f"id-{number}", number % 2) for number in range(14)]
    commit(tmp_path, more)
    assert told(updater(tmp_path)) == expected([*done, *more])


def test_every_flipped_byte_is_noticed(tmp_path: Path, tiny: pytest.MonkeyPatch) -> None:
    hashes = np.arange(0, 90, 10, dtype=np.uint64)
    run = write_run(tmp_path, RunKey("", 1, 9), [(hashes, np.arange(1, 10))], 9)
    whole = (tmp_path / run.file).read_bytes()
    for at in range(len(whole)):
        (tmp_path / run.file).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(DamagedRunError):
            OpenRun(tmp_path, run).find(hashes)


def test_runs_of_another_hash_function_are_built_again(tmp_path: Path, tiny: pytest.MonkeyPatch) -> None:
    made, done = five_commits(tmp_path)
    own = ids.hash_sql()
    tiny.setattr(ids, "hash_sql", lambda: f"({own} + 1)")
    before = read_manifest(made.folder)
    more: list[Event] = [("a", "id-3", 0), ("b", "id-3", 0)]
    commit(tmp_path, more)
    assert told(updater(tmp_path)) == expected([*done, *more])
    after = read_manifest(made.folder)
    assert before is not None
    assert after is not None
    assert not {run.made_by for run in before.ids} & {run.made_by for run in after.ids}


def test_a_manifest_without_runs_gets_them(tmp_path: Path) -> None:
    made, done = five_commits(tmp_path)
    manifest = read_manifest(made.folder)
    assert manifest is not None
    known = ids.IdRuns(made.connection)
    found = known.in_index(made.folder, replace(manifest, ids=()))
    one = "(SELECT 1 AS position, 0::USMALLINT AS stanza, 'a' AS scope, 'id-3' AS id)"
    hashes, _ = ids.hashes_in(made.connection, one)
    assert found.find(hashes)[1].tolist() == [[key for _, key, _ in done].index("id-3") + 1]
    assert known.in_index(made.folder, Manifest()).runs == ()


@given(st.lists(st.integers(0, 9)))
def test_equal_hashes_stay_in_the_order_that_they_have(hashes: list[int]) -> None:
    found = np.asarray(hashes, np.uint64)
    assert run_file.ascending(found).tolist() == sorted(range(len(hashes)), key=hashes.__getitem__)


def test_numbers_whose_exponents_no_decimal_holds_are_compared_as_they_are_written(tmp_path: Path) -> None:
    def written(text: str) -> str:
        return f'{{"id":"1","type":"t","time":"2024-01-01T00:00:00Z","entity":"x","v":{text}}}\n'

    file = tmp_path / "a.jsonl"
    file.write_text(written("12e999999999999999999"))
    good("ingest", "a.jsonl", cwd=tmp_path)
    file.write_text(file.read_text() + written(" 12e999999999999999998") + written("12e999999999999999999"))
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert (done.row["conflicts"], done.row["duplicates"]) == (1, 1)
    assert good("log", "--columns", "position", cwd=tmp_path).rows


@pytest.mark.parametrize("options", [[], ["--skip-duplicates"]])
def test_the_same_bytes_under_another_header_are_another_row(tmp_path: Path, options: list[str]) -> None:
    counts = []
    for name, header in (("a", "id,x,y"), ("b", "id,y,x"), ("c", "\ufeffid,x,y")):
        (tmp_path / f"{name}.csv").write_text(f"{header}\n7,1,2\n")
        done = good("ingest", f"{name}.csv", "--map", "entity=id", *options, cwd=tmp_path)
        counts.append((done.row["duplicates"], done.row["conflicts"]))
    assert counts == [(0, 0), (0, 1), (1, 0)]
    (told,) = good("log", "--conflicts", cwd=tmp_path).rows
    assert (told["position"], told["duplicate_of"], told["data"]) == (2, 1, {"x": "2", "y": "1"})


def test_rows_of_tables_are_compared_by_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,x,y\n7,1,2\n")
    (tmp_path / "b.csv").write_text("y,x,id\n2,1,7\n")
    (tmp_path / "c.jsonl").write_text('{"id": "7", "y": "2", "x": "1"}\n')
    done = good("ingest", "a.csv", "b.csv", "c.jsonl", "--map", "entity=id", cwd=tmp_path)
    assert (done.row["duplicates"], done.row["conflicts"]) == (2, 0)
