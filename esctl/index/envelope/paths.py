"""Read and write paths into a record, also as JSON Pointers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from esctl.engine.exact_text import pointer_token
from esctl.errors import UsageError
from esctl.model import MARK

_SEGMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."\[\]]+)')
EACH = "[*]"
"""In a path: each element of an array."""
IN_BRACES = re.compile(r"\{([^{}]*)\}")
"""A path in a template."""
_INDEX = re.compile(r"\[([0-9]{1,9})\]")


def parse_path(text: str) -> tuple[str | int, ...]:
    """Read a dotted path: `data.items[0].name`, odd names quoted as in `data."user name"` (`\\"` and `\\\\` inside).

    Raises UsageError for a path that cannot be read. `""` is the whole record.
    """
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        if index := _INDEX.match(text, at):
            parts.append(int(index[1]))
            at = index.end()
            continue
        if parts:
            if text[at] != ".":
                raise _bad_path(text)
            at += 1
        segment = _SEGMENT.match(text, at)
        if not segment:
            raise _bad_path(text)
        quoted = segment[1]
        parts.append(segment[2] if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL))
        at = segment.end()
    return tuple(parts)


def _bad_path(text: str) -> UsageError:
    return UsageError(f"{text!r} is not a path", 'write it like data.items[0].name; quote odd names: data."user name"')


def format_path(path: Iterable[str | int]) -> str:
    """Write a path so that `parse_path` reads it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        plain = re.fullmatch(r"[^\W\d][\w$@-]*|[$@][\w$@-]*", part)
        name = part if plain else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
        text += f".{name}" if text else name
    return text


def json_pointer(path: Iterable[str | int]) -> str:
    """Write a path as a JSON Pointer (RFC 6901) into a judged text, where keys that begin with MARK have two."""
    pointer = ""
    for part in path:
        name = str(part)
        if name.startswith(MARK):
            name = MARK + name
        pointer += "/" + pointer_token(name)
    return pointer


def paths_in(alternative: str) -> list[str]:
    """List the paths that an alternative names: itself, or those in its braces; none for a constant."""
    if alternative.startswith("="):
        return []
    return IN_BRACES.findall(alternative) if "{" in alternative else [alternative]


def with_paths(alternative: str, change: Callable[[str], str]) -> str:
    """Return an alternative with each of its paths changed."""
    if alternative.startswith("="):
        return alternative
    if "{" in alternative:
        return IN_BRACES.sub(lambda path: f"{{{change(path[1])}}}", alternative)
    return change(alternative)


def look_up(record: object, path: Sequence[str | int]) -> Any:
    """Return the value at a path of a parsed record, or None."""
    value: Any = record
    for part in path:
        found = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if not found:
            return None
        value = value[part]
    return value
