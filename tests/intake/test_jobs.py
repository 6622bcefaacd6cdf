"""Ingest on one processor and on several: the same log, and the same index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esctl import Store
from esctl.engine import native, processors
from esctl.index.scan import Read
from esctl.log import writer
from tests.support.cli_harness import esctl, good, plain_event, write_lines


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a log of nested payloads, odd numbers and repeated ids, larger than what the core takes at once."""
    monkeypatch.setattr(writer.time, "time_ns", lambda: 1_704_067_200_000_000_000)
    events = [
        {**plain_event(number % 9_900, f"thing-{number % 97}", n=number, deep={"a": [number, {"b": number / 7}]})}
        for number in range(10_000)
    ]
    lines = write_lines(tmp_path / "log.jsonl", events)
    with lines.open("a") as file:
        file.write('{"id": "odd", "type": "Changed", "stream": "thing-1", "data": {"n": 1e21, "n": 2.50}}\nnot json\n')
    return lines


def kept(log: Path, jobs: int) -> tuple[Any, ...]:
    """Ingest with so many processors; give the root of the log and what the index has of each event."""
    processors.use_processors(jobs)
    try:
        with Store.create(log.parent / f"store-{jobs}", threads=jobs) as store:
            store.ingest(log)
            names = ["position", "id", "entity", "time", "invalid", "duplicate_of", "conflict"]
            rows = store.view.relation(names, {"data": Read((), "json")})
            events = store.connection.execute(f"SELECT * FROM ({rows}) ORDER BY position").fetchall()
            return store.store_state.tree, store.store_state.head, events
    finally:
        processors.use_processors(None)


@pytest.mark.parametrize("core", ["1", "0"])
def test_any_number_of_processors_keeps_the_same(core: str, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.SWITCH, core)
    native._load_core.cache_clear()
    try:
        one, two = kept(log, 1), kept(log, 2)
    finally:
        native._load_core.cache_clear()
    assert one == two
    assert one[1] == 10_002


def test_jobs_are_one_or_more(log: Path) -> None:
    good("ingest", "--jobs", "1", log.name, cwd=log.parent)
    assert esctl("ingest", "--jobs", "0", log.name, cwd=log.parent).code == 2
