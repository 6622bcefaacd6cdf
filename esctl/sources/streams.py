"""Files as decompressed byte streams, within limits."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from msgspec import Struct

from esctl.errors import InputError
from esctl.sources.inflate import Inflated, Unpacked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LONGEST_ZSTD_WINDOW = 31
_STEP = 8 << 20  # how far a stream is unpacked between two checks of its limits
_MOST_LAYERS = 3
_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zstd.ZstdError)


class Limits(Struct, frozen=True):
    """How far a compressed source may unpack: to `expansion` times its size, and to `unpacked` bytes in all.

    Up to `harmless` bytes are accepted from a source of any size.
    """

    expansion: int = 1000
    unpacked: int = 1 << 40
    harmless: int = 1 << 30

    def check(self, name: str, given: int, size: int) -> None:
        """Raise InputError if `given` unpacked bytes are too many for `size` packed ones."""
        if given > self.unpacked:
            raise InputError(
                f"{name} unpacks to more than {self.unpacked:,} bytes", "raise the limit with --max-unpacked"
            )
        if given > self.harmless and given > self.expansion * size:
            raise InputError(
                f"{name} unpacks to more than {self.expansion:,} times its size",
                "if you know that it is meant to, raise the limit with --max-expansion",
            )


LIMITS = Limits()


class ByteStream:
    """A decompressed stream that reports damage as InputError and knows how much of the file it has read."""

    def __init__(
        self, name: str, raw: IO[bytes], size: int | None, plain: bool = False, limits: Limits = LIMITS
    ) -> None:
        self.name = name
        self.limits = limits
        self.size = size
        """Bytes of the file on disk, or None if unknown."""
        self._raw = _Counting(raw)
        buffered = io.BufferedReader(self._raw, 1 << 20)
        self._packing, self._stream = ("", cast(IO[bytes], buffered)) if plain else _unpack_layers(buffered)
        self._given = 0
        self.ended = False
        self._failure: InputError | None = None

    @property
    def done(self) -> int:
        """Return the bytes of the file on disk read so far, for progress."""
        return self._raw.count

    @property
    def compressed(self) -> bool:
        """Return whether the bytes had to be unpacked."""
        return bool(self._packing)

    def readinto(self, view: memoryview) -> int:
        """Fill `view` as far as the stream goes, and return how many bytes that is.

        If they are fewer than asked for, the stream has `ended`, or the next call raises InputError: the bytes before
        damage are not lost.
        """
        if self._failure is not None:
            raise self._failure
        filled = 0
        try:
            while filled < len(view) and not self.ended:
                filled += self._step(view[filled : filled + _STEP])
        except InputError as error:
            if not filled:
                raise
            self._failure = error
        return filled

    def _step(self, view: memoryview) -> int:
        # Not `readinto`, which reads until the view is full, and loses what it has read if that fails.
        readinto = cast(Callable[[memoryview], int | None], cast(Any, self._stream).readinto1)
        try:
            got = readinto(view) or 0
        except _DAMAGE as error:
            raise self._damage_error(error) from error
        except MemoryError:
            raise InputError(f"{self.name} needs more memory to be read than there is") from None
        self.ended = not got
        self._given += got
        if self._packing:
            self.limits.check(self.name, self._given, self._raw.count)
        return got

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes, as `readinto` does."""
        if self.size and not self._packing:
            size = min(size, self.size + 1)  # one more, which notices the end
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(memoryview(buffer))])

    def duplicate(self) -> int:
        """Return a file descriptor of its own for the file on disk."""
        return os.dup(self._raw.fileno())

    def close(self) -> None:
        """Close the stream, except stdin."""
        self._raw.close()

    def _damage_error(self, error: Exception) -> InputError:
        if self._packing:
            return InputError(
                f"{self.name}: damaged or cut-off {self._packing} data: {error}",
                "records before the damage may be complete; unpack it by hand or fetch the file again",
            )
        return InputError(f"{self.name}: cannot be read: {error}")


class _Counting(io.RawIOBase):
    def __init__(self, raw: IO[bytes]) -> None:
        self._inner = raw
        self.count = 0

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._inner.fileno()

    def readinto(self, buffer: Any) -> int:
        got = cast(int, cast(Any, self._inner).readinto(buffer)) or 0
        self.count += got
        return got

    def close(self) -> None:
        if not self.closed and self._inner is not getattr(sys.stdin, "buffer", None):
            self._inner.close()
        super().close()


class _Layer(io.RawIOBase):
    """An unpacked stream that may be packed once more. It gives bytes as they come, so none before damage is lost."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._damage: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # A stream that failed is not read again: from Python 3.14 on, bz2 would no longer say what is wrong.
        if self._damage is not None:
            raise self._damage
        try:
            return cast(int, self._inner.readinto1(memoryview(buffer).cast("B")))
        except _DAMAGE as error:
            self._damage = error
            raise


def _unpack_layers(packed: Any) -> tuple[str, IO[bytes]]:
    """Return how a stream is packed ("" if it is not), and its content; it may be packed several times over."""
    names: list[str] = []
    stream = packed
    while len(names) < _MOST_LAYERS:
        try:
            magic = stream.peek(16)[:16]
        except _DAMAGE:  # reported when it is read
            break
        name, opener = _decoder(magic)
        if not name:
            break
        names.insert(0, name)
        stream = io.BufferedReader(_Layer(opener(cast(IO[bytes], stream))), 1 << 20)
    return " in ".join(names), cast(IO[bytes], stream)


def _decoder(magic: bytes) -> tuple[str, Callable[[IO[bytes]], Any]]:
    if magic.startswith(b"\x1f\x8b\x08"):
        return "gzip", Inflated
    if magic[:4] == b"\x28\xb5\x2f\xfd" or (magic[1:4] == b"\x2a\x4d\x18" and magic[0] & 0xF0 == 0x50):
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _LONGEST_ZSTD_WINDOW}
        return "zstd", lambda raw: zstd.ZstdFile(raw, options=options)
    if magic[:3] == b"BZh" and magic[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"):
        return "bzip2", lambda raw: Unpacked(raw, bz2.BZ2Decompressor)
    if magic.startswith(b"\xfd7zXZ\x00"):
        return "xz", lambda raw: Unpacked(raw, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ))
    return "", lambda raw: raw


def open_path(name: str, path: Path, plain: bool = False, limits: Limits = LIMITS) -> ByteStream:
    """Open the file at `path` under the name used in messages, unpacked unless `plain`. Raises InputError."""
    with opening(name):
        raw = path.open("rb", buffering=0)
        details = os.fstat(raw.fileno())
        size = details.st_size if stat.S_ISREG(details.st_mode) else None
        return ByteStream(name, raw, size, plain, limits)


@contextmanager
def opening(name: str) -> Iterator[None]:
    """Raise InputError where the file that is called `name` cannot be opened."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{name}: cannot be opened: {error.strerror or error}", "check its permissions") from error
