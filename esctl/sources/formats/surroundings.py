"""What stands around the records of a wrapped document: the other members of the objects that they are in."""

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
_ALONE = re.compile(rb'\s*"(?:[^"\\]|\\.)*"\s*:\s*\Z')


class Surroundings:
    """Finds what stands around records as a document is read, window by window.

    What stands around is a JSON array of the objects from the outermost in, each without what leads to the records
    (null stands there). What comes after the records is in it where the object ends within the window.
    """

    def __init__(self, steps: Path) -> None:
        ends_in_array = bool(steps) and steps[-1] in (EACH, MEMBERS)
        self._levels = [level for level, step in enumerate(steps) if isinstance(step, str)] if ends_in_array else []
        self._before: dict[int, bytes] = {}
        self._last: bytes | None = None

    def of(self, window: Bytes, brackets: Brackets, holders: Offsets) -> list[bytes | None]:
        """Return what stands around the records in each bracket that holds some, by its index; -1: one opened before.

        None where that is nothing.
        """
        if not self._levels or not len(holders):
            return [None] * len(holders)
        if not len(brackets.at):  # all of them were opened before
            return [self._last] * len(holders)
        text = window.tobytes()
        spans = [_spans(brackets, holders, level) for level in self._levels]
        found = []
        for number, holder in enumerate(holders.tolist()):
            if holder >= 0:
                self._last = self._around(text, [level[number] for level in spans])
            found.append(self._last)
        return found

    def _around(self, text: bytes, spans: list[list[int]]) -> bytes | None:
        told = []
        for level, (start, inner, end, outer) in zip(self._levels, spans, strict=True):
            if start >= 0:  # else the object was opened in the window before
                self._before[level] = text[start:inner]
            members = _members(self._before.get(level, b""), text[end:outer] if outer >= 0 else b"")
            told += [members] if members else []
        return b"[" + b",".join(told) + b"]" if told else None


def _spans(brackets: Brackets, holders: Offsets, level: int) -> list[list[int]]:
    """Return, for the object at a level around each holder, where its members begin, where what leads on begins and
    ends, and where the object ends; -1 for what is not in the window.
    """
    at = brackets.at
    opens, closes = (
        [
            np.flatnonzero((brackets.before == low + step) & (brackets.after == low + 1 - step))
            for low in (level, level + 1)
        ]
        for step in (0, 1)
    )
    first, inner = (_last(each, holders) for each in opens)
    inner_end = _next(closes[1], inner)
    outer_end = np.where(inner_end >= 0, _next(closes[0], inner_end), -1)
    bounds = [
        np.where((first >= 0) & (inner > first), at[first] + 1, -1),
        at[inner],
        at[inner_end] + 1,
        np.where(outer_end >= 0, at[outer_end], -1),
    ]
    found: list[list[int]] = np.stack(bounds, axis=1).tolist()
    return found


def _last(indexes: Offsets, upto: Offsets) -> Offsets:
    """Return the last of some brackets that is not after each of others, -1 for none."""
    number = np.searchsorted(indexes, upto, side="right") - 1
    return np.append(indexes, -1)[number]


def _next(indexes: Offsets, after: Offsets) -> Offsets:
    """Return the first of some brackets after each of others, -1 for none."""
    return np.append(indexes, -1)[np.searchsorted(indexes, after, side="right")]


def _members(before: bytes, after: bytes) -> bytes:
    """Write the members of an object as one, null for the one between; nothing where there are no others."""
    if not before or (_ALONE.match(before) and not after.strip()):
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
