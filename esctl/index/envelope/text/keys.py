"""The keys of a mapping that say how the lines of a text log are read: `pattern`, `year`."""

from __future__ import annotations

import re
from typing import Any

from esctl.errors import UsageError
from esctl.index.envelope.toml_text import toml_string
from esctl.model import Stanza

TEXT_KEYS = ("pattern", "year")


def read_text_key(key: str, value: Any, where: str) -> dict[str, Any]:
    """Return the fields of Stanza that one of the keys changes. Raises UsageError naming the place."""
    if key == "year":
        if not re.fullmatch(r"[0-9]{4}", str(value)) or isinstance(value, bool):
            raise UsageError(f"{where}: {value!r} is not a year", "it is the year of the first record: year = 2024")
        return {key: str(value)}
    patterns = value if isinstance(value, list) else [value]
    if not patterns or not all(isinstance(each, str) and each for each in patterns):
        raise UsageError(f"{where} is not a pattern", 'write it like pattern = "%{IP:client} %{GREEDYDATA:message}"')
    from esctl.sources.formats.text.known import text_format

    try:
        text_format("\n".join(patterns))
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from None
    return {key: "\n".join(patterns)}


def write_text_keys(stanza: Stanza, base: Stanza) -> list[str]:
    """Write as lines of TOML what a stanza says about lines, if `base` says otherwise."""
    patterns = [toml_string(each) for each in stanza.pattern.split("\n")]
    written = patterns[0] if len(patterns) == 1 else f"[{', '.join(patterns)}]"
    lines = [f"pattern = {written}"] if stanza.pattern != base.pattern else []
    return [*lines, f"year = {stanza.year}"] if stanza.year else lines
