"""Inflating of deflated bytes that gives everything before damage before it reports the damage."""

from __future__ import annotations

import zlib
from typing import IO, Any, cast

_BLOCK = 1 << 16
GZIP, BARE = 31, -15
"""The `wbits` of zlib: gzip members, one after another, or one deflated stream without a frame."""


class Inflated:
    """A stream that inflates another.

    Raises EOFError if the other is cut off and zlib.error if it is corrupt, in each case after all bytes before that.
    """

    def __init__(self, raw: IO[bytes], frame: int = GZIP) -> None:
        self._raw = cast(Any, raw)
        self._frame = frame
        self._input = b""
        self._member: Any = None
        self._members = 0
        self._failure: zlib.error | None = None

    def readinto1(self, view: memoryview) -> int:
        """Fill `view` with the next bytes at hand, and return how many; 0 at the end."""
        if self._failure is not None:
            raise self._failure
        if not len(view):
            return 0
        while self._has_more():
            data = self._inflate(len(view))
            if data:
                view[: len(data)] = data
                return len(data)
        return 0

    def _has_more(self) -> bool:
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

    def _inflate(self, size: int) -> bytes:
        member, data = self._member, self._input
        before = member.copy()
        try:
            out = member.decompress(data, size)
        except zlib.error as error:
            self._failure = error
            out = _inflate_to_damage(before, data, size)
            if not out:
                raise
            return out
        self._input = member.unused_data if member.eof else member.unconsumed_tail
        if member.eof:
            self._member = None
        elif not out and not data:
            raise EOFError("it ends before its own end")
        return cast(bytes, out)


def _inflate_to_damage(member: Any, data: bytes, size: int) -> bytes:
    out = b""
    for at in range(len(data)):
        try:
            out += member.decompress(data[at : at + 1], size - len(out))
        except zlib.error:
            break
        if len(out) >= size:
            break
    return out
