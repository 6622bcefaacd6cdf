"""Join the files of an answer's parts, so that the rows are those that one process would give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esctl.engine.quoting import identifier, text_list

if TYPE_CHECKING:
    from esctl.model import Answer, Totals

_STORABLE = ("BIGINT", "BOOLEAN", "DOUBLE", "INTEGER", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "VARCHAR")
"""The types, besides DECIMAL, that Parquet gives back unchanged."""
_NO_TYPE = '"NULL"'


def rows_sql(answer: Answer, *, flat: bool) -> str:
    """Return the SELECT of a part: its rows with the columns that they are sorted by, or its totals."""
    if answer.totals is not None:
        return answer.totals.sql
    return answer.flat_sql if flat else answer.keyed or answer.sql


def types_of(connection: Any, sql: str) -> tuple[str, ...]:
    """Return the types of the columns of a SELECT."""
    return tuple(row[1] for row in connection.execute(f"DESCRIBE {sql}").fetchall())


def _is_storable(kind: str) -> bool:
    kind = kind.removesuffix("[]")
    return kind in _STORABLE or (kind.startswith("DECIMAL(") and kind.endswith(")"))


def stored_items(types: Sequence[str]) -> list[str]:
    """Write the columns c0, c1, ... as they are stored."""
    return [f"c{i}" if _is_storable(kind) else f"CAST(c{i} AS VARCHAR) AS c{i}" for i, kind in enumerate(types)]


def stored_types(types: Sequence[str]) -> list[str]:
    """Return the types that columns are stored in."""
    return [kind if _is_storable(kind) else "VARCHAR" for kind in types]


def _value_sql(column: str, kind: str) -> str:
    return column if _is_storable(kind) or kind == _NO_TYPE else f"CAST({column} AS {kind})"


def join_parts(files: Sequence[Path], answer: Answer, types: Sequence[str], *, flat: bool) -> str:
    """Return the SELECT of an answer's rows from the files of its parts, with its columns, in its order."""
    if answer.totals is not None:
        return _add_up(files, answer.totals, types)
    columns = (*answer.flat_columns, *answer.beside) if flat else answer.columns
    names = [column.name for column in columns]
    names += [name for name in answer.order if name not in names]
    values = [_value_sql(f"c{i}", kind) for i, kind in enumerate(types)]
    order = ", ".join(values[names.index(name)] for name in answer.order)
    shown = list(zip(values, names, strict=True))[: len(columns)]
    items = ", ".join(f"{value} AS {identifier(name)}" for value, name in shown)
    return f"SELECT {items} FROM {_read_sql(files)} ORDER BY {order}"


def _add_up(files: Sequence[Path], totals: Totals, types: Sequence[str]) -> str:
    names = [*totals.keys, *totals.functions]
    values = [_value_sql(f"c{i}", kind) for i, kind in enumerate(types)]
    items = [
        f"CAST({totals.functions[name]}({value}) AS {kind})" if name in totals.functions else value
        for value, kind, name in zip(values, types, names, strict=True)
    ]
    listed = ", ".join(f"{item} AS {identifier(name)}" for item, name in zip(items, names, strict=True))
    return totals.finish(f"SELECT {listed} FROM {_read_sql(files)} GROUP BY {', '.join(items[: len(totals.keys)])}")


def _read_sql(files: Sequence[Path]) -> str:
    return f"read_parquet({text_list([str(file) for file in files])})"
