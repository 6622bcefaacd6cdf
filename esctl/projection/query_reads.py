"""Resolve the names of expressions against an index, and remember which columns and paths a query needs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from esctl.engine.duckdb import explained, single_row
from esctl.engine.exact_text import json_string_sql
from esctl.engine.once import once
from esctl.engine.quoting import identifier
from esctl.errors import UsageError
from esctl.index.envelope.paths import format_path
from esctl.index.files.manifest import PayloadPath
from esctl.index.payload_reads import Form
from esctl.index.pruning import Test
from esctl.index.scan import EVENT_COLUMNS, OWN_TIME_VALUE, IndexView, Read, read_json
from esctl.projection.values import INTEGER, NUMBER_TEXT, WIDE, Shape, Value
from esctl.projection.wide import number_key

if TYPE_CHECKING:
    import duckdb

    from esctl.projection.syntax import Path


RECORD = "raw_json"
"""The column with the text of an event's record, where a query has it."""


class Reads(Struct):
    """The columns and payload reads of one query, by alias."""

    view: IndexView
    shapes: dict[PayloadPath, Shape]
    columns: dict[str, None] = field(default_factory=dict)
    aliases: dict[Read, str] = field(default_factory=dict)
    nested_types: dict[PayloadPath, str] = field(default_factory=dict)  # as `nested_types` finds them
    lenient: bool = False  # a field that no event ever had is read as missing, and is no error
    records: bool = False  # the query has the column RECORD, so `raw.x` can be read
    _alias_count: int = 0  # aliases so far, so that none is given twice

    def alias(self, read: Read) -> str:
        """Add a payload read; return its quoted alias."""
        if read not in self.aliases:
            self.aliases[read] = f"read{self._alias_count}"
            self._alias_count += 1
        return identifier(self.aliases[read])

    def drop_unused(self, sql: str) -> None:
        """Drop the reads that the SQL does not name: DuckDB would plan them for nothing."""
        used = set(re.findall(r'"(read[0-9]+)"', sql))
        self.aliases = {read: alias for read, alias in self.aliases.items() if alias in used}

    def by_alias(self) -> dict[str, Read]:
        """Return the reads as `IndexView.relation` takes them."""
        return {alias: read for read, alias in self.aliases.items()}

    def resolve(self, path: Path) -> Value:
        """Return the value of a name in an expression."""
        head = path[0]
        if head == "data":
            return self.payload(tuple(path[1:]))
        if head == "raw" and self.records:
            return _record_value(tuple(path[1:]))
        if len(path) == 1 and head in EVENT_COLUMNS:
            return self._column(str(head))
        near = difflib.get_close_matches(str(head), ("data", *EVENT_COLUMNS), 1)
        if head in self.view.fields:  # more likely than a column with a similar name
            near = [format_path(("data", *path))]
        dotted = ".".join(str(part) for part in path)
        names = "data.<field>, " + ", ".join(EVENT_COLUMNS)
        raise UsageError(f"unknown name {dotted!r}", f"did you mean {near[0]}?" if near else f"names are: {names}")

    def payload(self, path: PayloadPath) -> Value:
        """Return the dynamic value of a payload path.

        Raises UsageError for a field that no event has ever had, unless the reads are `lenient`.
        """
        fields = self.view.fields
        if path and fields and path[0] not in fields and not self.lenient:
            near = difflib.get_close_matches(str(path[0]), fields, 1)
            hint = (
                f"did you mean {format_path(('data', near[0], *path[1:]))}?"
                if near
                else "see the fields with: esctl types"
            )
            raise UsageError(f"no event has ever had the field data.{path[0]}", hint)
        shape = self.shapes.get(path, WIDE)
        text = self.alias(Read(path, "text"))
        return Value(
            self.alias(Read(path, "json")),
            "dynamic",
            shape,
            text=text,
            json_type=self.alias(Read(path, "type")),
            number=number_key(text) if shape.is_wide else self.alias(Read(path, "number", shape.sql_type)),
            static=self.view.static_type(path) or self.nested_types.get(path, ""),
            label=".".join(["data", *(str(part) for part in path)]),
        )

    def may_be_container(self, path: PayloadPath) -> bool:
        """Return whether any event may have an object or array at a payload path."""
        edits = self.view.edits
        if not path or (edits is not None and path[0] in edits.made):
            return True
        return "CONTAINER" in self.view.manifest.kinds.get(str(path[0]), ())

    def _column(self, name: str) -> Value:
        self.columns[name] = None
        if name == "time" and not self.view.manifest.is_timed:
            self.columns |= {"undated": None, "invalid": None}
            return Value(OWN_TIME_VALUE, "time")
        if name in ("time", "recorded_at"):
            return Value(name, "time")
        if name == "position":
            return Value("CAST(position AS DECIMAL(19,0))", "number", INTEGER)
        if name == "sequence":
            number = f"regexp_matches(sequence, '{NUMBER_TEXT}')"
            json = f"CASE WHEN {number} THEN sequence ELSE {json_string_sql('sequence')} END"
            kind = f"CASE WHEN {number} THEN 'NUMBER' WHEN sequence IS NOT NULL THEN 'STRING' END"
            whole = not self.view.has_text_sequences
            as_number = f"try_cast(sequence AS {INTEGER.sql_type})" if whole else number_key("sequence")
            return Value(json, "dynamic", INTEGER if whole else WIDE, "sequence", kind, as_number, "", "sequence")
        return Value(identifier(name), "text")


