"""DuckDB files keep the contract of sinks, and what only they promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb

from esctl.engine.duckdb import Session
from esctl.sinks.duckdb_file import DuckdbFile
from esctl.sinks.protocol import Sink
from tests.sinks.contract import SinkContract, grow_store

TABLE = 'odd "name"\n'


class TestDuckdbFile(SinkContract):
    def make(self, folder: Path, session: Session, *, writing: bool = True) -> Sink:
        return DuckdbFile(session, folder / "it's.db", TABLE, writing=writing)

    def read_basis(self, folder: Path) -> Any:
        with duckdb.connect(folder / "it's.db", read_only=True) as connection:
            (row,) = connection.execute("select basis from esctl_progress where name = ?", [TABLE]).fetchall()
        return json.loads(row[0])

    def test_columns_have_the_types_of_their_values(self, tmp_path: Path) -> None:
        self.put(tmp_path, grow_store(tmp_path, 4))
        assert self.types(tmp_path) == {
            "entity": "VARCHAR", "kind": "VARCHAR", "n": "DECIMAL(38,1)", "owner": "VARCHAR",
            "version": "BIGINT", "position": "BIGINT", "time": "TIMESTAMP WITH TIME ZONE",
        }  # fmt: skip
        self.put(tmp_path, grow_store(tmp_path, 10), 4)
        types = self.types(tmp_path)
        assert types["n"] == types["owner"] == types["o"] == "JSON"
        assert types["state.version"] == "BOOLEAN"
        assert types["state.time"] == "VARCHAR"

    def types(self, folder: Path) -> dict[str, str]:
        with duckdb.connect(folder / "it's.db", read_only=True) as connection:
            quoted = '"' + TABLE.replace('"', '""') + '"'
            return {name: kind for name, kind, *_ in connection.execute(f"describe {quoted}").fetchall()}
