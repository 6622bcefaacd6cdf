"""A stanza written as the table of a configuration file."""

from __future__ import annotations

from esctl.index.envelope.mapping import EMPTY_STANZA, FIELDS, TABLES
from esctl.index.envelope.payload_keys import write_payload_keys
from esctl.index.envelope.text.keys import write_text_keys
from esctl.index.envelope.times.keys import write_time_keys
from esctl.index.envelope.toml_text import toml_key, toml_string
from esctl.model import Stanza


def to_toml(stanza: Stanza, table: str = "mapping") -> str:
    """Write a stanza as the `[mapping]` (or another) table of an `esctl.toml`, without what its preset says."""
    from esctl.index.envelope.presets import PRESETS

    preset = PRESETS.get(stanza.name)
    base = preset.stanza if preset else EMPTY_STANZA
    lines = [f"[{table}]", *([f"preset = {toml_string(stanza.name)}"] if preset else [])]
    for key in FIELDS:
        value, parts = getattr(stanza, key), stanza.id_parts if key == "id" else ()
        if value != getattr(base, key) or (key == "id" and parts != base.id_parts):
            lines.append(f"{key} = {_write_field(key, value, parts)}")
    implied = "sequence" if stanza.sequence and stanza.sequence != base.sequence else base.order
    if stanza.order != implied:
        lines.append(f"order = {toml_string(stanza.order)}")
    lines += [
        f"{key} = {toml_string(getattr(stanza, key))}"
        for key in ("scope", "ignore", "unwrap")
        if getattr(stanza, key) != getattr(base, key)
    ]
    lines += [f"dedupe_by = {_write_values(stanza.dedupe_by)}"] * (stanza.dedupe_by != base.dedupe_by)
    lines += [f"tombstone = {_write_values(stanza.tombstone)}"] * (stanza.tombstone != base.tombstone)
    lines += write_payload_keys(stanza, base, toml_string)
    lines += [*write_time_keys(stanza), *write_text_keys(stanza, base)]
    for key in TABLES:
        if getattr(stanza, key) != getattr(base, key):
            lines += ["", f"[{table}.{key}]"]
            write = _write_names if key == "row_keys" else _write_values
            lines += [f"{toml_key(role)} = {write(paths)}" for role, paths in getattr(stanza, key)]
    return "\n".join(lines) + "\n"


def _write_field(key: str, value: tuple[str, ...], parts: tuple[str, ...]) -> str:
    if parts:
        return _write_values(parts) if len(parts) > 1 else f"{{ parts = {_write_values(parts)} }}"
    if key == "id" and len(value) > 1:
        return f"{{ first = {_write_values(value)} }}"
    return _write_values(value)


def _write_names(names: tuple[str, ...]) -> str:
    return f"[{', '.join(map(toml_string, names))}]"


def _write_values(values: tuple[str, ...]) -> str:
    written = [
        f"{{ const = {toml_string(value[1:])} }}" if value.startswith("=") else toml_string(value) for value in values
    ]
    return written[0] if len(written) == 1 else f"[{', '.join(written)}]"
