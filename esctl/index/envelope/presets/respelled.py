"""Recognise a known format in other spellings of its names: a column of CSV for each path, or another case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from esctl.index.envelope.envelope_sql import record_path
from esctl.index.envelope.paths import EACH, format_path, with_paths
from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza

_DEEPEST = 6
_MOST_ELEMENTS = 8
_MOST_PATHS = 2000
_LOOKED_AT = 50
Path = tuple[str | int, ...]


def find_respelled(presets: Iterable[Preset], samples: Sequence[object]) -> tuple[Stanza, int] | None:
    """Return the stanza of the first preset that most sampled records follow in another spelling, and how many do.

    None if there is none. Only presets with `any_spelling` are tried.
    """
    known = [preset for preset in presets if preset.any_spelling]
    looked_at = samples[:: max(len(samples) // _LOOKED_AT, 1)] if known else ()
    found = [_spellings(sample) for sample in looked_at]
    for preset in known:
        matching = [names for names in found if _meets(preset, names)]
        if matching and 2 * len(matching) > len(looked_at):
            names: dict[str, Path] = {}
            for each in matching:
                names = {**each, **names}
            return _respell(preset.stanza, names), round(len(matching) * len(samples) / len(looked_at))
    return None


def _meets(preset: Preset, names: Mapping[str, Path]) -> bool:
    """Return whether a record has what a preset needs; for an object, a column of a member does (`outcome.result`)."""
    within = {_plain_path(tuple(parts[:depth])) for parts in _split_columns(names) for depth in range(1, len(parts))}
    return all(
        any((plain := _plain_path(record_path(path))) in names or plain in within for path in group)
        for group in (*preset.needs, preset.any_spelling)
    )


def _split_columns(names: Mapping[str, Path]) -> list[list[str]]:
    return [str(path[-1]).split(".") for path in names.values() if "." in str(path[-1])]


def _plain_path(path: Path) -> str:
    return "".join(re.sub(r"[\W_]", "", str(part)).lower() for part in path)


def _spellings(sample: object) -> dict[str, Path]:
    """Return the paths in a record by their plain names; of those with the same name, the shortest."""
    found: dict[str, Path] = {}
    for number, path in enumerate(_walk_paths(sample, ())):
        if number >= _MOST_PATHS:
            break
        plain = _plain_path(path)
        if plain not in found or len(path) < len(found[plain]):
            found[plain] = path
    return found


def _walk_paths(value: Any, path: Path) -> Iterator[Path]:
    if path and value is not None and value != "":
        yield path
    if len(path) >= _DEEPEST:
        return
    members = value.items() if isinstance(value, dict) else ()
    elements = enumerate(value[:_MOST_ELEMENTS]) if isinstance(value, list) else ()
    for key, inner in (*members, *elements):
        yield from _walk_paths(inner, (*path, key))


def _respell(stanza: Stanza, names: Mapping[str, Path]) -> Stanza:
    """Return a stanza with its paths spelled as records have them; those that none has stay."""

    def path(text: str) -> str:
        parts = record_path(text.replace(EACH, "[0]"))
        there = names.get(_plain_path(parts)) if parts else None
        return text if there is None else _format_respelled(there, EACH in text)

    def all_of(alternatives: Sequence[str]) -> tuple[str, ...]:
        return tuple(with_paths(alternative, path) for alternative in alternatives)

    fields = ("id", "id_parts", "type", "time", "entity", "kind", "actor", "correlation", "causation", "tenant", "data")
    plain: dict[str, Any] = {name: all_of(getattr(stanza, name)) for name in fields}
    tables = {name: tuple((key, all_of(paths)) for key, paths in getattr(stanza, name)) for name in _TABLES}
    return replace(stanza, **plain, **tables)


def _format_respelled(path: Path, each: bool) -> str:
    """Write a path; with `each`, one to the first element of an array becomes one to each element."""
    if not each or 0 not in path:
        return format_path(path)
    array, inner = format_path(path[: path.index(0)]), format_path(path[path.index(0) + 1 :])
    return f"{array}{EACH}" + (f".{inner}" if inner else "")


_TABLES = ("entities", "aliases")
