"""verify --full finds the same, word for word, into however many parts its work is cut."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esctl.api import Store
from esctl.cluster.calls import lent_workers
from esctl.cluster.local_pool import ATTEMPTS, LocalPool
from esctl.engine.workers import Call
from esctl.errors import InputError
from esctl.index import chunks
from esctl.index.files import write as write_index
from esctl.ledger.check import index as check_index
from esctl.ledger.check import index_parts
from esctl.ledger.check.verify import Verified, VerifyOptions, verify
from esctl.ledger.sign import last_seen
from esctl.log.commits import create_store
from esctl.log.writer import LogWriter
from esctl.model import MappingConfig
from tests.support import effort, forgery
from tests.support import log_helpers as logs
from tests.support.cli_harness import esctl, good, plain_event, write_lines
from tests.support.parts import Cut, workers

FULL = VerifyOptions(full=True, mapping=MappingConfig())
PARTS = (2, 7, 64)


def test_each_record_is_in_one_range_however_files_and_ranges_meet() -> None:
    for lasts in ((3,), (1, 2, 3, 9), (5, 6, 7, 20), (10, 20, 30)):
        files = [SimpleNamespace(first=first + 1, last=last) for first, last in pairwise((0, *lasts))]
        for head in range(1, lasts[-1] + 2):
            for parts in range(1, 8):
                there: Any = SimpleNamespace(files=files, head=lasts[-1])
                ranges = index_parts._ranges(there, parts, head)
                stretches = [stretch for each in ranges for stretch in each.stretches]
                read = [at for stretch in stretches for at in range(stretch.first, stretch.last + 1)]
                assert read == list(range(1, min(head, lasts[-1]) + 1)), (lasts, head, parts)
                assert all(s.file.first <= s.first <= s.last <= s.file.last for s in stretches)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a store of several commits with an index of several files."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setattr(chunks, "CHUNK_ROWS", 900)
        patch.setattr(write_index, "ROW_GROUP", 100)
        yield forgery.make(folder, commits=4)


@pytest.fixture
def store(made: Path) -> Iterator[Path]:
    kept = made.with_name("kept")
    if not kept.exists():
        shutil.copytree(made, kept)
    remembered = last_seen.pin_path(made).read_bytes()
    yield made
    shutil.rmtree(made)
    shutil.copytree(kept, made)
    last_seen.pin_path(made).write_bytes(remembered)


def judged(path: Path, count: int = 1) -> Verified:
    """Give what is found in so many parts, whatever was last seen of the store staying as it was."""
    remembered = last_seen.pin_path(path).read_bytes() if last_seen.pin_path(path).exists() else None
    try:
        if count == 1:
            return verify(path, FULL)
        with workers(count) as lent:
            return verify(path, FULL, lent)
    finally:
        last_seen.pin_path(path).unlink(missing_ok=True)
        if remembered is not None:
            last_seen.pin_path(path).write_bytes(remembered)


def agrees(path: Path, counts: tuple[int, ...] = PARTS if effort.ALL else (3,)) -> Verified:
    """Hold what is found in parts to what one process finds, which is given."""
    whole = judged(path)
    for count in counts:
        assert judged(path, count) == whole, count
    return whole


@pytest.mark.parametrize("count", effort.some(PARTS, 1))
def test_a_whole_store_is_intact_and_workers_read_all_of_it(
    store: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (whole := judged(store)).is_intact
    monkeypatch.setattr(check_index.Updater, "rebuild_as", None)
    seen: list[Call] = []
    with workers(count) as lent:
        run = lent.run
        monkeypatch.setattr(lent, "run", lambda calls: (seen.extend(calls), run(calls))[1])
        assert verify(store, FULL, lent) == whole
        assert not list(lent.folder.glob("*.json"))
    names = [call.function.__name__ for call in seen]
    assert names.count("hash_segments") == min(count, 4)
    assert names.count("read_again") == count
    assert names.count("repeated") == count
    assert names.count("stored_in_span") > 1


@pytest.mark.thorough
def test_a_flipped_bit_anywhere_is_found_alike(store: Path) -> None:
    rng = random.Random(5)
    some = [file for file in forgery.files(store, rng, 2) if file.suffix in (".parquet", ".json")]
    for file, bit in effort.some(list(forgery.places(some, rng, 1)), 5):
        whole = file.read_bytes()
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        assert not agrees(store).is_intact, (file, bit)
        file.write_bytes(whole)


@pytest.mark.parametrize("at", [0, 2] if effort.ALL else [2])
@pytest.mark.parametrize("left", [0, 400, None] if effort.ALL else [None])
def test_segments_that_are_cut_or_gone_are_found_alike(store: Path, at: int, left: int | None) -> None:
    segment = sorted((store / "log").iterdir())[at]
    segment.write_bytes(segment.read_bytes()[:left]) if left is not None else segment.unlink()
    found = agrees(store)
    assert {f"log/{segment.name}"} <= {finding.file for check in found.checks for finding in check.findings}


def changed(raws: list[bytes]) -> list[bytes]:
    raws[4100] = raws[4100].replace(b'"n": 104100', b'"n": 904100')
    return raws


EDITS: list[Callable[[list[bytes]], list[bytes]]] = [
    changed,
    lambda raws: raws[:4100] + raws[4101:],
    lambda raws: [*raws[:4100], raws[4100].replace(b"e-004100", b"e-999999"), *raws[4100:]],
    lambda raws: [*raws[:4100], raws[4101], raws[4100], *raws[4102:]],
]


@pytest.mark.parametrize("edit", effort.some(EDITS, 1))
@pytest.mark.parametrize("trees", effort.some([True, False], 1))
def test_forged_records_are_found_alike(store: Path, edit: Callable[[list[bytes]], list[bytes]], trees: bool) -> None:
    forgery.forge(store, forgery.edited(edit), trees=trees, cursors=trees)
    found = agrees(store)
    assert not found.is_intact


def test_what_a_commit_is_of_is_not_judged_behind_a_gap(store: Path) -> None:
    """The bytes of a source are those of all its segments, in order; without one nothing can be said of later ones."""
    (store / "log" / sorted(path.name for path in (store / "log").iterdir())[1]).write_bytes(b"")
    counts = {check.rule: check.count for check in agrees(store).checks}
    assert counts["cursors"] == 1


Record = dict[str, Any]
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from([f"e{number}" for number in range(12)]) | st.none(),
            "type": st.sampled_from(("Opened", "Noted")),
            "time": st.sampled_from(("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z", "soon")),
            "stream": st.sampled_from(("a-1", "a-2", "b")),
            "data": st.sampled_from(({"n": 1}, {"n": "1"}, {"m": [1]}, {})),
        }
    ),
    max_size=8,
)
LOGS = st.lists(st.tuples(st.sampled_from(("one", "two", "three")), RECORDS), min_size=1, max_size=8)


def laid(path: Path, log: list[tuple[str, list[Record]]]) -> Path:
    """Lay a store of some sources, their records in commits."""
    create_store(path, False, logs.Unsynced())
    raws: dict[str, list[bytes]] = {}
    with LogWriter(path, clock=logs.clock, files=logs.Unsynced()) as writer:
        for source, records in log:
            before = raws.setdefault(source, [])
            new = [json.dumps(record).encode() + b"\n" for record in records]
            offset = len(b"".join(before))
            before += new
            if new:
                cursor = forgery.cursor(b"".join(before), len(before))
                writer.append([logs.Part(source, [logs.batch(new, offset)], cursor)])
    assert Store.open(path).view
    return path


def test_logs_of_all_kinds_are_judged_alike(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ids that come again far apart, in several sources, as the same event and as another."""

    @settings(max_examples=effort.examples(60, 2), phases=effort.PHASES)
    @given(LOGS, st.sampled_from((5, 100)), st.randoms(use_true_random=False))
    def check(log: list[tuple[str, list[Record]]], rows: int, rng: random.Random) -> None:
        folder = tmp_path_factory.mktemp("log")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(folder / "state"))
            patch.setattr(chunks, "CHUNK_ROWS", rows)
            path = laid(folder / ".esctl", log)
            assert agrees(path, (4,)).is_intact
            files = [file for file in sorted(path.rglob("*.parquet")) if file.stat().st_size]
            if files:
                file = rng.choice(files)
                data = bytearray(file.read_bytes())
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
                file.write_bytes(data)
                assert not agrees(path, (3,)).is_intact
        shutil.rmtree(folder)

    check()


