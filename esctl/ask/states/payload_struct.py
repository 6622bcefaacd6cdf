"""The payload as a STRUCT, for SQL that is written by hand."""

from __future__ import annotations

from collections.abc import Iterable

from esctl.engine.exact_text import unmark_json_sql
from esctl.engine.quoting import literal
from esctl.index.scan import IndexView
from esctl.projection.query_reads import Reads
from esctl.projection.values import Value

BIGINT_DIGITS = 18


def payload_struct(reads: Reads, names: Iterable[str]) -> str:
    """Write SQL for a STRUCT of payload fields: of names that differ only in case, the first."""
    items: list[str] = []
    seen: set[str] = set()
    for name in names:
        if name.lower() not in seen and name:
            seen.add(name.lower())
            items.append(f"{literal(name)}: {_typed(reads.view, name, reads.payload((name,)))}")
    return f"{{{', '.join(items)}}}" if items else "NULL"


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
