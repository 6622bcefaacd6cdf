"""What a mapping says of the lines of a source that is a text log: their pattern, and the year of its times."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from esctl.index.envelope.mapping import stanza_for
from esctl.index.envelope.text.keys import TEXT_KEYS
from esctl.model import Cursor, MappingConfig, Stanza


def pattern_of(config: MappingConfig, source: str) -> str:
    """Return the pattern that is told for the lines of a source, or ""."""
    return _told(config, source).get("pattern", "")


def year_of(config: MappingConfig, source: str) -> str:
    """Return the year that is told for the times of a source that have none, or ""."""
    return _told(config, source).get("year", "")


def read_as_told(config: MappingConfig, source: str, cursor: Cursor) -> Cursor:
    """Return the cursor of a text log with the pattern and the year that are told for it."""
    return _with(cursor, _told(config, source)) if cursor.format == "text" else cursor


def read_by(stanza: Stanza, cursor: Cursor) -> Cursor:
    """Return the cursor of a text log with the pattern and the year that its stanza has."""
    return _with(cursor, {key: getattr(stanza, key) for key in TEXT_KEYS}) if cursor.format == "text" else cursor


def _with(cursor: Cursor, told: Mapping[str, str]) -> Cursor:
    return replace(cursor, dialect={**cursor.dialect, **{key: value for key, value in told.items() if value}})


def _told(config: MappingConfig, source: str) -> Mapping[str, str]:
    stanza = stanza_for(config, source)
    told = {key: getattr(stanza, key) for key in TEXT_KEYS if stanza is not None}
    said: list[str] = []
    for assignment in config.overrides:
        key, _, value = assignment.partition("=")
        if key.strip() == "pattern":
            said.append(value)
        elif key.strip() == "year":
            told["year"] = value
        elif key.strip() == "preset":
            told["pattern"] = _of_preset(value) or told.get("pattern", "")
    if said:
        told["pattern"] = "\n".join(said)
    return {key: value for key, value in told.items() if value}


def _of_preset(name: str) -> str:
    from esctl.index.envelope.presets import PRESETS

    preset = PRESETS.get(name)
    return preset.stanza.pattern if preset is not None else ""