def test_ids_that_come_again_in_other_parts_are_read_again_with_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    events = [plain_event(number) for number in range(40)]
    write_lines(tmp_path / "log.jsonl", [*events, events[3], {**events[9], "data": {"n": -1}}])
    done = good("ingest", "log.jsonl", cwd=tmp_path, ESCTL_SNAPSHOTS="off").row
    assert (done["duplicates"], done["conflicts"]) == (1, 1)
    told, read = [], index_parts._with_repeats
    monkeypatch.setattr(index_parts, "_with_repeats", lambda *given: told.append(read(*given)) or told[-1])
    assert agrees(tmp_path / ".esctl", (7,)).is_intact
    assert told
    assert None not in told  # which would be left to one process


def test_processes_find_what_one_process_finds(store: Path) -> None:
    class Pool(LocalPool):
        parts = Cut(3).parts
        spans = Cut(3).spans

    for damaged in (False, True):
        if damaged:
            segment = max((store / "log").iterdir(), key=lambda path: path.stat().st_size)
            data = bytearray(segment.read_bytes())
            data[len(data) // 2] ^= 1
            segment.write_bytes(data)
        whole = judged(store)
        with lent_workers(Pool(2)) as lent:
            assert verify(store, FULL, lent) == whole
        assert whole.is_intact != damaged


def test_the_command_takes_an_engine(store: Path) -> None:
    asked = ("verify", "--full", "-f", "csv", "--columns", "check,result,checked,finding")
    good(*asked, cwd=store.parent)  # it is kept in mind when it was first seen
    assert good(*asked, "--engine", "local:2", cwd=store.parent).out == good(*asked, cwd=store.parent).out
    done = esctl(*asked, cwd=store.parent, ESCTL_ENGINE="cloud:2")
    assert (done.code, "ESCTL_ENGINE 'cloud:2' is not an engine" in done.err) == (2, True)
    assert esctl("verify", cwd=store.parent, ESCTL_ENGINE="cloud:2").code == 0


def killed(marks: Path, times: int) -> int:
    """Return a number, in a process that is killed so many times before."""
    for mark in (marks / str(number) for number in range(times)):
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return times


def test_a_call_whose_process_is_lost_is_run_again_or_given_up(tmp_path: Path) -> None:
    with lent_workers(LocalPool(2)) as lent:
        other = Call(killed, (tmp_path, 0), int)
        assert lent.run([Call(killed, (tmp_path, ATTEMPTS - 1), int), other]) == [ATTEMPTS - 1, 0]
        if effort.ALL:
            with pytest.raises(InputError, match=rf"lost their process {ATTEMPTS} times"):
                lent.run([Call(killed, (tmp_path, 99), int), other])
        with pytest.raises(InputError, match="not what it was asked for"):
            lent.run([Call(killed, (tmp_path, 0), str)])
