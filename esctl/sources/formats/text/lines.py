"""Lines of a text log: each is a record, with the lines that continue it and the blank lines before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esctl.sources.feed import Feed
from esctl.sources.formats.lines import LineReader, record_ends
from esctl.sources.formats.text.known import RUNTIME, is_line_of, text_format
from esctl.sources.formats.text.split_lines import CRI, CRI_PREFIX, are_parts, is_part
from esctl.sources.pieces import Offsets, Piece, slices_of

_NAME = r"[A-Za-z_$][A-Za-z0-9_$]*"
_CONTINUED = (
    r"\A(?:\xef\xbb\xbf)?(?:[ \t]*\r?\n)*(?:[ \t]+[^ \t\r\n{[]|[})\]]|Caused by: |Suppressed: |Traceback \(most recent|"
    r"During handling of the above|The above exception was|Exception in thread |Stack trace:|#[0-9]+ |-+> |--- End of|"
    r"goroutine [0-9]+ \[|"
    rf"(?:{_NAME}[./\\])*{_NAME}(?:Error|Exception|Throwable|Warning|Failure|Fault|Interrupt|Exit)(?::|\s*\z))"
)
"""How a line begins that continues the one before: with a blank, or with what stack traces have at the margin."""

_IN_TRACE = rf"\A(?:[ \t]*\r?\n)*(?:{_NAME}(?:[./\\]{_NAME})+(?::.*)?|[\w./$*()\[\]-]+\(.*\)|created by .*)\s*\z"
"""A line that continues the one before if that continues another: the name of an error, or a stack frame."""


class TextReader(LineReader):
    """Cuts a feed into the records of a text log, about `size` bytes at a time, as Pieces.

    A line that `pattern` (a name of a format, or a pattern; "" for none) matches is a record, however it begins. If it
    `waits`, the last record of a stream that goes on is cut only when the next line is there. `by_runtime`: a container
    runtime wrote the lines, each after its prefix, and in parts.
    """

    def __init__(
        self, feed: Feed, size: int, final: bool, pattern: str, waits: bool = True, by_runtime: bool = False
    ) -> None:
        super().__init__(feed, size, final, self._matches)
        self._pattern = pattern
        self._waits = waits
        self._by_runtime = by_runtime

    def _record_ends(self) -> Offsets:
        feed = self._feed
        ends = record_ends(feed.window, feed.base)
        if not len(ends):
            return ends
        lines = slices_of(feed.window, np.append(0, ends))
        begins = ~self._mask_continuing(lines)
        is_last_whole = not self._waits if not feed.is_over else not self._is_continuation(int(ends[-1]))
        is_last_whole &= not (self._by_runtime and is_part(lines[-1].as_py(), CRI))
        kept: Offsets = ends[np.append(begins[1:], is_last_whole)]
        return kept

    def _cut_last(self) -> Iterator[Piece]:
        held = record_ends(self._feed.window, self._feed.base)
        if len(held) and self._is_continuation(int(held[-1])):
            yield self._cut_at(np.array([0, len(self._feed.window)], np.int64))
        else:
            yield from super()._cut_last()

    def _is_continuation(self, end: int) -> bool:
        """Return whether an unterminated last line, at the offset `end` of the window, continues a record."""
        rest = self._feed.window[end:].tobytes()
        return bool(rest.strip()) and bool(self._mask_continuing(pa.array([rest], pa.large_binary()))[0])

    def _mask_continuing(self, lines: Any) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return a mask of the lines that continue the line before."""
        if not self._by_runtime:
            return self._mask_continuing_text(lines, self._pattern)
        parts = are_parts(lines, CRI).to_numpy(zero_copy_only=False)
        pattern = "" if self._pattern == RUNTIME else self._pattern  # all lines match RUNTIME
        found = self._mask_continuing_text(pc.replace_substring_regex(lines, rf"\A\s*{CRI_PREFIX}", ""), pattern)
        found[1:] |= parts[:-1]
        return found

    @staticmethod
    def _mask_continuing_text(lines: Any, pattern: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        found = _mask_matching(lines, _CONTINUED)
        if not found.any():
            return found
        frames = _mask_matching(lines, _IN_TRACE) & ~found
        likely = np.flatnonzero(found | frames)
        if pattern:
            texts = pa.array([line.decode(errors="replace") for line in lines.take(likely).to_pylist()])
            records = likely[is_line_of(text_format(pattern), texts).to_numpy(zero_copy_only=False)]
            found[records] = frames[records] = False
        before = np.maximum.accumulate(np.where(frames, 0, np.arange(len(frames))))  # the last line that is not a frame
        return found | (frames & found[before])

    def _matches(self, line: bytes) -> bool:
        if self._by_runtime:
            return not is_part(line[line.rfind(b"\n") + 1 :], CRI)
        text = pa.array([line.decode(errors="replace")])
        return bool(self._pattern) and bool(is_line_of(text_format(self._pattern), text)[0].as_py())


def _mask_matching(lines: Any, regex: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array(pc.match_substring_regex(lines, regex).to_numpy(zero_copy_only=False))
