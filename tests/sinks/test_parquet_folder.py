"""Folders of Parquet files keep the contract of sinks, and what only they promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from esctl.engine.duckdb import Session
from esctl.errors import UsageError
from esctl.sinks import parquet_folder
from esctl.sinks.parquet_folder import ParquetFolder
from esctl.sinks.protocol import Sink
from tests.sinks.contract import SinkContract, grown


class TestParquetFolder(SinkContract):
    def make(self, folder: Path, session: Session, *, writing: bool = True) -> Sink:
        return ParquetFolder(session, folder / "view", writing=writing)

    def told(self, folder: Path) -> Any:
        return json.loads((folder / "view" / "manifest.json").read_text())["basis"]

    def test_only_the_files_that_the_manifest_names_are_there(self, tmp_path: Path) -> None:
        for at, count in ((0, 4), (4, 10), (10, 10)):
            self.put(tmp_path, grown(tmp_path, count), at)
            named = json.loads((tmp_path / "view" / "manifest.json").read_text())["files"]
            assert {path.name for path in (tmp_path / "view").iterdir()} == {"manifest.json", *named}

    def test_a_folder_of_others_is_not_taken(self, tmp_path: Path) -> None:
        (tmp_path / "view").mkdir()
        (tmp_path / "view" / "mine.parquet").write_text("")
        with pytest.raises(UsageError, match="holds other things"):
            self.put(tmp_path, grown(tmp_path, 4))
        assert [path.name for path in (tmp_path / "view").iterdir()] == ["mine.parquet"]


class TestManySmallFiles(TestParquetFolder):
    @pytest.fixture(autouse=True)
    def few_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parquet_folder, "FILE_ROWS", 1)
