"""Write a seeded bank log of any size as JSON Lines: `python bench/generate.py N [PATH]` (without one: to stdout).

Accounts are opened, paid into and out of, moved, closed and reopened; transfers concern two accounts; one event in a
thousand is delivered twice, one in five hundred comes late. Amounts are exact cents, no two events have one time.
DuckDB's hash makes every value a function of the event's number: same N, same bytes. A chunk is written at a time, so
that a log of any size can be piped into `esctl ingest -`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import duckdb

CHUNK = 500_000
AGAIN = 500
"""How many events later an event is delivered again."""
STEP = 400
"""Milliseconds from one event to the next."""

# Event i concerns account hash(i) % accounts; the first of each account opens it. Types by i's own hash. A late event
# stands between two slots of time, up to 398 back, and no other late one can stand there.
_EVENTS = """
    SELECT i, 'evt-' || i AS id,
        strftime(TIMESTAMP '2024-01-01' + to_milliseconds(CASE WHEN i > {accounts} + 400 AND hash(i, 'g') % 500 = 0
            THEN (i - 1 - hash(i, 'h') % 398) * {step} + 1 + i % 399 ELSE i * {step} END),
            '%Y-%m-%dT%H:%M:%S.%gZ') AS time,
        CASE WHEN i <= {accounts} THEN i ELSE hash(i, 'a') % {accounts} + 1 END AS number,
        'account-' || number AS account,
        'account-' || ((number + hash(i, 'b') % ({accounts} - 1)) % {accounts} + 1) AS other,
        'teller-' || (hash(i, 'c') % 40) AS actor,
        (hash(i, 'd') % 100000) // 100 || '.' || lpad(((hash(i, 'd') % 100000) % 100)::VARCHAR, 2, '0') AS amount,
        hash(i, 'e') % 300 || ' Mill Lane' AS address,
        CASE WHEN i <= {accounts} THEN 'AccountOpened' ELSE
            CASE hash(i, 'f') % 100 WHEN 0 THEN 'AccountClosed' WHEN 1 THEN 'AccountReopened' ELSE
                CASE WHEN hash(i, 'f') % 10 = 2 THEN 'AddressChanged'
                    WHEN hash(i, 'f') % 10 IN (3, 4) THEN 'MoneyTransferred'
                    WHEN hash(i, 'f') % 10 IN (5, 6, 7) THEN 'MoneyWithdrawn' ELSE 'MoneyDeposited' END
            END END AS type
    FROM range({first}, {last} + 1) t(i)"""

_LINE = """
    '{"id":"' || id || '","type":"' || type || '","time":"' || time || '","actor":"' || actor || '","data":{' ||
        CASE type
        WHEN 'MoneyTransferred' THEN '"from":"' || account || '","to":"' || other || '","amount":' || amount
        WHEN 'AddressChanged' THEN '"account":"' || account || '","address":"' || address || '"'
        WHEN 'AccountClosed' THEN '"account":"' || account || '","reason":"moved"'
        WHEN 'MoneyDeposited' THEN '"account":"' || account || '","amount":' || amount
        WHEN 'MoneyWithdrawn' THEN '"account":"' || account || '","amount":' || amount
        ELSE '"account":"' || account || '","owner":"customer ' || account || '","address":"' || address || '"'
        END || '}}'"""


def accounts_of(events: int) -> int:
    """Return how many accounts a log of `events` events has."""
    return max(events // 20, 10)


def generate(events: int, sink: BinaryIO) -> None:
    """Write `events` events and one duplicate in a thousand."""
    with duckdb.connect() as connection:
        for first in range(1, events + AGAIN + 1, CHUNK):
            # Duplicates in the chunk are of events up to AGAIN before it.
            last = min(first + CHUNK - 1, events + AGAIN)
            made = _EVENTS.format(
                accounts=accounts_of(events), first=max(first - AGAIN, 1), last=min(last, events), step=STEP
            )
            text = connection.execute(
                f"""WITH l AS MATERIALIZED (SELECT i, {_LINE} || chr(10) AS line FROM ({made}))
                SELECT string_agg(line, '' ORDER BY i, line) FROM (SELECT i, line FROM l
                    UNION ALL SELECT i + {AGAIN}, line FROM l WHERE i % 1000 = 7) WHERE i BETWEEN {first} AND {last}"""
            ).fetchall()[0][0]
            sink.write((text or "").encode())


if __name__ == "__main__":
    if len(sys.argv) > 2:
        with Path(sys.argv[2]).open("wb") as file:
            generate(int(sys.argv[1]), file)
    else:
        generate(int(sys.argv[1]), sys.stdout.buffer)
