"""Killed at any call that changes a file, a view is at one basis as a whole, and the next refresh goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from esctl.api import Store
from reliability.running import BROKEN, FULL, KILLED, Fault, esctl, prepare
from reliability.stores import write_log
from tests.sinks.contract import replayed, rows_in
from tests.support import effort
from tests.views.test_refresh import FILES


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> None:
    if problem := prepare(tmp_path_factory.mktemp("build")):
        pytest.skip(problem)


def good(work: Path, *arguments: str) -> tuple[str, ...]:
    ran = esctl(work, arguments)
    assert ran.code == 0, ran.err
    return ran.calls


def position(work: Path, *, refreshed: bool = False) -> int:
    """Return where the view is, once it was found to be what `replay` gives there; 0 where there is none."""
    store = Store.open(work / ".esctl", work / "esctl.toml")
    view = store.find_view("v")
    if refreshed:
        view.refresh()
    before = view.progress()
    if before is None:
        return 0
    assert view.check().rows == 0
    then = store if before.basis.position == store.store_state.head else store.on_basis(before.basis)
    with view.sink(then.session) as sink:
        assert rows_in(sink, then.session) == replayed(then, "thing")
    return before.basis.position


@pytest.mark.parametrize("fault", [KILLED, BROKEN, FULL], ids=lambda fault: fault.name)
@pytest.mark.parametrize("to", FILES)
def test_a_refresh_that_ends_anywhere(to: str, fault: Fault, tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    write_log(start)
    with (start / "esctl.toml").open("a") as config:
        config.write(f'[views.v]\nprojection = "thing"\nto = "{to}"\n')
    good(start, "ingest", "zero.jsonl")
    good(start, "view", "refresh")
    good(start, "ingest", "one.jsonl")
    good(start, "replay", "-q")  # the index is up to date
    done = tmp_path / "done"
    shutil.copytree(start, done)
    calls = good(done, "view", "refresh")
    before, after = position(start), position(done)
    assert before < after
    places = [number for number, call in enumerate(calls, 1) if ".esctl" not in call]
    assert len(places) > 2
    for number in effort.some(places, 2):
        work = tmp_path / "work"
        shutil.copytree(start, work)
        ran = esctl(work, ["view", "refresh"], fault, number)
        assert ran.code == (-9 if fault is KILLED else ran.code), ran.err
        assert "Traceback" not in ran.err
        assert position(work) in ((before, after) if ran.code else (after,)), (number, calls[number - 1])
        assert position(work, refreshed=True) == after
        if to.startswith("parquet"):
            assert len(list((work / "files").iterdir())) == 2
        shutil.rmtree(work)
