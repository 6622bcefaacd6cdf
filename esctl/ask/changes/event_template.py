"""Shape the rows of an answer after a template: a JSON object whose texts may hold placeholders."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from esctl.engine.exact_text import json_string, json_string_sql, unmark_json_sql
from esctl.engine.quoting import identifier, literal
from esctl.errors import UsageError
from esctl.index.scan import read_json
from esctl.model import Answer, Column
from esctl.named import read_named
from esctl.projection.json_values import dumps

_LARGEST = 16 << 20
"""The most bytes that a template file may have."""
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def read_template(text: str, option: str) -> dict[str, Any]:
    """Read a template: JSON text that begins with `{`, else the path of a TOML or JSON file.

    Raises UsageError, naming `option`, if it cannot be read or is not an object with members.
    """
    inline = text.lstrip().startswith("{")
    where = option if inline else f"{option} {text}"
    try:
        content = text if inline else read_named(Path(text), _LARGEST).decode("utf-8")
        toml = not inline and Path(text).suffix.lower() == ".toml"
        parsed = tomllib.loads(content, parse_float=Decimal) if toml else json.loads(content, parse_float=Decimal)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{where}: {reason}", _HINT) from error
    except ArithmeticError as error:
        raise UsageError(f"{where}: a number in it has too long an exponent", _HINT) from error
    if not isinstance(parsed, dict) or not parsed:
        raise UsageError(f"{where} is not an object with members", _HINT)
    return parsed


_HINT = (
    """write it like '{"type": "Corrected", "stream": "{entity}", "data": {"{field}": "{value}"}}', or name a file"""
)


def shape_answer(answer: Answer, template: Mapping[str, Any], option: str) -> Answer:
    """Return the answer with each row shaped by the template: a column per member.

    A text that is just one placeholder, `"{value}"`, becomes that column's JSON value; placeholders within other text
    become text, and `{{` and `}}` braces. Raises UsageError, naming `option`, for a placeholder that is not a column.
    """
    known = {column.name: column for column in answer.columns}
    items: list[str] = []
    columns: list[Column] = []
    for name, value in template.items():
        if _TOKEN.search(name):
            raise UsageError(f"{option}: the name {name!r} has a placeholder", "names further in may have one")
        sql, kind = _cell(value, known, option)
        columns.append(Column(name, kind))
        items.append(f"{sql} AS {identifier(f'c{len(items)}')}")
    # The answer's own order is kept: its rows are to be applied one after the other.
    sql = f"SELECT {', '.join(items)} FROM ({answer.sql})"
    return replace(answer, sql=sql, columns=tuple(columns), flat_sql="", flat_columns=())


def _cell(value: Any, known: Mapping[str, Column], option: str) -> tuple[str, Literal["text", "json"]]:
    """Return the SQL and kind of a member of the template: `text`, not JSON text, if it can only be a text."""
    if not isinstance(value, str):
        return _json(value, known, option), "json"
    alone = _sole_placeholder(value)
    if alone is None:
        return _text(value, known, option), "text"
    column = _find_column(alone, known, option)
    return (identifier(column.name), "text") if column.kind == "text" else (_json(value, known, option), "json")


def _sole_placeholder(text: str) -> str | None:
    """Return the name of the placeholder that is the whole text; None if it is anything else."""
    found = _TOKEN.fullmatch(text)
    return found[1] if found else None


def _json(value: Any, known: Mapping[str, Column], option: str) -> str:
    """Write SQL for a value of the template as JSON text."""
    if isinstance(value, str):
        alone = _sole_placeholder(value)
        if alone is None:
            return json_string_sql(_text(value, known, option))
        column = _find_column(alone, known, option)
        name = identifier(column.name)
        return f"coalesce({name if column.kind == 'json' else json_string_sql(name)}, 'null')"
    if isinstance(value, list):
        return _concatenate("[", [_json(item, known, option) for item in value], "]")
    if isinstance(value, dict):
        return _object(value, known, option)
    if isinstance(value, date | time):
        return literal(json_string(value.isoformat()))
    return literal(dumps(value))


def _object(value: Mapping[str, Any], known: Mapping[str, Column], option: str) -> str:
    for name in value:
        if len(value) > 1 and _TOKEN.search(name):
            raise UsageError(f"{option}: the name {name!r} has a placeholder, and others beside it", "it stands alone")
    members = [
        f"{json_string_sql(_text(name, known, option))} || ':' || {_json(item, known, option)}"
        for name, item in value.items()
    ]
    return _concatenate("{", members, "}")


def _concatenate(opening: str, items: list[str], closing: str) -> str:
    return "(" + " || ".join([f"'{opening}'", " || ',' || ".join(items) or "''", f"'{closing}'"]) + ")"


def _text(text: str, known: Mapping[str, Column], option: str) -> str:
    """Write SQL for a text with placeholders; a NULL becomes an empty text."""
    parts, end = [], 0
    for token in _TOKEN.finditer(text):
        parts.append(literal(text[end : token.start()]))
        end = token.end()
        if token[0] in ("{{", "}}"):
            parts.append(literal(token[0][0]))
        elif token[1] is None:
            raise UsageError(f"{option}: {text!r} has a lone {token[0]!r}", f"write {token[0] * 2} for one")
        else:
            column = _find_column(token[1], known, option)
            name = identifier(column.name)
            parts.append(f"coalesce({_plain_text(name) if column.kind == 'json' else f'CAST({name} AS VARCHAR)'}, '')")
    parts.append(literal(text[end:]))
    return "(" + " || ".join(parts) + ")"


def _plain_text(json: str) -> str:
    """Write SQL for JSON text within other text: a string without its quotes."""
    string = read_json(json, (), "text", marked=True)
    return f"CASE WHEN starts_with({json}, '\"') THEN {string} ELSE {unmark_json_sql(json)} END"


def _find_column(name: str, known: Mapping[str, Column], option: str) -> Column:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {{{near[0]}}}?" if near else f"there are: {', '.join(f'{{{each}}}' for each in known)}"
    raise UsageError(f"{option}: no placeholder {{{name}}}", hint)
