"""A server and its slot as the server reports them, and whether these continue from where the slot was read."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from esctl.errors import InputError, UsageError, shell_word
from esctl.model import PostgresCursor
from esctl.sources.postgres.lsn import lsn_number, lsn_text
from esctl.sources.postgres.replication import Replication, quote_name, quote_text

_ANEW = "make another slot: name it in the URL, with --create --snapshot"
NEW_STORE = "read it into a store of its own: --store NAME, a slot of another name, --create --snapshot"


class Server(Struct, frozen=True):
    """The identity of a server; `end` is the place where its log ends."""

    system: str
    timeline: int
    database: str
    end: int


class Slot(Struct, frozen=True):
    """A slot as the server has it: what was committed before `confirmed` is not sent again."""

    confirmed: int
    plugin: str = "pgoutput"
    database: str = ""
    is_lost: bool = False


def server_of(replication: Replication) -> Server:
    """Ask a server for its identity."""
    (row,) = replication.ask("IDENTIFY_SYSTEM")
    end = lsn_number(row["xlogpos"] or "0/0")
    return Server(row["systemid"] or "", int(row["timeline"] or 0), row["dbname"] or "", end)


def slot_of(replication: Replication, name: str) -> Slot | None:
    """Ask a server for a slot; return None if it has none of that name."""
    rows = replication.ask(f"SELECT * FROM pg_catalog.pg_replication_slots WHERE slot_name = {quote_text(name)}")
    if not rows:
        return None
    row = rows[0]
    lost = row.get("wal_status") == "lost" or row.get("invalidation_reason") is not None
    confirmed = lsn_number(row["confirmed_flush_lsn"] or "0/0")
    return Slot(confirmed, row["plugin"] or "", row["database"] or "", lost)


def create_slot(replication: Replication, name: str) -> Slot:
    """Create a slot, which waits for open transactions. Raises ServerError if that is refused."""
    # Versions before 15 know only this older form, which later ones still accept.
    replication.ask(f"CREATE_REPLICATION_SLOT {quote_name(name)} LOGICAL pgoutput NOEXPORT_SNAPSHOT")
    found = slot_of(replication, name)
    assert found is not None
    return found


def check_publications(replication: Replication, names: Sequence[str], where: str) -> None:
    """Raise UsageError for a missing publication, which the server would report only in the middle of the stream."""
    listed = ", ".join(map(quote_text, names))
    rows = replication.ask(f"SELECT pubname FROM pg_catalog.pg_publication WHERE pubname IN ({listed})")
    there = {row["pubname"] for row in rows}
    for name in names:
        if name not in there:
            sql = f"CREATE PUBLICATION {quote_name(name)} FOR ALL TABLES"
            raise UsageError(f"{where}: there is no publication {name}", f"make it first: psql -c {shell_word(sql)}")


def check_slot(slot: Slot, name: str, server: Server, where: str) -> None:
    """Raise InputError if a slot is of another plugin or database, or has lost changes."""
    if slot.plugin != "pgoutput" or slot.database != server.database:
        raise InputError(
            f"{where}: the slot {name} is one of {slot.plugin or 'no plugin'} and of the database "
            f"{slot.database or '(none)'}, and not of pgoutput and {server.database}",
            "name another slot",
        )
    if slot.is_lost:
        raise InputError(
            f"{where}: the server has removed parts of its log that the slot {name} has not sent: changes are lost",
            f"drop the slot, or {_ANEW}",
        )


def check_continues(
    cursor: PostgresCursor, server: Server, slot: Slot | None, history: Sequence[tuple[int, int]], where: str
) -> None:
    """Raise InputError, naming both places, if a server does not continue from where a slot was read.

    `history`: the timelines before the server's, each with the place where it ended.
    """
    name, read = cursor.slot, lsn_text(cursor.lsn)
    if server.system != cursor.system:
        raise InputError(
            f"{where}: the slot {name} was read from the database system {cursor.system}, and this is {server.system}",
            NEW_STORE,
        )
    parted = dict(history).get(cursor.timeline)
    if server.timeline != cursor.timeline and (parted is None or parted < cursor.lsn):
        ended = "it does not come from that" if parted is None else f"which left that at {lsn_text(parted)}"
        raise InputError(
            f"{where}: the slot {name} was read up to {read} of timeline {cursor.timeline}, and the server is on "
            f"timeline {server.timeline}, {ended}: the database was restored",
            NEW_STORE,
        )
    if server.end < cursor.lsn:
        raise InputError(
            f"{where}: the slot {name} was read up to {read}, and the server's log ends at {lsn_text(server.end)}: "
            "the database was restored from a copy",
            NEW_STORE,
        )
    if slot is None:
        raise InputError(
            f"{where}: the slot {name} was read up to {read}, and the server has no such slot: changes since are lost",
            _ANEW,
        )
    if slot.confirmed > cursor.lsn:
        raise InputError(
            f"{where}: the slot {name} was read up to {read}, and goes on from {lsn_text(slot.confirmed)}: it was made "
            "anew, or another program has read it, and what was committed in between is lost",
            _ANEW,
        )


def history_of(replication: Replication, timeline: int) -> list[tuple[int, int]]:
    """Ask for the timelines before `timeline`, each with the place where it ended."""
    rows = replication.ask(f"TIMELINE_HISTORY {timeline}") if timeline > 1 else []
    return parse_history(rows[0]["content"] or "") if rows else []


def parse_history(text: str) -> list[tuple[int, int]]:
    """Parse the history file of a timeline: the earlier timelines, each with the place where it ended."""
    lines = (line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return [(int(parts[0]), lsn_number(parts[1])) for parts in lines if len(parts) >= 2 and parts[0].isdigit()]
