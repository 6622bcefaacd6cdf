"""Rows of Cassandra as Debezium writes them: a cell for each column that was written."""

from __future__ import annotations

from typing import Any

from esctl.index.decode.rows.change import Row


def written_cells(row: Any) -> Row | None:
    """Return the values of the cells that a mutation wrote, a deleted one as null; None if a row has no cells."""
    if not isinstance(row, dict) or not row or not all(_is_cell(cell) for cell in row.values()):
        return None
    return {name: cell.get("value") for name, cell in row.items() if cell is not None and cell.get("set") is not False}


def _is_cell(cell: Any) -> bool:
    return cell is None or (isinstance(cell, dict) and "value" in cell and "set" in cell)
