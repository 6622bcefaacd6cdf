"""The columns that fields of states have in a table: their names, kinds and sizes, and how they grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from esctl.projection.values import MOST_DIGITS

COLUMNS_BEFORE = ("entity", "kind")
COLUMNS_AFTER = ("version", "position", "time")
WHOLE_STATE = "*"
"""Name of the one field that holds whole states, if their fields are too many to be columns; others may have it too."""

Kind = Literal["none", "boolean", "number", "text", "json"]


class Field(Struct, frozen=True):
    """A field of states, its column, and what its values have been so far.

    `none`: there was no value yet; `json`: objects, lists, or values of several types, all as JSON text. Numbers have
    at most `whole` digits before the point and `scale` after it. `whole_state`: it is no field, but all of them.
    """

    name: str
    column: str
    kind: Kind = "none"
    whole: int = 0
    scale: int = 0
    whole_state: bool = False

    @property
    def key(self) -> tuple[str, bool]:
        """Return what tells it from other fields."""
        return self.name, self.whole_state

    @property
    def is_integer(self) -> bool:
        """Return whether all values are whole numbers that 64 bits hold."""
        return self.kind == "number" and self.scale == 0 and self.whole < 19

    @property
    def is_decimal(self) -> bool:
        """Return whether all values are numbers that one DECIMAL of 38 digits holds."""
        return self.kind == "number" and self.whole + self.scale <= MOST_DIGITS


WHOLE = Field(WHOLE_STATE, "", "json", whole_state=True)


def read_fields(written: Any) -> tuple[Field, ...]:
    """Return fields as a target keeps them. Raises ValidationError for what is none.

    What earlier versions wrote does not say which field holds whole states: it is one that is alone.
    """
    fields = msgspec.convert(written, tuple[Field, ...])
    if len(fields) == 1 and "whole_state" not in written[0] and fields[0].name == WHOLE_STATE:
        return (replace(fields[0], whole_state=True),)
    return fields


def join_fields(first: Field, second: Field) -> Field:
    """Return a field that covers the values of both; its column is that of the first."""
    kinds = {first.kind, second.kind} - {"none"}
    kind: Kind = "none" if not kinds else kinds.pop() if len(kinds) == 1 else "json"
    return replace(first, kind=kind, whole=max(first.whole, second.whole), scale=max(first.scale, second.scale))


def grow_fields(kept: Sequence[Field], found: Sequence[Field], longest: int | None = None) -> tuple[Field, ...]:
    """Return the kept fields, each widened by what was found of it, then the new ones with columns of their own."""
    by_key = {field.key: field for field in found}
    known = [join_fields(field, by_key.pop(field.key, field)) for field in kept]
    return (*known, *name_columns(by_key.values(), known, longest))


def rebuild_fields(kept: Sequence[Field], found: Sequence[Field], longest: int | None = None) -> tuple[Field, ...]:
    """Return the fields that were found, for a table that is made anew; columns that it had keep their names."""
    columns = {field.key: field.column for field in kept}
    old = [replace(field, column=columns[field.key]) for field in found if field.key in columns]
    return (*old, *name_columns([field for field in found if field.key not in columns], old, longest))


def can_stay(old: Sequence[Field], new: Sequence[Field], type_of: Callable[[Field], str]) -> bool:
    """Return whether the values in the old columns can stay there; more columns do not matter."""
    return all(
        type_of(before) == type_of(after) and before.kind in ("none", after.kind)
        for before, after in zip(old, new, strict=False)
    )


def name_columns(found: Iterable[Field], known: Sequence[Field] = (), longest: int | None = None) -> list[Field]:
    """Return new fields with columns, whose names are unique in any case and have at most `longest` bytes."""
    taken = {name.casefold() for name in (*COLUMNS_BEFORE, *COLUMNS_AFTER, *(field.column for field in known))}
    new = []
    for field in found:
        column = _free_name("state" if field.whole_state else field.name, taken, longest)
        taken.add(column.casefold())
        new.append(replace(field, column=column))
    return new


def _free_name(name: str, taken: set[str], longest: int | None) -> str:
    plain = name.replace("\0", "\ufffd") or "state."
    tries = [plain, f"state.{plain}"]
    number = 2
    for column in tries:
        short = _shorten(column, longest)
        if short.casefold() not in taken:
            return short
    while (short := f"{_shorten(plain, longest and longest - len(str(number)) - 1)}_{number}").casefold() in taken:
        number += 1
    return short


def _shorten(text: str, longest: int | None) -> str:
    return text if longest is None else text.encode()[:longest].decode(errors="ignore")
