"""The keys of a mapping that say how times are read: `time_format`, `day_first`, `zone_names`, `newest_first`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esctl.errors import UsageError
from esctl.index.envelope.toml_text import toml_key, toml_string
from esctl.model import Stanza

TIME_KEYS = ("time_format", "zone_names", "newest_first")
"""Fields of a stanza; the key `day_first` sets `time_format`."""


def read_time_key(key: str, value: Any, where: str) -> dict[str, Any]:
    """Return the fields of Stanza that one of the keys changes. Raises UsageError naming the place."""
    if key == "time_format":
        return {key: _read_formats(value, where)}
    if key == "zone_names":
        return {key: _read_zones(value, where)}
    if isinstance(value, str) and value in ("true", "false"):  # as --map has it
        value = value == "true"
    if not isinstance(value, bool):
        raise UsageError(f"{where} is neither true nor false")
    if key == "day_first":
        return {"time_format": ("day-first" if value else "month-first",)}
    return {key: value}


def _read_formats(value: Any, where: str) -> tuple[str, ...]:
    formats = value if isinstance(value, list) else [value]
    if not formats or not all(isinstance(each, str) for each in formats):
        raise UsageError(f"{where} is not a time format", 'write it like time_format = "%d/%m/%Y %H:%M:%S"')
    from esctl.index.decode.times.reading import check_format

    try:
        return tuple(map(check_format, formats))
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from None


def _read_zones(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} is not a table", 'write it like zone_names = { CET = "+01:00", CEST = "+02:00" }')
    from esctl.index.decode.times.reading import zone_minutes

    try:
        for name, offset in value.items():
            zone_minutes(name, offset)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from None
    return tuple(value.items())


def write_time_keys(stanza: Stanza) -> list[str]:
    """Write as lines of TOML what a stanza says about times."""
    lines = []
    if stanza.time_format:
        written = [toml_string(each) for each in stanza.time_format]
        lines.append(f"time_format = {written[0] if len(written) == 1 else '[' + ', '.join(written) + ']'}")
    if stanza.zone_names:
        zones = ", ".join(f"{toml_key(name)} = {toml_string(offset)}" for name, offset in stanza.zone_names)
        lines.append(f"zone_names = {{ {zones} }}")
    if stanza.newest_first is not None:
        lines.append(f"newest_first = {str(stanza.newest_first).lower()}")
    return lines
