"""Paths that a mapping names and no sampled record has: most are misspelled, or those of another source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from esctl.index.envelope.paths import parse_path
from esctl.index.envelope.times.of_sample import texts_at
from esctl.model import Stanza

_FIELDS = ("id", "type", "time", "entity", "actor", "tenant", "correlation", "causation", "sequence", "data")


def unmet_of(stanza: Stanza, base: Stanza, sample: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """List what a mapping says, other than `base`, of which no sampled record has anything: field and path."""
    opened = {parse_path(path)[0] for path, _ in stanza.opened}
    return tuple(
        (field, " | ".join(paths))
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
