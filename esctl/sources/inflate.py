"""Unpacking of packed streams, one after another, that gives what comes before damage before it reports the damage."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import IO, Any, cast

_BLOCK = 1 << 16
_SMALL_BLOCK = 1 << 13  # what comes out of a block is lost with it if there is damage in it
GZIP, BARE = 31, -15
"""The `wbits` of zlib: gzip members, one after another, or one deflated stream without a frame."""


class _Unpacking:
    """A stream that is unpacked from another, as much at a time as is at hand."""

    def readinto1(self, view: memoryview) -> int:
        """Fill `view` with the next bytes at hand, and return how many; 0 at the end."""
        while len(view) and self._has_more():
            if data := self._unpack(len(view)):
                view[: len(data)] = data
                return len(data)
        return 0

    def _has_more(self) -> bool:
        raise NotImplementedError

    def _unpack(self, size: int) -> bytes:
        """Return up to `size` bytes; none if more must be read first."""
        raise NotImplementedError


class Inflated(_Unpacking):
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

    def _has_more(self) -> bool:
        if self._failure is not None:
            raise self._failure
        if not self._input:
            self._input = self._raw.read1(_BLOCK)
        if self._member is None:
            if self._members:  # between members there may be zeros
                self._input = _skip_zeros(self._input, self._raw) if self._frame == GZIP else b""
            if not self._input:
                return False
            self._member = zlib.decompressobj(self._frame)
            self._members += 1
        return True

    def _unpack(self, size: int) -> bytes:
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


class Unpacked(_Unpacking):
    """Streams of bzip2 or xz, one after another, unpacked by decompressors that `make` makes.

    Unlike BZ2File and LZMAFile it ignores nothing but zeros after a stream: what else is there may be a stream that was
    damaged. Raises EOFError if the bytes are cut off, and what a decompressor raises.
    """

    def __init__(self, raw: IO[bytes], make: Callable[[], Any]) -> None:
        self._raw = cast(Any, raw)
        self._make = make
        self._input = b""
        self._stream = make()

    def _has_more(self) -> bool:
        if self._stream.eof:
            self._input = _skip_zeros(self._stream.unused_data, self._raw)
            if not self._input:
                return False
            self._stream = self._make()
        return True

    def _unpack(self, size: int) -> bytes:
        data = b""
        if self._stream.needs_input:
            data, self._input = self._input or self._raw.read1(_SMALL_BLOCK), b""
            if not data:
                raise EOFError("it ends before its own end")
        return cast(bytes, self._stream.decompress(data, size))


def _skip_zeros(data: bytes, raw: Any) -> bytes:
    """Return the first bytes of some, or of those that follow them, that are not zeros; none at the end."""
    while not (rest := data.lstrip(b"\0")):
        data = raw.read1(_BLOCK)
        if not data:
            break
    return rest


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
