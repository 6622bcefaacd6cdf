"""The payload as a STRUCT, for SQL that is written by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from esctl.engine.exact_text import unmark_json_sql
from esctl.engine.quoting import literal
from esctl.engine.statements import Node, Select
from esctl.errors import UsageError
from esctl.index.scan import IndexView
from esctl.projection.query_reads import Reads
from esctl.projection.values import Value

BIGINT_DIGITS = 18


def payload_struct(reads: Reads, names: Iterable[str]) -> str:
    """Write SQL for a STRUCT of payload fields, without those that are `alike`: DuckDB would give one for the other."""
    skipped = alike(reads.view.fields)
    items = [
        f"{literal(name)}: {_typed(reads.view, name, reads.payload((name,)))}"
        for name in names
        if name and name.lower() not in skipped
    ]
    return f"{{{', '.join(items)}}}" if items else "NULL"


def alike(names: Iterable[str]) -> frozenset[str]:
    """Return the names, in lower case, that several fields have: SQL does not tell them apart."""
    return frozenset(name for name, number in Counter(name.lower() for name in names).items() if number > 1)


def check_names(select: Select, names: Sequence[str], where: str, hint: str) -> None:
    """Raise UsageError if a query names a payload field that differs from another only in case.

    `hint` has a place for the field's name.
    """
    skipped = alike(names)
    for asked in filter(None, map(_field_of_data, select.nodes() if skipped else ())):
        if asked.lower() in skipped:
            both = " and ".join(name for name in names if name.lower() == asked.lower())
            raise UsageError(f"{where} asks for data.{asked}: SQL does not tell {both} apart", hint.format(asked))


def _field_of_data(node: Node) -> str:
    """Return the payload field that a node of a query names, as in data.x and data['x']; else an empty text."""
    parts = [str(part) for part in node.get("column_names", ())]
    if node.get("type") in ("ARRAY_EXTRACT", "STRUCT_EXTRACT"):
        source, key = node["children"]
        parts = [*map(str, source.get("column_names", ())), str((key.get("literal") or {}).get("text", ""))]
    lowered = [part.lower() for part in parts]
    return parts[lowered.index("data") + 1] if "data" in lowered[:-1] else ""


def number_fields(view: IndexView) -> list[tuple[str]]:
    """List the paths of the fields that are numbers whenever they have a value: their digits matter."""
    return [(name,) for name in view.fields if view.static_type((name,)) == "NUMBER"]


def is_wide(value: Value) -> bool:
    """Return whether a field has numbers that no DECIMAL holds together, so that its values are text."""
    return value.static == "NUMBER" and value.shape is not None and value.shape.is_wide


def _typed(view: IndexView, name: str, value: Value) -> str:
    """Write a field's value in the one type it always has; else as text, objects and lists as JSON text."""
    if value.static == "NUMBER" and value.shape is not None and not is_wide(value):
        whole = value.shape.scale == 0 and (value.shape.whole <= BIGINT_DIGITS or _is_bigint(view, name))
        return f"CAST({value.number} AS BIGINT)" if whole else value.number
    if value.static == "BOOLEAN":
        return f"({value.text} = 'true')"
    if value.static == "STRING":
        return value.text
    json = unmark_json_sql(value.sql) if view.may_be_loose((name,)) else value.sql
    if value.static == "CONTAINER":
        return f"CASE WHEN {value.json_type} <> 'NULL' THEN CAST({json} AS JSON) END"
    return f"CASE WHEN {value.json_type} IN ('OBJECT', 'ARRAY') THEN {json} ELSE {value.text} END"


def _is_bigint(view: IndexView, name: str) -> bool:
    return not view.may_be_loose((name,)) and all(column.kind == "bigint" for column in view.columns_of((name,)))
