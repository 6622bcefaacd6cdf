"""How a notebook shows an answer: the first rows as a table, what is to be said of them, and their basis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from esctl.output.text import visible

if TYPE_CHECKING:
    from esctl.api.relation import Relation
    from esctl.model import Column

MOST_ROWS = 20
MOST_COLUMNS = 30
MOST_CHARACTERS = 200
_NUMBERS = ("integer", "number")
_SMALL = ' style="font-size: smaller; margin: 0.3em 0"'


def as_html(relation: Relation) -> str:
    """Write an answer as a table of its first rows; whatever comes from a log is inert."""
    from esctl.output import to_texts

    columns, rows = to_texts(relation.answer, MOST_ROWS + 1)
    shown = columns[:MOST_COLUMNS]
    head = "".join(f"<th{_side(column)}>{_head(column)}</th>" for column in shown)
    body = "".join(f"<tr>{_row(row, shown)}</tr>" for row in rows[:MOST_ROWS])
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    lines = [*_cut(len(rows), [column.name for column in columns]), *relation.notes()]
    return f"<div>{table}{_lines(lines)}{_lines(_basis(relation))}</div>"


def _side(column: Column) -> str:
    return f' style="text-align: {"right" if column.kind in _NUMBERS else "left"}"'


def _head(column: Column) -> str:
    return escape(visible(f"{column.name} (UTC)" if column.kind == "time" else column.name))


def _row(row: Sequence[str | None], columns: Sequence[Column]) -> str:
    return "".join(f"<td{_side(column)}>{_cell(text)}</td>" for text, column in zip(row, columns, strict=False))


def _cell(text: str | None) -> str:
    if text is None:
        return ""
    cut = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}… ({len(text):,} characters)"
    return escape(visible(cut))


def _cut(rows: int, names: Sequence[str]) -> list[str]:
    told = [] if rows else ["no rows"]
    if rows > MOST_ROWS:
        told.append(f"the first {MOST_ROWS} rows; there are more: .rows(), .df(), .pl() and .arrow() give all of them")
    if left := names[MOST_COLUMNS:]:
        told.append(f"{len(left)} more columns: {', '.join(left[:MOST_COLUMNS])}{', …' * (len(left) > MOST_COLUMNS)}")
    return told


def _basis(relation: Relation) -> list[str]:
    from esctl.ask.scope.basis import to_lines

    return [] if relation.basis is None else to_lines(relation.basis)


def _lines(lines: Iterable[str]) -> str:
    told = "<br>".join(escape(visible(line)) for line in lines)
    return f"<p{_SMALL}>{told}</p>" if told else ""
