"""Stanzas of single sources as TOML, to be added to an esctl.toml."""

from __future__ import annotations

import glob
import tomllib
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from esctl.errors import UsageError
from esctl.index.envelope.mapping import parse_mapping, stanza_for
from esctl.index.envelope.stanza_toml import to_toml
from esctl.index.envelope.toml_text import toml_string
from esctl.model import Stanza


def stanzas_text(stanzas: Mapping[str, Stanza]) -> str:
    """Write the `[mapping.sources]` tables of sources, by their names."""
    return "\n".join(
        to_toml(replace(stanza, numbering=0, newest_first=None), f"mapping.sources.{toml_string(glob.escape(source))}")
        for source, stanza in stanzas.items()
    )


def as_mapping(stanzas: Mapping[str, Stanza]) -> dict[str, Any]:
    """Return the `[mapping]` table that the stanzas of sources make."""
    table: dict[str, Any] = tomllib.loads(stanzas_text(stanzas)).get("mapping", {})
    return table


def with_stanzas(text: str, stanzas: Mapping[str, Stanza], file: str) -> str:
    """Return the text of an esctl.toml with the stanzas of some sources appended.

    Raises UsageError if they cannot be added, or if another stanza in it would take precedence over one of them.
    """
    added = f"{text.rstrip()}\n\n{stanzas_text(stanzas)}".lstrip()
    try:
        config = parse_mapping(tomllib.loads(added).get("mapping", {}), file)
    except ValueError as error:
        raise UsageError(
            f"{file}: the stanzas cannot be added: {error}", "write its [mapping] as tables of their own"
        ) from None
    for source, stanza in stanzas.items():
        wanted = replace(stanza, numbering=0, newest_first=None)
        if stanza_for(config, source) != wanted:
            raise UsageError(
                f"{file}: [mapping.sources] has a stanza for {source} already", "change it there, or take it out"
            )
    return added
