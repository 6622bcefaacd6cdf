"""How the columns of a table share the width of a terminal, if they can."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

from esctl.model import Column

if TYPE_CHECKING:
    from rich.text import Text

    Cells = Sequence[Sequence[Text]]

GAP = 2
"""Characters between columns."""
_LEAST = {"text": 12, "value": 12, "json": 20}
"""The fewest characters in which a column of a kind can be read; values of other kinds are not folded."""
_NAMES = {"entity": 32, "type": 32, "actor": 32, "tree": 40}
"""Columns of names, with the fewest characters that they are folded to."""


def can_fold(column: Column) -> bool:
    """Return whether values of a column may be folded into several lines."""
    return column.kind in _LEAST


def cell_width(text: Text | str) -> int:
    """Return the width of the longest line of a cell."""
    from rich.cells import cell_len

    plain = text if isinstance(text, str) else text.plain
    return max(map(cell_len, plain.split("\n")))


def unfolded_widths(heads: Sequence[str], cells: Cells) -> list[int]:
    """Return the width of each column if nothing is folded."""
    return [max([cell_width(head), *(cell_width(row[index]) for row in cells)]) for index, head in enumerate(heads)]


def fit_widths(columns: Sequence[Column], heads: Sequence[str], cells: Cells, width: int) -> list[int] | None:
    """Return the widths of columns side by side: the widest are narrowed first, as far as they can still be read.

    None if they do not fit side by side, or would be folded into more lines than one below another.
    """
    whole = unfolded_widths(heads, cells)
    least = list(map(_least_width, columns, heads, whole))
    room = width - GAP * (len(columns) - 1)
    if sum(least) > room:
        return None
    found = list(whole)
    while (over := sum(found) - room) > 0:
        order = sorted((at for at in range(len(found)) if found[at] > least[at]), key=lambda at: -found[at])
        widest, below = order[0], found[order[1]] if len(order) > 1 else 0
        found[widest] -= max(1, min(over, found[widest] - max(least[widest], below)))
    if found != whole and _count_grid_lines(cells, found) > _count_block_lines(heads, cells, width):
        return None
    return found


def _least_width(column: Column, head: str, whole: int) -> int:
    least = _NAMES.get(column.name) or _LEAST.get(column.kind)
    return whole if least is None or not can_fold(column) else min(whole, max(least, cell_width(head)))


def _count_grid_lines(cells: Cells, widths: Sequence[int]) -> int:
    return sum(max(map(_count_lines, row, widths), default=1) for row in cells)


def _count_block_lines(heads: Sequence[str], cells: Cells, width: int) -> int:
    room = max(1, width - max(map(cell_width, heads), default=0) - GAP)
    return sum(1 + sum(_count_lines(cell, room) for cell in row if cell.plain) for row in cells)


def _count_lines(cell: Text, width: int) -> int:
    """Count the lines that a cell is folded into."""
    return sum(max(1, ceil(len(line) / max(1, width))) for line in cell.plain.split("\n"))
