"""The findings of an answer, for the formats of checks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from esctl.engine.quoting import identifier
from esctl.errors import UsageError
from esctl.model import Answer, Findings
from esctl.output.rows import pieces


class FoundRow(Struct, frozen=True):
    """One broken rule: its id, one line of text (perhaps empty), and what it is about (perhaps empty).

    `skipped`: it was not broken, but could not be checked.
    """

    rule: str
    message: str
    place: str
    skipped: bool = False


def findings_of(answer: Answer, form: str) -> Findings:
    """Return how to read an answer's rows as findings. Raises UsageError for an answer without findings."""
    if answer.findings is None:
        what = answer.title or "this answer"
        raise UsageError(
            f"{what} has no findings to report as {form}",
            "doctor, when, reconcile and the verify commands have some; other answers: -f json",
        )
    return answer.findings


@contextmanager
def found_rows(answer: Answer, findings: Findings, connection: Any) -> Iterator[Iterator[FoundRow]]:
    """Run the answer and yield the findings among its rows, in their order.

    All of them, whatever limit there is for rows: a rule whose findings were cut off would look as if it held.
    """
    names = ", ".join(identifier(column.name) for column in answer.columns)
    parts = ", ".join(
        f"CAST({sql} AS VARCHAR)" for sql in (findings.rule, findings.message, findings.place, findings.skipped)
    )
    with pieces(connection, f"SELECT {parts} FROM (\n{answer.sql}\n) r({names})") as rows:
        yield (
            FoundRow(name, message or "", place or "", skipped=rule is None)
            for piece in rows
            for rule, message, place, skipped in piece
            if (name := skipped if rule is None else rule) is not None
        )
