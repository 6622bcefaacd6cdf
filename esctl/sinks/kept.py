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


_HINT = "to make the view anew: esctl view rebuild"


class KeptProgress(Struct, frozen=True):
    """The progress of a view, and its columns; or how it is damaged: then it can only be made anew or dropped."""

    progress: Progress | None
    fields: tuple[Field, ...] = ()
    damage: str = ""

    def read(self) -> Progress:
        """Return the progress. Raises InputError if it is damaged."""
        if self.progress is None:
            raise InputError(self.damage, _HINT)
        return self.progress


def start_from(old: KeptProgress | None, *, whole: bool) -> tuple[tuple[Field, ...], bool]:
    """Return the fields that a target has, and whether it is made from nothing (`whole`: whatever it has).

    Raises InputError if it is to be changed, and its progress is damaged.
    """
    if old is not None and not whole:
        old.read()
    return old.fields if old is not None else (), whole or old is None


def to_row(name: str, kept: KeptProgress) -> tuple[Any, ...]:
    """Return the cells for `COLUMNS`."""
    progress = kept.read()
    basis = progress.basis
    fields = msgspec.json.encode(kept.fields).decode()
    return (name, progress.store, progress.projection, basis.position, basis.root, to_json(basis), fields)


def from_row(row: Sequence[Any], where: str) -> KeptProgress:
    """Read the cells of `COLUMNS`; what was not written by `to_row` is damaged, which is told with `where`."""
    _, store, projection, _, _, basis_text, fields_text = row
    try:
        basis = parse_basis(basis_text)
        fields = read_fields(msgspec.json.decode(fields_text))
    except (TypeError, ValueError, msgspec.MsgspecError):
        basis = None
    if basis is None or not isinstance(store, str) or not isinstance(projection, str):
        return KeptProgress(None, damage=f"{where}: what {TABLE} says is not as esctl wrote it")
    return KeptProgress(Progress(store, projection, basis), fields)
