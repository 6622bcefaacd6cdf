"""Reading of a slot, session by session, and how far what was read is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

import numpy as np
import pyarrow as pa
from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import InputError, UsageError
from esctl.model import Cursor, PostgresCursor
from esctl.sources.pieces import SCHEMA, batch_of
from esctl.sources.postgres import server as servers
from esctl.sources.postgres.address import SlotAddress
from esctl.sources.postgres.keys import PrimaryKeys
from esctl.sources.postgres.lsn import lsn_text
from esctl.sources.postgres.records import Records
from esctl.sources.postgres.replication import Alive, Replication, ServerError, Streamed
from esctl.sources.postgres.server import Server, Slot
from esctl.sources.postgres.snapshot import begin_snapshot, list_published, read_tables
from esctl.sources.postgres.transactions import ReadUpTo, Row, Transactions
from esctl.sources.protocol import Delivery

BATCH_BYTES = 4 << 20
WORTH_KEEPING = 16 << 20
"""Bytes of the server's log (a file of it) without a record, after which the new place is delivered."""
_IN_USE, _BUSY_SECONDS = "55006", 10.0


class Wanted(Struct, frozen=True):
    """How to read a slot: create it if it is missing; read its tables first."""

    create: bool = False
    snapshot: bool = False


class _Buffer(Struct):
    """Records that wait to be delivered."""

    raws: list[bytes] = []
    times: list[int | None] = []
    size: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.raws.append(row.raw)
            self.times.append(row.time)
            self.size += len(row.raw)

    def drain(self, first: int) -> pa.RecordBatch:
        offsets = np.arange(first, first + len(self.raws), dtype=np.int64)
        times = pa.array(self.times, SCHEMA.field("source_time").type)
        batch = batch_of(offsets, pa.array(self.raws, pa.large_binary()), times)
        self.raws, self.times, self.size = [], [], 0
        return batch


