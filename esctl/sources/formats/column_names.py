"""The names of the columns of a text table."""

from __future__ import annotations

import base64

from esctl.model import Cursor
from esctl.sources.formats.cells import split_row, without_lead
from esctl.sources.formats.encodings import utf8
from esctl.sources.formats.tables import W3C, Dialect, dialect_of, w3c_names
from esctl.sources.formats.text.csvlog import COLUMNS, CSVLOG


def header_line(cursor: Cursor) -> bytes:
    """Return the header line of a source of rows without its line end, or b"" if it has none."""
    header = utf8(base64.b64decode(cursor.header), cursor.dialect.get("encoding", ""))
    for _ in range(dialect_of(cursor.dialect).skip):
        header = header.partition(b"\n")[2]
    return without_lead(header).rstrip(b"\r\n")


def header_names(header: bytes, dialect: Dialect) -> list[str]:
    """Return the column names: an empty one becomes column_1 (its number), a repeated one name_2, name_3, ..."""
    for _ in range(dialect.skip):
        header = header.partition(b"\n")[2]
    return names_in(without_lead(header), dialect)


def names_in(line: bytes, dialect: Dialect) -> list[str]:
    """Return the names of the columns in a header line."""
    cells = split_row(line, dialect) or [line]
    if dialect.fields == W3C:
        cells = [name.encode() for name in w3c_names(line.decode(errors="replace"))]
    elif dialect.fields:
        cells = cells[1:]
    names: list[str] = []
    taken: set[str] = set()
    for number, cell in enumerate(cells, 1):
        plain = (cell or b"").decode(errors="replace").strip() or f"column_{number}"
        name, count = plain, 1
        while name in taken:
            count += 1
            name = f"{plain}_{count}"
        taken.add(name)
        names.append(name)
    return names


def header_of(cursor: Cursor) -> list[str]:
    """Return the names of the columns of a source of rows."""
    dialect = dialect_of(cursor.dialect)
    if dialect.names == CSVLOG:
        return list(COLUMNS[: dialect.columns])
    if dialect.columns:
        return [f"column_{number + 1}" for number in range(dialect.columns)]
    header = utf8(base64.b64decode(cursor.header), cursor.dialect.get("encoding", ""))
    return header_names(header, dialect)
