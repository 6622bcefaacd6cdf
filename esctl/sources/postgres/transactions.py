"""The stream of a slot as records, each exactly once: what was read is recognised by the place of its commit."""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.sources.postgres.lsn import lsn_text
from esctl.sources.postgres.pgoutput import (
    AnyMessage,
    Begin,
    Commit,
    DecodeError,
    Message,
    Origin,
    Relation,
    Type,
    decode,
)
from esctl.sources.postgres.records import Around, Records, descriptions_of, records_of, time_text
from esctl.sources.postgres.server import NEW_STORE


class ReadUpTo(Struct, frozen=True):
    """A place in the stream.

    Everything committed before `lsn` was read, and the first `taken` records (None: all) of the transaction committed
    at `commit`. `xid` is 0 for a message outside of transactions, `commit` is 0 if there is none yet.
    """

    lsn: int
    commit: int = 0
    xid: int = 0
    time: str = ""
    taken: int | None = None

    @property
    def order(self) -> tuple[int, bool]:
        """Return the sort key: a message may end where a commit begins."""
        return self.commit, self.xid > 0


class Row(Struct, frozen=True):
    """A record, and when it was committed (microseconds since 1970)."""

    raw: bytes
    time: int | None


class _OpenTransaction(Struct):
    """A transaction that is being sent."""

    place: ReadUpTo
    around: Around
    start: bytes
    count: int = 0  # records so far
    skipped: int | None = 0  # known records to leave out; None: all
    checked: bool = False


class Transactions(Struct):
    """The transactions of a slot in one session.

    `place` is how far the slot was read, and moves on; `confirmed` is where the session begins. `trusted`: whether the
    server must send again what was read after `confirmed`.
    """

    place: ReadUpTo
    confirmed: int
    known: Records
    where: str
    trusted: bool = True
    _unit: _OpenTransaction | None = None
    _last: ReadUpTo = field(default_factory=lambda: ReadUpTo(0))
    _met: bool = False

    def __post_init__(self) -> None:
        self._last = self.place

    @property
    def goes_on(self) -> bool:
        """Return whether the server's log is known to continue what was read before."""
        return self._met or not self._must_meet

    def take(self, data: bytes) -> list[Row]:
        """Process the next message, and return its new records.

        Raises InputError if it is not a message, or if the server's log is not the one that was read before.
        """
        try:
            return self._process(decode(data))
        except DecodeError as error:
            raise InputError(f"{self.where}: at {lsn_text(self.place.lsn)}: {error}", "") from error

    def pass_to(self, end: int) -> None:
        """Note that everything before a place was sent."""
        if self._last.commit and end > self._last.commit:
            self._check_met(lsn_text(end))
        if self._unit is None and end > self.place.lsn:
            self.place = replace(self.place, lsn=end)

    def _process(self, message: AnyMessage) -> list[Row]:
        if isinstance(message, Begin):
            self._begin(ReadUpTo(self.place.lsn, message.lsn, message.xid, time_text(message.time)), message.time)
        elif isinstance(message, Commit):
            self._end(message.end)
        elif isinstance(message, Type):
            self.known.learn(message)
        elif isinstance(message, Relation):
            self.known.describe(message)
        elif isinstance(message, Origin):
            unit = self._in_unit()
            unit.around = Around(unit.around.lsn, unit.around.xid, unit.around.time, message.name)
            unit.start = unit.around.start()
        elif isinstance(message, Message) and not message.transactional:
            return self._take_alone(message)
        else:
            return self._take_change(self._in_unit(), message)
        return []

    def _in_unit(self) -> _OpenTransaction:
        if self._unit is None:
            raise DecodeError("a change stands outside of transactions")
        return self._unit

    def _begin(self, place: ReadUpTo, time: int | None) -> None:
        if self._unit is not None:
            raise DecodeError("a transaction begins within another")
        around = Around(place.commit, place.xid or None, time)
        self._unit = _OpenTransaction(place, around, around.start(), skipped=self._count_known(place))

    def _count_known(self, place: ReadUpTo) -> int | None:
        """Return how many records of a transaction are known; None for all."""
        last = self._last
        if not last.commit or place.order > last.order:
            return 0
        if place.order < last.order:
            return None
        self._met = True
        if (place.xid, place.time) != (last.xid, last.time):
            self._refuse_diverged(f"transaction {place.xid} of {place.time or 'no time'}")
        return last.taken

    def _take_change(self, unit: _OpenTransaction, message: AnyMessage) -> list[Row]:
        """Return the new records of a message, after those that describe new tables."""
        raws = records_of(message, self.known, unit.start)
        count = unit.count
        unit.count += len(raws)
        if unit.skipped is None or unit.count <= unit.skipped:
            return []
        self._check_order(unit)
        place = unit.place
        self.place = ReadUpTo(self.place.lsn, place.commit, place.xid, place.time, unit.count)
        fresh = raws[max(unit.skipped - count, 0) :]
        return [
            Row(raw + b"\n", unit.around.time) for raw in (*descriptions_of(message, self.known, unit.start), *fresh)
        ]

    def _take_alone(self, message: Message) -> list[Row]:
        if self._unit is not None:
            raise DecodeError("a message outside of transactions stands within one")
        self._begin(ReadUpTo(self.place.lsn, message.lsn), None)
        unit = self._in_unit()
        rows = self._take_change(unit, message)
        self._end(message.lsn)
        return rows

    def _end(self, end: int) -> None:
        unit = self._in_unit()
        if unit.skipped and unit.count < unit.skipped:
            self._refuse_diverged(
                f"transaction {unit.place.xid} with {unit.count} records instead of {unit.skipped} or more"
            )
        self._unit = None
        at = unit.place if unit.count and unit.skipped is not None else self.place
        self.place = replace(at, lsn=max(end, self.place.lsn))

    def _check_order(self, unit: _OpenTransaction) -> None:
        """Check that a transaction of which nothing is known comes after everything that was read."""
        if unit.checked or unit.place.order <= self._last.order:
            return
        unit.checked = True
        self._check_met(lsn_text(unit.place.commit))
        if self.trusted and unit.place.commit < self._last.lsn:
            self._refuse_diverged(
                f"transaction {unit.place.xid} at {lsn_text(unit.place.commit)}, which it had not then"
            )

    def _check_met(self, place: str) -> None:
        """Raise InputError if what was read last should have been sent again, and was not."""
        if self._must_meet and not self._met:
            self._refuse_diverged(f"nothing there up to {place}")
        self._met = True

    @property
    def _must_meet(self) -> bool:
        return self.trusted and self._last.xid > 0 and self._last.commit >= self.confirmed

    def _refuse_diverged(self, found: str) -> None:
        last = self._last
        raise InputError(
            f"{self.where}: it was read up to {lsn_text(last.lsn)}, last transaction {last.xid} at "
            f"{lsn_text(last.commit)} of {last.time or 'no time'}; now the server's log has {found}: the database was "
            "restored from a copy",
            NEW_STORE,
        )
