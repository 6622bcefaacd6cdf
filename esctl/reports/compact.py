"""compact: what became of the files."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import astuple

from esctl.engine.duckdb import Session
from esctl.maintain.compact import Compacted
from esctl.model import Answer, Column
from esctl.reports.rows import answer_of_rows

COLUMNS = (
    Column("part", "text"), Column("files_before", "integer"), Column("files_after", "integer"),
    Column("bytes_before", "integer"), Column("bytes_after", "integer"),
)  # fmt: skip


def compact_answer(session: Session, parts: Iterable[Compacted]) -> Answer:
    """Return an answer with a row for each part of the store."""
    return answer_of_rows(session, COLUMNS, [astuple(part) for part in parts], "compacted")
