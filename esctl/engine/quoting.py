"""Quote names and values for DuckDB SQL."""

from __future__ import annotations

import re

_LITERAL = re.compile(r"'(?:[^']|'')*'")


def is_text(value: str) -> bool:
    """Return whether a text can be encoded in UTF-8; one from a shell or JSON may have lone surrogates."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def identifier(name: str) -> str:
    """Quote a column or relation name."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | int | bool | None) -> str:
    """Quote a value; text may hold any character."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if "\x00" in value:
        parts = value.split("\x00")
        return "(" + " || chr(0) || ".join(literal(part) for part in parts) + ")"
    return "'" + value.replace("'", "''") + "'"


def may_fail(sql: str) -> bool:
    """Return whether SQL calls `error()`; a quoted text that contains these letters does not count."""
    return "error(" in sql and "error(" in _LITERAL.sub("", sql)


def text_list(values: list[str] | tuple[str, ...]) -> str:
    """Write a list of texts as a DuckDB list literal."""
    return "[" + ", ".join(literal(value) for value in values) + "]"


def like_pattern(glob: str) -> str:
    """Translate a glob of `*` and `?` into a LIKE pattern with `\\` as its escape, as a quoted literal."""
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return literal(escaped.replace("*", "%").replace("?", "_")) + " ESCAPE '\\'"


def glob_regex(glob: str) -> str:
    """Translate a glob of `*` and `?` into a regular expression of RE2 for whole texts, as Arrow takes it.

    Arrow's own LIKE reads an escaped `\\` wrong beside a `%`.
    """
    pieces = ({"*": ".*", "?": "."}.get(character) or re.escape(character) for character in glob)
    return rf"(?s)\A{''.join(pieces)}\z"
