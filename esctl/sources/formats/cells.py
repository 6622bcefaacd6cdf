"""Cells of CSV rows: where they end, what is in their quotes, and numbers with a decimal comma."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import pyarrow.compute as pc

from esctl.sources.formats.tables import Dialect
from esctl.sources.pieces import BOM

_LINE_ENDS = b"\r\n"
_QUOTED = re.compile(rb'"((?:[^"]++|"")*+)"(.*)', re.DOTALL)
_ESCAPED = re.compile(rb'"((?:[^"\\]++|\\[\x00-\xff]|"")*+)"(.*)', re.DOTALL)
_SLASHED = re.compile(rb"\\(.)", re.DOTALL)
_GROUPED = r"[+-]?[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]+)?|[+-]?[0-9]+,[0-9]+"
_ADDRESS = r"(?:(?:1?[0-9]?[0-9]|2[0-4][0-9]|25[0-5])\.){3}(?:1?[0-9]?[0-9]|2[0-4][0-9]|25[0-5])"
_COMMA_NUMBER = re.compile(_GROUPED)
_IP = re.compile(_ADDRESS)


def without_lead(row: bytes, comment: bytes = b"") -> bytes:
    """Return a row without the BOM, and the blank lines and comments, before it."""
    row = row.removeprefix(BOM).lstrip(_LINE_ENDS)
    while comment and row.startswith(comment):
        row = row.partition(b"\n")[2].lstrip(_LINE_ENDS)
    return row


@lru_cache(maxsize=8)
def _cell(delimiter: str, escape: str) -> bytes:
    stop = rb"[^\n" + re.escape(delimiter).encode() + rb"]*+"
    within = rb'(?:[^"\\]++|\\[\x00-\xff]|"")*+' if escape else rb'(?:[^"]++|"")*+'
    return rb'(?:"' + within + rb'"' + stop + rb"|(?!\")" + stop + rb")"


@lru_cache(maxsize=8)
def row_pattern(delimiter: str, escape: str) -> re.Pattern[bytes]:
    """Return the pattern of a whole row with its line end."""
    cell = _cell(delimiter, escape)
    return re.compile(cell + rb"(?:" + re.escape(delimiter).encode() + cell + rb")*+\n")


@lru_cache(maxsize=8)
def _cell_pattern(delimiter: str, escape: str) -> re.Pattern[bytes]:
    return re.compile(rb"(" + _cell(delimiter, escape) + rb")(" + re.escape(delimiter).encode() + rb"|\Z)")


def split_row(row: bytes, dialect: Dialect) -> list[bytes | None] | None:
    """Split one row into its cells, unquoted; an empty cell without quotes is None. None if a quote is not closed."""
    text = row[:-1] if row.endswith(b"\n") else row
    text = text[:-1] if text.endswith(b"\r") else text
    if not dialect.has_quotes:
        return [cell or None for cell in text.split(dialect.delimiter.encode())]
    cells: list[bytes | None] = []
    position = 0
    pattern = _cell_pattern(dialect.delimiter, dialect.escape)
    while True:
        found = pattern.match(text, position)
        if found is None:
            return None
        cells.append(_unquote(found[1], dialect.escape))
        position = found.end()
        if not found[2]:
            return cells


def _unquote(cell: bytes, escape: str) -> bytes | None:
    found = (_ESCAPED if escape else _QUOTED).match(cell)
    if found is None:
        return cell or None
    within = found[1].replace(b'""', b'"')
    return (_SLASHED.sub(rb"\1", within) if escape else within) + found[2]


def trim_cells(cells: list[bytes | None], columns: int) -> list[bytes | None]:
    """Return cells without the empty ones at the end that exceed the number of columns."""
    while len(cells) > columns and cells[-1] is None:
        cells = cells[:-1]
    return cells


def with_point(text: str) -> str:
    """Return a number with a decimal comma (and points in thousands) with a decimal point, any other text as it is."""
    if _COMMA_NUMBER.fullmatch(text) is None or _IP.fullmatch(text):
        return text
    return text.replace(".", "").replace(",", ".")


def with_points(column: Any) -> Any:
    """Return a column with its numbers rewritten as `with_point` does."""
    is_number = pc.and_not(
        pc.match_substring_regex(column, rf"\A(?:{_GROUPED})\z"), pc.match_substring_regex(column, rf"\A{_ADDRESS}\z")
    )
    changed = pc.replace_substring(pc.replace_substring(column, ".", ""), ",", ".")
    return pc.if_else(is_number, changed, column)
