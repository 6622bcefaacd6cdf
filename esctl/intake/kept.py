"""The bytes of a store's sources: from its log, and from what an ingest has not committed yet."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Iterator
from hashlib import sha256
from itertools import chain
from threading import RLock
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from msgspec import Struct

from esctl.index.decode.log_rows import runs_of
from esctl.log.reader import erased_positions, iter_firsts, iter_pieces, join_raws
from esctl.sources.files.beginnings import Firsts, is_of_bytes
from esctl.sources.files.generations import HEAD_SIZE

if TYPE_CHECKING:
    from esctl.intake.intake import Intake
    from esctl.log.writer import LogWriter, Part


class _Front(Struct):
    """A source's bytes from the beginning, and the digest of those that were hashed so far."""

    name: str
    pieces: Iterator[bytes]
    digest: Any
    held: bytes = b""
    size: int = 0

    def digest_to(self, size: int) -> str | None:
        """Return the digest of the first `size` bytes, never fewer than before; None if there are fewer bytes."""
        while self.size < size:
            self.held = self.held or next(self.pieces, b"")
            if not self.held:
                return None
            taken, self.held = self.held[: size - self.size], self.held[size - self.size :]
            self.digest.update(taken)
            self.size += len(taken)
        return str(self.digest.copy().hexdigest())


class KeptBytes:
    """The answers to `sources.files.beginnings.Kept` from a writer's log and an intake.

    The first bytes of sources are gathered when first asked for, by one pass over the log.
    """

    def __init__(self, writer: LogWriter, intake: Intake) -> None:
        self.lock = RLock()  # parts on their way from the intake into the log are in neither
        self._writer, self._intake = writer, intake
        self._firsts: Firsts | None = None
        self._erased: set[str] = set()
        self._noted = 0  # how many of the intake's parts
        self._last = ("", b"")  # the source that was noted last, which may continue, and its first bytes
        self._front: _Front | None = None

    def find(self, stream: bytes, own: Collection[str]) -> Iterable[str]:
        """Name the sources that may begin with a stream."""
        with self.lock:
            firsts = self._all_firsts()
            self.note()
            return [*firsts.find(stream), *(name for name in own if name in self._erased)]

    def digest(self, name: str, size: int) -> str | None:
        """Return the SHA-256 (hex) of a source's first bytes; "" if it has fewer, None if records of it were erased."""
        with self.lock:
            if self._writer.store_state.redactions and erased_positions(self._writer.store_state, name):
                return None
            front = self._front
            found = front.digest_to(size) if front is not None and front.name == name and front.size <= size else None
            if found is None:
                self._front = front = _Front(name, self._pieces(name), sha256())
                found = front.digest_to(size)
            return found or ""

    def note(self, flushing: bool = False) -> None:
        """Note the first bytes of parts taken since the last call; `flushing`: the parts go into the log now."""
        if self._firsts is not None:
            for part in self._intake.parts[self._noted :]:
                self._note_part(self._firsts, part)
        self._noted = 0 if flushing else len(self._intake.parts)

    def _note_part(self, firsts: Firsts, part: Part) -> None:
        cursor, (last, data) = part.cursor, self._last
        if not is_of_bytes(cursor):
            return
        header = base64.b64decode(cursor.header)
        if part.source != last:
            if sum(batch.num_rows for batch in part.batches) != cursor.records:
                return  # it continues a known source
            data = header
        elif len(data) >= HEAD_SIZE:
            return
        data = (data + _join_raws(part, HEAD_SIZE))[:HEAD_SIZE]
        self._last = (part.source, data)
        firsts.add(part.source, len(header), data)

    def _all_firsts(self) -> Firsts:
        if self._firsts is None:
            self._firsts = Firsts()
            self._gather(self._firsts)
        return self._firsts

    def _gather(self, firsts: Firsts) -> None:
        store = self._writer.present
        wanted = {name: cursor for name, cursor in store.cursors.items() if is_of_bytes(cursor)}
        begun: dict[str, bytearray] = {}
        for batch in iter_firsts(store, HEAD_SIZE, ["source", "offset", "raw"]):
            runs = runs_of(pa.Table.from_batches([batch])) if batch.num_rows else []
            for name, start, stop in runs:
                if (cursor := wanted.get(name)) is None:
                    continue
                raws = batch["raw"].slice(start, stop - start)
                if raws.null_count:
                    self._erased.add(name)
                    del wanted[name]
                    begun.pop(name, None)
                    continue
                data = begun.setdefault(name, bytearray(base64.b64decode(cursor.header)))
                data += join_raws(raws, HEAD_SIZE)
                if len(data) >= min(HEAD_SIZE, cursor.offset):
                    del wanted[name]
                    _add_first(firsts, name, cursor.header, begun.pop(name))
        for name, data in begun.items():  # the rest of their bytes are blanks at the end, which are in no record
            _add_first(firsts, name, wanted[name].header, data)

    def _pieces(self, name: str) -> Iterator[bytes]:
        """Return the bytes of a source in pieces, from its header on."""
        store, cursor = self._writer.present, self._intake.known[name]
        parts = [part for part in self._intake.parts if part.source == name]
        kept = iter_pieces(store, name, cursor.header, "")
        return (piece for piece in chain(kept, map(_join_raws, parts)) if piece)


def _add_first(firsts: Firsts, name: str, header: str, data: bytearray) -> None:
    firsts.add(name, len(base64.b64decode(header)), bytes(data[:HEAD_SIZE]))


def _join_raws(part: Part, most: int | None = None) -> bytes:
    return b"".join(join_raws(raws, most) for batch in part.batches for raws in _raws(batch))


def _raws(batch: pa.RecordBatch | pa.Table) -> list[pa.LargeBinaryArray]:
    raws = batch["raw"]
    return raws.chunks if isinstance(raws, pa.ChunkedArray) else [raws]
