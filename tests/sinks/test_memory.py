"""The contract of sinks holds for the simplest one there can be, so that it asks nothing impossible."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from esctl.ask.scope.basis import to_json
from esctl.engine.duckdb import Session
from esctl.engine.exact_text import printable_json_sql
from esctl.engine.quoting import literal
from esctl.errors import InputError
from esctl.sinks.columns import WHOLE_STATE, Field
from esctl.sinks.protocol import EMPTY_CONTENT, Changes, Content, Progress, Sink
from tests.sinks.contract import SinkContract

Kept = tuple[Progress | None, dict[tuple[str, str], tuple[Any, ...]]]
NAMES = ("entity", "kind", "state", "version", "position", "time")
KEPT: dict[Path, Kept] = {}


class MemorySink:
    locked: ClassVar[set[Path]] = set()

    def __init__(self, folder: Path, *, writing: bool) -> None:
        self.folder, self.writing = folder, writing

    def __enter__(self) -> Self:
        if self.writing:
            if self.folder in self.locked:
                raise InputError("it is being written by another process")
            self.locked.add(self.folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.writing:
            self.locked.discard(self.folder)

    def progress(self) -> Progress | None:
        return KEPT.get(self.folder, (None, {}))[0]

    def content(self) -> Content:
        rows = KEPT.get(self.folder, (None, {}))[1].values()
        if not rows:
            return EMPTY_CONTENT
        listed = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
        sql = f"SELECT * REPLACE (CAST(time AS TIMESTAMP) AS time) FROM (VALUES {listed}) t({', '.join(NAMES)})"
        return Content(sql, (Field(WHOLE_STATE, "state", "json", whole_state=True),))

    def apply(self, changes: Changes, progress: Progress) -> None:
        rows = {} if changes.whole else dict(KEPT.get(self.folder, (None, {}))[1])
        exact = f"SELECT {', '.join(NAMES)} FROM ({changes.rows.sql})"
        exact = (
            f"SELECT * REPLACE ({printable_json_sql('state')} AS state, CAST(time AS VARCHAR) AS time) FROM ({exact})"
        )
        for row in changes.rows.session.connection.execute(exact).fetchall():
            rows.pop((row[1], row[0]), None)
            if row[2] is not None:
                rows[row[1], row[0]] = row
        KEPT[self.folder] = (progress, rows)

    def drop(self) -> None:
        KEPT.pop(self.folder, None)


class TestMemorySink(SinkContract):
    def make(self, folder: Path, session: Session, *, writing: bool = True) -> Sink:
        return MemorySink(folder / "memory", writing=writing)

    def read_basis(self, folder: Path) -> Any:
        kept = KEPT[folder / "memory"][0]
        assert kept is not None
        return json.loads(to_json(kept.basis))
