"""Folders of Parquet files keep the contract of sinks, and what only they promise."""

from __future__ import annotations

import json
import random
from bisect import bisect
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from esctl.ask.states.replay import COLUMNS
from esctl.engine.duckdb import Session, open_session
from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.model import Answer, Basis
from esctl.sinks import parquet_folder
from esctl.sinks.parquet_folder import ParquetFolder
from esctl.sinks.protocol import Changes, Progress, Sink
from tests.sinks.contract import SinkContract, grow_store


class TestParquetFolder(SinkContract):
    def make(self, folder: Path, session: Session, *, writing: bool = True) -> Sink:
        return ParquetFolder(session, folder / "view", writing=writing)

    def read_basis(self, folder: Path) -> Any:
        return json.loads((folder / "view" / "manifest.json").read_text())["basis"]

    def test_only_the_files_that_the_manifest_names_are_there(self, tmp_path: Path) -> None:
        for at, count in ((0, 4), (4, 10), (10, 10)):
            self.put(tmp_path, grow_store(tmp_path, count), at)
            named = json.loads((tmp_path / "view" / "manifest.json").read_text())["files"]
            assert {path.name for path in (tmp_path / "view").iterdir()} == {"manifest.json", *named}

    def test_a_folder_of_others_is_not_taken(self, tmp_path: Path) -> None:
        (tmp_path / "view").mkdir()
        (tmp_path / "view" / "mine.parquet").write_text("")
        with pytest.raises(UsageError, match="holds other things"):
            self.put(tmp_path, grow_store(tmp_path, 4))
        assert [path.name for path in (tmp_path / "view").iterdir()] == ["mine.parquet"]


class TestManySmallFiles(TestParquetFolder):
    @pytest.fixture(autouse=True)
    def few_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parquet_folder, "FILE_ROWS", 1)


def test_a_change_writes_the_files_anew_that_it_falls_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_folder, "FILE_ROWS", 8)
    drawn, kept, session = random.Random(1), dict[str, int](), open_session()
    for position in range(1, 18):
        first, count = drawn.randrange(40), drawn.choice((1, 2, 30))
        span = range(first, first + count) if position % 3 else drawn.sample(range(60), count)
        left = 0 if position in (8, 9) else 2 if position > 13 else 6  # of ten
        changed = {f"e{key:03}": position if drawn.randrange(10) < left else None for key in span}
        kept = {key: at for key, at in {**kept, **changed}.items() if at is not None}
        files = parts(tmp_path)
        with ParquetFolder(session, tmp_path / "view", writing=True) as sink:
            sink.apply(Changes(states(session, changed)), at(position))
            sql = f"SELECT entity, position FROM ({sink.content().sql})"
            assert session.connection.execute(sql).fetchall() == sorted(kept.items())
        firsts = [keys[0] for keys in files.values()]
        fallen = {max(bisect(firsts, key) - 1, 0) for key in changed}
        assert {name for number, name in enumerate(files) if number not in fallen} == set(files) & set(parts(tmp_path))
        assert all(len(keys) < 16 for keys in parts(tmp_path).values())
    session.close()


def states(session: Session, changed: dict[str, int | None]) -> Answer:
    rows = ", ".join(
        f"('{key}', 'k', {literal(None if at is None else '{}')}, 1, {at or 0}, TIMESTAMP '2024-01-01')"
        for key, at in changed.items()
    )
    return Answer(session, f"SELECT * FROM (VALUES {rows}) t(entity, kind, state, version, position, time)", COLUMNS)


def at(position: int) -> Progress:
    return Progress("store", "", Basis(position, "", {}, (), "", "", ""))


def parts(folder: Path) -> dict[str, list[str]]:
    """Read the entities of each file that counts."""
    manifest = folder / "view" / "manifest.json"
    if not manifest.exists():
        return {}
    names = json.loads(manifest.read_text())["files"]
    return {name: pq.read_table(folder / "view" / name).column("entity").to_pylist() for name in names}
