"""Rows of events that others stand for, in the view of a question."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from esctl.engine.quoting import identifier, literal
from esctl.index.reads import Read, read_json


class Edits(Struct, frozen=True):
    """Rows of events that others stand for: a file of (position, role_order), and one of those others, as stored.

    `fields` are the payload fields of those that come; their payloads are JSON text. Their values are those that the
    log has of the same fields, but for the fields that are `made`.
    """

    gone: Path
    come: Path
    fields: tuple[str, ...]
    made: frozenset[str] = frozenset()

    @property
    def source(self) -> str:
        """Write the table of the rows that come."""
        return f"read_parquet({literal(str(self.come))})"

    @property
    def stays(self) -> str:
        """Write the condition on the stored rows that stay."""
        rows = f"SELECT position * 256 + role_order FROM read_parquet({literal(str(self.gone))})"
        return f"(position * 256 + role_order) NOT IN ({rows})"

    def reads(self, reads: Mapping[str, Read]) -> list[str]:
        """Write reads of the payloads of the rows that come, by alias."""
        return [f"{_read(read)} AS {identifier(alias)}" for alias, read in reads.items()]


def _read(read: Read) -> str:
    if read.form == "number":
        return f"try_cast({read_json('data', read.path, 'text', marked=True)} AS {read.sql_type})"
    return read_json("data", read.path, read.form, marked=True)
