"""A question reads of the index what its entities and bounds may lie in, and no more: counted in bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from esctl.api import Relation, Store
from esctl.engine.quoting import literal
from esctl.index.files import write
from esctl.index.scan import FOLDABLE
from tests.support import log_helpers
from tests.support.cli_harness import good

EVENTS = 9_000
ENTITIES = 400
COMMITS = 3


def raws(commit: int) -> list[bytes]:
    numbers = range(commit * EVENTS // COMMITS, (commit + 1) * EVENTS // COMMITS)
    return [
        json.dumps(
            {
                "id": f"e{n}",
                "type": "Noted",
                "time": f"2024-01-{1 + n * 27 // EVENTS:02d}T{n % 24:02d}:00:00Z",
                "stream": f"thing-{n % ENTITIES:03d}",
                "data": {"note": random.Random(n).randbytes(120).hex(), "amount": n},
            }
        ).encode()
        for n in numbers
    ]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Give a store whose index has many row groups: in one file by entity, in each file other times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ROW_GROUP", 250)
        path = tmp_path_factory.mktemp("pruned") / ".esctl"
        for commit in range(COMMITS):
            log_helpers.store(path, [[log_helpers.part(f"{commit}.jsonl", raws(commit))]])
            assert Store.open(path).view.manifest.head == (commit + 1) * EVENTS // COMMITS
        yield Store.open(path)


def bytes_read(store: Store, relation: Relation) -> int:
    """Run an answer's SELECT and give how many bytes DuckDB read for it."""
    connection = store.connection
    connection.execute("PRAGMA enable_profiling = 'no_output'")
    try:
        assert connection.execute(relation.answer.sql).fetchall()
        return int(json.loads(connection.get_profiling_information(format="json"))["io"]["total_bytes_read"])
    finally:
        connection.execute("PRAGMA disable_profiling")


def test_one_entity_reads_a_small_part(asked: Store) -> None:
    everything = bytes_read(asked, asked.replay())
    assert 0 < bytes_read(asked, asked.replay("thing-123")) < everything / 4


def test_the_trail_of_one_entity_reads_a_small_part(asked: Store) -> None:
    everything = bytes_read(asked, asked.audit())
    assert 0 < bytes_read(asked, asked.audit("thing-123")) < everything / 4


def test_an_early_bound_leaves_later_files_out(asked: Store) -> None:
    everything = bytes_read(asked, asked.replay())
    assert 0 < bytes_read(asked, asked.replay(at="2024-01-05")) < everything / 2


def test_both_bounds_together_read_less_than_either(asked: Store) -> None:
    both = bytes_read(asked, asked.replay("thing-123", at="2024-01-05"))
    assert 0 < both < bytes_read(asked, asked.replay("thing-123"))
    assert both < bytes_read(asked, asked.replay(at="2024-01-05"))


def test_only_files_with_something_else_are_asked_what_is_folded(tmp_path: Path) -> None:
    event = {"id": "e1", "type": "Noted", "stream": "thing", "data": {"n": 1}}
    odd = {
        "new": event,
        "again": event,
        "conflicting": event | {"data": {"n": 2}},
        "invalid": None,
        "of nobody": {name: value for name, value in event.items() if name != "stream"} | {"id": "e5"},
    }
    for line in odd.values():
        with (tmp_path / "a.jsonl").open("a") as file:
            file.write("{\n" if line is None else json.dumps({"time": "2024-01-01T00:00:00Z", **line}) + "\n")
        good("ingest", "a.jsonl", "--map", "entity=stream", cwd=tmp_path)
    with Store.open(tmp_path / ".esctl") as store:
        files = store.view.manifest.files
        assert len(files) == len(odd)
        for file in files:
            source = f"read_parquet({literal(str(store.view.folder / file.file))})"
            rows = store.connection.execute(f"SELECT {FOLDABLE} FROM {source}").fetchall()
            assert file.is_foldable == all(is_folded for (is_folded,) in rows)
        assert [file.is_foldable for file in files] == [True, False, False, False, False]
    assert good("replay", cwd=tmp_path).row["version"] == 1
