"""Choose the payload fields that get a typed column of their own, and check, write and read these columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from esctl.engine.exact_text import is_number_mark_sql, json_string, unmark
from esctl.engine.quoting import identifier, literal

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["boolean", "bigint", "decimal", "string", "container"]

MOST_COLUMNS = 256
LEAST_SHARE = 0.005
"""A field in fewer of the sampled records than this share gets no column."""
_NAME = r'"(?:[^"\\]|\\.)*"'
NARROW, WIDE = 18, 38
"""Decimal digits that fit 8 and 16 bytes."""


class PayloadColumn(Struct, frozen=True):
    """A typed column for one top-level field of the payload."""

    field: str
    kind: Kind
    precision: int = 0  # decimal only
    scale: int = 0

    @property
    def name(self) -> str:
        """Name the column in the Parquet file."""
        return f"data.{self.field}"

    @property
    def sql_type(self) -> str:
        """Return the column's DuckDB type."""
        if self.kind == "decimal":
            return f"DECIMAL({self.precision},{self.scale})"
        return {"boolean": "BOOLEAN", "bigint": "BIGINT"}.get(self.kind, "VARCHAR")

    @property
    def arrow_type(self) -> pa.DataType:
        """Return the column's Arrow type."""
        import pyarrow as pa

        if self.kind == "decimal":
            return pa.decimal128(self.precision, self.scale)
        return {"boolean": pa.bool_(), "bigint": pa.int64()}.get(self.kind, pa.string())

    @property
    def json_kind(self) -> str:
        """Name the JSON type of its values: STRING, NUMBER, BOOLEAN, or CONTAINER (an object or an array)."""
        return {"boolean": "BOOLEAN", "string": "STRING", "container": "CONTAINER"}.get(self.kind, "NUMBER")

    def holds(self, text: str, json_type: str) -> str:
        """Write the SQL condition that the column keeps a value exactly; `text` and `json_type` are SQL."""
        if self.kind == "boolean":
            return f"{json_type} = 'BOOLEAN'"
        if self.kind == "string":
            return f"{json_type} = 'VARCHAR'"
        if self.kind == "container":
            return f"{json_type} IN ('OBJECT', 'ARRAY')"
        value = f"try_cast({text} AS {self.sql_type})"
        if self.kind == "bigint":
            return f"({json_type} IN ('BIGINT', 'UBIGINT') AND {value} IS NOT NULL)"
        # Unmarked numbers have at most 15 significant digits, so two different ones are different doubles.
        exact = f"CAST({value} AS DOUBLE) = try_cast({text} AS DOUBLE)"
        return f"({json_type} IN ('BIGINT', 'UBIGINT', 'DOUBLE') AND coalesce({exact}, false))"


class FieldSample(Struct, frozen=True):
    """How often a field was seen with each JSON type in a sample, and how large its numbers were."""

    field: str
    json_type: str
    count: int
    whole_digits: int
    scale: int


def choose_columns(samples: Iterable[FieldSample], records: int) -> tuple[PayloadColumn, ...]:
    """Choose the typed columns for a batch from a sample of `records` records: of the most frequent fields, by name."""
    by_field: dict[str, list[FieldSample]] = {}
    for sample in samples:
        by_field.setdefault(sample.field, []).append(sample)
    chosen = [
        (sum(s.count for s in seen), _choose_column(field, seen))
        for field, seen in by_field.items()
        if sum(s.count for s in seen) >= max(1.0, records * LEAST_SHARE)
    ]
    chosen.sort(key=lambda pair: (-pair[0], pair[1].field))
    taken: set[str] = set()
    columns: list[PayloadColumn] = []
    for _, column in chosen[:MOST_COLUMNS]:
        # DuckDB's column names ignore case: of two such fields only one can be a column.
        if column.field.lower() not in taken and "\x00" not in column.field:
            taken.add(column.field.lower())
            columns.append(column)
    return tuple(sorted(columns, key=lambda column: column.field))


