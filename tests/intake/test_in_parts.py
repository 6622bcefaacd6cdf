"""Ingest by workers: the log, its index and what is said of it are those of one process."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from esctl import Store
from esctl.cluster import carried
from esctl.cluster.engines import Engine
from esctl.cluster.local_pool import LocalPool
from esctl.errors import EsctlError, InputError
from esctl.index import chunks, in_parts
from esctl.index.scan import Read
from esctl.intake import intake, spread
from esctl.intake.intake import IngestOptions, Outcome
from esctl.log import apart, writer
from esctl.log.reader import export_raw, read_table
from esctl.sources.files import elsewhere, reading
from esctl.sources.files.reading import SourceOptions
from tests.support import effort
from tests.support.cli_harness import esctl, good, plain_event, write_lines
from tests.support.parts import Cut

IN_FOURS = IngestOptions(SourceOptions(batch_rows=4))
NAMES = [
    "position",
    "source",
    "id",
    "entity",
    "time",
    "type",
    "invalid",
    "duplicate_of",
    "conflict",
    "recorded_at",
    "tie",
]


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer.time, "time_ns", lambda: 1_704_067_200_000_000_000)


def told(outcome: Outcome) -> tuple[Any, ...]:
    """Give what an ingest says, without how long it took."""
    summary = replace(outcome.summary, seconds=0, events_per_second=0)
    return summary, outcome.detections, outcome.pending, outcome.same, outcome.begun, outcome.apart, outcome.homeless


def answered(ask: Callable[[], Any]) -> Any:
    """Give an answer, or the error in its place."""
    try:
        return ask()
    except EsctlError as error:
        return str(error)


def asked_of(store: Store) -> dict[str, Any]:
    """Give what a store says where it is asked."""
    status = dict(store.status().rows()[0])
    return {
        "status": {name: status[name] for name in status if name not in ("store", "log_bytes", "index_bytes")},
        "doctor": store.doctor().rows(),
        "states": answered(lambda: store.replay().rows()),
        "intact": [row["check"] for row in store.verify(full=True) if row["result"] == "failed"],
    }


def kept(store: Store, asked: bool = effort.ALL) -> dict[str, Any]:
    """Give everything that a store has, and where it is asked, all that it says, however its files are cut."""
    store.refresh()
    rows = store.view.relation(NAMES, {"data": Read((), "json")})
    said = asked_of(store) if asked else {}
    return said | {
        "tree": store.store_state.tree,
        "cursors": dict(store.store_state.cursors),
        "blocks": store.store_state.blocks,
        "events": store.connection.execute(f"SELECT * FROM ({rows}) ORDER BY position").fetchall(),
        "bytes": {name: b"".join(export_raw(store.store_state, name)) for name in store.store_state.cursors},
        "files": sorted(set(os.listdir(store.path / "log")) - {entry.file for entry in store.store_state.segments}),
    }


@pytest.fixture
def lots(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Let few records be many: so many that a commit is full."""
    with monkeypatch.context() as patch:
        patch.setattr(chunks, "CHUNK_ROWS", 10)
        patch.setattr(in_parts, "CHUNK_ROWS", 10)
        patch.setattr(intake, "COMMIT_ROWS", 10)
        yield patch


def ingested(
    folder: Path,
    rounds: Sequence[Sequence[Path]],
    engine: Engine | None,
    asked: bool = effort.ALL,
    options: IngestOptions = IN_FOURS,
    **made: Any,
) -> list[Any]:
    """Ingest files, some at a time; give what was said, and the store."""
    said: list[Any] = []
    with Store.create(folder, **made) as store:
        for files in rounds:
            store.engine = engine
            said.append(told(store.ingest(*files, options=options)))
            store.engine = None
        said.append(kept(store, asked))
    return said


