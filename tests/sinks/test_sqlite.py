"""SQLite files keep the contract of sinks, and what only they promise."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from esctl.engine.duckdb import Session
from esctl.sinks.protocol import Sink
from esctl.sinks.sqlite import SqliteFile
from tests.sinks.contract import EVENTS, SinkContract, grow_store

TABLE = 'odd "name"\'\n'


class TestSqlite(SinkContract):
    def make(self, folder: Path, session: Session, *, writing: bool = True) -> Sink:
        return SqliteFile(session, folder / "a?b#.db", TABLE, writing=writing)

    def read_basis(self, folder: Path) -> Any:
        (row,) = self.ask(folder, "select basis from esctl_progress where name = ?", TABLE)
        return json.loads(row[0])

    def ask(self, folder: Path, sql: str, *values: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(folder / "a?b#.db")) as connection:
            return connection.execute(sql, values).fetchall()

    def test_decimals_are_text_and_never_rounded(self, tmp_path: Path) -> None:
        self.put(tmp_path, grow_store(tmp_path, 1))
        quoted = '"' + TABLE.replace('"', '""') + '"'
        assert self.ask(tmp_path, f"select n, typeof(n) from {quoted}") == [(1, "integer")]
        self.put(tmp_path, grow_store(tmp_path, 5), 1)
        assert json.dumps(EVENTS[4][2]) == '{"n": 1.2345678901234568e+43}'  # how the log has it
        rows = self.ask(tmp_path, f"select entity, n, typeof(n) from {quoted} order by entity")
        assert rows == [("a-1", "2.5", "text"), ("a-3", "12345678901234568" + "0" * 27, "text")]
