"""CSV (RFC 4180, lines end in LF) and TSV: a header line, then a line for each row.

Acting characters are shown and formulas disarmed: data that must be read back exactly is better written as JSON or
Parquet.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from esctl.engine.quoting import literal
from esctl.output.cells import field_sql, field_text
from esctl.output.rows import pieces
from esctl.output.selection import Selection
from esctl.output.target import Target, Written
from esctl.output.text import encode_lines
from esctl.output.zone import Zone


def write_csv(selection: Selection, connection: Any, target: Target, zone: Zone, sink: BinaryIO) -> Written:
    """Write rows as CSV."""
    return _write(selection, connection, target, zone, sink, ",")


def write_tsv(selection: Selection, connection: Any, target: Target, zone: Zone, sink: BinaryIO) -> Written:
    """Write rows as TSV."""
    return _write(selection, connection, target, zone, sink, "\t")


def _write(
    selection: Selection, connection: Any, target: Target, zone: Zone, sink: BinaryIO, delimiter: str
) -> Written:
    names = delimiter.join(field_text(column.name, delimiter) for column in selection.columns)
    fields = [field_sql(expr, column, zone, delimiter) for expr, column in selection.cells]
    line = f" || {literal(delimiter)} || ".join(fields)
    count = 0
    sink.write(encode_lines(names) + b"\n")
    with pieces(connection, selection.select([line], target.limit)) as rows:
        for piece in rows:
            text = "\n".join([row[0] or "" for row in piece])
            sink.write(encode_lines(text) + b"\n")
            count += len(piece)
    return Written(count)
