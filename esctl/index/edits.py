"""Rows of events that replace stored ones in the view of a question."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from esctl.engine.quoting import identifier, literal
from esctl.index.payload_reads import Read, read_json


class Edits(Struct, frozen=True):
    """The stored rows that go, as a file of (position, role_order), and the rows that come, in the form of stored ones.

    `fields` are the payload fields of the rows that come; their payloads are JSON text. The values are those that the
    log has for the same fields, except for the fields in `made`.
    """

    removed: Path
    added: Path
    fields: tuple[str, ...]
    made: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Return the name of the rows that come, among the files of a view."""
        return str(self.added)

    @property
    def source(self) -> str:
        """Write the SQL table of the rows that come."""
        return f"read_parquet({literal(str(self.added))})"

    @property
    def stays(self) -> str:
        """Write the SQL condition of the stored rows that stay."""
        rows = f"SELECT position * 256 + role_order FROM read_parquet({literal(str(self.removed))})"
        return f"(position * 256 + role_order) NOT IN ({rows})"

    def reads(self, reads: Mapping[str, Read]) -> list[str]:
        """Write the select items that read the payloads of the rows that come."""
        return [f"{_read(read)} AS {identifier(alias)}" for alias, read in reads.items()]


def _read(read: Read) -> str:
    if read.form == "number":
        return f"try_cast({read_json('data', read.path, 'text', marked=True)} AS {read.sql_type})"
    return read_json("data", read.path, read.form, marked=True)
