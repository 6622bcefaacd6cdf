"""Arrow arrays -> JSON text, vectorised and exact."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Array = Any  # pyarrow ships no types: Array or ChunkedArray

_TEXT = pa.large_string()
_CONTROLS = [chr(code) for code in range(32)]
_SPECIAL = r'["\\\x00-\x1f]'


def quote_texts(texts: Array) -> Array:
    """Write strings as JSON strings (RFC 8259, section 7); nulls stay null."""
    texts = texts.cast(_TEXT)
    if pc.any(pc.match_substring_regex(texts, _SPECIAL)).as_py():
        texts = pc.replace_substring(texts, "\\", "\\\\")
        texts = pc.replace_substring(texts, '"', '\\"')
        if pc.any(pc.match_substring_regex(texts, r"[\x00-\x1f]")).as_py():
            texts = _escape_controls(texts)
    return surround('"', texts, '"')


def _escape_controls(texts: Array) -> Array:
    for control in _CONTROLS:
        if pc.any(pc.match_substring(texts, control)).as_py():
            texts = pc.replace_substring(texts, control, json.dumps(control)[1:-1])
    return texts


def surround(before: str, texts: Array, after: str) -> Array:
    """Return each value with text before and after it; nulls stay null."""
    kind = texts.type
    parts = (pa.scalar(before, kind), texts, pa.scalar(after, kind), pa.scalar("", kind))
    return pc.binary_join_element_wise(*parts)


def join_members(names: list[str], values: list[Array]) -> Array:
    """Write one JSON object per row from the JSON texts of its members; a null text means: no such member."""
    keys = [json.dumps(name, ensure_ascii=False) for name in names]
    members = [surround(f",{key}:", text, "") for key, text in zip(keys, values, strict=True)]
    # Not null_handling="skip": pyarrow 26 then loses the rows in which everything is null.
    joined = pc.binary_join_element_wise(*members, pa.scalar("", _TEXT), null_handling="replace", null_replacement="")
    return pc.replace_substring(surround("{", joined, "}"), "{,", "{", max_replacements=1)