def agree(
    folder: Path, rounds: Sequence[Sequence[Path]], parts: Sequence[int] = (3,), asked: bool = effort.ALL, **more: Any
) -> list[Any]:
    """Hold ingests in parts to that of one process, which is one commit too; give what that says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "COMMIT_ROWS", 1 << 30)
        whole = ingested(folder / "whole", rounds, None, asked, **more)
    for count in parts:
        apart_ = ingested(folder / f"parts-{count}", rounds, Cut(count), asked, **more)
        for one, other in zip(whole, apart_, strict=True):
            assert other == one, count
    return whole


Record = dict[str, Any]
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 60).map("e{}".format),
            "type": st.sampled_from(("Opened", "Noted")),
            "time": st.sampled_from(("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z", "soon")),
            "stream": st.sampled_from(("a-1", "a-2", "b")),
            "data": st.sampled_from(({"n": 1}, {"n": "1"}, {"m": [1]}, {})),
        }
    )
    | st.just({}),
    max_size=30,
)


def test_logs_of_several_files_and_commits_come_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, lots: pytest.MonkeyPatch
) -> None:
    @settings(max_examples=effort.examples(40, 3), phases=effort.PHASES)
    @given(st.lists(st.tuples(RECORDS, st.sampled_from(("", ".gz"))), min_size=1, max_size=5), st.integers(1, 3))
    def check(files: list[tuple[list[Record], str]], first: int) -> None:
        folder = tmp_path_factory.mktemp("log")
        paths = []
        for number, (records, packed) in enumerate(files):
            lines = "".join(json.dumps(record) + "\n" for record in records).encode()
            paths.append(folder / f"f{number}.jsonl{packed}")
            paths[-1].write_bytes(gzip.compress(lines, mtime=0) if packed else lines)
        agree(folder, [paths[:first], paths[first:] or paths[:1]], (1, 2, 7) if effort.ALL else (2,))
        shutil.rmtree(folder)

    check()


def events(start: int, count: int, **more: Any) -> list[dict[str, Any]]:
    return [plain_event(number, f"thing-{number % 7}", n=number, **more) for number in range(start, start + count)]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Give files of events: of two of them the ids come again, some with other content."""
    again = [*events(3, 2), {**plain_event(9), "data": {"n": -1}}]
    return [
        write_lines(tmp_path / "a.jsonl", [*events(0, 60), *again]),
        write_lines(tmp_path / "b.jsonl", [*events(100, 30), {"no": "event"}]),
        write_lines(tmp_path / "c.jsonl", events(200, 40, deep={"a": [1]})),
    ]


def test_workers_read_new_files_alone(tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch) -> None:
    """What may have to do with a known file is read by the process that knows it; so is what cannot be read."""
    copy, packed = tmp_path / "copy.jsonl", tmp_path / "packed.jsonl.gz"
    copy.write_bytes(files[0].read_bytes())
    packed.write_bytes(gzip.compress(write_lines(tmp_path / "p.jsonl", events(500, 30)).read_bytes()))
    read: list[str] = []
    for module, name in ((elsewhere.ReaderAhead, "_deliveries"), (reading, "read")):
        made = getattr(module, name)
        lots.setattr(module, name, lambda *given, made=made: (read.append(made.__name__), made(*given))[1])
    with Store.create(tmp_path / "s") as store:
        store.engine = Cut(2)
        assert store.ingest(*files, copy, packed).summary.records == 164
        assert read.count("_deliveries") == 4
        assert read.count("read") == 5 + 1
        read.clear()
        files[0].write_bytes(files[0].read_bytes() + json.dumps(plain_event(901)).encode() + b"\n")
        assert store.ingest(*files).summary.new == 1
        assert read == ["read"] * 3  # by this process, which knows them by their names


def test_a_damaged_run_of_known_ids_is_built_again(tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch) -> None:
    with Store.create(tmp_path / "s") as store:
        store.ingest(files[0])
        for run in store.index_folder.glob("*.ids"):
            data = bytearray(run.read_bytes())
            data[0] ^= 1
            run.write_bytes(data)
        store.engine = Cut(3)
        again = write_lines(tmp_path / "again.jsonl", [*events(900, 40), *events(20, 3)])
        assert store.ingest(again, options=IN_FOURS).summary.duplicates == 3


def test_sources_that_count_for_themselves_are_told_apart(tmp_path: Path, lots: pytest.MonkeyPatch) -> None:
    """Numberings are settled record by record: what begins behind that is not to be known before."""
    own = [[{**plain_event(at, f"{name}-{at}"), "data": {"of": name}} for at in range(24)] for name in "abc"]
    other = [{"event_id": f"x{at}", "kind": "Moved", "when": "2024-01-01T00:00:00Z", "what": "w"} for at in range(20)]
    records = [own[0], events(500, 20), own[1], other, own[2]]
    files = [write_lines(tmp_path / f"{at}.jsonl", each) for at, each in enumerate(records)]
    whole = agree(tmp_path, [files])
    assert len(whole[0][5]) > 1


def clock(minute: int) -> str:
    """Give what a clock in Berlin shows so many minutes after half past one, in the night when it is set back."""
    shown = 90 + minute - (60 if minute >= 90 else 0)
    return f"2024-10-27 {shown // 60:02}:{shown % 60:02}:00"


