"""A writer that is killed, or finds the disk full, at every step: what was committed stays, and the rest is made up."""

from __future__ import annotations

import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pytest

from esctl.errors import InputError
from esctl.log.commits import open_log
from esctl.log.merkle import tree_root
from esctl.log.reader import read_table
from esctl.log.store_state import StoreState
from esctl.storage.local import Filesystem
from tests.support import effort
from tests.support.log_helpers import (
    LINES,
    ROWS,
    Failing,
    Killing,
    Unsynced,
    check,
    reference_leaves,
    resume,
    resume_staged,
    stray_files,
)

Run = Callable[[Path, Filesystem], None]

RUNS: dict[str, tuple[Run, set[int]]] = {
    "four commits": (resume, {0, ROWS, 2 * ROWS, 3 * ROWS, 4 * ROWS}),
    "one staged commit": (resume_staged, {0, 4 * ROWS}),
}


def undisturbed(folder: Path, run: Run) -> tuple[StoreState, int]:
    """The store as it comes to be without any mishap, and the number of steps to it."""
    files = Killing()
    run(folder / "undisturbed", files)
    return open_log(folder / "undisturbed").read(), len(files.steps)


def check_committed(path: Path, expected: pa.Table, heads: dict[int, str]) -> None:
    """Whatever happened, what the store says is committed must be there and right."""
    if not (path / "format.json").exists():
        return
    store_state = open_log(path).read()
    assert store_state.head in heads
    assert store_state.root == heads[store_state.head]
    assert read_table(store_state, 1, store_state.head).equals(expected.slice(0, store_state.head))


def check_resumed(path: Path, run: Run, reference: StoreState, expected: pa.Table) -> None:
    """The same run again ends as the undisturbed one did."""
    run(path, Unsynced())
    store_state = open_log(path).read()
    assert store_state.root == reference.root
    assert read_table(store_state, 1, store_state.head).equals(expected)
    assert store_state.blocks == reference.blocks
    assert dict(store_state.cursors) == dict(reference.cursors)
    assert stray_files(store_state) == []


@pytest.mark.parametrize("name", RUNS)
def test_killed_at_every_step(tmp_path: Path, name: str) -> None:
    run, commits = RUNS[name]
    reference, steps = undisturbed(tmp_path, run)
    expected = check(reference)
    leaves = reference_leaves(expected)
    heads = {head: tree_root(leaves[: head * 32]).hex() for head in commits}
    assert expected["raw"].to_pylist() == LINES
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.support.log_helpers"])
    for step in effort.some(range(steps), 6):
        path = tmp_path / str(step)
        process = context.Process(target=run, args=(path, Killing(step)))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        check_committed(path, expected, heads)
        check_resumed(path, run, reference, expected)


@pytest.mark.parametrize("name", RUNS)
def test_disk_full_at_every_step(tmp_path: Path, name: str) -> None:
    run, commits = RUNS[name]
    reference, steps = undisturbed(tmp_path, run)
    expected = check(reference)
    leaves = reference_leaves(expected)
    heads = {head: tree_root(leaves[: head * 32]).hex() for head in commits}
    failed: set[str] = set()
    for step in range(steps):
        path = tmp_path / str(step)
        files = Failing(step)
        try:
            run(path, files)
        except InputError as error:
            failed.add(files.failed)
            told = error.message
        else:
            break
        assert "No space left on device" in told
        check_committed(path, expected, heads)
        if (path / "format.json").exists():
            left = [each.name for each in (path / "log").iterdir() if each.name.startswith(".tmp-")]
            assert left == []
        check_resumed(path, run, reference, expected)
    assert failed == {"create", "write", "sync", "sync_folder", "rename", "link"}
