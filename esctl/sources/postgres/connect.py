"""A slot as a live source, `postgres://HOST/DATABASE?slot=NAME&publication=NAME`: read to its end, or followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.errors import UsageError
from esctl.model import Cursor
from esctl.sources.postgres.address import parse_slot_address
from esctl.sources.postgres.replication import ServerError, Streamed
from esctl.sources.postgres.source import BATCH_BYTES, SlotReader, Wanted
from esctl.sources.protocol import Delivery, FollowedSource, Note, SourceReader

if TYPE_CHECKING:
    from esctl.sources.files.reading import SourceOptions
    from esctl.sources.live import Live

_FLAGS = {"yes": True, "true": True, "no": False, "false": False}
_PING_SECONDS, _MOST_PINGS = 0.1, 30
_NEAR = 1 << 16
"""Bytes at the end of a server's log that may hold no record, as it is written page by page."""
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
_LOST = ("08", "57P", "55006")
"""Beginnings of the SQLSTATEs of a server that went away and will be back, or still holds the lost session."""


def connect(live: Live, note: Note) -> SlotConnection:
    """Connect to the slot of a URL. Raises UsageError for a wrong URL or option, ServerError if it cannot connect."""
    address = parse_slot_address(live.url)
    if find_spec("psycopg") is None:
        raise UsageError("postgres://... needs psycopg", "pip install 'esctl-audit[postgres]'")
    for option, value in live.options.items():
        if value not in _FLAGS:
            raise UsageError(f"{live.where}: {option} is not {value!r}", "it is yes or no")
    wanted = Wanted(**{option: _FLAGS[value] for option, value in live.options.items()})
    reader = SlotReader(address, wanted, note)
    reader.connect()
    return SlotConnection(reader, note)


class SlotConnection(Struct, frozen=True):
    """A slot of a server that is connected."""

    reader: SlotReader
    note: Callable[[str], None]

    @property
    def holds_files(self) -> bool:
        """Return False: its records are rows and messages."""
        return False

    def readers(self, how: SourceOptions | None = None) -> Sequence[SourceReader]:
        """Return the reader of the slot, up to an end that is pinned when it is opened."""
        return [PinnedSlot(self.reader)]

    def followed(self, how: SourceOptions | None = None) -> Sequence[FollowedSource]:
        """Return the slot as a source to follow."""
        return [FollowedSlot(self.reader, self.note)]


class PinnedSlot:
    """A slot that is read up to the end that its server's log has when streaming begins."""

    may_wait = True
    pending = 0

    def __init__(self, reader: SlotReader) -> None:
        self._reader = reader

    @property
    def name(self) -> str:
        """Return the name that records are kept under."""
        return self._reader.name

    def open(self, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        """Yield what is new. Raises InputError if the slot does not continue from where it was read."""
        reader = self._reader
        try:
            reader.begin(known)
            yield from reader.snapshot()
            end = reader.start()
            yield from self._stream(end)
        except BaseException:
            reader.close()
            raise
        reader.end()

    def _stream(self, end: int) -> Iterator[Delivery]:
        reader, silent = self._reader, 0
        while reader.place < end and not (silent >= _MOST_PINGS and reader.place + _NEAR >= end):
            found = reader.take(_PING_SECONDS)
            if found is None:
                reader.ping()
            silent = silent + (found is None) if not isinstance(found, Streamed) else 0
            if reader.waiting_bytes >= BATCH_BYTES and (delivery := reader.delivery_if_due()):
                yield delivery
        if delivery := reader.delivery_if_due():
            yield delivery


class FollowedSlot:
    """A slot that is followed; it waits for a server that went away."""

    ended = False

    def __init__(self, reader: SlotReader, note: Note) -> None:
        self._reader = reader
        self._note = note
        self._tables: Iterator[Delivery] | None = None
        self._streaming = False
        self._tries = 0
        self._wait_until = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """List the name of the source, once it is known."""
        return (self._reader.name,) if self._reader.name else ()

    @property
    def pending(self) -> list[tuple[str, int]]:
        """Return nothing: the server sends again what was not committed."""
        return []

    def poll(self, known: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
        """Yield about `limit` bytes of what was committed since the last poll.

        Raises InputError if the slot does not continue from where it was read.
        """
        if time.monotonic() < self._wait_until:
            return
        try:
            yield from self._poll_streams(known, limit)
        except ServerError as error:
            if self._reader.cursor is None or not (not error.state or error.state.startswith(_LOST)):
                raise
            self._lose(error)

    def close(self) -> None:
        """Tell the server what is kept, and disconnect."""
        self._reader.close()

    def _poll_streams(self, known: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
        reader = self._reader
        if self._tables is None:
            reader.begin(known)
            self._tables = reader.snapshot()
        size = 0
        for table in self._tables if not self._streaming else ():
            size += table.read
            yield table
            if size >= limit:
                return
        if not self._streaming:
            reader.start()
            self._streaming = True
            if self._tries:
                self._note(f"{reader.name}: the server is back")
            self._tries = 0
        while reader.waiting_bytes < limit and reader.take(0):
            pass
        if delivery := reader.delivery_if_due():
            yield delivery

    def _lose(self, error: ServerError) -> None:
        """Disconnect from a server that went away, to try again after a pause."""
        if not self._tries:
            self._note(f"{error.message}: waiting for it")
        self._reader.close()
        self._tables, self._streaming = None, False
        self._wait_until = time.monotonic() + _PAUSES[min(self._tries, len(_PAUSES) - 1)]
        self._tries += 1
