"""Engines that a user runs answer as one process does: Spark Connect (by Sail), Ray and Dask."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from esctl.api import Store
from esctl.ask.states.replay import replay
from esctl.cluster import remote
from esctl.cluster.engines import engine_of
from esctl.cluster.question import ask_in_parts, in_parts
from esctl.cluster.remote import Remote
from esctl.cluster.spans import spans_at
from esctl.errors import InputError, UsageError
from esctl.intake import intake
from esctl.intake.intake import IngestOptions
from esctl.sources.files.reading import SourceOptions
from tests.cluster.test_tasks import event, make_store, replay_killed
from tests.support.cli_harness import write_lines
from tests.support.parts import Cut
from tests.support.spans import rows_of

CUTS = ["thing-10", "thing-20", "thing-21"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("remote"), [event(number) for number in range(200)])


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.open(folder / ".esctl") as opened:
        yield opened


def cut_spans(engine: Any) -> Any:
    """Give an engine whose spans are cut, however small the log."""
    engine.spans = lambda manifest: spans_at(CUTS)
    return engine


@pytest.fixture(scope="module")
def sail() -> Iterator[str]:
    """Give the address of a Spark Connect server."""
    pytest.importorskip("pysail", reason="pysail is not installed")
    pytest.importorskip("pyspark.sql.connect", reason="pyspark-client is not installed")
    script = (
        "import os, sys\nfrom pysail.spark import SparkConnectServer\n"
        "server = SparkConnectServer('127.0.0.1', 0)\nserver.start(background=True)\n"
        "print(server.listening_address[1], flush=True)\nsys.stdin.read()\nos._exit(0)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        assert server.stdout is not None
        yield f"sc://127.0.0.1:{int(server.stdout.readline())}"
        server.kill()


def test_spark_connect_answers_in_parts(store: Store, sail: str) -> None:
    parts = store.reopened()
    parts.engine = cut_spans(engine_of(sail, None, "--engine"))
    for ask in (lambda s: s.replay(), lambda s: s.audit("thing-1*"), lambda s: s.series("sum(total)", every="1mo")):
        assert rows_of(ask(parts)) == rows_of(ask(store))
    parts.engine.close()


def test_spark_connect_verifies_and_takes_in_in_parts(
    sail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "COMMIT_ROWS", 50)
    files = [write_lines(tmp_path / f"{name}.jsonl", [event(n) for n in range(at, at + 90)]) for name, at in EVENTS]
    engine = engine_of(sail, None, "--engine")
    engine.parts = Cut(3).parts  # type: ignore[union-attr]
    with Store.create(tmp_path / "s") as store:
        store.engine = engine
        assert store.ingest(*files, options=IngestOptions(SourceOptions(batch_rows=40))).summary.duplicates == 10
        assert (store.store_state.seq, len(store.store_state.segments)) == (1, 3)
        assert store.verify(full=True).verified.is_intact
        engine.close()  # type: ignore[union-attr]


EVENTS = (("one", 0), ("two", 80))


def by_hand(tasks: Any) -> list[bytes]:
    return list(map(remote.run_bytes, tasks))


def test_parts_that_are_not_seen_here_are_told(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(remote.FOLDER, str(tmp_path))

    def elsewhere(tasks: Any) -> list[bytes]:
        made = by_hand(tasks)
        shutil.rmtree(next(tmp_path.iterdir()))
        return made

    answer = ask_in_parts(replay, in_parts(store.scope(), cut_spans(Remote("Far", 4, elsewhere))))
    with pytest.raises(InputError, match="Far wrote a part of the answer where this machine does not see it") as told:
        rows_of(replace(store.replay(), answer=answer))
    assert remote.FOLDER in told.value.hint


@pytest.mark.parametrize(
    "told",
    [
        b'{"number": 0, "file": "../../etc/passwd", "names": []}',
        b'{"number": 0, "file": "0123456789abcdef.parquet", "names": []}',
        b"{}",
        b"no JSON",
        b'{"number": 0, "kind": "X"}',
    ],
)
def test_what_no_task_gives_back_is_refused(store: Store, told: bytes) -> None:
    answer = ask_in_parts(
        replay, in_parts(store.scope(), cut_spans(Remote("Far", 4, lambda tasks: [told] * len(tasks))))
    )
    with pytest.raises(InputError, match="Far failed: "):
        rows_of(replace(store.replay(), answer=answer))


def test_a_folder_for_parts_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(remote.FOLDER, str(tmp_path / "none"))
    with pytest.raises(UsageError, match=remote.FOLDER):
        Remote("Far", 4, by_hand)


def test_a_worker_that_does_not_see_the_store_says_so(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    with Store.open(copy / ".esctl") as store:

        def without(tasks: Any) -> list[bytes]:
            shutil.move(copy / ".esctl" / "index", copy / "index")
            return by_hand(tasks)

        answer = ask_in_parts(replay, in_parts(store.scope(), cut_spans(Remote("Far", 4, without))))
        with pytest.raises(InputError, match="a worker does not see the index"):
            rows_of(replace(store.replay(), answer=answer))


@pytest.mark.parametrize("scheme", ["sc", "ray", "dask"])
def test_a_library_that_is_missing_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyspark", "pyspark.sql", "ray", "distributed"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match="which is not installed") as told:
        engine_of(f"{scheme}://127.0.0.1:1", None, "--engine")
    assert told.value.hint == f"pip install 'esctl-audit[{'spark' if scheme == 'sc' else scheme}]'"


def test_an_engine_that_is_not_reached_is_told_without_its_token() -> None:
    pytest.importorskip("pyspark.sql.connect", reason="pyspark-client is not installed")
    with pytest.raises(InputError, match="Spark Connect is not reached") as told:
        engine_of("sc://127.0.0.1:1/;token=secret", None, "--engine")
    assert "secret" not in told.value.message


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Give the address of a Dask scheduler with two workers, each a process."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address.replace("tcp://", "dask://")


@pytest.mark.thorough
def test_dask_answers_in_parts_and_runs_a_killed_task_again(store: Store, scheduler: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    engine = cut_spans(engine_of(scheduler, None, "--engine"))
    answer = ask_in_parts(replay_killed, in_parts(store.scope(), engine), marks, 1)
    assert rows_of(replace(store.replay(), answer=answer)) == rows_of(store.replay())
    assert len(list(marks.iterdir())) == 1
    engine.close()


@pytest.mark.thorough
def test_ray_answers_in_parts_and_runs_a_killed_task_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    marks = tmp_path / "marks"
    marks.mkdir()
    engine = cut_spans(engine_of("ray:local", None, "--engine"))
    try:
        answer = ask_in_parts(replay_killed, in_parts(store.scope(), engine), marks, 1)
        assert rows_of(replace(store.replay(), answer=answer)) == rows_of(store.replay())
        assert len(list(marks.iterdir())) == 1
    finally:
        engine.close()