class SlotReader:
    """Reads a slot in sessions with its server, one after another, and keeps how far they got."""

    def __init__(self, address: SlotAddress, wanted: Wanted, note: Callable[[str], None]) -> None:
        self.address = address
        self.name = ""
        self.cursor: PostgresCursor | None = None
        self._wanted = wanted
        self._note = note
        self._buffer = _Buffer()
        self._stream: Replication | None = None
        self._keys = PrimaryKeys(address, note)
        self._known = Records(self._keys)
        self._read: Transactions | None = None
        self._kept = 0
        self._unkept: set[int] = set()  # numbers of deliveries
        self._count = 0
        self._is_over = False
        self._others: list[PostgresCursor] = []  # of slots with the same publications, if this slot is new

    def connect(self) -> Replication:
        """Connect, if there is no connection. Raises ServerError if it cannot connect."""
        if self._stream is None:
            self._stream = Replication(self.address.address.conninfo(), self.address.where)
        self.name = self.name or f"postgres:{servers.server_of(self._stream).database}/{self.address.slot}"
        return self._stream

    def begin(self, known: Mapping[str, Cursor]) -> None:
        """Check that the slot continues from where it was read; create it if that is wanted.

        Raises InputError if it does not continue, UsageError for a missing slot or publication.
        """
        where, slot_name = self.address.where, self.address.slot
        stream = self.connect()
        server = servers.server_of(stream)
        self._continue(server, known)
        slot = servers.slot_of(stream, slot_name)
        if self.cursor is not None:
            moved = server.timeline != self.cursor.timeline
            history = servers.history_of(stream, server.timeline) if moved else []
            servers.check_continues(self.cursor, server, slot, history, where)
        servers.check_publications(stream, self.address.publications, where)
        slot = slot or self._create_slot(stream)
        servers.check_slot(slot, slot_name, server, where)
        self._resume(server, slot)

    def snapshot(self) -> Iterator[Delivery]:
        """Yield the rows of the tables, if that is wanted or was left unfinished, over a connection of its own."""
        cursor = self._begun_cursor()
        if not (self._wanted.snapshot or cursor.unread):
            return
        over = cursor.unread == "missing" or bool(self._others)
        self.cursor = replace(cursor, unread="missing" if over else "tables")
        replication = Replication(self.address.address.conninfo(), self.address.where)
        try:
            snapshot = begin_snapshot(replication)
            tables = list_published(replication, self.address.publications, replication.version)
            for rows in read_tables(replication, tables, snapshot, self._known, anew=cursor.records > 0, over=over):
                self._buffer.add(rows)
                if self._buffer.size >= BATCH_BYTES:
                    yield self._delivery()
        finally:
            replication.close()
        self.cursor = replace(self._begun_cursor(), unread="")
        self._wanted = replace(self._wanted, snapshot=False)
        self._note(f"{self.name}: {len(tables)} tables were read as of {lsn_text(snapshot.lsn)}")
        yield self._delivery()

    def start(self) -> int:
        """Begin to stream; return where the server's log ends now.

        If another session still has the slot, this waits for a while.
        """
        assert self._stream is not None
        assert self._read is not None
        end = servers.server_of(self._stream).end
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._stream.start(self.address.slot, self.address.publications, self._read.confirmed)
                return end
            except ServerError as error:
                if error.state != _IN_USE or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def take(self, seconds: float) -> Streamed | Alive | None:
        """Process the next message, and return it, or None if none comes within some seconds."""
        assert self._stream is not None
        assert self._read is not None
        self._confirm()
        found = self._stream.receive(seconds)
        if isinstance(found, Alive):
            self._read.pass_to(found.end)
        elif found is not None:
            self._buffer.add(self._read.take(found.data))
        return found

    def delivery_if_due(self) -> Delivery | None:
        """Return a delivery of what waits, or of the new place alone once that is worth keeping; else None."""
        if not self._buffer.raws and self.place - self._begun_cursor().lsn < WORTH_KEEPING:
            return None
        return self._delivery()

    @property
    def waiting_bytes(self) -> int:
        """Return how many bytes of records wait to be delivered."""
        return self._buffer.size

    @property
    def place(self) -> int:
        """Return the place before which everything was read."""
        return self._read.place.lsn if self._read is not None else 0

    def ping(self) -> None:
        """Ask the server where its log ends."""
        assert self._stream is not None
        self._stream.ping()

    def end(self) -> None:
        """Disconnect as soon as everything that was delivered is kept."""
        self._is_over = True
        if not self._unkept:
            self.close()

    def close(self) -> None:
        """Tell the server what is kept, if it can be reached, and disconnect."""
        if self._stream is not None:
            with suppress(InputError):
                self._confirm()
            self._stream.close()
            self._stream = None
        self._keys.close()
        self._buffer = _Buffer()

    def _confirm(self) -> None:
        """Tell the server what is kept, once its log is known to continue what was read before."""
        if self._stream is not None and self._stream.streaming and self._read is not None and self._read.goes_on:
            self._stream.confirm(self._kept)

    def _keep(self, number: int, lsn: int) -> None:
        """Note that a delivery is durable; the server is told at the next message, or now if reading is over."""
        self._kept = max(self._kept, lsn)
        self._unkept -= {each for each in self._unkept if each <= number}
        if self._is_over and not self._unkept:
            self.close()

    def _continue(self, server: Server, known: Mapping[str, Cursor]) -> None:
        """Find the source that this slot continues; of several, the one of this database system."""
        if self.cursor is not None:
            return
        slot, database = self.address.slot, server.database
        slots = {name: cursor for name, cursor in known.items() if isinstance(cursor, PostgresCursor)}
        found = {name: cursor for name, cursor in slots.items() if (cursor.slot, cursor.database) == (slot, database)}
        others = [each for each in slots.values() if (each.system, each.database) == (server.system, database)]
        self._others = [] if found else [each for each in others if {*each.publications} & {*self.address.publications}]
        for name, cursor in found.items():
            self.name, self.cursor = name, cursor
            if cursor.system == server.system:
                break

    def _create_slot(self, stream: Replication) -> Slot:
        where, name = self.address.where, self.address.slot
        if not self._wanted.create:
            raise UsageError(
                f"{where}: there is no slot {name}", "--create makes it; --snapshot reads the tables first"
            )
        return servers.create_slot(stream, name)

    def _resume(self, server: Server, slot: Slot) -> None:
        publications, cursor = self.address.publications, self.cursor
        if cursor is None:
            before = max((each.lsn for each in self._others), default=slot.confirmed)
            cursor = PostgresCursor(
                format="jsonl", system=server.system, timeline=server.timeline, database=server.database,
                slot=self.address.slot, publications=publications, lsn=slot.confirmed, dialect={"preset": "pgoutput"},
                missed=(before, slot.confirmed) if before < slot.confirmed else (0, 0),
            )  # fmt: skip
        same = publications == cursor.publications
        if not same and cursor.taken is not None:
            raise UsageError(
                f"{self.address.where}: a transaction was read in part through {', '.join(cursor.publications)}",
                "read it to its end through these first",
            )
        self._known = Records(self._keys, cursor.tables)
        place = ReadUpTo(cursor.lsn, cursor.commit, cursor.xid, cursor.committed, cursor.taken)
        self._read = Transactions(place, slot.confirmed, self._known, self.address.where, same)
        self._kept = max(self._kept, slot.confirmed)
        self.cursor = replace(cursor, timeline=server.timeline, publications=publications)

    def _begun_cursor(self) -> PostgresCursor:
        assert self.cursor is not None
        return self.cursor

    def _delivery(self) -> Delivery:
        assert self._read is not None
        before, place = self._begun_cursor(), self._read.place
        read, batch = self._buffer.size, self._buffer.drain(before.records)
        self.cursor = replace(
            before, records=before.records + batch.num_rows, lsn=place.lsn, commit=place.commit, xid=place.xid,
            committed=place.time, taken=place.taken, tables=self._known.described_digests,
        )  # fmt: skip
        self._count += 1
        self._unkept.add(self._count)
        return Delivery(self.name, batch, self.cursor, read, partial(self._keep, self._count, place.lsn))
