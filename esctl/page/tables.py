"""The rows of a page: answers as JSON Lines in, short rows out. Every value stays the JSON text that it was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from esctl.output.writers.changes import compact, parse_exact

Row = dict[str, Any]
_STATE = ("version", "position")


class NumberedNames:
    """Names that rows share, each listed once: rows have a name's number, by order of first appearance."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def number(self, name: Any) -> int:
        """Return the number of a name."""
        return self._numbers.setdefault(name, len(self._numbers))

    def number_or_none(self, name: Any) -> int | None:
        """Return the number of a name, or None for None."""
        return None if name is None else self.number(name)

    def find_number(self, name: Any) -> int | None:
        """Return the number of a name, or None if it has none yet."""
        return self._numbers.get(name)

    @property
    def listed(self) -> list[Any]:
        """List the names by number."""
        return list(self._numbers)


class Shared(Struct, frozen=True):
    """The names that the rows of a page share; an entity's is a pair of its name and kind."""

    entities: NumberedNames
    types: NumberedNames
    actors: NumberedNames
    fields: NumberedNames

    @classmethod
    def new(cls) -> Shared:
        """Return one without any names."""
        return cls(NumberedNames(), NumberedNames(), NumberedNames(), NumberedNames())


def read_rows(lines: Iterable[bytes]) -> Iterable[Row]:
    """Yield the rows of JSON Lines, numbers as written. Raises ValueError for a line that is not an object."""
    for line in lines:
        row = parse_exact(line.decode("utf-8"))
        if not isinstance(row, dict):
            raise ValueError("a line is not a JSON object")
        yield row


def state_rows(rows: Iterable[Row], shared: Shared) -> list[list[Any]]:
    """Return `[entity, version, position, time, [[field, JSON text], ...]]` per state; null for fields: deleted."""
    found = []
    for row in rows:
        state = row["state"]
        entity = shared.entities.number((row["entity"], row["kind"]))
        fields = None if state is None else [[shared.fields.number(key), compact(state[key])] for key in state]
        found.append([entity, *(_whole(row[name]) for name in _STATE), row["time"], fields])
    return found


def trail_rows(rows: Iterable[Row], shared: Shared) -> list[list[Any]]:
    """Return `[position, time, entity, type, actor, id, version, changes, role, correlation]` per event.

    Nulls at the end are cut. A change is `[field, after]` if the value before is the one that an earlier row left, else
    `[field, after, before]`; null is an absent field.
    """
    found: list[list[Any]] = []
    left: dict[tuple[int, int], str | None] = {}
    for row in rows:
        entity = shared.entities.number((row["entity"], row["kind"]))
        changes = []
        for change in row["changes"]:
            field = shared.fields.number(change["field"])
            before, after = (compact(change[side]) if side in change else None for side in ("before", "after"))
            known = left.get((entity, field), ...) == before
            changes.append([field, after] if known else [field, after, before])
            left[entity, field] = after
        short = [
            _whole(row["position"]), row["time"], entity, shared.types.number_or_none(row["type"]),
            shared.actors.number_or_none(row["actor"]), row["id"], _whole(row["version"]), changes, row["role"],
            row["correlation"],
        ]  # fmt: skip
        while short[-1] is None:
            short.pop()
        found.append(short)
    return found


def plain_rows(rows: Iterable[Row], columns: Mapping[str, str]) -> list[list[Any]]:
    """Return the values of some columns, by kind: `integer` as a number, `json` as JSON text, others unchanged."""
    return [[_cell(row[name], kind) for name, kind in columns.items()] for row in rows]


def _cell(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "integer":
        return _whole(value)
    return compact(value) if kind == "json" else value


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def tied_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of a trace without the events that are tied to no other."""
    parents = {row["parent"] for row in rows}
    return [row for row in rows if row["parent"] is not None or row["position"] in parents]


def inert_json(value: Any) -> str:
    """Return a value as JSON that cannot end the script element around it."""
    return inert(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def inert(text: str) -> str:
    """Return JSON with `<`, `>` and `&` in its strings escaped."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
