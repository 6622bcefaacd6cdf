"""Convert rows as Athena, Presto and Hive print them in a cell, `{type=IAMUser, arn=..., tags=[{k=a}]}`, to JSON.

Such text has no quotes, so the types of values are lost: all are texts but `null`. A cell that cannot be read, or has
one name twice, stays a text.
"""

from __future__ import annotations

import json
import re

_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_.$]*)=")
_NEXT = re.compile(r", (?=[A-Za-z_][A-Za-z0-9_.$]*=)")
_CLOSED = re.compile(r"\}(?=$|, |[\]}])")
_ELEMENT = re.compile(r", |\](?=$|, |[\]}])")
_LARGEST, _DEEPEST = 1 << 20, 20


def struct_json(raw: bytes | None) -> bytes | None:
    """Return the JSON of a printed row or array; None if the text is neither."""
    if raw is None or not raw.startswith((b"{", b"[")) or len(raw) > _LARGEST:
        return None
    try:
        text = raw.decode()
        value, end = _value(text, 0, 0)
        return json.dumps(value, ensure_ascii=False).encode() if end == len(text) else None
    except (ValueError, UnicodeDecodeError):
        return None


def _value(text: str, at: int, depth: int) -> tuple[object, int]:
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    if text.startswith("{", at):
        return _struct(text, at + 1, depth)
    if text.startswith("[", at):
        return _array(text, at + 1, depth)
    raise ValueError("neither a row nor an array")


def _struct(text: str, at: int, depth: int) -> tuple[dict[str, object], int]:
    found: dict[str, object] = {}
    while not text.startswith("}", at):
        name = _NAME.match(text, at)
        if name is None or name[1] in found:
            raise ValueError("no name")
        at = name.end()
        if text[at : at + 1] in ("{", "["):
            found[name[1]], at = _value(text, at, depth + 1)
        else:
            ends = [each.start() for each in (_NEXT.search(text, at), _CLOSED.search(text, at)) if each is not None]
            end = min(ends, default=len(text))
            found[name[1]], at = _scalar(text[at:end]), end
        if text.startswith(", ", at):
            at += 2
        elif not text.startswith("}", at):
            raise ValueError("not closed")
    return found, at + 1


def _array(text: str, at: int, depth: int) -> tuple[list[object], int]:
    found: list[object] = []
    while not text.startswith("]", at):
        if text[at : at + 1] in ("{", "["):
            value, at = _value(text, at, depth + 1)
        else:
            end = _ELEMENT.search(text, at)
            if end is None:
                raise ValueError("not closed")
            value, at = _scalar(text[at : end.start()]), end.start()
        found.append(value)
        if text.startswith(", ", at):
            at += 2
        elif not text.startswith("]", at):
            raise ValueError("not closed")
    return found, at + 1


def _scalar(text: str) -> str | None:
    return None if text == "null" else text