def test_times_that_hang_on_the_records_before_are_found(tmp_path: Path, lots: pytest.MonkeyPatch) -> None:
    """A clock shows an hour twice; some records have no time, and some need none."""
    twice = [{**plain_event(number, "a"), "time": clock(number * 2)} for number in range(80)]
    none = [{**plain_event(100 + number, "b"), "time": f"2024-01-01 00:{number:02}:00"} for number in range(50)]
    for number in range(9, 33):
        none[number]["time"] = "soon"
    files = [write_lines(tmp_path / "twice.jsonl", twice), write_lines(tmp_path / "none.jsonl", none)]
    whole = agree(tmp_path, [files], (3,), options=replace(IN_FOURS, tz="Europe/Berlin"))
    assert len({row[4] for row in whole[-1]["events"][:80]}) == 80


def test_segments_are_those_of_one_process(tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch) -> None:
    """With --strict, one process makes one commit too."""
    made = []
    for name, engine in (("one", None), ("parts", Cut(3))):
        with Store.create(tmp_path / name) as store:
            store.engine = engine
            store.ingest(files[2], options=replace(IN_FOURS, strict=engine is None))
            made.append([(each.sha256, each.ranges, each.blocks) for each in store.store_state.segments])
    assert made[0] == made[1]
    assert len(made[0]) == 4


@pytest.mark.parametrize("parts", (1, 2, 7, 64) if effort.ALL else (7,))
def test_ids_that_come_again_are_found_whoever_has_the_first(
    tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch, parts: int
) -> None:
    whole = agree(tmp_path, [files], (parts,), asked=True)
    assert (whole[0][0].duplicates, whole[0][0].conflicts, whole[0][0].invalid) == (2, 1, 0)


