"""Find paths of a mapping that no sampled record has: most are misspelled, or those of another source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from esctl.index.decode.encodings import Path
from esctl.index.envelope.finding.sampled_fields import plain_name
from esctl.index.envelope.finding.search import Search
from esctl.index.envelope.openings import OPENED_IN_SAMPLES, open_sample
from esctl.index.envelope.paths import parse_path
from esctl.index.envelope.payload_keys import openings_of
from esctl.index.envelope.times.of_sample import texts_at
from esctl.model import Stanza

_FIELDS = ("id", "type", "time", "entity", "actor", "tenant", "correlation", "causation", "sequence", "data")


class Unmet(Struct, frozen=True):
    """An envelope field that is mapped to a path which no sampled record has, and a path that may be meant instead.

    If the mapping has neither entity nor time, the field is `entity` and the path is empty.
    """

    field: str
    path: str
    near: str = ""


def find_unmet(stanza: Stanza, base: Stanza, sample: Sequence[Any]) -> tuple[Unmet, ...]:
    """List the envelope fields of a stanza, other than those of `base`, whose paths no sampled record has."""
    sample = [open_sample(record, openings_of(stanza)) for record in sample]
    found = [*_unmet_fields(stanza, base, sample)]
    if not found:
        return ()
    names = [each.text for each in Search([record for record in sample if isinstance(record, dict)]).fields]
    return tuple(Unmet(field, " | ".join(paths), _similar_path(paths, names)) for field, paths in found)


def _similar_path(paths: Sequence[str], names: Sequence[str]) -> str:
    """Return the path whose last name is most like that of the first path, in the same object if possible; or ""."""
    inside, _, asked = paths[0].rpartition(".")
    bare: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name.rpartition(".")[0] == inside):
        bare[plain_name(name.rpartition(".")[2])] = name
    found = get_close_matches(plain_name(asked), bare, 1)
    return bare[found[0]] if found else ""


def _unmet_fields(stanza: Stanza, base: Stanza, sample: Sequence[Any]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the fields, each with its paths, that can be looked up in the sample and are in no record."""
    unopened = [path for path, encoding in openings_of(stanza) if encoding not in OPENED_IN_SAMPLES]
    return (
        (field, paths)
        for field, paths, before in _mapped_fields(stanza, base)
        if paths and paths != before and not any(_is_unsampled(stanza, path, unopened) for path in paths)
        if next(texts_at(stanza, paths, sample), None) is None
    )


def _mapped_fields(stanza: Stanza, base: Stanza) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    for field in _FIELDS:
        yield field, getattr(stanza, field), getattr(base, field)
    for field in ("id_parts", "dedupe_by"):
        for part in getattr(stanza, field):
            yield "id" if field == "id_parts" else field, (part,), (part,) if part in getattr(base, field) else ()
    known = dict(base.entities)
    for role, paths in stanza.entities:
        yield f"entities.{role}", paths, known.get(role, ())


def _is_unsampled(stanza: Stanza, path: str, unopened: Sequence[Path]) -> bool:
    """Return whether a sample cannot show whether records have a path.

    That is so for a constant, a template, a path out of the event or to many elements, and one into a text that samples
    have unopened.
    """
    if path.startswith("=") or path.partition(".")[0] in ("record", "wrapper", "raw") or "[*]" in path or "{" in path:
        return True
    inner = parse_path(path)
    places = (inner, (*parse_path(stanza.unwrap), *inner))
    return any(place[: len(text)] == text for place in places for text in unopened)
