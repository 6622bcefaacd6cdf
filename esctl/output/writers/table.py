"""A table for people: rich, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any, BinaryIO

from msgspec import Struct

from esctl.model import Column
from esctl.output.cells import text_sql
from esctl.output.rows import Row, pieces
from esctl.output.selection import Selection
from esctl.output.target import Target, Written
from esctl.output.text import visible
from esctl.output.writers.changes import parse_changes, parse_items, parse_object, parse_values
from esctl.output.writers.layout import GAP, can_fold, fit_widths, unfolded_widths
from esctl.output.zone import Zone

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

TABLE_ROWS = 1000
"""Rows that a table shows if no limit is given: all of them have to be measured before it is drawn."""

_LONGEST_TEXT = 2000
_LONGEST_JSON = 500
_MOST_LINES = 40
_MOST_VALUES = 10
_POSITIONS = frozenset({"positions", "undoes", "undoes_ids", "examples"})
"""Columns of lists that only say where to look: a table shows the first of many."""
_SHAPES = frozenset({"fields"})
"""Columns of objects that only name the kind of value in each field: a table writes them in one line."""
_STYLES = {"before": "red strike", "after": "green"}


def write_table(selection: Selection, connection: Any, target: Target, zone: Zone, sink: BinaryIO) -> Written:
    """Write rows as one table, or as one block of lines per row if too many columns share the width.

    Columns without any value are left out (and named below) unless they were asked for.
    """
    limit = TABLE_ROWS if target.limit is None else target.limit
    texts = [text_sql(expr, column, zone, rfc3339=False) for expr, column in selection.cells]
    rows: list[Row] = []
    with pieces(connection, selection.select(texts, limit + 1)) as found:
        for piece in found:
            rows += piece
    written = Written(min(len(rows), limit), len(rows) > limit)
    rows = rows[:limit]
    kept = [i for i in range(len(texts)) if target.columns or not rows or any(row[i] is not None for row in rows)]
    columns = [selection.columns[i] for i in kept]
    heads = [_head_text(column, zone) for column in columns]
    cells = [[_cell(row[i], selection.columns[i]) for i in kept] for row in rows]
    grid = _side_by_side(columns, heads, cells, target)
    empty = [visible(c.name) for i, c in enumerate(selection.columns) if i not in kept]
    spared = [visible(c.name) for i, c in enumerate(columns) if grid is not None and i not in grid.kept]

    console = _console(target)
    if selection.title:
        _print(console, _text(visible(selection.title), "bold"))
    if grid is not None:
        console.print(_draw_grid(columns, grid))
    else:
        _print_blocks(console, heads, cells)
    _print(console, _text(_footer(written, target, empty, spared), "dim"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    sink.write("".join(line.rstrip(" ") + "\n" for line in text.split("\n")[:-1]).encode())
    return written


def _console(target: Target) -> Console:
    from rich.console import Console

    return Console(
        file=StringIO(),
        width=target.width,
        force_terminal=target.color,
        color_system="standard" if target.color else None,
        no_color=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={},
    )


def _print(console: Console, text: Text) -> None:
    console.print(text, overflow="fold")


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(text, style=style)


def _head_text(column: Column, zone: Zone) -> str:
    return visible(f"{column.name} ({zone.name})" if column.kind == "time" else column.name)


def _cell(value: str | None, column: Column) -> Text:
    if value is None:
        return _text("")
    if column.name in _SHAPES and (fields := parse_object(value)) is not None:
        kinds = ((visible(name), _shorten(item, _LONGEST_JSON).strip('"')) for name, item in fields)
        return _text(", ".join(f"{name} {kind}" for name, kind in kinds))
    if column.kind == "json" and (lines := _cell_lines(value)):
        left = [_text(f"… ({len(lines) - _MOST_LINES} more)")] if len(lines) > _MOST_LINES else []
        return _text("\n").join([*lines[:_MOST_LINES], *left])
    if column.name in _POSITIONS and (values := parse_values(value)) and len(values) > _MOST_VALUES:
        shown = ",".join(_shorten(item, _LONGEST_JSON) for item in values[:_MOST_VALUES])
        return _text(f"[{shown},… ({len(values) - _MOST_VALUES} more)]")
    style = _STYLES.get(column.name, "") if column.kind in ("json", "text") else ""
    return _text(_shorten(value, _LONGEST_JSON if column.kind == "json" else _LONGEST_TEXT), style)


def _cell_lines(value: str) -> list[Text]:
    """Return a line for each change, each field of an object, or each object of a list; [] for anything else."""
    if (changes := parse_changes(value)) is not None:
        return [_change_line(visible(c.field), c.before, c.after) for c in changes]
    if (fields := parse_object(value)) is not None:
        return [_text(f"{visible(name)}: {_shorten(item, _LONGEST_JSON)}") for name, item in fields]
    return [_text(_shorten(item, _LONGEST_JSON)) for item in parse_items(value) or ()]


def _change_line(field: str, before: str | None, after: str | None) -> Text:
    line = _text(f"{field}: ")
    if before is not None:
        line.append(_shorten(before, _LONGEST_JSON), style=_STYLES["before"])
        line.append(" ")
    line.append("-> " if after is not None else "-> (removed)")
    if after is not None:
        line.append(_shorten(after, _LONGEST_JSON), style=_STYLES["after"])
    return line


def _shorten(text: str, longest: int) -> str:
    if len(text) <= longest:
        return visible(text)
    return f"{visible(text[:longest])}… ({len(text) - longest} characters more)"


def _narrow_times(
    columns: Sequence[Column], heads: Sequence[str], cells: Sequence[Sequence[Text]], width: int
) -> tuple[Sequence[str], Sequence[Sequence[Text]]]:
    """Put the time of day below the date if the rows are wider than the table may be."""
    if sum(unfolded_widths(heads, cells)) + GAP * (len(columns) - 1) <= width:
        return heads, cells
    times = [column.kind == "time" for column in columns]
    narrow_heads = [head.replace(" (", "\n(") if time else head for head, time in zip(heads, times, strict=True)]
    narrow_cells = [
        [_text(cell.plain.replace(" ", "\n")) if time else cell for cell, time in zip(row, times, strict=True)]
        for row in cells
    ]
    return narrow_heads, narrow_cells


class _Grid(Struct, frozen=True):
    """Columns side by side: their indices, heads, cells and widths."""

    kept: Sequence[int]
    heads: Sequence[str]
    cells: Sequence[Sequence[Text]]
    widths: Sequence[int]


def _side_by_side(
    columns: Sequence[Column], heads: Sequence[str], cells: Sequence[Sequence[Text]], target: Target
) -> _Grid | None:
    """Lay columns side by side: all, else without those that can be spared; None if even the others do not fit."""
    whole = range(len(columns))
    needed = [at for at in whole if target.columns or not columns[at].spare]
    for kept in (whole, needed) if needed else (whole,):
        some = [columns[at] for at in kept]
        few = [[row[at] for at in kept] for row in cells]
        narrow_heads, narrow_cells = _narrow_times(some, [heads[at] for at in kept], few, target.width)
        widths = fit_widths(some, narrow_heads, narrow_cells, target.width)
        if widths is not None:
            return _Grid(kept, narrow_heads, narrow_cells, widths)
    return None


def _draw_grid(columns: Sequence[Column], grid: _Grid) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for at, head, width in zip(grid.kept, grid.heads, grid.widths, strict=True):
        right = columns[at].kind in ("integer", "number")
        table.add_column(
            _text(head),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=not can_fold(columns[at]),
            width=width,
        )
    for row in grid.cells:
        table.add_row(*row)
    return table


def _print_blocks(console: Console, heads: Sequence[str], cells: Sequence[Sequence[Text]]) -> None:
    from rich.table import Table

    for row in cells:
        block = Table.grid(padding=(0, GAP, 0, 0))
        block.add_column(style="bold", no_wrap=True, max_width=console.width // 3)
        block.add_column(overflow="fold")
        for head, cell in zip(heads, row, strict=True):
            if cell.plain:
                block.add_row(_text(head), cell)
        console.print(block if block.row_count else _text("(no values)", "dim"))
        console.print()


def _footer(written: Written, target: Target, empty: Sequence[str], spared: Sequence[str]) -> str:
    count = f"{written.rows:,} row" + ("" if written.rows == 1 else "s")
    count = count if written.rows != 1 or not written.more else "row"
    if written.more and target.limit is None:
        count = f"the first {count}; all of them: --limit N, or -f jsonl"
    elif written.more:
        count = f"the first {count}, as --limit says"
    count += f" · empty: {', '.join(empty)}" if empty else ""
    return count + (f" · no room for: {', '.join(spared)}" if spared else "")
