"""Work in parts on a store that is kept elsewhere: each worker reaches it by itself."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from esctl.api import Store
from esctl.cluster.local_pool import LocalPool
from esctl.cluster.spans import Span, spans_at
from esctl.cluster.work import Failure, Work, WorkPart
from esctl.errors import UnavailableError
from esctl.index import chunks, in_parts
from esctl.index.files import write
from esctl.index.files.manifest import Manifest
from esctl.intake import intake
from esctl.intake.intake import IngestOptions
from esctl.log import writer
from esctl.maintain.redact import ErasureRequest, redact
from esctl.sources.files.reading import SourceOptions
from esctl.storage import connecting
from tests.cluster.test_tasks import RULES, event
from tests.support.cli_harness import write_lines
from tests.support.clouds import point_at
from tests.support.objects import URL, World, worlds
from tests.support.parts import Cut
from tests.support.s3 import ObjectServer, needs_objects
from tests.support.spans import rows_of

pytest.importorskip("obstore")
OPTIONS = IngestOptions(SourceOptions(batch_rows=40))
QUESTIONS = (
    lambda store: store.replay(),
    lambda store: store.audit("thing-1*"),
    lambda store: store.diff("@50", "@150"),
    lambda store: store.blame("thing-20"),
    lambda store: store.when("total > 5"),
)


class OnOthers(Cut):
    """An engine of another machine, which has a mirror of its own."""

    def __init__(self, world: World, *, sees_files: bool = True) -> None:
        super().__init__(3)
        self.world = world
        self.folder = None if sees_files else world.folder / "parts"
        if self.folder:
            self.folder.mkdir()

    def spans(self, manifest: Manifest) -> list[Span]:
        """Give spans however small the log."""
        return spans_at(["thing-10", "thing-20", "thing-21"])

    def run(self, tasks: Sequence[Work]) -> Iterator[WorkPart | Failure]:
        """Run tasks as they come out of a pickle, on the other machine."""
        found = []
        for task in tasks:
            here = self.world.name
            self.world.machine("worker")
            found.append(pickle.loads(pickle.dumps(task)).run())
            self.world.machine(here)
        return iter(found)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(write, "ROW_GROUP", 50)
    yield from worlds(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "esctl.toml").write_text(RULES)
    with Store.create(folder / "store") as store:
        for part in range(3):
            numbers = range(part * 80, part * 80 + 80)
            store.ingest(write_lines(folder / f"{part}.jsonl", [event(number) for number in numbers]))
    return folder / "store"


def in_mirror(world: World, machine: str) -> list[Path]:
    """List the segments and index files that a machine has."""
    return sorted((world.folder / machine).rglob("*.parquet"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with the configuration, as stores elsewhere have that of the working folder."""
    (tmp_path / "esctl.toml").write_text(RULES)
    monkeypatch.chdir(tmp_path)


def test_questions_are_answered_by_workers_with_mirrors_of_their_own(world: World, made: Path) -> None:
    world.upload(made)
    world.machine("driver")
    with Store.open(URL) as store, Store.open(made) as disk:
        parts = store.reopened()
        parts.engine = OnOthers(world)
        for ask in QUESTIONS:
            assert rows_of(ask(parts)) == rows_of(ask(disk))
    assert in_mirror(world, "worker")


def test_all_of_a_store_is_verified_by_workers_who_fetch_it_anew(world: World, made: Path) -> None:
    world.upload(made)
    world.machine("driver")
    for sees_files in (True, False):
        with Store.open(URL) as store:
            store.engine = OnOthers(world, sees_files=sees_files)
            assert store.verify(full=True).verified.is_intact
    here = {path.name for path in made.rglob("*.parquet")}
    (apart,) = [path for path in (world.folder / "worker" / "esctl" / "stores").iterdir() if path.name != "it"]
    assert {path.name for path in apart.rglob("*.parquet")} == here


