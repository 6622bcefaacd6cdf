"""JSON Lines: one JSON object for each row (RFC 8259); the writer of the JSON array uses the same objects."""

from __future__ import annotations

from typing import Any, BinaryIO

from esctl.output.cells import object_sql
from esctl.output.rows import pieces
from esctl.output.selection import Selection
from esctl.output.target import Target, Written
from esctl.output.text import encode_json
from esctl.output.zone import Zone


def write_jsonl(selection: Selection, connection: Any, target: Target, zone: Zone, sink: BinaryIO) -> Written:
    """Write every row as one line of JSON."""
    return write_objects(selection, connection, target, zone, sink, "", "\n", "\n", "")


def write_objects(
    selection: Selection,
    connection: Any,
    target: Target,
    zone: Zone,
    sink: BinaryIO,
    opening: str,
    between: str,
    closing: str,
    nothing: str,
) -> Written:
    """Write rows as JSON objects with `between` between them; `nothing` is the whole output if there is no row."""
    sql = selection.select([object_sql(selection.cells, zone)], target.limit)
    count = 0
    with pieces(connection, sql) as rows:
        for piece in rows:
            text = between.join([row[0] or "" for row in piece])
            sink.write((between if count else opening).encode() + encode_json(text))
            count += len(piece)
    sink.write((closing if count else nothing).encode())
    return Written(count)
