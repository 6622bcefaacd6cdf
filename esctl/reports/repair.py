"""repair: what was mended, and what evidence is lost."""

from __future__ import annotations

from collections.abc import Sequence

from esctl.engine.duckdb import Session
from esctl.maintain.repair import RepairStep
from esctl.model import Answer, Column
from esctl.reports.rows import answer_of_rows

COLUMNS = (
    Column("what", "text"), Column("result", "text"), Column("file", "text"), Column("first", "integer"),
    Column("last", "integer"), Column("message", "text"),
)  # fmt: skip


def repair_answer(session: Session, steps: Sequence[RepairStep]) -> Answer:
    """Return an answer with a row for each thing that was wrong."""
    rows = [(step.what, step.result, step.file, step.first, step.last, step.message) for step in steps]
    return answer_of_rows(session, COLUMNS, rows, "repair")