@pytest.mark.parametrize("kind", ["log/", "index/"])
def test_what_one_worker_of_many_finds_damaged_is_named(world: World, made: Path, kind: str) -> None:
    world.upload(made)
    world.machine("driver")
    name = next(name for name in world.names() if name.startswith(kind) and name.endswith(".parquet"))
    world.flip(name, 300)
    told = []
    for engine in (None, OnOthers(world)):
        with Store.open(URL) as store:
            store.engine = engine
            told.append(store.verify(full=True).rows())
    assert told[0] == told[1]
    assert any(row["result"] == "failed" and name.rpartition("/")[2] in str(row) for row in told[0])


def test_what_was_erased_is_kept_by_no_worker(world: World, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", [event(number) for number in range(60)])
    with Store.create(tmp_path / "erasable", erasable=True) as store:
        store.ingest(source)
    world.upload(tmp_path / "erasable")
    world.machine("driver")
    with Store.open(URL) as store:
        store.engine = OnOthers(world)
        store.replay().rows()
    held = {path.name for path in in_mirror(world, "worker")}
    with Store.open(URL) as store:
        redact(store.path, ErasureRequest([8], "asked for", "me"), store.updater())
    with Store.open(URL) as store:
        store.engine = OnOthers(world)
        store.replay().rows()
    assert held
    assert not held & {path.name for path in in_mirror(world, "worker")}


def test_a_worker_that_does_not_reach_the_store_says_so(
    world: World, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.upload(made)
    world.machine("driver")

    def refused(*_: object) -> Path:
        raise UnavailableError(f"{URL}: there are no credentials", "give some")

    with Store.open(URL) as store:
        store.view  # noqa: B018  # the driver reaches it
        store.engine = engine = OnOthers(world)
        machine = world.machine
        monkeypatch.setattr(world, "machine", lambda name: monkeypatch.setattr(connecting, "located", refused))
        with pytest.raises(UnavailableError, match="a worker: s3://memory/store: there are no credentials"):
            store.replay().rows()
        monkeypatch.setattr(world, "machine", machine)
        assert engine.world is world


def test_workers_write_into_a_store_elsewhere(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (chunks, in_parts):
        monkeypatch.setattr(module, "CHUNK_ROWS", 40)
    monkeypatch.setattr(intake, "COMMIT_ROWS", 40)
    monkeypatch.setattr(writer.time, "time_ns", lambda: 1_704_067_200_000_000_000)
    files = [write_lines(tmp_path / f"{at}.jsonl", [event(n) for n in range(at, at + 90)]) for at in (0, 80)]
    told, heads = [], []
    for place, engine in ((tmp_path / "disk", Cut(3)), (URL, OnOthers(world))):
        world.machine("driver")
        with Store.create(place) as store:
            store.engine = engine
            told.append(replace(store.ingest(*files, options=OPTIONS).summary, seconds=0, events_per_second=0))
            heads.append(store.store_state.tree)
            store.engine = None
            assert store.verify(full=True).verified.is_intact
    assert told[0] == told[1]
    assert heads[0] == heads[1]
    assert in_mirror(world, "worker")
    names = world.names()
    with Store.open(URL) as store, Store.open(tmp_path / "disk") as disk:
        assert {name for name in names if name.startswith("log/")} == {
            f"log/{e.file}" for e in store.store_state.segments
        }
        assert store.replay().rows() == disk.replay().rows()


@needs_objects
def test_processes_of_this_machine_reach_a_bucket(
    object_store: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(object_store.environment, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = write_lines(tmp_path / "a.jsonl", [event(number) for number in range(200)])
    engine = LocalPool(2)
    monkeypatch.setattr(engine, "parts", Cut(3).parts)
    monkeypatch.setattr(engine, "spans", lambda manifest: spans_at(["thing-10", "thing-20"]))
    with Store.create(f"s3://{object_store.bucket()}/store") as store:
        store.engine = engine
        assert store.ingest(source, options=OPTIONS).summary.new == 200
        assert store.verify(full=True).verified.is_intact
        in_parts = store.replay().rows()
        store.engine = None
        assert in_parts == store.replay().rows()
