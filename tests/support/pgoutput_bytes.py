"""Messages of pgoutput, written as a server writes them."""

from __future__ import annotations

import struct

EPOCH = 946_684_800_000_000


def begin(lsn: int, xid: int, time: int = EPOCH) -> bytes:
    return b"B" + struct.pack(">QqI", lsn, time - EPOCH, xid)


def commit(lsn: int, end: int, time: int = EPOCH) -> bytes:
    return b"C\0" + struct.pack(">QQq", lsn, end, time - EPOCH)


def relation(oid: int, *columns: str) -> bytes:
    """Describe the table public.t with text columns, of which the first is the key."""
    told = b"".join(
        bytes([i == 0]) + name.encode() + b"\0" + struct.pack(">Ii", 25, -1) for i, name in enumerate(columns)
    )
    return b"R" + struct.pack(">I", oid) + b"public\0t\0d" + struct.pack(">H", len(columns)) + told


def insert(oid: int, *values: str) -> bytes:
    row = b"".join(b"t" + struct.pack(">i", len(value.encode())) + value.encode() for value in values)
    return b"I" + struct.pack(">I", oid) + b"N" + struct.pack(">H", len(values)) + row


def message(lsn: int, content: bytes, *, transactional: bool = False) -> bytes:
    return b"M" + struct.pack(">BQ", transactional, lsn) + b"p\0" + struct.pack(">i", len(content)) + content


def transaction(lsn: int, xid: int, *values: str, time: int = EPOCH, described: bool = True) -> list[bytes]:
    """Write a transaction that is committed at `lsn` and ends 8 behind it, with a row of each value."""
    first = [relation(7, "k")] if described else []
    return [begin(lsn, xid, time), *first, *(insert(7, value) for value in values), commit(lsn, lsn + 8, time)]
