"""Reads of payload paths, and their SQL over JSON text."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from esctl.engine.exact_text import is_number_mark_sql, unmark_text_sql
from esctl.engine.quoting import literal
from esctl.index.envelope.paths import json_pointer
from esctl.index.files.manifest import PayloadPath

Form = Literal["json", "text", "type", "number"]


class Read(Struct, frozen=True):
    """A payload path in one form.

    json: compact JSON text, NULL if missing.
    text: the content of a JSON string, else the JSON text; NULL if missing or null.
    type: STRING, NUMBER, BOOLEAN, OBJECT, ARRAY, NULL; SQL NULL if missing.
    number: as `sql_type`; NULL if it is not a number.
    """

    path: PayloadPath
    form: Form
    sql_type: str = ""


def read_json(holder: str, path: PayloadPath, form: Form, *, marked: bool) -> str:
    """Write SQL that reads a path of a JSON text column. `marked`: its numbers may be marked strings."""
    pointer = literal(json_pointer(path))
    if form == "json":
        return f"CAST(json_extract({holder}, {pointer}) AS VARCHAR)"
    text = f"json_extract_string({holder}, {pointer})"
    if not path:
        # A number by itself is its own text; DuckDB would read it as a DOUBLE.
        text = f"CASE WHEN ascii({holder}) BETWEEN 45 AND 57 THEN {holder} ELSE {text} END"
    if form == "text":
        return unmark_text_sql(text) if marked else text
    kind = f"json_type({holder}, {pointer})"
    if marked:
        kind = f"CASE WHEN {kind} = 'VARCHAR' AND {is_number_mark_sql(text)} THEN 'DOUBLE' ELSE {kind} END"
    return f"""CASE {kind} WHEN 'VARCHAR' THEN 'STRING' WHEN 'UBIGINT' THEN 'NUMBER' WHEN 'BIGINT' THEN 'NUMBER'
        WHEN 'DOUBLE' THEN 'NUMBER' WHEN 'HUGEINT' THEN 'NUMBER' ELSE {kind} END"""
