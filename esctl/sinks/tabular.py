"""States as rows of a table: a column per field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from esctl.engine.duckdb import Session, explained, single_row
from esctl.engine.exact_text import (
    member_sql,
    members_sql,
    printable_json_sql,
    unmark_json_sql,
    unmark_text_sql,
)
from esctl.engine.quoting import identifier, literal
from esctl.index.envelope.paths import json_pointer
from esctl.index.scan import read_json
from esctl.model import MARK, Answer
from esctl.output.cells import number_sql
from esctl.projection.fold import MOST_FIELDS
from esctl.sinks.columns import COLUMNS_BEFORE, WHOLE, Field, Kind, can_stay, grow_fields, rebuild_fields
from esctl.sinks.protocol import NeedsWholeError

STAGED = "esctl_staged"
"""The table of the changed states that were computed last, with the columns of `replay`."""


class Staged(Struct, frozen=True):
    """Changed states in the table `STAGED`, and their fields (whose columns have no names yet)."""

    session: Session
    fields: tuple[Field, ...]

    def cells(self, fields: Sequence[Field], types: Mapping[str, str]) -> str:
        """Return SQL of the states that are not removed: entity, kind, a column per field, version, position, time.

        A cell is text: what a string holds, a number with all its digits, JSON text. `types` (by column) are the
        types to cast it to; without one it stays text.
        """
        names = [field.name for field in self.fields if not field.whole_state]
        places = {name: number for number, name in enumerate(names, 1)}
        items = [
            f"CAST({_cell_sql(field, places.get(field.name))} AS {types.get(field.column, 'VARCHAR')}) "
            f"AS {identifier(field.column)}"
            for field in fields
        ]
        numbers = [f"CAST({name} AS BIGINT) AS {name}" for name in ("version", "position")]
        selected = ", ".join([*COLUMNS_BEFORE, *items, *numbers, "time"])
        states = _states_with_values(names)
        return f"SELECT {selected} FROM ({states}) ORDER BY kind, entity"

    def columns(
        self, known: Sequence[Field], type_of: Callable[[Field], str], *, fresh: bool, longest: int | None = None
    ) -> tuple[Field, ...]:
        """Return the columns that a table with the columns `known` needs for these states, or a `fresh` table.

        Raises NeedsWholeError if there would be too many, or the values in the table would not fit them.
        """
        if fresh:
            return rebuild_fields(known, self.fields, longest)
        if any(field.whole_state for field in known):
            return tuple(known)
        wider = grow_fields(known, self.fields, longest)
        crowded = len(wider) > MOST_FIELDS or any(field.whole_state for field in wider)
        if crowded or not can_stay(known, wider, type_of):
            raise NeedsWholeError
        return wider

    @property
    def removed_sql(self) -> str:
        """Return SQL of the kind and entity of the states to remove."""
        return f"SELECT kind, entity FROM {STAGED} WHERE state IS NULL"

    @property
    def touched_sql(self) -> str:
        """Return SQL of the kind and entity of all changed states, removed ones included."""
        return f"SELECT kind, entity FROM {STAGED}"

    @property
    def count(self) -> int:
        """Return the number of changed states, removed ones included."""
        row = single_row(self.session.connection, f"SELECT count(*) FROM {STAGED}")
        assert row is not None
        return int(row[0])

    def discard(self) -> None:
        """Drop the table `STAGED`."""
        self.session.connection.execute(f"DROP TABLE IF EXISTS {STAGED}")


def stage(session: Session, rows: Answer) -> Staged:
    """Compute changed states, and find their fields and what kinds of values these have."""
    with explained():
        session.connection.execute(f"CREATE OR REPLACE TEMP TABLE {STAGED} AS SELECT * FROM ({rows.sql})")
        keys = f"SELECT DISTINCT unnest(json_keys(state)) AS k FROM {STAGED}"
        keys_found = session.connection.execute(f"SELECT {unmark_text_sql('k')} FROM ({keys})").fetchall()
    names = sorted(name for (name,) in keys_found)
    if len(names) > MOST_FIELDS:
        return Staged(session, (WHOLE,))
    return Staged(session, tuple(_measure_fields(session, names)))


def stage_whole(session: Session, rows: Answer) -> Staged:
    """Compute changed states, for a target that keeps each as a whole."""
    with explained():
        session.connection.execute(f"CREATE OR REPLACE TEMP TABLE {STAGED} AS SELECT * FROM ({rows.sql})")
    return Staged(session, (WHOLE,))


def duckdb_type(field: Field) -> str:
    """Return the type of DuckDB for a field's column: the one that holds all of its values, else text."""
    if field.kind == "number":
        return "BIGINT" if field.is_integer else f"DECIMAL(38,{field.scale})" if field.is_decimal else "VARCHAR"
    return {"boolean": "BOOLEAN", "json": "JSON"}.get(field.kind, "VARCHAR")


