"""What stands around the records of a wrapped document: the other members of the objects that they are in."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from esctl.sources.feed import Bytes
from esctl.sources.formats.jsonscan import Brackets
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
        if not self._levels:
            return [None] * len(holders)
        opened = [np.flatnonzero((brackets.before == level) & (brackets.after == level + 1)) for level in self._all]
        closed = [np.flatnonzero((brackets.before == level + 1) & (brackets.after == level)) for level in self._all]
        return [self._around(window, brackets, int(holder), opened, closed) for holder in holders.tolist()]

    @property
    def _all(self) -> range:
        return range(self._levels[-1] + 2)

    def _around(
        self, window: Bytes, brackets: Brackets, holder: int, opened: list[Offsets], closed: list[Offsets]
    ) -> bytes | None:
        if holder < 0:
            return self._last
        found = []
        for level in self._levels:
            at, inner = _last(opened[level], holder), _last(opened[level + 1], holder)
            if at is not None and inner is not None and inner > at:
                self._before[level] = window[int(brackets.at[at]) + 1 : int(brackets.at[inner])].tobytes()
            after = _after(window, brackets, inner, closed[level], closed[level + 1])
            found.append(_members(self._before.get(level, b""), after))
        told = [members for members in found if members]
        self._last = b"[" + b",".join(told) + b"]" if told else None
        return self._last


def _last(indexes: Offsets, upto: int) -> int | None:
    """Return the last of some brackets that is not after another."""
    number = int(np.searchsorted(indexes, upto, side="right")) - 1
    return int(indexes[number]) if number >= 0 else None


def _after(window: Bytes, brackets: Brackets, inner: int | None, outer_ends: Offsets, inner_ends: Offsets) -> bytes:
    """Return what follows in an object on the bracket that leads on, where its end is in the window."""
    if inner is None:
        return b""
    end = int(np.searchsorted(inner_ends, inner, side="right"))
    if end >= len(inner_ends):
        return b""
    outer = int(np.searchsorted(outer_ends, inner_ends[end], side="right"))
    if outer >= len(outer_ends):
        return b""
    return window[int(brackets.at[inner_ends[end]]) + 1 : int(brackets.at[outer_ends[outer]])].tobytes()


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
