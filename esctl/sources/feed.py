"""A decompressed stream as one growing window of bytes, hashed as it is consumed."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from esctl.errors import InputError
from esctl.sources.streams import ByteStream

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


class Feed:
    """The unread part of a stream: `window` holds the bytes from absolute offset `base` on.

    A window is never written again once it was handed out, so Arrow arrays may point into it.
    """

    def __init__(self, stream: ByteStream, limit: int, ahead: bytes = b"", ended: bool = False) -> None:
        self.stream: ByteStream = stream
        self.limit = limit
        self.window: Bytes = np.frombuffer(ahead, np.uint8)
        self.base = 0
        self.ended = ended
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._failure: InputError | None = None

    @property
    def end(self) -> int:
        """Absolute offset just after the window."""
        return self.base + len(self.window)

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will come: the stream has ended, or is damaged after the window."""
        return self.ended or self._failure is not None

    def fill(self, size: int) -> bool:
        """Add about `size` bytes (more if the window is already larger); return False if the stream has no more.

        Raises InputError for damage; if the window holds bytes before it, one call adds nothing first.
        """
        if self._failure is not None:
            raise self._failure
        if self.ended:
            return False
        held = len(self.window)
        # Doubling the window makes a record of n bytes cost O(n), however small the chunks are. Past the limit only an
        # error can come.
        grown = np.empty(held + max(size, min(held, self.limit - held + 1), 1), np.uint8)
        grown[:held] = self.window
        try:
            got = self.stream.readinto(grown[held:].data)
        except InputError as error:
            if not held:
                raise
            self._failure = error  # the window may hold whole records, which are cut first
            return True
        self.window = grown[: held + got]
        self.ended = self.stream.ended
        return got > 0

    def append(self, data: bytes) -> None:
        """Add bytes that were not read from the stream."""
        self.window = np.concatenate([self.window, np.frombuffer(data, np.uint8)])

    def count_fitting(self, starts: Offsets, ends: Offsets) -> tuple[int, InputError | None]:
        """Return how many records [start, end) come before the first over the limit, and the error for that one."""
        over = np.flatnonzero(ends - starts > self.limit)
        if not len(over):
            return len(starts), None
        return int(over[0]), self._too_long(self.base + int(starts[over[0]]))

    def check_open(self) -> None:
        """Raise InputError if the unfinished record that fills the window is over the limit."""
        if len(self.window) > self.limit:
            raise self._too_long(self.base)

    def _too_long(self, offset: int) -> InputError:
        return InputError(
            f"{self.stream.name}: the record at byte {offset} is longer than {self.limit:,} bytes",
            "raise the limit with --max-record, or name the format with --input-format",
        )

    def release(self, upto: int) -> None:
        """Forget the bytes before the absolute offset `upto`."""
        self._hash_to(upto)
        self.window = self.window[upto - self.base :]
        self.base = upto

    def digest(self, upto: int) -> str:
        """Return the SHA-256 (hex) of the stream's bytes [0, upto); `upto` never goes back."""
        self._hash_to(upto)
        return self._hash.copy().hexdigest()

    def skip_to(self, offset: int, size: int) -> bool:
        """Read and hash up to `offset`, holding at most `size` bytes; return False if the stream ends before it."""
        while self.end < offset:
            self.release(self.end)
            got = np.empty(min(size, offset - self.base), np.uint8)
            count = self.stream.readinto(got.data)
            self.window = got[:count]
            if self.stream.ended:
                self.ended = True
                return False
        self.release(offset)
        return True

    def rewind(self, held: bytes) -> None:
        """Put `held`, the bytes just before the window, back in front of it (they stay hashed)."""
        self.window = np.concatenate([np.frombuffer(held, np.uint8), self.window])
        self.base -= len(held)

    def _hash_to(self, upto: int) -> None:
        if upto > self._hashed:
            self._hash.update(self.window[self._hashed - self.base : upto - self.base].data)
            self._hashed = upto