def _choose_column(field: str, seen: Sequence[FieldSample]) -> PayloadColumn:
    counts: dict[Kind, int] = {}
    for sample in (sample for sample in seen if sample.json_type != "NULL"):
        kind = _choose_kind(sample.json_type)
        counts[kind] = counts.get(kind, 0) + sample.count
    numbers = counts.pop("bigint", 0) + counts.get("decimal", 0)
    if numbers:
        counts["decimal"] = numbers
    best: Kind = max(counts, key=lambda kind: counts[kind]) if counts else "string"
    if best != "decimal":
        return PayloadColumn(field, best)
    if not any(_choose_kind(sample.json_type) == "decimal" for sample in seen):
        return PayloadColumn(field, "bigint")
    whole = max(sample.whole_digits for sample in seen)
    scale = max(sample.scale for sample in seen)
    narrow = whole + scale <= NARROW - 2  # room for larger numbers than the sample has
    return PayloadColumn(field, "decimal", NARROW if narrow else WIDE, scale)


def _choose_kind(json_type: str) -> Kind:
    if json_type in ("BIGINT", "UBIGINT"):
        return "bigint"
    if json_type == "DOUBLE":
        return "decimal"
    if json_type == "BOOLEAN":
        return "boolean"
    return "container" if json_type in ("OBJECT", "ARRAY") else "string"


def json_kind_sql(json_type: str, text: str) -> str:
    """Return SQL for the kind of a value, maybe a marked number, as `PayloadColumn.json_kind` names it."""
    return f"""CASE {json_type}
        WHEN 'VARCHAR' THEN CASE WHEN {is_number_mark_sql(text)} THEN 'NUMBER' ELSE 'STRING' END
        WHEN 'OBJECT' THEN 'CONTAINER'
        WHEN 'ARRAY' THEN 'CONTAINER'
        WHEN 'BOOLEAN' THEN 'BOOLEAN'
        WHEN 'NULL' THEN 'NULL'
        ELSE 'NUMBER' END"""


def null_mark(column: PayloadColumn) -> str:
    """Return what the index column `nulls` contains if this field of a typed payload is JSON null.

    `nulls` lists such fields as JSON strings (`,"note",,"parent",`): a typed column cannot tell null from missing.
    """
    return f",{json_string(column.field)},"


def listed_nulls(nulls: str) -> list[str]:
    """List the fields that a value of the index column `nulls` names."""
    return [json.loads(unmark(name)) for name in re.findall(_NAME, nulls)]


def trimmed_decimal(value: str) -> str:
    """Write a DECIMAL as text without trailing zeros (SQL in, SQL out)."""
    return f"rtrim(rtrim(CAST({value} AS VARCHAR), '0'), '.')"


def text_of(column: PayloadColumn) -> str:
    """Write SQL for a typed column as text: the content of a JSON string, or the JSON text of another value."""
    name = identifier(column.name)
    if column.kind == "decimal" and column.scale:
        return trimmed_decimal(name)
    return name if column.kind in ("string", "container") else f"CAST({name} AS VARCHAR)"


def json_of(column: PayloadColumn) -> str:
    """Write SQL for a typed column as JSON text; NULL if the field is missing."""
    return f"CAST(to_json({identifier(column.name)}) AS VARCHAR)" if column.kind == "string" else text_of(column)


def json_type_of(column: PayloadColumn) -> str:
    """Write SQL for the JSON type of a typed column: STRING, NUMBER, BOOLEAN, OBJECT, ARRAY, or NULL if missing."""
    name = identifier(column.name)
    if column.kind == "container":
        return f"CASE WHEN {name} IS NULL THEN NULL WHEN starts_with({name}, '[') THEN 'ARRAY' ELSE 'OBJECT' END"
    label = {"boolean": "BOOLEAN", "string": "STRING"}.get(column.kind, "NUMBER")
    return f"CASE WHEN {name} IS NOT NULL THEN {literal(label)} END"
