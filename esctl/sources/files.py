"""Names on the command line -> sources -> decompressed byte streams."""

from __future__ import annotations

import bz2
import difflib
import glob
import gzip
import io
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from msgspec import Struct

from esctl.errors import InputError, UsageError, shell_word

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STDIN = "-"
SKIPPED_IN_FOLDERS = frozenset({"esctl.toml"})
_LONGEST_ZSTD_WINDOW = 31
_STEP = 8 << 20  # how far a stream is unpacked before it is held against its limits
_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zstd.ZstdError)


class Source(Struct, frozen=True):
    """One file or stdin: `name` as it is recorded, `path` None for stdin."""

    name: str
    path: Path | None

    @property
    def reopenable(self) -> bool:
        """Return whether reading it twice gives the same bytes (false for stdin, pipes, sockets)."""
        return self.path is not None and stat.S_ISREG(self.path.stat().st_mode)


def expand(arguments: Sequence[str]) -> list[Source]:
    """Turn files, globs, folders and "-" into sources, in the order given, each once.

    Folders are read recursively, sorted, without hidden files. Raises InputError for what does not exist.
    """
    found: dict[str, Source] = {}
    for argument in arguments:
        for source in _expand_one(argument):
            found.setdefault(source.name, source)
    return list(found.values())


def expand_followed(arguments: Sequence[str]) -> list[Source]:
    """Turn files, globs and "-" into sources that are followed; a file need not be there yet.

    Raises UsageError for a folder, InputError for a pattern that nothing matches.
    """
    found: dict[str, Source] = {}
    for argument in arguments:
        if os.path.isdir(argument):
            raise UsageError(f"{argument} is a folder, and only files can be followed", "name the files, or a pattern")
        is_name = argument != STDIN and not os.path.lexists(argument) and not glob.has_magic(argument)
        for source in [Source(_normalised(argument), Path(argument))] if is_name else _expand_one(argument):
            found.setdefault(source.name, source)
    return list(found.values())


def _expand_one(argument: str) -> Iterator[Source]:
    if argument == STDIN:
        yield Source(STDIN, None)
        return
    if os.path.lexists(argument):
        yield from _expand_path(argument)
        return
    found = sorted(glob.glob(argument, recursive=True)) if glob.has_magic(argument) else []
    matches = [match for match in found if not _is_endless(match)]
    if not matches:
        raise InputError(f"{argument}: no such file or folder", _missing_hint(argument))
    for match in matches:
        yield from _expand_path(match)


def _expand_path(text: str) -> Iterator[Source]:
    path = Path(text)
    if not path.is_dir():
        yield Source(_normalised(text), path)
        return
    for folder, folders, names in os.walk(text):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name not in SKIPPED_IN_FOLDERS:
                file = os.path.join(folder, name)
                if not _is_endless(file):
                    yield Source(_normalised(file), Path(file))


def _is_endless(path: str) -> bool:
    """Return whether a path that was found, not named, is a FIFO, device or socket: grep -r skips these too."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False  # said where it is opened
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _normalised(text: str) -> str:
    # A name that is no UTF-8 is recorded as it is shown, its odd bytes as `\\xff`: records hold text alone.
    name = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return os.path.normpath(name).replace(os.sep, "/")


def _missing_hint(argument: str) -> str:
    if glob.has_magic(argument):
        return "the pattern matches nothing; patterns are relative to the working directory"
    folder, name = os.path.split(argument)
    try:
        neighbours = os.listdir(folder or ".")
    except OSError:
        return f"the folder {folder} cannot be read" if folder else ""
    close = difflib.get_close_matches(name, neighbours, n=1)
    if not close:
        return "give a file, a folder, a glob or - for stdin"
    return f"did you mean {shell_word(os.path.join(folder, close[0]))}?"


class Limits(Struct, frozen=True):
    """What a compressed source may unpack to: so many times its own size, and so many bytes.

    Up to `harmless` bytes are taken from however small a source.
    """

    expansion: int = 1000
    unpacked: int = 1 << 40
    harmless: int = 1 << 30

    def check(self, name: str, given: int, size: int) -> None:
        """Raise InputError where `given` bytes are too many to have come out of `size`."""
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
        """Bytes of the file as it lies on disk, None where that is unknown."""
        self._raw = _Counting(raw)
        buffered = io.BufferedReader(self._raw, 1 << 20)
        self._packing, opener = _decoder(b"" if plain else buffered.peek(16)[:16])
        self._stream: IO[bytes] = opener(cast(IO[bytes], buffered))
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
        """Fill `view` as far as the stream goes.

        Where that is less than was asked for, it has `ended`, or the next call raises InputError: what comes before
        damage is not lost.
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
        # Not `readinto`, which reads on until it has all, and loses it where that fails.
        readinto = cast(Callable[[memoryview], int | None], cast(Any, self._stream).readinto1)
        try:
            got = readinto(view) or 0
        except _DAMAGE as error:
            raise self._damaged(error) from error
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
            size = min(size, self.size + 1)  # one more, which tells whether that was all
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(memoryview(buffer))])

    def duplicate(self) -> int:
        """Return a file descriptor of its own for the file on disk."""
        return os.dup(self._raw.fileno())

    def close(self) -> None:
        """Close the stream, except stdin."""
        self._raw.close()

    def _damaged(self, error: Exception) -> InputError:
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
        if not self.closed and self._inner is not sys.stdin.buffer:
            self._inner.close()
        super().close()


def _decoder(magic: bytes) -> tuple[str, Callable[[IO[bytes]], IO[bytes]]]:
    if magic.startswith(b"\x1f\x8b\x08"):
        return "gzip", lambda raw: cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if magic[:4] == b"\x28\xb5\x2f\xfd" or (magic[1:4] == b"\x2a\x4d\x18" and magic[0] & 0xF0 == 0x50):
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _LONGEST_ZSTD_WINDOW}
        return "zstd", lambda raw: cast(IO[bytes], zstd.ZstdFile(raw, options=options))
    if magic[:3] == b"BZh" and magic[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"):
        return "bzip2", lambda raw: cast(IO[bytes], bz2.BZ2File(raw))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return "xz", lambda raw: cast(IO[bytes], lzma.LZMAFile(raw))
    return "", lambda raw: raw


def open_stream(source: Source, limits: Limits = LIMITS) -> ByteStream:
    """Open a source for reading, decompressed by its magic bytes (gz, zst, bz2, xz), never by its suffix.

    Raises InputError when it cannot be opened; damage found later raises InputError from `readinto`.
    """
    if source.path is None:
        return ByteStream(source.name, cast(IO[bytes], sys.stdin.buffer), None, limits=limits)
    return open_path(source.name, source.path, limits=limits)


def open_path(name: str, path: Path, plain: bool = False, limits: Limits = LIMITS) -> ByteStream:
    """Open the file at `path` under the name used in messages, unpacked unless `plain`. Raises InputError."""
    try:
        raw = path.open("rb", buffering=0)
        details = os.fstat(raw.fileno())
        size = details.st_size if stat.S_ISREG(details.st_mode) else None
        return ByteStream(name, raw, size, plain, limits)
    except OSError as error:
        raise InputError(f"{name}: cannot be opened: {error.strerror or error}", "check its permissions") from error