def content_sql(table: str, fields: Sequence[Field]) -> str:
    """Write SQL for the rows of `Content`, from a relation whose columns have types that hold all of their values."""
    cells = [f"{_column_text(field)} AS {identifier(field.column)}" for field in fields]
    selected = ", ".join([*COLUMNS_BEFORE, *cells, "version", "position", "timezone('UTC', time) AS time"])
    return f"SELECT {selected} FROM {table}"


def _column_text(field: Field) -> str:
    column = identifier(field.column)
    if field.kind == "number" and (field.is_integer or field.is_decimal):
        return number_sql(column)
    return f"CAST({column} AS VARCHAR)"


def _measure_fields(session: Session, names: Sequence[str]) -> list[Field]:
    if not names:
        return []
    items = []
    for number in range(1, len(names) + 1):
        text = f"CASE WHEN {_is_number_sql(f'l[{number}]')} THEN {unmark_json_sql(f'l[{number}]')} END"
        items.append(f"list(DISTINCT {_kind_sql(f'l[{number}]')}), {_digits_sql(text)}")
    with explained():
        row = single_row(session.connection, f"SELECT {', '.join(items)} FROM ({_states_with_values(names)})")
    assert row is not None
    fields = []
    for number, name in enumerate(names):
        kinds, whole, scale = row[3 * number : 3 * number + 3]
        only: set[Kind] = {kind for kind in kinds or () if kind is not None}
        kind: Kind = "none" if not only else only.pop() if len(only) == 1 else "json"
        fields.append(Field(name, "", kind, max(whole or 0, 0), max(scale or 0, 0)))
    return fields


def _states_with_values(names: Sequence[str]) -> str:
    """Write SQL for the states that stay, with a list `l` of each field's JSON text: a state is parsed only once."""
    if not names:
        return f"SELECT * FROM {STAGED} WHERE state IS NOT NULL"
    pointers = ", ".join(literal(json_pointer((name,))) for name in names)
    values = f"CAST(json_extract(state, [{pointers}]) AS VARCHAR[])"
    return f"SELECT *, {values} AS l FROM {STAGED} WHERE state IS NOT NULL"


def _is_number_sql(json: str) -> str:
    marked = f"(starts_with({json}, '\"{MARK}') AND {json}[3:3] <> '{MARK}')"
    return f"(ascii({json}) BETWEEN 45 AND 57 OR {marked})"


def _kind_sql(json: str) -> str:
    """Write SQL for the kind of value that a JSON text is; NULL for null."""
    return f"""CASE WHEN {_is_number_sql(json)} THEN 'number' ELSE CASE {json}[1:1] WHEN '"' THEN 'text'
        WHEN 't' THEN 'boolean' WHEN 'f' THEN 'boolean' WHEN '{{' THEN 'json' WHEN '[' THEN 'json' END END"""


def _digits_sql(text: str) -> str:
    """Write SQL for the most digits that numbers in a column of texts have before and after the point."""
    exponent = f"coalesce(try_cast(nullif(regexp_extract({text}, '[eE][+]?(-?[0-9]+)$', 1), '') AS HUGEINT), 0)"
    whole = f"length(ltrim(regexp_extract({text}, '^-?([0-9]+)', 1), '0')) + {exponent}"
    scale = f"length(rtrim(regexp_extract({text}, '^-?[0-9]+[.]([0-9]+)', 1), '0')) - {exponent}"
    return f"max({whole}), max({scale})"


def _cell_sql(field: Field, place: int | None) -> str:
    """Write SQL for the value of a field, item `place` of the list `l`, as the text of a column of its kind.

    A value of another kind becomes MARK and JSON text, which no cell of the field's kind can be.
    """
    if field.whole_state:
        members = f"list_transform({members_sql('state')}, lambda m: {member_sql('m')})"
        return printable_json_sql(f"('{{' || array_to_string(list_sort({members}), ',') || '}}')")
    if place is None:
        return "NULL"
    json = f"nullif(l[{place}], 'null')"
    if field.kind == "json":
        return printable_json_sql(json)
    text = (
        read_json(json, (), "text", marked=True) if field.kind == "text" else _without_zeros(printable_json_sql(json))
    )
    return f"CASE WHEN {_kind_sql(json)} = {literal(field.kind)} THEN {text} ELSE {literal(MARK)} || {json} END"


def _without_zeros(text: str) -> str:
    """Write SQL for a number's text without the zeros at its end, which a declared type may add."""
    short = f"rtrim(rtrim({text}, '0'), '.')"
    return f"CASE WHEN contains({text}, '.') AND NOT contains({text}, 'e') THEN {short} ELSE {text} END"
