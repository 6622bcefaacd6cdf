"""What a mapping says about the lines of a text log: their pattern, and the year of their times."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from esctl.index.envelope.mapping import override, stanza_for
from esctl.index.envelope.text.keys import TEXT_KEYS
from esctl.model import Cursor, MappingConfig, Stanza


def pattern_of(config: MappingConfig, source: str) -> str:
    """Return the pattern that the mapping gives for the lines of a source, or ""."""
    return _mapped_text_keys(config, source).get("pattern", "")


def year_of(config: MappingConfig, source: str) -> str:
    """Return the year that the mapping gives for times of a source that have none, or ""."""
    return _mapped_text_keys(config, source).get("year", "")


def with_mapped_text_keys(config: MappingConfig, source: str, cursor: Cursor) -> Cursor:
    """Return the cursor of a source; of a text log, with the pattern and the year that the mapping gives."""
    return _with_dialect(cursor, _mapped_text_keys(config, source)) if cursor.format == "text" else cursor


def with_text_keys_of(stanza: Stanza, cursor: Cursor) -> Cursor:
    """Return the cursor of a source; of a text log, with the pattern and the year of its stanza."""
    return (
        _with_dialect(cursor, {key: getattr(stanza, key) for key in TEXT_KEYS}) if cursor.format == "text" else cursor
    )


def _with_dialect(cursor: Cursor, keys: Mapping[str, str]) -> Cursor:
    return replace(cursor, dialect={**cursor.dialect, **{key: value for key, value in keys.items() if value}})


def _mapped_text_keys(config: MappingConfig, source: str) -> Mapping[str, str]:
    configured = stanza_for(config, source)
    stanza = override(configured, config.overrides, source)
    keys = {key: getattr(stanza, key) or getattr(configured, key, "") for key in TEXT_KEYS}  # a preset may have none
    return {key: value for key, value in keys.items() if value}
