"""Deflated bytes unpacked as far as they are whole: what comes before damage is given before the damage is."""

from __future__ import annotations

import zlib
from typing import IO, Any, cast

_BLOCK = 1 << 16
GZIP, BARE = 31, -15
"""What zlib is to expect: members of gzip, one after another, or one deflated stream without a frame."""


class Inflated:
    """A stream that gives what another holds deflated.

    Raises EOFError where it is cut off and zlib.error where it is spoiled, each only once all before was given.
    """

    def __init__(self, raw: IO[bytes], frame: int = GZIP) -> None:
        self._raw = cast(Any, raw)
        self._frame = frame
        self._input = b""
        self._member: Any = None
        self._members = 0
        self._failure: zlib.error | None = None

    def readinto1(self, view: memoryview) -> int:
        """Fill a view with what comes next, as far as that is at hand; 0 at the end."""
        if self._failure is not None:
            raise self._failure
        if not len(view):
            return 0
        while self._is_going_on():
            data = self._unpacked(len(view))
            if data:
                view[: len(data)] = data
                return len(data)
        return 0

    def _is_going_on(self) -> bool:
        if not self._input:
            self._input = self._raw.read1(_BLOCK)
        if self._member is None:
            if self._members:  # between members there may be zeros
                self._input = self._input.lstrip(b"\0") if self._frame == GZIP else b""
            if not self._input:
                return False
            self._member = zlib.decompressobj(self._frame)
            self._members += 1
        return True

    def _unpacked(self, size: int) -> bytes:
        member, data = self._member, self._input
        before = member.copy()
        try:
            out = member.decompress(data, size)
        except zlib.error as error:
            self._failure = error
            out = _up_to_damage(before, data, size)
            if not out:
                raise
            return out
        self._input = member.unused_data if member.eof else member.unconsumed_tail
        if member.eof:
            self._member = None
        elif not out and not data:
            raise EOFError("it ends before its own end")
        return cast(bytes, out)


def _up_to_damage(member: Any, data: bytes, size: int) -> bytes:
    out = b""
    for at in range(len(data)):
        try:
            out += member.decompress(data[at : at + 1], size - len(out))
        except zlib.error:
            break
        if len(out) >= size:
            break
    return out
