"""Paths that a mapping names and no sampled record has: most are misspelled, or those of another source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from esctl.index.envelope.finding.sampled_fields import plain_name
from esctl.index.envelope.finding.search import Search
from esctl.index.envelope.paths import parse_path
from esctl.index.envelope.times.of_sample import texts_at
from esctl.model import Stanza

_FIELDS = ("id", "type", "time", "entity", "actor", "tenant", "correlation", "causation", "sequence", "data")


class Unmet(Struct, frozen=True):
    """An envelope field that is said to be where no sampled record has anything, and what may be meant instead.

    Where the mapping says neither entity nor time, that is `entity` at no path.
    """

    field: str
    path: str
    near: str = ""


def unmet_of(stanza: Stanza, base: Stanza, sample: Sequence[Any]) -> tuple[Unmet, ...]:
    """List what a mapping says, other than `base`, of which no sampled record has anything."""
    found = [*_leading_nowhere(stanza, base, sample)]
    if not found:
        return ()
    names = [each.text for each in Search([record for record in sample if isinstance(record, dict)]).fields]
    return tuple(Unmet(field, " | ".join(paths), _near(paths, names)) for field, paths in found)


def _near(paths: Sequence[str], names: Sequence[str]) -> str:
    """Return the path whose last name is likest to that of the first path, beside it if it can be; empty for none."""
    inside, _, asked = paths[0].rpartition(".")
    bare: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name.rpartition(".")[0] == inside):
        bare[plain_name(name.rpartition(".")[2])] = name
    found = get_close_matches(plain_name(asked), bare, 1)
    return bare[found[0]] if found else ""


def _leading_nowhere(stanza: Stanza, base: Stanza, sample: Sequence[Any]) -> Iterator[tuple[str, Sequence[str]]]:
    opened = {parse_path(path)[0] for path, _ in stanza.opened}
    return (
        (field, paths)
        for field, paths, before in _said(stanza, base)
        if paths and paths != before and not any(map(_is_elsewhere, paths)) and not _inside(paths, opened)
        if next(texts_at(stanza, paths, sample), None) is None
    )


def _said(stanza: Stanza, base: Stanza) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    for field in _FIELDS:
        yield field, getattr(stanza, field), getattr(base, field)
    for field in ("id_parts", "dedupe_by"):
        for part in getattr(stanza, field):
            yield "id" if field == "id_parts" else field, (part,), (part,) if part in getattr(base, field) else ()
    known = dict(base.entities)
    for role, paths in stanza.entities:
        yield f"entities.{role}", paths, known.get(role, ())


def _is_elsewhere(path: str) -> bool:
    """Return whether a path is a constant, or leads out of the event as it was unwrapped, or to many elements."""
    return path.startswith("=") or path.partition(".")[0] in ("record", "wrapper", "raw") or "[*]" in path


def _inside(paths: Sequence[str], opened: set[Any]) -> bool:
    """Return whether paths lead into texts that hold JSON: the sample has them closed."""
    return any("{" in path or parse_path(path)[0] in opened for path in paths)
