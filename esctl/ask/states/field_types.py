"""A field of a state, kept as JSON text, as an SQL value of its own type."""

from __future__ import annotations

from esctl.ask.states.state_fields import StateField
from esctl.engine.exact_text import unmark_json_sql
from esctl.index.scan import read_json


def field_value(field: StateField) -> str:
    """Write a field as DECIMAL, BOOLEAN, JSON or, if it has no single type, VARCHAR; missing and null are NULL."""
    column = field.column
    if field.number:
        return f"CAST({field_text(field)} AS {field.number})"
    if field.static == "BOOLEAN":
        return f"CASE {column} WHEN 'true' THEN true WHEN 'false' THEN false END"
    if field.static == "CONTAINER":
        return f"CAST(nullif({unmark_json_sql(column)}, 'null') AS JSON)"
    return field_text(field)


def field_text(field: StateField) -> str:
    """Write a field as text: the content of a string, else its JSON text, numbers with all their digits."""
    column = field.column
    # DuckDB's JSON functions, which read the content of a string, would round a number.
    string = read_json(column, (), "text", marked=True)
    return f"CASE WHEN {column}[1:1] = '\"' THEN {string} ELSE nullif({unmark_json_sql(column)}, 'null') END"
