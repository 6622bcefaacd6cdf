"""Progress as a target keeps it: columns that anybody may read, with the basis as `--basis-from` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from esctl.ask.scope.basis import parse_basis, to_json
from esctl.errors import InputError
from esctl.sinks.columns import Field, read_fields
from esctl.sinks.protocol import Progress

TABLE = "esctl_progress"
COLUMNS = ("name", "store", "projection", "position", "root", "basis", "fields")
"""`name` is the table's, and the key; `position` an integer; `fields` JSON; all else text."""


class KeptProgress(Struct, frozen=True):
    """The progress of a view, and its columns."""

    progress: Progress
    fields: tuple[Field, ...]


def to_row(name: str, kept: KeptProgress) -> tuple[Any, ...]:
    """Return the cells for `COLUMNS`."""
    progress = kept.progress
    basis = progress.basis
    fields = msgspec.json.encode(kept.fields).decode()
    return (name, progress.store, progress.projection, basis.position, basis.root, to_json(basis), fields)


def from_row(row: Sequence[Any], where: str) -> KeptProgress:
    """Read the cells of `COLUMNS`. Raises InputError, naming `where`, for what was not written by `to_row`."""
    _, store, projection, _, _, basis_text, fields_text = row
    try:
        basis = parse_basis(basis_text)
        fields = read_fields(msgspec.json.decode(fields_text))
    except (TypeError, ValueError, msgspec.MsgspecError):
        basis = None
    if basis is None or not isinstance(store, str) or not isinstance(projection, str):
        raise InputError(f"{where}: what {TABLE} says is not as esctl wrote it", "drop the view, and make it anew")
    return KeptProgress(Progress(store, projection, basis), fields)
