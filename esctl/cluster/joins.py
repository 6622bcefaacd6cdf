"""The files of parts of an answer, put together as one process gives them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esctl.engine.quoting import identifier, text_list

if TYPE_CHECKING:
    from esctl.model import Answer

_KEPT = ("BIGINT", "BOOLEAN", "DOUBLE", "INTEGER", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "VARCHAR")
"""The types that Parquet gives back as they were, and DECIMAL."""
_NO_TYPE = '"NULL"'


def rows_sql(answer: Answer, *, flat: bool) -> str:
    """Return the SELECT of an answer's rows with the columns that they are sorted by."""
    return answer.flat_sql if flat else answer.keyed or answer.sql


def types_of(connection: Any, sql: str) -> tuple[str, ...]:
    """Return the types of the columns of a SELECT."""
    return tuple(row[1] for row in connection.execute(f"DESCRIBE {sql}").fetchall())


def _is_kept(kind: str) -> bool:
    return kind in _KEPT or (kind.startswith("DECIMAL(") and kind.endswith(")"))


def stored_items(types: Sequence[str]) -> list[str]:
    """Write the columns c0, c1, ... as they are stored."""
    return [f"c{i}" if _is_kept(kind) else f"CAST(c{i} AS VARCHAR) AS c{i}" for i, kind in enumerate(types)]


def stored_types(types: Sequence[str]) -> list[str]:
    """Return the types that columns are stored in."""
    return [kind if _is_kept(kind) else "VARCHAR" for kind in types]


def _value(column: str, kind: str) -> str:
    return column if _is_kept(kind) or kind == _NO_TYPE else f"CAST({column} AS {kind})"


def joined(files: Sequence[Path], answer: Answer, types: Sequence[str], *, flat: bool) -> str:
    """Select the rows of an answer from the files of its parts, in its order, with the answer's columns."""
    columns = (*answer.flat_columns, *answer.beside) if flat else answer.columns
    names = [column.name for column in columns]
    names += [name for name in answer.order if name not in names]
    values = [_value(f"c{i}", kind) for i, kind in enumerate(types)]
    if answer.sums:
        values = [
            f"CAST(sum({value}) AS {kind})" if name in answer.sums else value
            for value, kind, name in zip(values, types, names, strict=True)
        ]
    order = ", ".join(values[names.index(name)] for name in answer.order)
    shown = list(zip(values, names, strict=True))[: len(columns)]
    items = ", ".join(f"{value} AS {identifier(name)}" for value, name in shown)
    alike = f" GROUP BY {order}" if answer.sums else ""
    return f"SELECT {items} FROM read_parquet({text_list([str(file) for file in files])}){alike} ORDER BY {order}"
