"""Report how `--map` overrides esctl.toml, and where each part of a mapping comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from esctl.cli import diagnostics
from esctl.config import Config, Setting
from esctl.engine.exact_text import json_string
from esctl.index.envelope.map_options import KEPT_OPTIONS, list_overruled
from esctl.index.envelope.mapping import FIELDS, TABLES, is_named, source_of, split_option, stanza_for
from esctl.model import MappingConfig, Stanza

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.index.files.manifest import Manifest

_MOST_LISTED = 10
"""Sources, or keys, that are listed."""
_SHOWN = (*FIELDS, *TABLES, "dedupe_by", "tombstone", "unwrap", "time_format")


def report_overruled(store: Store, quiet: bool) -> None:
    """Print which keys of esctl.toml `--map` overrides, and which options and stanzas apply to no source."""
    options = store.overrides
    known = store.view.manifest.sources
    found = list_overruled(store.config.mapping, options, known)
    for each in found[:_MOST_LISTED]:
        value = each.value if isinstance(each.value, str) else str(each.value)
        diagnostics.note(f"note: --map {each.option} goes before {each.place} of esctl.toml ({value:.60})", quiet)
    if found:
        more = f"; so it is of {len(found) - _MOST_LISTED} more keys" if len(found) > _MOST_LISTED else ""
        diagnostics.note(f"note: to follow esctl.toml alone{more}: esctl reindex --map ''", quiet)
    listed = _list_names(known)
    for glob in dict.fromkeys(filter(None, map(source_of, options))):
        if not any(is_named(glob, name) for name in known):
            diagnostics.note(f"note: --map {glob}:... is for no source that there is; sources: {listed}", quiet)
    report_idle(store, quiet)


def report_idle(store: Store, quiet: bool) -> None:
    """Print which stanzas of esctl.toml apply to no source."""
    known = store.view.manifest.sources
    idle = _idle_globs(store.config.mapping, known)
    if idle:
        places = ", ".join(f"[mapping.sources.{json_string(glob)}]" for glob in idle[:_MOST_LISTED])
        verb = "is" if len(idle) == 1 else "are"
        line = f"note: {places} of esctl.toml {verb} for no source that there is; sources: {_list_names(known)}"
        diagnostics.note(line, quiet)


def _list_names(known: Iterable[str]) -> str:
    return ", ".join(sorted(known)[:_MOST_LISTED]) or "none"


def _idle_globs(mapping: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """List the globs in [mapping.sources] that are the first match of no source."""
    globs = list(mapping.get("sources", ()))
    used = {next((glob for glob in globs if is_named(glob, name)), "") for name in names}
    return [glob for glob in globs if glob not in used]


def kept_settings(options: Sequence[str]) -> Iterator[Setting]:
    """Yield the kept `--map` options as settings."""
    for option in options:
        source, key, path = split_option(option)
        place = f"mapping.sources.{json_string(source)}.{key}" if source else f"mapping.{key}"
        yield Setting(place, path, KEPT_OPTIONS)


def configured_settings(
    settings: Iterable[Setting], config: Config, options: Sequence[str], names: Iterable[str]
) -> Iterator[Setting]:
    """Yield the mapping settings of esctl.toml, marked if `--map` overrides them or they apply to no source."""
    known = tuple(names)
    marks = {each.place: f"behind --map {each.option}" for each in list_overruled(config.mapping, options, known)}
    if known:
        idle = _idle_globs(config.mapping, known)
        marks |= {f"mapping.sources.{json_string(glob)}": "for no source that there is" for glob in idle}
    for setting in settings:
        more = [text for place, text in marks.items() if _is_at(setting.name, place)]
        yield Setting(setting.name, setting.value, ", ".join([setting.origin, *more[:1]]))


def _is_at(name: str, place: str) -> bool:
    bare = place.replace('"', "")
    return f"{name}.".startswith((f"{place}.", f"{bare}."))


def reading_settings(manifest: Manifest, config: MappingConfig, file: str) -> Iterator[Setting]:
    """Yield the fields by which sources are read, with their origins; sources that are read alike share a setting."""
    alike: dict[tuple[Any, ...], list[str]] = {}
    for name, number in sorted(manifest.sources.items()):
        options = tuple(option for option in config.overrides if source_of(option) in ("", *_globs_of(name, config)))
        alike.setdefault((number, stanza_for(config, name), options), []).append(name)
    for (number, own, options), names in alike.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        stanza = manifest.stanzas[number]
        for key, value in _stanza_values(stanza):
            yield Setting(f"read.{json_string(names[0])}{more}.{key}", value, _origin(key, stanza, own, options, file))


def _globs_of(name: str, config: MappingConfig) -> list[str]:
    return [glob for glob in map(source_of, config.overrides) if glob and is_named(glob, name)]


def _stanza_values(stanza: Stanza) -> Iterator[tuple[str, str]]:
    for key in _SHOWN:
        value: Any = getattr(stanza, key) or (stanza.id_parts if key == "id" else ())
        if key in TABLES:
            yield from ((f"{key}.{role}", " | ".join(paths)) for role, paths in value)
        elif value:
            yield key, value if isinstance(value, str) else " | ".join(value)


def _origin(key: str, stanza: Stanza, own: Stanza | None, options: Sequence[str], file: str) -> str:
    group = key.partition(".")[0]
    if any(split_option(option)[1] in (key, group) for option in options):
        return "--map"
    if own is not None and own.name and getattr(own, group):
        return file if own.name == "custom" else f"{file}, preset {own.name}"
    return "recognised" if stanza.name == "custom" else f"preset {stanza.name}"
