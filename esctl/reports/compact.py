"""compact: what became of the files."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import astuple

from esctl.engine.duckdb import Session
from esctl.model import Answer, Column
from esctl.reports.rows import listed

COLUMNS = (
    Column("part", "text"), Column("files_before", "integer"), Column("files_after", "integer"),
    Column("bytes_before", "integer"), Column("bytes_after", "integer"),
)  # fmt: skip


class Compacted(Struct, frozen=True):
    """What became of the files of a part of the store: their numbers and bytes, before and after."""

    part: str  # log | index
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def compacted(session: Session, parts: Iterable[Compacted]) -> Answer:
    """Answer with a row for each part of the store."""
    return listed(session, COLUMNS, [astuple(part) for part in parts], "compacted")
