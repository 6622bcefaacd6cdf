"""Answers made of given rows instead of a query of a store."""

from __future__ import annotations

from collections.abc import Sequence

from esctl.engine.duckdb import Session
from esctl.engine.quoting import identifier, literal
from esctl.model import Answer, Column, Findings

_TYPES = {"text": "VARCHAR", "integer": "BIGINT", "time": "TIMESTAMP"}


def answer_of_rows(
    session: Session,
    columns: tuple[Column, ...],
    rows: Sequence[Sequence[str | int | None]],
    title: str,
    findings: Findings | None = None,
) -> Answer:
    """Return an answer of these rows, in this order. Columns are text, integer or time (RFC 3339 in UTC)."""
    casts = ", ".join(
        f"CAST(c{number} AS {_TYPES[column.kind]}) AS {identifier(column.name)}"
        for number, column in enumerate(columns)
    )
    names = ", ".join(["n", *(f"c{number}" for number in range(len(columns)))])
    nothing = [[None] * len(columns)]
    values = ", ".join(f"({', '.join(map(literal, [number, *row]))})" for number, row in enumerate(rows or nothing))
    limit = "" if rows else " LIMIT 0"
    sql = f"SELECT {casts} FROM (VALUES {values}) v({names}) ORDER BY n{limit}"
    return Answer(session, sql, columns, title=title, findings=findings)