def _record_value(path: PayloadPath) -> Value:
    """Return the dynamic value at a path of an event's record as it was received."""
    forms: tuple[Form, ...] = ("json", "text", "type")
    json, text, kind = (read_json(RECORD, path, form, marked=True) for form in forms)
    label = format_path(("raw", *path))
    return Value(json, "dynamic", WIDE, text=text, json_type=kind, number=number_key(text), static="", label=label)


class EarlierShapes(Struct, frozen=True):
    """The shapes of numbers that were measured earlier in some of the rows, and a view of all other rows."""

    shapes: Mapping[PayloadPath, Shape]
    beyond: IndexView


def measure_shapes(
    connection: duckdb.DuckDBPyConnection,
    view: IndexView,
    paths: Iterable[PayloadPath],
    where: Sequence[Test] = (),
    before: EarlierShapes | None = None,
) -> dict[PayloadPath, Shape]:
    """Return the shapes of the numbers at payload paths in the rows asked about.

    Where the types of columns do not tell them, rows are scanned: for paths measured `before`, only the other rows.
    """
    shapes: dict[PayloadPath, Shape] = {}
    unknown: list[PayloadPath] = []
    measured_before: list[PayloadPath] = []
    for path in dict.fromkeys(paths):
        known = _shape_of_columns(view, path)
        if known is not None:
            shapes[path] = known
        elif before is not None and path in before.shapes:
            measured_before.append(path)
        else:
            unknown.append(path)
    if unknown:
        shapes.update(_measure_rows(connection, view, unknown, where))
    if loose := [path for path in shapes if path not in unknown and view.may_be_loose(path)]:
        # Some rows, mostly few, have their payload as JSON text and not in columns.
        rest = _measure_rows(connection, view.with_loose(loose), loose, [*where, "data IS NOT NULL"])
        shapes |= {path: shapes[path].join(shape) for path, shape in rest.items()}
    if before is not None and measured_before:
        found = _measure_rows(connection, before.beyond, measured_before, where)
        shapes |= {path: before.shapes[path].join(shape) for path, shape in found.items()}
    return shapes


def nested_types(
    connection: duckdb.DuckDBPyConnection, view: IndexView, paths: Iterable[PayloadPath], where: Sequence[Test] = ()
) -> dict[PayloadPath, str]:
    """Return the JSON type of each nested path that has just one in these rows, as `IndexView.static_type` names it."""
    nested = [path for path in dict.fromkeys(paths) if len(path) > 1]
    if not nested:
        return {}
    reads = {f"t{i}": Read(path, "type") for i, path in enumerate(nested)}
    items = ", ".join(f"list(DISTINCT {alias}) FILTER ({alias} <> 'NULL')" for alias in reads)
    with explained():
        row = single_row(connection, f"SELECT {items} FROM ({view.relation([], reads, where)})")
    kinds = [{"CONTAINER" if t in ("OBJECT", "ARRAY") else t for t in types or ()} for types in row or ()]
    return {path: next(iter(found)) for path, found in zip(nested, kinds, strict=True) if len(found) == 1}


def measured_shapes(reads: Reads) -> dict[PayloadPath, Shape]:
    """Return the shapes that were measured in rows and not taken from the types of columns."""
    return {path: shape for path, shape in reads.shapes.items() if _shape_of_columns(reads.view, path) is None}


def _shape_of_columns(view: IndexView, path: PayloadPath) -> Shape | None:
    if view.static_type(path) != "NUMBER" or not view.columns_of(path):
        return None
    shape = Shape(1, 0)
    for column in view.columns_of(path):
        if column.kind == "decimal" and column.precision > 18:
            return None
        shape = shape.join(
            Shape(column.precision - column.scale, column.scale) if column.kind == "decimal" else INTEGER
        )
    return shape


def _measure_rows(
    connection: duckdb.DuckDBPyConnection, view: IndexView, paths: list[PayloadPath], where: Sequence[Test]
) -> dict[PayloadPath, Shape]:
    reads = {f"t{i}": Read(path, "text") for i, path in enumerate(paths)}
    items = ", ".join(f"{digits_sql(f't{i}')}" for i in range(len(paths)))
    with explained():
        row = single_row(connection, f"SELECT {items} FROM ({view.relation([], reads, where)})")
    assert row is not None
    found = {}
    for i, path in enumerate(paths):
        whole, scale = row[2 * i : 2 * i + 2]
        found[path] = Shape(max(whole or 1, 1), max(scale or 0, 0)).or_wide
    return found


_DIGITS = r"^-?0*([0-9]+)(?:[.]([0-9]*?)0*)?(?:[eE][+]?(-?[0-9]+))?$"


def digits_sql(text: str) -> str:
    """Write two aggregates: the most digits before and after the point of the numbers in a column of texts."""
    found = f"regexp_extract({text}, '{_DIGITS}', ['w', 'f', 'e'])"

    def most(digits: str, sign: str) -> str:
        exponent = "coalesce(try_cast(nullif({}.e, '') AS HUGEINT), 0)"
        return f"max({once(found, lambda n: f'length({n}.{digits}) {sign} {exponent.format(n)}')})"

    return f"{most('w', '+')}, {most('f', '-')}"
