"""What surrounds the records of a wrapped document: the other members of the objects that they are in."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from esctl.sources.feed import Bytes
from esctl.sources.formats.json.scan import Brackets
from esctl.sources.formats.shape import EACH, MEMBERS, Path
from esctl.sources.pieces import Offsets

_LARGEST = 1 << 15  # bytes of one object's members; of a larger one, its small members are kept
_LARGEST_MEMBER = 1 << 10
_KEY_ONLY = re.compile(rb'\s*"(?:[^"\\]|\\.)*"\s*:\s*\Z')


class Surroundings:
    """Finds what surrounds records while a document is read window by window.

    That is a JSON array of the enclosing objects, the outermost first, each with null in place of what leads to the
    records. What comes after the records is included if the object ends within the window.
    """

    def __init__(self, steps: Path) -> None:
        ends_in_array = bool(steps) and steps[-1] in (EACH, MEMBERS)
        self._levels = [level for level, step in enumerate(steps) if isinstance(step, str)] if ends_in_array else []
        self._before: dict[int, bytes] = {}
        self._latest: bytes | None = None

    def find(self, window: Bytes, brackets: Brackets, holders: Offsets) -> list[bytes | None]:
        """Return what surrounds the records in each of the brackets `holders`, or None for nothing.

        A holder is the index of a bracket that holds records, -1 for one that was opened in an earlier window.
        """
        if not self._levels or not len(holders):
            return [None] * len(holders)
        if not len(brackets.at):  # all holders were opened before
            return [self._latest] * len(holders)
        text = window.tobytes()
        spans = [_spans(brackets, holders, level) for level in self._levels]
        found = []
        for number, holder in enumerate(holders.tolist()):
            if holder >= 0:
                self._latest = self._write_enclosing(text, [level[number] for level in spans])
            found.append(self._latest)
        return found

    def _write_enclosing(self, text: bytes, spans: list[list[int]]) -> bytes | None:
        objects = []
        for level, (start, inner, end, outer) in zip(self._levels, spans, strict=True):
            if start >= 0:  # else the object was opened in an earlier window
                self._before[level] = text[start:inner]
            members = _write_object(self._before.get(level, b""), text[end:outer] if outer >= 0 else b"")
            objects += [members] if members else []
        return b"[" + b",".join(objects) + b"]" if objects else None


def _spans(brackets: Brackets, holders: Offsets, level: int) -> list[list[int]]:
    """Return four offsets for the object at `level` around each holder, -1 for those that are not in the window.

    They are where its members begin, where the value that leads to the records begins and ends, and where it ends.
    """
    at = brackets.at
    opens, closes = (
        [
            np.flatnonzero((brackets.before == low + step) & (brackets.after == low + 1 - step))
            for low in (level, level + 1)
        ]
        for step in (0, 1)
    )
    first, inner = (_last_upto(each, holders) for each in opens)
    inner_end = _first_after(closes[1], inner)
    outer_end = np.where(inner_end >= 0, _first_after(closes[0], inner_end), -1)
    bounds = [
        np.where((first >= 0) & (inner > first), at[first] + 1, -1),
        at[inner],
        at[inner_end] + 1,
        np.where(outer_end >= 0, at[outer_end], -1),
    ]
    found: list[list[int]] = np.stack(bounds, axis=1).tolist()
    return found


def _last_upto(indexes: Offsets, upto: Offsets) -> Offsets:
    """Return, for each of `upto`, the last of `indexes` that is not after it, or -1."""
    number = np.searchsorted(indexes, upto, side="right") - 1
    return np.append(indexes, -1)[number]


def _first_after(indexes: Offsets, after: Offsets) -> Offsets:
    """Return, for each of `after`, the first of `indexes` after it, or -1."""
    return np.append(indexes, -1)[np.searchsorted(indexes, after, side="right")]


def _write_object(before: bytes, after: bytes) -> bytes:
    """Return an object of the members `before` and `after`, with null between them; b"" if there are no others.

    If the object is too large, only its small members are kept.
    """
    if not before or (_KEY_ONLY.match(before) and not after.strip()):
        return b""
    whole = b"{" + before + b"null" + after + b"}"
    if len(whole) <= _LARGEST:
        return whole
    try:
        members: dict[str, Any] = json.loads(whole)
    except (ValueError, RecursionError):
        return b""
    small = {key: text for key, value in members.items() if len(text := json.dumps(value)) <= _LARGEST_MEMBER}
    return ("{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in small.items()) + "}").encode()
