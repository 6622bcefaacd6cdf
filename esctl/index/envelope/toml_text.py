"""Write keys and strings as TOML."""

from __future__ import annotations

import json
import re


def toml_string(text: str) -> str:
    """Write a TOML basic string (TOML 1.0), with all characters escaped that are not printable."""
    return "".join(map(_toml_character, json.dumps(text, ensure_ascii=False)))


def toml_key(name: str) -> str:
    """Write a key, quoted if it has to be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_string(name)


def _toml_character(character: str) -> str:
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
