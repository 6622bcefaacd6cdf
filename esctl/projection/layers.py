"""Columns that a compiled projection computes once per event, one layer upon the other."""

from __future__ import annotations

import re

from msgspec import Struct, field

from esctl.index.pruning import ALWAYS


class Layers(Struct):
    """Columns computed once per event and then used by name: guards, and values that are NULL unless a guard holds.

    Written out at each use, expressions within expressions multiply, and DuckDB plans every copy. A value is computed
    inside CASE: nothing else keeps its `error()` from being raised for an event that the guard excludes.
    """

    names: dict[str, str] = field(default_factory=dict)  # SQL -> name
    levels: dict[str, int] = field(default_factory=dict)  # name -> layer

    def guard(self, sql: str) -> str:
        """Return a name for a condition that is never NULL; what always holds stays as it is."""
        return sql if sql == ALWAYS.sql else self._name(sql, "guard")

    def value(self, guard: str, sql: str) -> str:
        """Return a name for a value that is NULL where the guard does not hold; a bare column stays as it is."""
        if re.fullmatch(r'"read[0-9]+"|[a-z_]+|NULL', sql):
            return sql
        return self._name(sql if guard == ALWAYS.sql else f"CASE WHEN {guard} THEN {sql} END", "value")

    def _name(self, sql: str, prefix: str) -> str:
        if sql not in self.names:
            name = self.names[sql] = f"{prefix}{len(self.names)}"
            self.levels[name] = 1 + max((self.levels.get(other, 0) for other in _names_in(sql)), default=0)
        return self.names[sql]

    def add_columns(self, rows: str, sql: str) -> str:
        """Add to a SELECT of events the columns that `sql` names, and those that these are computed from."""
        sql_of = {name: written for written, name in self.names.items()}
        wanted: set[str] = set()
        ahead = set(_names_in(sql))
        while ahead:
            wanted |= ahead
            ahead = {other for name in ahead for other in _names_in(sql_of[name])} - wanted
        for level in sorted({self.levels[name] for name in wanted}):
            items = [f"{sql_of[name]} AS {name}" for name in sql_of if name in wanted and self.levels[name] == level]
            rows = f"SELECT *, {', '.join(items)} FROM ({rows})"
        return rows


_NAME = re.compile(r"""'[^']*'|"[^"]*"|\b((?:guard|value)[0-9]+)\b""")


def _names_in(sql: str) -> list[str]:
    """List the names of layers in SQL; a quoted text or column that reads like one is none."""
    return [name for name in _NAME.findall(sql) if name]
