"""Which JSON values of a document are its records: itself, the elements of an array, or of an array it wraps."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import numpy as np

from esctl.sources.feed import Bytes
from esctl.sources.formats.jsonscan import Brackets, scan
from esctl.sources.pieces import BLANKS, BOM, Offsets

_LONGEST_KEY = 4096
_STRING = re.compile(rb'"((?:[^"\\]++|\\.)*+)"(\s*+:)?', re.DOTALL)
_PATH_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([^.]+)')
CUSTOMARY = "Records"
_IDS = {"id", "event_id", "eventid", "specversion"}
_TYPES = {"type", "event_type", "eventtype", "eventname", "event", "action"}
_TIMES = {"time", "timestamp", "@timestamp", "occurred_at", "eventtime"}
_ENVELOPE = _IDS | _TYPES | _TIMES


class Shape(NamedTuple):
    """How records lie in JSON documents; `path` is the way to the array in each, for `wrapped`."""

    kind: str  # values | array | wrapped
    path: tuple[str, ...] = ()

    @property
    def depth(self) -> int:
        """Nesting depth at which the records' own brackets open."""
        return 0 if self.kind == "values" else len(self.path) + 1


def parse_records_path(text: str) -> tuple[str, ...]:
    """Split a dotted path; odd names stand in double quotes (`a."b.c"`)."""
    return tuple(quoted or plain for quoted, plain in _PATH_PART.findall(text))


def format_records_path(path: tuple[str, ...]) -> str:
    """Write a path so that `parse_records_path` reads it."""
    return ".".join(f'"{part}"' if re.search(r'[."]', part) else part for part in path)


def find_shape(head: bytes, records_path: str | None) -> Shape:
    """Return which values of a JSON stream are its records, by its beginning.

    An object is opened up when `records_path` says so, or when its top level holds exactly one array of objects and
    nothing that marks it as an event itself (an id, a type, a time).
    """
    if records_path:
        return Shape("wrapped", parse_records_path(records_path))
    text = head.removeprefix(BOM).lstrip(BLANKS + b"\x1e")
    if text.startswith(b"["):
        return Shape("array")
    key = wrapped_key(text)
    return Shape("values") if key is None else Shape("wrapped", (key,))


def wrapped_key(text: bytes) -> str | None:
    """Name the only array of objects at the top level of the object that `text` begins with, if it is a wrapper."""
    if not text.startswith(b"{"):
        return None
    window = np.frombuffer(text, np.uint8)
    brackets, _ = scan(window, 1)
    ends = np.flatnonzero((brackets.after == 0) & (brackets.before == 1))
    size = int(brackets.at[ends[0]]) + 1 if len(ends) else len(text)
    opens = (brackets.before == 1) & (brackets.after == 2) & brackets.square & (brackets.at < size)
    keys = _top_keys(text[:size], brackets)
    found = []
    for at in brackets.at[opens].tolist():
        first = text[at + 1 : at + 1 + _LONGEST_KEY].lstrip(BLANKS)[:1]
        key = key_before(window, at)
        if key is not None and (first == b"{" or (key == CUSTOMARY and len(keys) == 1)):
            found.append(key)
    if len(found) != 1 or any(key.lower() in _ENVELOPE for key in keys - set(found)):
        return None
    return found[0]


def _top_keys(text: bytes, brackets: Brackets) -> set[str]:
    """Return the keys of the first object's top level, as far as the text goes."""
    opens = brackets.at[(brackets.before == 1) & (brackets.after == 2)].tolist()
    closes = brackets.at[(brackets.before == 2) & (brackets.after == 1)].tolist()
    parts, start = [], 0
    for open_at, close_at in zip(opens, [*closes, len(text)], strict=False):
        parts.append(text[start:open_at])
        start = close_at
    parts.append(text[start:])
    flat = b" ".join(parts)
    return {_unescaped(match.group(1)) for match in _STRING.finditer(flat) if match.group(2)}


def array_openings(window: Bytes, brackets: Brackets, shape: Shape) -> Offsets:
    """Return the indexes of the brackets that open an array of records."""
    if shape.kind == "values":
        return np.empty(0, np.int64)
    level = shape.depth - 1
    opens = np.flatnonzero((brackets.before == level) & (brackets.after == level + 1) & brackets.square)
    if shape.kind == "array":
        return opens
    return np.array([index for index in opens.tolist() if _has_path(window, brackets, shape.path, index)], np.int64)


def _has_path(window: Bytes, brackets: Brackets, path: tuple[str, ...], index: int) -> bool:
    for level in range(len(path), 0, -1):
        if key_before(window, int(brackets.at[index])) != path[level - 1]:
            return False
        # The bracket that encloses this one is the last one before it to open at the level above.
        outer = np.flatnonzero((brackets.before[:index] == level - 1) & (brackets.after[:index] == level))
        if not len(outer):
            return False
        index = int(outer[-1])
    return True


def may_have_records(head: bytes, whole: bool, path: tuple[str, ...]) -> bool:
    """Tell whether an array at a path is in the head of a JSON stream, or may still come in its first document."""
    window, shape = np.frombuffer(head, np.uint8), Shape("wrapped", path)
    brackets, _ = scan(window, shape.depth)
    begun = not whole or head.removeprefix(BOM).lstrip(BLANKS).startswith(b"{")  # what is unfinished may go on later
    is_open = begun and not (brackets.after == 0).any()
    return is_open or len(array_openings(window, brackets, shape)) > 0


def key_before(window: Bytes, at: int) -> str | None:
    """Return the object key whose value begins at `at`, or None when none stands there."""
    before = window[max(0, at - _LONGEST_KEY) : at].tobytes().rstrip(BLANKS)
    if not before.endswith(b":"):
        return None
    before = before[:-1].rstrip(BLANKS)
    if not before.endswith(b'"'):
        return None
    start = len(before) - 1
    while (start := before.rfind(b'"', 0, start)) >= 0:
        slashes = start - len(before[:start].rstrip(b"\\"))
        if slashes % 2 == 0:
            return _unescaped(before[start + 1 : -1])
    return None


def _unescaped(text: bytes) -> str:
    try:
        return str(json.loads(b'"' + text + b'"'))
    except ValueError:
        return text.decode(errors="replace")
