"""JSON: one array, each row on a line (RFC 8259)."""

from __future__ import annotations

from typing import Any, BinaryIO

from esctl.output.selection import Selection
from esctl.output.target import Target, Written
from esctl.output.writers.jsonl import write_objects
from esctl.output.zone import Zone


def write_json(selection: Selection, connection: Any, target: Target, zone: Zone, sink: BinaryIO) -> Written:
    """Write all rows as one JSON array."""
    return write_objects(selection, connection, target, zone, sink, "[\n", ",\n", "\n]\n", "[]\n")
