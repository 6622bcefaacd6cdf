"""What is new in one open source: batches of records, each with the cursor to continue from."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from esctl.model import FileCursor
from esctl.sources.feed import Feed
from esctl.sources.files.generations import HEAD_SIZE
from esctl.sources.formats import columnar
from esctl.sources.formats.prefixes import ANY, times_before
from esctl.sources.formats.text.split_lines import CRI
from esctl.sources.pieces import Piece, batch_of
from esctl.sources.protocol import Delivery
from esctl.sources.streams import ByteStream


class RecordReader(Protocol):
    """Cuts the rest of a source into pieces; `pending` is the number of bytes at its end that are in no record."""

    pending: int

    def __iter__(self) -> Iterator[Piece]: ...


class _Consumed(Protocol):
    """The bytes that a reader cuts, as far as a cursor needs them."""

    @property
    def stream(self) -> ByteStream: ...

    def digest(self, upto: int) -> str: ...

    def release(self, upto: int) -> None: ...


class WholeFile(Struct, frozen=True):
    """The bytes of a parquet or arrow file: hashed once, as a whole."""

    stream: ByteStream
    sha256: str

    def digest(self, upto: int) -> str:
        """Return the digest of the file."""
        return self.sha256

    def release(self, upto: int) -> None:
        """Do nothing, as no bytes are held."""


class Reading:
    """What is new in one source. Iterate it once, for Deliveries; `pending_bytes` is known afterwards.

    `name` is the source name to record, `format` the format read. `size` is the bytes of the file on disk (None if
    unknown) and `done` how many of them were read, for progress.
    """

    def __init__(
        self, name: str, consumed: _Consumed, reader: RecordReader, start: FileCursor, head: bytes, rows: int
    ) -> None:
        self.name = name
        self.format = start.format
        self._feed = consumed
        self._reader = reader
        self._cursor = start
        self._head = head
        self._rows = rows
        self._reported = 0

    @property
    def left_at(self) -> tuple[Feed | None, FileCursor, bytes]:
        """Return the feed (None for a file of rows), the cursor to continue from, and a new source's first bytes."""
        return self._feed if isinstance(self._feed, Feed) else None, self._cursor, self._head

    @property
    def pending_bytes(self) -> int:
        """Return how many bytes at the end of the source are in no record yet."""
        return self._reader.pending

    @property
    def size(self) -> int | None:
        """Return the bytes of the file on disk, or None if unknown."""
        return self._feed.stream.size

    @property
    def done(self) -> int:
        """Return the bytes of the file on disk read so far."""
        return self._feed.stream.done

    def close(self) -> None:
        """Close the source."""
        self._feed.stream.close()

    def __iter__(self) -> Iterator[Delivery]:
        try:
            yield from self.deliveries()
        finally:
            self.close()

    def deliveries(self) -> Iterator[Delivery]:
        """Yield the same as iterating, but leave the source open."""
        last = self._cursor
        moved = False
        for piece in self._reader:
            count = len(piece.starts)
            for start in range(0, count, self._rows):
                stop = min(start + self._rows, count)
                last = self._advance(last, piece, start, stop)
                raws = piece.raws.slice(start, stop - start)
                times = times_before(raws) if last.dialect.get("prefix") in (ANY, CRI) else None
                around = None if piece.around is None else piece.around.slice(start, stop - start)
                batch = batch_of(piece.starts[start:stop], raws, times, around)
                yield Delivery(self.name, batch, last, self._newly_done())
            if not count:
                last = self._advance(last, piece, 0, 0)
            moved = not count
            self._feed.release(piece.upto)
        if moved and last != self._cursor:
            yield Delivery(self.name, columnar.EMPTY, last, self._newly_done())

    def _newly_done(self) -> int:
        before, self._reported = self._reported, self.done
        return self._reported - before

    def _advance(self, last: FileCursor, piece: Piece, start: int, stop: int) -> FileCursor:
        ended = stop == len(piece.starts)
        offset = piece.upto if ended else int(piece.ends[stop - 1])
        dialect = dict(last.dialect)
        if "shape" in dialect:
            inside = piece.inside_end if ended else bool(piece.inside[stop - 1])
            dialect["inside"] = "1" if inside else "0"
        head_size, head_hash = last.head_size, last.head_sha256
        if self._head:
            head_size = min(offset, HEAD_SIZE)
            head_hash = hashlib.sha256(self._head[:head_size]).hexdigest()
        return replace(
            last,
            offset=offset,
            sha256=self._feed.digest(offset),
            head_size=head_size,
            head_sha256=head_hash,
            records=last.records + stop - start,
            header=_base64_text(piece.header) or last.header,
            tail=_base64_text(piece.tail) if ended else "",
            dialect=dialect,
        )


def _base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()
