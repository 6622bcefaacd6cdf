"""Text that is not UTF-8: detected by its first bytes, cut into records undecoded, decoded when it is read."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from esctl.errors import InputError, UsageError
from esctl.sources.feed import Bytes, Feed
from esctl.sources.pieces import Piece, slices_of

WIDE = ("utf-16-le", "utf-16-be")
WINDOWS = "utf-8 or cp1252"
"""The encoding of a source that is not all UTF-8: records that are UTF-8 are read so, others as Windows-1252."""

_BOMS = ((codecs.BOM_UTF16_LE, WIDE[0]), (codecs.BOM_UTF16_BE, WIDE[1]))
_LOOKED_AT = 4096
_HIGH = re.compile(rb"[\x80-\xff]+")
_LETTERS = re.compile(
    rb"[\x80\x82\x84\x85\x91-\x97\x99\xa0\xa3\xa7\xa9\xab\xb0\xb2-\xb5\xbb\xbf-\xd6\xd8-\xf6\xf8-\xfc]+"
)
_UNKNOWN, _BLANK, _BOM = ord("?"), ord(" "), 0xFEFF


def parse_encoding(name: str) -> str:
    """Return the encoding that a person names, "" for UTF-8. Raises UsageError if esctl does not read it."""
    try:
        found = codecs.lookup(name).name
        plain = found in ("utf-16", *WIDE) or bytes(range(128)).decode(found) == "".join(map(chr, range(128)))
    except (LookupError, ValueError):
        plain = False
    if not plain:
        raise UsageError(
            f"--encoding {name!r} is not an encoding that esctl reads", "one such as utf-16, cp1252, latin-1 or cp1250"
        )
    return "" if found in ("utf-8", "utf-8-sig", "ascii") else WIDE[0] if found == "utf-16" else found


def encoding_of(head: bytes, wanted: str | None) -> str:
    """Return the encoding of a source by its first bytes, "" for UTF-8; only a BOM overrides `wanted`."""
    found = next((name for bom, name in _BOMS if head.startswith(bom) and head[2:4] != b"\0\0"), "")
    if found:
        return found
    return parse_encoding(wanted) if wanted else _guess_encoding(head)


def _guess_encoding(head: bytes) -> str:
    some = np.frombuffer(head[: min(_LOOKED_AT, len(head) // 2 * 2)], np.uint8)
    if len(some) >= 4 and b"\0" in head[:4]:
        for first, name in enumerate(WIDE):
            if (some[1 - first :: 2] == 0).mean() > 0.9 and (some[first::2] != 0).all():
                return name
    high = [run[0] for run in _HIGH.finditer(head) if run.end() < len(head)]  # one at the end of the head may be cut
    if b"\0" in head or not high:
        return ""
    # In words of Windows-1252 one or two such bytes follow one another; in UTF-8 there is never one alone.
    typical = sum(len(run) <= 2 and _LETTERS.fullmatch(run) is not None for run in high) >= 0.95 * len(high)
    return WINDOWS if typical and not any(_is_utf8(run) for run in high) else ""


def _is_utf8(run: bytes) -> bool:
    try:
        run.decode()
    except UnicodeDecodeError:
        return False
    return True


def utf8(data: bytes, encoding: str) -> bytes:
    """Return bytes of a source as UTF-8, with a replacement character for what cannot be read."""
    if not encoding:
        return data
    text = data.decode("cp1252" if encoding == WINDOWS else encoding, errors="replace")
    return text.removeprefix("\ufeff").encode(errors="replace") if encoding in WIDE else text.encode()


def decode_records(raws: Any, encoding: str) -> tuple[Any, dict[int, str]]:
    """Return records as UTF-8 (large_binary, null for one that cannot be read), and the reasons for nulls, by row."""
    texts: list[bytes | None] = []
    reasons: dict[int, str] = {}
    for row, raw in enumerate(raws.to_pylist()):
        try:
            texts.append(None if raw is None else _decode_record(raw, encoding))
        except UnicodeError as error:
            texts.append(None)
            reasons[row] = f"no {encoding} at byte {getattr(error, 'start', 0)}"
    return pa.array(texts, pa.large_binary()), reasons


def _decode_record(raw: bytes, encoding: str) -> bytes:
    if encoding == WINDOWS:
        return raw if _is_utf8(raw) else raw.decode("cp1252").encode()
    text = raw.decode(encoding)
    return text.removeprefix("\ufeff").encode() if encoding in WIDE else text.encode()


class _Reader(Protocol):
    pending: int

    def __iter__(self) -> Iterator[Piece]: ...


class NarrowFeed(Feed):
    """A feed of UTF-16 with one byte for each unit, so that it is cut as any other text is; offsets count units.

    Units that are not ASCII become question marks, a BOM becomes a blank.
    """

    def __init__(self, wide: Feed, encoding: str) -> None:
        super().__init__(wide.stream, wide.limit // 2, ended=wide.ended)
        self.wide = wide
        self._first = WIDE.index(encoding)
        self.update()

    def fill(self, size: int) -> bool:
        """Add units as `Feed.fill` adds bytes."""
        more = self.wide.fill(2 * size)
        self.update()
        return more

    def update(self) -> None:
        """Take over the window and the offset of the feed `wide`."""
        units = self.wide.window[: len(self.wide.window) // 2 * 2].reshape(-1, 2)
        low, high = units[:, self._first], units[:, 1 - self._first]
        narrow = np.where((high == 0) & (low < 128), low, _UNKNOWN).astype(np.uint8)
        narrow[(high == _BOM >> 8) & (low == _BOM & 0xFF)] = _BLANK
        self.window, self.base, self.ended = narrow, self.wide.base // 2, self.wide.ended

    def bytes_of(self, start: int, end: int) -> Bytes:
        """Return the bytes of the units [start, end), absolute offsets."""
        return self.wide.window[2 * start - self.wide.base : 2 * end - self.wide.base]

    def _too_long(self, offset: int) -> InputError:
        return self.wide._too_long(2 * offset)


class WideReader:
    """The pieces of a NarrowFeed's reader, with the bytes and offsets of the wide feed."""

    def __init__(self, feed: NarrowFeed, reader: _Reader) -> None:
        self.pending = 0
        self._feed = feed
        self._reader = reader

    def __iter__(self) -> Iterator[Piece]:
        feed = self._feed
        for piece in self._reader:
            yield self._widen(piece)
            feed.update()
        self.pending = 2 * self._reader.pending + len(feed.wide.window) % 2

    def _widen(self, piece: Piece) -> Piece:
        feed = self._feed
        starts, ends = 2 * piece.starts, 2 * piece.ends
        bounds = np.zeros(max(2 * len(starts), 1), np.int64)
        bounds[: 2 * len(starts) : 2], bounds[1::2] = starts - feed.wide.base, ends - feed.wide.base
        raws = pc.take(slices_of(feed.wide.window, bounds), np.arange(0, len(bounds) - 1, 2))
        header = feed.bytes_of(piece.upto - len(piece.header), piece.upto) if piece.header else None
        tail = feed.bytes_of(piece.upto - len(piece.tail), piece.upto) if piece.tail else None
        return replace(
            piece,
            raws=raws,
            starts=starts,
            ends=ends,
            upto=2 * piece.upto,
            header=b"" if header is None else header.tobytes(),
            tail=b"" if tail is None else tail.tobytes(),
            around=None,  # the text of a NarrowFeed only shows where records end
        )