def test_workers_write_all_and_index_most(tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    # Another test's may be: what is counted here cannot be pickled.
    lots.setattr(carried, "any_registered", lambda: False)
    for module, name in ((spread, "write_apart"), (in_parts, "build_range")):
        made = getattr(module, name)
        lots.setattr(module, name, lambda *given, made=made: (seen.append(made.__name__), made(*given))[1])
    lots.setattr(
        in_parts,
        "extend",
        lambda how, store_state, extend=in_parts.extend: (seen.append("extend"), extend(how, store_state))[1],
    )
    ingested(tmp_path / "s", [files[2:]], Cut(4))
    assert seen.count("write_apart") == 4
    assert seen.count("build_range") == 3
    with Store.open(tmp_path / "s") as store:
        assert store.store_state.seq == 1
        assert len(store.store_state.segments) == 4


def test_what_is_known_is_not_taken_again_though_workers_still_have_it(
    tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch
) -> None:
    """A copy of a file of the same ingest, its beginning, and what was added to it."""
    text = files[0].read_bytes()
    copy, beginning, longer = (tmp_path / name for name in ("copy.jsonl", "beginning.jsonl", "longer.jsonl"))
    copy.write_bytes(text)
    beginning.write_bytes(b"".join(text.splitlines(keepends=True)[:30]))
    longer.write_bytes(text + json.dumps(plain_event(900)).encode() + b"\n")
    whole = agree(tmp_path, [[*files, copy, beginning, longer], [copy, *files]])
    assert whole[0][0].records == sum(path.read_bytes().count(b"\n") for path in files) + 1
    assert [name for name, _ in whole[0][4]] == [str(beginning)]


def test_what_was_read_before_a_source_failed_is_kept(
    tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "d.jsonl.gz"
    damaged.write_bytes(gzip.compress(files[2].read_bytes(), 1)[:-30])
    found = []
    for name, engine in (("one", None), ("parts", Cut(3))):
        with Store.create(tmp_path / name) as store:
            store.engine = engine
            with pytest.raises(InputError, match="damaged or cut-off") as error:
                store.ingest(files[0], damaged)
            store.engine = None
            found.append((str(error.value), kept(store)["bytes"]))
    assert found[0] == found[1]


def test_an_erasable_store_has_a_salt_for_each_record(
    tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch
) -> None:
    ingested(tmp_path / "s", [files], Cut(3), erasable=True)
    with Store.open(tmp_path / "s") as store:
        column = read_table(store.store_state, 1, store.store_state.head, ["salt"])["salt"]
        assert len(column.unique()) == store.store_state.head
        assert not [row for row in store.verify(full=True) if row["result"] == "failed"]


class Failing(Cut):
    """An engine that fails, and goes on failing, after the n-th run with a call of some function."""

    def __init__(self, name: str, at: int = 1) -> None:
        super().__init__(2)
        self.name, self.left = name, at

    def run(self, tasks: Any) -> Iterator[Any]:
        """Run tasks."""
        done = list(super().run(tasks))
        self.left -= any(task.call.function.__name__ == self.name for task in tasks)
        if self.left <= 0:
            raise InputError("the engine is gone")
        return iter(done)


STEPS = [("read_ahead", 1), ("write_apart", 1), ("write_apart", 3), ("build_range", 1), ("repeated", 1)]


@pytest.mark.parametrize("step", effort.some(STEPS, 3))
def test_an_engine_that_fails_leaves_nothing_half_written(
    tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch, step: tuple[str, int]
) -> None:
    with Store.create(tmp_path / "s") as store:
        store.ingest(files[1])
        before = kept(store)
        store.engine = Failing(*step)
        with pytest.raises(EsctlError, match="the engine is gone"):
            store.ingest(files[0], files[2], options=IN_FOURS)
        store.engine = None
        after = kept(store)
        assert after["files"] == []
        if step[0] in ("read_ahead", "write_apart"):  # else all was committed: the index is the next question's
            assert after == before
        store.ingest(files[0], files[2])
        assert kept(store)["bytes"].keys() == {str(path) for path in files}


class Pool(LocalPool):
    """Two processes that do what is cut into three parts."""

    parts = Cut(3).parts


@pytest.mark.thorough
def test_processes_write_and_index_as_one_process_does(
    tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch
) -> None:
    assert ingested(tmp_path / "parts", [files], Pool(2)) == agree(tmp_path, [files], ())


def write_or_die(place: apart.SegmentOrder, file: Path) -> apart.WrittenApart:
    """Write a segment, in a process that is killed once, when it has written."""
    written = apart.write_apart(place, file)
    mark = place.store.parent / "mark"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return written


def test_a_killed_worker_leaves_nothing_and_its_part_is_written_again(
    tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch
) -> None:
    whole = agree(tmp_path, [files], ())
    lots.setattr(spread, "write_apart", write_or_die)
    assert ingested(tmp_path / "parts", [files], Pool(2)) == whole
    assert (tmp_path / "mark").exists()


def write_never(place: apart.SegmentOrder, file: Path) -> apart.WrittenApart:
    """Write a segment, and come to no end."""
    apart.write_apart(place, file)
    time.sleep(3600)
    raise AssertionError


def test_an_interrupt_ends_the_processes(tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch) -> None:
    lots.setattr(spread, "write_apart", write_never)
    told: list[int] = []

    def interrupted(read: int, records: int) -> None:
        told.append(records)
        if sum(told) > 60:
            raise KeyboardInterrupt

    with Store.create(tmp_path / "s") as store:
        store.engine = Pool(2)
        with pytest.raises(KeyboardInterrupt):
            store.ingest(files[0], options=IN_FOURS, observe=interrupted)
        store.engine = None
        assert (store.store_state.seq, kept(store)["files"]) == (0, [])


def test_what_a_killed_ingest_left_is_swept(tmp_path: Path, files: list[Path], lots: pytest.MonkeyPatch) -> None:
    """Workers that had no one to give their segments to: they are temporary files at places that others take."""
    with Store.create(tmp_path / "s") as store:
        lots.setattr(spread, "list_leftovers", lambda path, run: [])
        store.engine = Failing("write_apart", 2)
        with pytest.raises(EsctlError, match="the engine is gone"):
            store.ingest(*files, options=IN_FOURS)
        store.engine = None
        assert kept(store)["files"]
        store.ingest(*files)
        assert kept(store)["files"] == []


def test_the_command_takes_an_engine_and_not_what_looks_at_each_record(tmp_path: Path, files: list[Path]) -> None:
    assert good("ingest", "a.jsonl", "--engine", "local:2", cwd=tmp_path).row["duplicates"] == 2
    for option in ("--strict", "--skip-duplicates", "--follow"):
        done = esctl("ingest", "b.jsonl", "--engine", "local:2", option, cwd=tmp_path)
        assert (done.code, f"--engine cannot be combined with {option}" in done.err) == (2, True)
    assert esctl("ingest", "b.jsonl", "--engine", "cloud:1", cwd=tmp_path).code == 2
    good("ingest", "b.jsonl", cwd=tmp_path, ESCTL_ENGINE="cloud:1")
