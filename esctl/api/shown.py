"""How a notebook shows an answer: its first rows as a table, its notes and its basis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from esctl.output.text import visible
from esctl.output.writers.changes import Change, parse_changes

if TYPE_CHECKING:
    from esctl.api.relation import Relation
    from esctl.model import Column

MOST_ROWS = 20
MOST_COLUMNS = 30
MOST_CHARACTERS = 200
MOST_CHANGES = 10
_UNWRAPPED = 40
"""Characters up to which a line is not wrapped."""
_NUMBERS = ("integer", "number")
_NOTE_STYLE = ' style="font-size: smaller; margin: 0.3em 0"'


def as_html(relation: Relation) -> str:
    """Return an answer as an HTML table of its first rows; whatever comes from a log is escaped."""
    from esctl.output import to_texts

    columns, rows = to_texts(relation.answer, MOST_ROWS + 1)
    more, rows = len(rows) > MOST_ROWS, rows[:MOST_ROWS]
    filled = [place for place in range(len(columns)) if not rows or any(row[place] is not None for row in rows)]
    shown, left = filled[:MOST_COLUMNS], [columns[place].name for place in filled[MOST_COLUMNS:]]
    empty = [column.name for place, column in enumerate(columns) if place not in filled]
    head = "".join(f"<th{_cell_style(columns[place])}>{_heading(columns[place])}</th>" for place in shown)
    body = "".join(f"<tr>{''.join(_cell(row[place], columns[place]) for place in shown)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    notes = [_count_note(len(rows), more), _names_note("more columns", left), _names_note("empty", empty)]
    below = _paragraph([*filter(None, notes), *relation.notes()]) + _paragraph(_basis_lines(relation))
    return f'<div style="overflow-x: auto">{table}{below}</div>'


def _cell_style(column: Column, lines: Sequence[str] = ()) -> str:
    side = "right" if column.kind in _NUMBERS else "left"
    whole = "; white-space: nowrap" if max(map(len, lines), default=0) <= _UNWRAPPED else ""
    return f' style="text-align: {side}; vertical-align: top{whole}"'


def _heading(column: Column) -> str:
    return escape(visible(f"{column.name} (UTC)" if column.kind == "time" else column.name))


def _cell(text: str | None, column: Column) -> str:
    if text is None:
        return f"<td{_cell_style(column)}></td>"
    changes = parse_changes(text) if column.kind == "json" else None
    lines = [text] if changes is None else [_change_text(change) for change in changes[:MOST_CHANGES]]
    if changes is not None and len(changes) > MOST_CHANGES:
        lines.append(f"… ({len(changes) - MOST_CHANGES} more)")
    return f"<td{_cell_style(column, lines)}>{'<br>'.join(escape(visible(_shorten(line))) for line in lines)}</td>"


def _change_text(change: Change) -> str:
    before = "" if change.before is None else f"{_shorten(change.before)} "
    return f"{change.field}: {before}→ {'(removed)' if change.after is None else _shorten(change.after)}"


def _shorten(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}… ({len(text):,} characters)"


def _count_note(rows: int, more: bool) -> str:
    if more:
        return f"the first {rows} rows; there are more: .rows(), .df(), .pl() and .arrow() give all of them"
    return "" if rows else "no rows"


def _names_note(what: str, names: Sequence[str]) -> str:
    """Return a line that lists the first names, and counts the others; empty for none."""
    more = f" and {len(names) - MOST_COLUMNS} others" if len(names) > MOST_COLUMNS else ""
    return f"{what}: {', '.join(names[:MOST_COLUMNS])}{more}" if names else ""


def _basis_lines(relation: Relation) -> list[str]:
    from esctl.ask.scope.basis import to_lines

    return [] if relation.basis is None else to_lines(relation.basis)


def _paragraph(lines: Iterable[str]) -> str:
    text = "<br>".join(escape(visible(line)) for line in lines)
    return f"<p{_NOTE_STYLE}>{text}</p>" if text else ""
